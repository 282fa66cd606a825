//! What is measured on: a Postgres of its own with fsync, and databases with so many people, twelve tips and a weekly campaign.
//!
//! Each person has had some of the tips already, by chance, so that everyone has a next tip of her own. Editions are planned here, by
//! planning's own functions, and sent by the real binary.

use std::{
    collections::HashMap,
    fmt::Write,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tidings::{
    base::{
        clock::{Clock, SystemClock},
        database::{self, Db},
        postgres::{EmbeddedPostgres, Options},
        time::{from_db, to_db},
    },
    campaigns::{
        campaign::{self, NewWeekly},
        due, edition, planning,
        states::{FirstTip, Late},
    },
};
use tokio::time::Instant;

use crate::process::{Seen, Watched};

type Utc = sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>;

/// The campaign, its series and so its topic.
const WEEKLY: &str = "weekly";
const TIPS: usize = 12;

/// The server and its folder.
pub(crate) struct Ground {
    server: EmbeddedPostgres,
    folder: PathBuf,
    files: tempfile::TempDir,
    number: AtomicU32,
}

/// One database and what is needed to send from it.
pub(crate) struct Field {
    pub(crate) url: String,
    pub(crate) db: Db,
    folder: PathBuf,
    logs: AtomicU32,
}

/// When the first mail was handed over, when the last was answered, and how many were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) mails: f64,
}

impl Sent {
    /// Mails a second.
    pub(crate) fn rate(&self) -> f64 {
        self.mails / (self.to - self.from).total(jiff::Unit::Second).unwrap_or(f64::NAN)
    }
}

impl Ground {
    /// Starts the server.
    pub(crate) async fn start() -> anyhow::Result<Ground> {
        // Straight in the folder for temporary files: root's server runs as another account, which a folder of ours keeps out.
        let folder = std::env::temp_dir().join(format!("tidings-bench-{}", std::process::id()));
        let server = EmbeddedPostgres::start(&folder, &Options { max_connections: Some(200), ..Options::default() }).await?;
        Ok(Ground { server, folder, files: tempfile::tempdir()?, number: AtomicU32::new(1) })
    }

    /// A database with so many people; copied, where one of that size was made before.
    pub(crate) async fn field(&self, people: i64) -> anyhow::Result<Field> {
        self.copy(people, true).await
    }

    /// The same with people who have had no tip yet.
    pub(crate) async fn field_of_newcomers(&self, people: i64) -> anyhow::Result<Field> {
        self.copy(people, false).await
    }

    async fn copy(&self, people: i64, history: bool) -> anyhow::Result<Field> {
        let seed = format!("seed_{people}{}", if history { "" } else { "_new" });
        let mut conn = PgConnection::connect(&self.server.url("postgres")).await?;
        let there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(&seed).fetch_one(&mut conn).await?;
        if !there {
            self.server.ensure_database(&seed).await?;
            let field = self.open(&seed).await?;
            field.fill(people, history).await?;
            field.db.pool.close().await;
        }
        let name = format!("field_{}", self.number.fetch_add(1, Ordering::Relaxed));
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {seed}"))).execute(&mut conn).await?;
        self.open(&name).await
    }

    async fn open(&self, database: &str) -> anyhow::Result<Field> {
        let url = self.server.url(database);
        let folder = self.files.path().join(database);
        std::fs::create_dir(&folder)?;
        Ok(Field { db: database::connect(&url, 4).await?, url, folder, logs: AtomicU32::new(1) })
    }

    /// Drops a database that was measured.
    pub(crate) async fn drop(&self, field: Field) -> anyhow::Result<()> {
        field.db.pool.close().await;
        let name = field.url.rsplit_once('/').map(|(_, name)| name).context("a database's address ends with its name")?;
        let mut conn = PgConnection::connect(&self.server.url("postgres")).await?;
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut conn).await?;
        Ok(())
    }

    /// Stops the server and removes its folder.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.server.stop().await;
        EmbeddedPostgres::remove(&self.folder)?;
        Ok(())
    }
}

