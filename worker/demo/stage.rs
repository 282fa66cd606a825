//! The stage: everything that runs while the demo plays, wired together on one turned clock.
//!
//! Owns the embedded Postgres, the mail catcher, the web server and the worker, and ends them in order. The settings are the
//! demo's own: no variable and no file of the operator changes where its mails go.

use super::{
    Options,
    catcher::{self, Catcher},
    dkim,
    folder::{Folder, Ports},
    screen::Screen,
};
use crate::{
    base::{
        clock::ManualClock,
        config::Config,
        database::{self, Db},
        keys::{self, KeyError, Keyring},
        postgres::{self, EmbeddedPostgres, PostgresError},
        time::from_db,
    },
    jobs::{self, App},
    web::{self, Web},
};
use anyhow::{Context, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use std::{collections::HashMap, net::Ipv4Addr, path::Path, sync::Arc};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

const DATABASE: &str = "tidings";
/// The chance in waits between tries falls alike in every demo.
const SEED: [u8; 32] = [7; 32];

/// All that runs.
pub(super) struct Stage {
    /// The server of the database.
    postgres: EmbeddedPostgres,
    /// What the worker shares: settings, database, keys.
    pub(super) app: Arc<App>,
    /// The clock that is turned.
    pub(super) clock: ManualClock,
    /// Where all mails end.
    pub(super) catcher: Catcher,
    /// The address of the pages.
    pub(super) pages: String,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<Option<String>>,
    working: JoinHandle<()>,
    serving: JoinHandle<std::io::Result<()>>,
    // Its lock is held for as long.
    _folder: Folder,
}

impl Stage {
    /// Starts everything on `folder`. At its first start the clock stands as many weeks back as are to be played, so that the
    /// last of them was this week or the one before; later it goes on from the last thing that happened.
    pub(super) async fn set(folder: Folder, options: &Options, now: Timestamp, screen: &Screen) -> anyhow::Result<Self> {
        let (postgres, db) = database(&folder, options, screen).await?;
        let days = i64::from(options.weeks) * 7 + 4;
        let began = last_happening(&db).await?.unwrap_or(now - SignedDuration::from_hours(24 * days));
        let clock = ManualClock::new(began);
        let (catcher, listener) = listen(&folder, &clock, screen).await?;
        let pages = format!("http://{}", listener.local_addr()?);
        let config = Arc::new(settings(&folder, &pages, &catcher, &postgres)?);
        let keyring = keyring(&folder.keys(), &db).await?;
        let app = Arc::new(App::new(config, db.clone(), keyring.clone(), Arc::new(clock.clone()), SEED)?);

        let (stop, stopped) = watch::channel(false);
        let web = Web::new(db, keyring, &app.config, Arc::new(clock.clone()))?;
        let mut web_stop = stopped.clone();
        let serving = tokio::spawn(web::serve(listener, web, async move {
            let _ = web_stop.wait_for(|stop| *stop).await;
        }));
        let (end, ended) = watch::channel(None);
        let working = tokio::spawn({
            let app = app.clone();
            async move {
                let worked = jobs::run(app, stopped).await;
                end.send_replace(Some(worked.err().map_or("it was told to".to_owned(), |error| format!("{error:#}"))));
            }
        });
        Ok(Self { postgres, app, clock, catcher, pages, stop, ended, working, serving, _folder: folder })
    }

    /// The database.
    pub(super) fn db(&self) -> &Db {
        &self.app.setup.db
    }

    /// Waits until the worker or the server of the database ends by itself, and says why.
    pub(super) async fn trouble(&self) -> anyhow::Error {
        let mut ended = self.ended.clone();
        tokio::select! {
            gone = self.postgres.gone() => gone.into(),
            why = ended.wait_for(Option::is_some) => {
                let why = why.ok().and_then(|why| why.clone()).unwrap_or_else(|| "a part of it failed".to_owned());
                anyhow!("the demo's worker ended: {why}")
            }
        }
    }

    /// Ends everything: the worker first, so that what it holds is given back, the database last.
    pub(super) async fn clear(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let worked = self.working.await;
        self.serving.abort();
        self.app.setup.db.pool.close().await;
        self.postgres.stop().await;
        Ok(worked?)
    }
}

async fn database(folder: &Folder, options: &Options, screen: &Screen) -> anyhow::Result<(EmbeddedPostgres, Db)> {
    let key_file = folder.dkim_key();
    // Beside the start of the server: on a small machine both take a second.
    let key = tokio::task::spawn_blocking(move || dkim::make_key(&key_file));
    let wanted = postgres::Options { bin_folder: options.bin_folder.clone(), fetch: options.fetch, ..postgres::Options::default() };
    let server = EmbeddedPostgres::start(&folder.postgres(), &wanted).await.map_err(for_the_demo)?;
    server.ensure_database(DATABASE).await?;
    let db = database::connect(&server.url(DATABASE), 8).await?;
    key.await??;
    if let Some(wanted) = server.moved_from() {
        screen.line(format_args!("note: Postgres, which runs as another account than root, cannot work in {}", wanted.display()));
    }
    screen.line(format_args!("postgres  its own, in {}", server.folder().display()));
    Ok((server, db))
}

// A server of the operator's own is no remedy here: the demo never mails out of a database that is not its own.
fn for_the_demo(error: PostgresError) -> anyhow::Error {
    match error {
        PostgresError::NotFound { looked, remedy } => {
            anyhow!("no Postgres was found (looked in {looked}): install it with `{remedy}`; it need not run")
        }
        PostgresError::NotFetched { said, instead, remedy } => {
            anyhow!(
                "no Postgres was found, and npm could not fetch one: {said}; install it with `{remedy}` (it need not run), or {instead}"
            )
        }
        error => error.into(),
    }
}

// The latest instant that the ledger knows of.
async fn last_happening(db: &Db) -> anyhow::Result<Option<Timestamp>> {
    let at = sqlx::query_scalar!(
        "SELECT greatest(
            (SELECT max(created_at) FROM campaigns), (SELECT max(at) FROM operator_acts), (SELECT max(at) FROM consents),
            (SELECT max(created_at) FROM editions), (SELECT max(finished_at) FROM editions),
            (SELECT max(handing_over_at) FROM deliveries), (SELECT max(finished_at) FROM deliveries), (SELECT max(at) FROM entry_events))"
    );
    Ok(at.fetch_one(&db.pool).await?.map(from_db))
}

