//! Postgres: connecting with errors that say what to do, migrating, and constraint names that become domain errors.
//!
//! `cli` connects; every store takes a `&mut PgConnection` of the pool, so that its caller owns the transaction.

use super::outage::Outage;
use apalis_postgres::PostgresStorage;
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The oldest Postgres that the statements were written for.
const OLDEST_SERVER: i32 = 15_00_00;

/// How long a transaction may stay idle: none of ours waits for anything but the database.
const TRANSACTION_IDLE: Duration = Duration::from_secs(10);

/// A migrated database.
#[derive(Debug, Clone)]
pub struct Db {
    /// Its connections.
    pub pool: PgPool,
    /// The label of this installation, part of every Message-ID.
    pub label: String,
    /// Whether it answers, as this process sees it.
    pub outage: Outage,
}

/// Why there is no database to work with, each in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is none.
    #[error("the database URL is not of the form postgres://user:password@host:5432/name: {0}")]
    Url(String),
    /// Nobody answers there.
    #[error("Postgres at {at} does not answer ({why}): is it running, and is DATABASE_URL right?")]
    Unreachable {
        /// Host and port.
        at: String,
        /// The system's word.
        why: String,
    },
    /// User or password are wrong.
    #[error("Postgres at {at} refused the user or the password of DATABASE_URL: {why}")]
    Refused {
        /// Host and port.
        at: String,
        /// Postgres' word.
        why: String,
    },
    /// There is no such database.
    #[error("the database `{name}` does not exist on {at}: make it with `createdb {name}`")]
    NoSuchDatabase {
        /// Its name.
        name: String,
        /// Host and port.
        at: String,
    },
    /// The server is too old.
    #[error("this is Postgres {found}, and Tidings needs 15 or newer")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The database was migrated by a newer binary.
    #[error("the database's schema is newer than this binary (it has migration {0}): install the newer version of Tidings")]
    Newer(i64),
    /// An extension is missing and may not be made.
    #[error(
        "the extensions pgcrypto and hstore are needed and this user may not create them ({0}): let the database's owner run `CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore;`, or grant CREATE on the database"
    )]
    ExtensionRight(String),
    /// An extension is not installed.
    #[error("Postgres' contrib package is missing ({0}): install it, on Debian with `apt-get install postgresql-contrib`")]
    NoContrib(String),
    /// A migration failed.
    #[error("the database could not be migrated: {0}")]
    Migration(String),
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(#[from] sqlx::Error),
}

/// Connects to `url` and brings the schema up to date.
pub async fn connect(url: &str, connections: u32) -> Result<Db, DatabaseError> {
    let options = options(url)?;
    first_contact(&options).await?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .after_connect(|conn, _| Box::pin(let_go_when_frozen(conn, TRANSACTION_IDLE)))
        .connect_with(options)
        .await?;
    migrate(&pool).await?;
    let label = sqlx::query_scalar!("SELECT label FROM installation").fetch_one(&pool).await?;
    Ok(Db { pool, label, outage: Outage::default() })
}

/// Has Postgres end a transaction of this connection that stays idle for `time`, and so let go of its locks.
///
/// A process that is frozen or cut off in the middle of one would else keep everyone from those rows for as long as it is.
pub async fn let_go_when_frozen(conn: &mut PgConnection, time: Duration) -> sqlx::Result<()> {
    let milliseconds = time.as_millis().max(1).to_string();
    sqlx::query("SELECT set_config('idle_in_transaction_session_timeout', $1, false)").bind(milliseconds).execute(conn).await?;
    Ok(())
}

/// Whether a statement failed because the database cannot be reached, or is ending or just beginning (57P01 to 57P03), and not for what it
/// asked.
pub fn is_out_of_reach(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| matches!(&*code, "57P01" | "57P02" | "57P03")),
        _ => false,
    }
}

/// Brings the schema up to date, ours and the queue's; cheap when it is, safe from several processes at once.
pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
    let mut conn = pool.acquire().await?;
    if is_current(&mut conn).await? {
        return Ok(());
    }
    // One lock around both schemas: apalis' migrations are not safe to run twice at once.
    sqlx::query("SELECT pg_advisory_lock(hashtext('tidings.migrate'))").execute(&mut *conn).await?;
    let done = migrate_locked(pool, &mut conn).await;
    sqlx::query("SELECT pg_advisory_unlock(hashtext('tidings.migrate'))").execute(&mut *conn).await?;
    done
}