impl Field {
    async fn fill(&self, people: i64, history: bool) -> anyhow::Result<()> {
        let path = self.folder.join("care.md");
        std::fs::write(&path, article())?;
        let mut import = self.command(&[]);
        import.args(["import", "article"]).arg(&path).args(["--series", WEEKLY, "--approve"]);
        let output = tokio::process::Command::from(import).output().await?;
        anyhow::ensure!(output.status.success(), "the article was refused: {}", String::from_utf8_lossy(&output.stderr));
        let now = SystemClock.now();
        let conn = &mut *self.db.pool.acquire().await?;
        let tips: i64 = sqlx::query_scalar("SELECT count(*) FROM tips WHERE state = 'approved'").fetch_one(&mut *conn).await?;
        anyhow::ensure!(tips == TIPS as i64, "{tips} tips came of {TIPS} sections");
        sqlx::query(
            "WITH people AS (
                INSERT INTO subscribers (address, address_key, name, created_at)
                SELECT a, a, 'Person ' || n, now() FROM (SELECT n, 'person-' || n || '@example.org' AS a FROM generate_series(1, $1) AS n) AS x
                RETURNING id)
            INSERT INTO subscriptions (subscriber_id, topic_id, standing, changed_at)
            SELECT people.id, topics.id, 'confirmed', now() FROM people, topics",
        )
        .bind(people)
        .execute(&mut *conn)
        .await?;
        // A quarter of all (person, segment), scattered by a hash and the same in every run.
        sqlx::query(
            "INSERT INTO segments_given (subscriber_id, segment_id)
            SELECT p.id, g.id FROM subscribers p, segments g WHERE $1 AND hashint8(p.id * 31 + g.id) & 3 = 0 ORDER BY p.id, g.id",
        )
        .bind(history)
        .execute(&mut *conn)
        .await?;
        self.campaign(conn, now).await?;
        sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut *conn).await?;
        sqlx::raw_sql("CHECKPOINT").execute(conn).await?;
        Ok(())
    }

    async fn campaign(&self, conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<()> {
        let new = NewWeekly {
            name: WEEKLY,
            series: WEEKLY,
            at: Some("Tue 09:00"),
            cron: None,
            zone: "Europe/London",
            subscriber_zone: false,
            late: Late::Fire,
            tolerance: SignedDuration::from_hours(6),
            deadline: SignedDuration::from_hours(48),
            first_tip: FirstTip::Next,
        };
        campaign::create(conn, new, now).await?;
        // None of its own rule comes in between.
        sqlx::query("UPDATE campaigns SET next_run_at = now() + interval '300 days'").execute(conn).await?;
        Ok(())
    }

    /// Opens an edition, plans all of it and lets it go unchecked, as one that was checked before; the time that planning took.
    pub(crate) async fn plan(&self) -> anyhow::Result<Duration> {
        let conn = &mut *self.db.pool.acquire().await?;
        edition::run(conn, WEEKLY, true, SystemClock.now()).await?;
        // As one of the rule: what an operator adds is spared the look at the last 72 hours.
        sqlx::query("UPDATE editions SET by_operator = false, state = 'planning' WHERE planned IS NULL").execute(&mut *conn).await?;
        let began = Instant::now();
        for edition in due::plannable(conn).await? {
            while !planning::plan_slice(conn, edition, SystemClock.now()).await?.done {}
        }
        let took = began.elapsed();
        sqlx::query("UPDATE editions SET cleared_up_to = 9223372036854775807, checked_at = coalesce(checked_at, created_at)")
            .execute(&mut *conn)
            .await?;
        sqlx::raw_sql("CHECKPOINT").execute(conn).await?;
        Ok(took)
    }

    /// The real binary with this database and these settings, by their names in the environment, and nothing else but PATH.
    pub(crate) fn command(&self, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(self.environment(settings)).current_dir(&self.folder);
        command
    }

    /// The environment of [`Field::command`], for this process's own use of the library.
    pub(crate) fn environment(&self, settings: &[(&str, &str)]) -> HashMap<String, String> {
        let key_file = self.folder.join("keys").display().to_string();
        let ours = [
            ("DATABASE_URL", self.url.as_str()),
            ("TIDINGS_KEYS__FILE", &key_file),
            ("TIDINGS_SITE__URL", "https://tips.example.org"),
            ("TIDINGS_SITE__NAME", "Example Press"),
            ("TIDINGS_SITE__POSTAL_ADDRESS", "1 Example Street, Exampleton"),
            ("TIDINGS_MAIL__FROM", "Example Press <tips@example.org>"),
        ];
        ours.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// Starts a worker that sends to the relay at `relay` over so many connections.
    pub(crate) fn worker(&self, relay: &str, connections: usize, settings: &[(&str, &str)], idle: bool) -> anyhow::Result<Watched> {
        let connections = connections.to_string();
        let ours = [("TIDINGS_RELAYS__MAIN__URL", relay), ("TIDINGS_RELAYS__MAIN__CONNECTIONS", connections.as_str())];
        let settings: Vec<(&str, &str)> = ours.into_iter().chain(settings.iter().copied()).collect();
        let mut command = self.command(&settings);
        command.arg("worker").args(idle.then_some("--until-idle"));
        let log = self.folder.join(format!("worker-{}.log", self.logs.fetch_add(1, Ordering::Relaxed)));
        Watched::start(command, &log)
    }

    /// Sends what is planned with one worker until nothing is left.
    pub(crate) async fn send(&self, relay: &str, connections: usize, settings: &[(&str, &str)]) -> anyhow::Result<(Sent, Seen)> {
        let seen = self.worker(relay, connections, settings, true)?.ended().await?;
        anyhow::ensure!(seen.well, "the worker failed; its log is in {}", self.folder.display());
        Ok((self.sent().await?, seen))
    }

    /// What the ledger says of the mails that were answered.
    pub(crate) async fn sent(&self) -> anyhow::Result<Sent> {
        self.sent_since(Timestamp::UNIX_EPOCH).await
    }

    /// The same of those that were handed over since an instant.
    pub(crate) async fn sent_since(&self, since: Timestamp) -> anyhow::Result<Sent> {
        let (from, to, mails): (Option<Utc>, Option<Utc>, i64) = sqlx::query_as(
            "SELECT min(handing_over_at), max(finished_at), count(*) FROM deliveries WHERE state IN ('sent', 'failed') AND handing_over_at >= $1",
        )
        .bind(to_db(since))
        .fetch_one(&self.db.pool)
        .await?;
        let (from, to) = (from.context("no mail was handed over")?, to.context("no mail was answered")?);
        Ok(Sent { from: from_db(from), to: from_db(to), mails: mails as f64 })
    }
}

impl Field {
    /// Makes all that was sent a week older, in the ledger's own words.
    pub(crate) async fn let_a_week_pass(&self) -> anyhow::Result<()> {
        let conn = &mut *self.db.pool.acquire().await?;
        sqlx::raw_sql(
            "UPDATE deliveries SET handing_over_at = handing_over_at - interval '7 days', finished_at = finished_at - interval '7 days'
            WHERE handing_over_at > now() - interval '7 days'",
        )
        .execute(&mut *conn)
        .await?;
        sqlx::raw_sql("UPDATE editions SET finished_at = finished_at - interval '7 days'").execute(&mut *conn).await?;
        sqlx::raw_sql("VACUUM (ANALYZE) deliveries").execute(conn).await?;
        Ok(())
    }

    /// What the deliveries take up, in words.
    pub(crate) async fn bloat(&self) -> anyhow::Result<String> {
        let said = sqlx::query_scalar(
            "SELECT string_agg(format('%s: %s, indexes %s, %s dead', c.relname, pg_size_pretty(pg_relation_size(c.oid)),
                pg_size_pretty(pg_indexes_size(c.oid)), s.n_dead_tup), '; ' ORDER BY c.relname)
            FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE s.n_live_tup + s.n_dead_tup > 50000",
        );
        Ok(said.fetch_one(&self.db.pool).await?)
    }
}

// Twelve sections of some 100 words, as half of all real tips have at most.
fn article() -> String {
    let mut article =
        "---\ntitle: A year around the house\nurl: https://example.org/year\ndate: 2026-01-05\n---\n\nWhat is looked after lasts.\n"
            .to_owned();
    let months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
    for (month, thing) in
        months.iter().zip(["roof", "stove", "gutter", "garden", "well", "fence", "shed", "window", "cellar", "hedge", "chimney", "door"])
    {
        let _ = write!(
            article,
            "\n## How to look after the {thing} in {month}\n\nOn the second day of {month}, walk once around the {thing} and write down what has changed \
             since the year before. What has come loose is fastened, what has grown thin is strengthened, and what has rotted is taken out before \
             the wet season reaches it. Most of this needs no more than a ladder, a soft brush and an hour of dry weather; the **{thing}** itself \
             will show where the water ran. Ask a neighbour to hold the ladder, and look at the list again when you are done with the {thing}.\n"
        );
    }
    article
}