async fn listen(folder: &Folder, clock: &ManualClock, screen: &Screen) -> anyhow::Result<(Catcher, TcpListener)> {
    let before = folder.ports();
    let start = async |inbox| Catcher::start(&folder.mails(), catcher::Ports { smtp: 0, inbox }, Arc::new(clock.clone())).await;
    let catcher = match start(before.inbox).await {
        Err(_) if before.inbox != 0 => start(0).await,
        started => started,
    };
    let catcher = catcher.context("the mail catcher cannot start")?;
    let bind = async |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = match bind(before.pages).await {
        Err(_) if before.pages != 0 => {
            screen.line(format_args!("note: port {} is taken: links in earlier mails lead nowhere in this run", before.pages));
            bind(0).await
        }
        bound => bound,
    };
    let listener = listener.context("no port of 127.0.0.1 can be listened on")?;
    folder.keep_ports(Ports { pages: listener.local_addr()?.port(), inbox: catcher.inbox.port() })?;
    Ok((catcher, listener))
}

fn settings(folder: &Folder, pages: &str, catcher: &Catcher, postgres: &EmbeddedPostgres) -> anyhow::Result<Config> {
    let path = |path: &Path| path.display().to_string();
    let settings = [
        ("SITE__URL", pages.to_owned()),
        ("SITE__NAME", "Example Home".to_owned()),
        ("SITE__POSTAL_ADDRESS", "1 Example Street, Exampletown EX1 1EX".to_owned()),
        ("SITE__DISCLAIMER", "General information. It does not replace advice from someone who knows you and your health.".to_owned()),
        ("MAIL__FROM", "Example Home <tips@example.org>".to_owned()),
        ("MAIL__HELO", "demo.example.org".to_owned()),
        ("DATABASE__URL", postgres.url(DATABASE)),
        ("KEYS__FILE", path(&folder.keys())),
        ("RELAYS__CATCHER__URL", catcher.relay_url()),
        ("RELAYS__CATCHER__CONNECTIONS", "4".to_owned()),
        // Everybody who tries the pages does so from this machine.
        ("SIGNUP__HOST_PER_HOUR", "100".to_owned()),
        ("SIGNUP__NETWORK_PER_HOUR", "200".to_owned()),
        // Shorter than usual: after a demo was killed, the next one waits for as long.
        ("DELIVERY__LEASE", "10s".to_owned()),
        ("DKIM__DOMAIN", "example.org".to_owned()),
        ("DKIM__SELECTOR", dkim::SELECTOR.to_owned()),
        ("DKIM__KEY_FILE", path(&folder.dkim_key())),
    ];
    let settings: HashMap<String, String> = settings.into_iter().map(|(key, value)| (format!("TIDINGS_{key}"), value)).collect();
    Ok(Config::load(None, &settings)?)
}

async fn keyring(file: &Path, db: &Db) -> anyhow::Result<Keyring> {
    match keys::record::open(&db.pool, file, &ring::rand::SystemRandom::new()).await {
        Err(KeyError::Missing { .. }) => {
            bail!("the demo's database is there, but its key file {} is not, or is another one: start over with --fresh", file.display())
        }
        opened => Ok(opened?),
    }
}