async fn migrate_locked(pool: &PgPool, conn: &mut PgConnection) -> Result<(), DatabaseError> {
    for extension in ["pgcrypto", "hstore"] {
        sqlx::query(match extension {
            "pgcrypto" => "CREATE EXTENSION IF NOT EXISTS pgcrypto",
            _ => "CREATE EXTENSION IF NOT EXISTS hstore",
        })
        .execute(&mut *conn)
        .await
        .map_err(extension_error)?;
    }
    PostgresStorage::<()>::setup(pool).await.map_err(|e| DatabaseError::Migration(e.to_string()))?;
    // The planner takes the whole table for a fetch of five jobs otherwise: 120-215 ms instead of 0.6 ms on a big one.
    for setting in [
        "ALTER FUNCTION apalis.get_jobs(text, text, integer) SET enable_hashjoin = off",
        "ALTER FUNCTION apalis.get_jobs(text, text, integer) SET enable_mergejoin = off",
        "ALTER FUNCTION apalis.get_jobs(text, text, integer) SET enable_seqscan = off",
    ] {
        sqlx::query(setting).execute(&mut *conn).await?;
    }
    MIGRATIONS.run(&mut *conn).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => DatabaseError::Newer(version),
        other => DatabaseError::Migration(other.to_string()),
    })?;
    Ok(())
}

/// Whether the schema is the one that this binary knows.
pub async fn is_current(conn: &mut PgConnection) -> Result<bool, DatabaseError> {
    let table: Option<String> = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text").fetch_one(&mut *conn).await?;
    if table.is_none() {
        return Ok(false);
    }
    let applied: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(&mut *conn).await?;
    let newest = MIGRATIONS.iter().map(|m| m.version).max();
    match (applied, newest) {
        (Some(applied), Some(newest)) if applied > newest => Err(DatabaseError::Newer(applied)),
        (applied, newest) => Ok(applied == newest),
    }
}

/// The name of the constraint that an error is about, for a store that turns it into an error of its own.
pub fn violated(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|e| e.constraint())
}

/// Whether a transaction lost against another and is to be tried again.
pub fn is_to_be_retried(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

fn options(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(DatabaseError::Url("it does not begin with postgres://".to_owned()));
    }
    let options = PgConnectOptions::from_str(url).map_err(|e| DatabaseError::Url(e.to_string()))?;
    // Every plan here goes by indexes: compiling one (110 ms) takes longer than running it.
    Ok(options.application_name("tidings").options([("jit", "off")]))
}

// The pool retries until its time is up; a first connection of its own says at once what is wrong.
async fn first_contact(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    let at = format!("{}:{}", options.get_host(), options.get_port());
    let mut conn = PgConnection::connect_with(options).await.map_err(|error| match &error {
        sqlx::Error::Database(e) => match e.code().as_deref() {
            Some("28P01" | "28000") => DatabaseError::Refused { at, why: e.message().to_owned() },
            Some("3D000") => DatabaseError::NoSuchDatabase { name: options.get_database().unwrap_or_default().to_owned(), at },
            Some("57P03") => DatabaseError::Unreachable { at, why: e.message().to_owned() },
            _ => DatabaseError::Other(error),
        },
        sqlx::Error::Io(e) => DatabaseError::Unreachable { at, why: e.to_string() },
        _ => DatabaseError::Other(error),
    })?;
    let version: String = sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut conn).await?;
    if version.parse::<i32>().unwrap_or(0) < OLDEST_SERVER {
        let found: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut conn).await?;
        return Err(DatabaseError::TooOld { found });
    }
    conn.close().await?;
    Ok(())
}

fn extension_error(error: sqlx::Error) -> DatabaseError {
    match error.as_database_error().and_then(|e| e.code()).as_deref() {
        Some("42501") => DatabaseError::ExtensionRight(error.to_string()),
        Some("58P01" | "0A000") => DatabaseError::NoContrib(error.to_string()),
        _ => DatabaseError::Other(error),
    }
}
