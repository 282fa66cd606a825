//! The embedded Postgres: finds the binaries, makes a data folder, starts a server on loopback that lives as long as this process.
//!
//! Where the system has no Postgres, `fetch` brings one. Owns the folder it is given (`data/`, `password`, `server.log`, `lock`). A second process attaches to the running server.
//! Called by the demo, by `tidings serve --embedded` and by the tests.

mod account;
mod binaries;
mod error;
mod fetch;
mod keeper;
mod place;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection};

use account::Account;
use binaries::Binaries;
pub use error::PostgresError;
pub use fetch::Fetch;
use keeper::Keeper;
use place::{Place, Running};

/// The role that owns everything in an embedded server.
const ROLE: &str = "tidings";
/// A start takes a second, but `initdb` on a busy machine took 12 s: only a hung one meets this.
const PATIENCE: Duration = Duration::from_secs(120);
const GLANCE: Duration = Duration::from_millis(25);

/// How the server is found and what it promises.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where `postgres` and `initdb` are; without it the distributions' folders and PATH are searched.
    pub bin_folder: Option<PathBuf>,
    /// Whether npm may bring Postgres; not asked with a `bin_folder`.
    pub fetch: Fetch,
    /// For tests: no fsync, and the folder is removed when the server ends, however its owner ended.
    pub disposable: bool,
    /// Postgres's own default (100) without it.
    pub max_connections: Option<u16>,
}

/// A running server: started by this process, which then is its owner, or found running.
pub struct EmbeddedPostgres {
    place: Place,
    running: Running,
    password: String,
    keeper: Option<Keeper>,
}

impl EmbeddedPostgres {
    /// Starts a server on `folder`, or attaches to the one that runs there. The server of an owner ends with it, SIGKILL included.
    ///
    /// The folder is made when it is missing; one that holds anything else is refused.
    pub async fn start(folder: &Path, options: &Options) -> Result<Self, PostgresError> {
        let account = Account::for_folder(folder)?;
        let place = Place::open(folder, account)?;
        if place.try_hold()?.is_some() {
            // Before the limit: a slow line is no hung server.
            binaries::fetch_missing(options, &place).await?;
        }
        let started = tokio::time::timeout(PATIENCE, start_or_attach(place, options)).await;
        started.map_err(|_| PostgresError::TooSlow { folder: folder.into(), seconds: PATIENCE.as_secs() })?
    }

    /// The address of one of its databases, password included: not for logs.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.password, self.running.port)
    }

    /// Makes a database unless it is there.
    pub async fn ensure_database(&self, name: &str) -> Result<(), PostgresError> {
        let mut connection = connect(self.running.port, &self.password).await?;
        let there: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1").bind(name).fetch_optional(&mut connection).await?;
        if there.is_none() {
            let quoted = name.replace('"', "\"\"");
            let made = sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{quoted}\""))).execute(&mut connection).await;
            // 42P04, 23505: another process made it between the question and this statement.
            made.map(drop).or_else(|error| if already_there(&error) { Ok(()) } else { Err(error) })?;
        }
        connection.close().await?;
        Ok(())
    }

    /// Whether this process started the server, and so takes it along when it ends.
    pub fn is_owner(&self) -> bool {
        self.keeper.is_some()
    }

    /// The folder in use. It differs from the one asked for when root asked for one that the server's account cannot reach.
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// The folder asked for, where another had to be used: worth a line to the operator.
    pub fn moved_from(&self) -> Option<&Path> {
        self.place.moved_from.as_deref()
    }

    /// Waits until the server is gone and says so; for an attached process, whose server ends with its owner.
    pub async fn gone(&self) -> PostgresError {
        while !matches!(self.place.try_hold(), Ok(Some(_))) {
            // The lock of another process cannot be awaited, only tried.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        PostgresError::Gone { folder: self.place.folder.clone(), owned: self.is_owner() }
    }

    /// Ends the server and waits for its end; an attached process only lets go of it.
    pub async fn stop(self) {
        if let Some(keeper) = self.keeper {
            // The waiting is a blocking call; that it panicked would have no remedy here.
            let _ = tokio::task::spawn_blocking(move || keeper.end()).await;
        }
    }

    /// Removes a stopped server's folder with all its data; refuses while a server runs on it.
    pub fn remove(folder: &Path) -> Result<(), PostgresError> {
        let account = Account::for_folder(folder)?;
        let Some(place) = Place::find(folder, account)? else { return Ok(()) };
        match place.try_hold()? {
            Some(_held) => place.remove(),
            None => Err(PostgresError::InUse { folder: place.folder }),
        }
    }
}

async fn start_or_attach(place: Place, options: &Options) -> Result<EmbeddedPostgres, PostgresError> {
    // Two processes that start at once: one starts the server, the other waits here and finds it.
    let _turn = place.turn().await?;
    loop {
        if let Some(held) = place.try_hold()? {
            return start(place, held, options).await;
        }
        if let Some(running) = place.running()? {
            let password = place.password()?;
            // Refused while it is starting or stopping: look again, it becomes one or the other.
            if serves(&running, &password, &place.data()).await {
                return Ok(EmbeddedPostgres { place, running, password, keeper: None });
            }
        }
        // Another process is starting the server, and tells us nothing: between two looks. The start as a whole has a limit.
        tokio::time::sleep(GLANCE).await;
    }
}

async fn start(place: Place, held: place::Held, options: &Options) -> Result<EmbeddedPostgres, PostgresError> {
    let binaries = Binaries::find(options, place.major()?, &place)?;
    place.clear_leftovers()?;
    if place.major()?.is_none() {
        keeper::initdb(&binaries, &place, options).await?;
    }
    let (keeper, running) = keeper::start(&binaries, &place, held, options).await?;
    let password = place.password()?;
    let server = EmbeddedPostgres { place, running, password, keeper: Some(keeper) };
    check_extensions(&server, &binaries).await?;
    Ok(server)
}

async fn check_extensions(server: &EmbeddedPostgres, binaries: &Binaries) -> Result<(), PostgresError> {
    let mut connection = connect(server.running.port, &server.password).await?;
    let there: Vec<String> = sqlx::query_scalar("SELECT name::text FROM pg_available_extensions WHERE name IN ('pgcrypto', 'hstore')")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    if there.len() == 2 {
        return Ok(());
    }
    Err(PostgresError::NoContrib { version: binaries.major, folder: binaries.folder.clone(), remedy: binaries::remedy() })
}

/// Whether what answers on the port is the server of this folder, and not one that took the port later.
async fn serves(running: &Running, password: &str, data: &Path) -> bool {
    let Ok(mut connection) = connect(running.port, password).await else { return false };
    let folder = sqlx::query_scalar::<_, String>("SHOW data_directory").fetch_one(&mut connection).await;
    folder.is_ok_and(|folder| Path::new(&folder) == data)
}

async fn connect(port: u16, password: &str) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username(ROLE).password(password);
    PgConnection::connect_with(&options.database("postgres").ssl_mode(PgSslMode::Disable)).await
}

fn already_there(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "42P04" || code == "23505")
}
