//! What every command may ask for: the settings, the clock, the database (connected on first use) and the keys.

use crate::base::{
    clock::{Clock, SystemClock},
    config::{Config, ConfigError},
    database::{self, Db},
    keys::{Keyring, record},
};
use secrecy::ExposeSecret;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::OnceCell;

/// The surroundings of one run of the program.
pub struct Context {
    /// The effective settings.
    pub config: Config,
    /// The present instant comes from here.
    pub clock: Arc<dyn Clock>,
    db: OnceCell<Db>,
}

impl Context {
    /// Loads the settings from `file`, else from tidings.toml in this folder, and from the environment.
    pub fn load(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let beside = PathBuf::from("tidings.toml");
        let file = file.or_else(|| beside.exists().then_some(beside));
        let config = Config::load(file.as_deref(), &std::env::vars().collect())?;
        super::logging::start(&config);
        Ok(Self { config, clock: Arc::new(SystemClock), db: OnceCell::new() })
    }

    /// The database of DATABASE_URL, migrated.
    pub async fn db(&self) -> anyhow::Result<Db> {
        let connect = async || {
            let url = self.config.database.url.expose_secret();
            anyhow::ensure!(
                !url.is_empty(),
                "no database is named: set DATABASE_URL=postgres://user:password@host/name (`tidings serve --embedded` and `tidings demo` run one of their own)"
            );
            Ok(database::connect(url, self.config.database.connections).await?)
        };
        Ok(self.db.get_or_try_init(connect).await?.clone())
    }

    /// Makes `db` the database of this run: the embedded server's.
    pub fn use_db(&self, db: Db) {
        // A second call would be a fault of ours; the first database stays.
        let _ = self.db.set(db);
    }

    /// The keys, agreed with the database: made on first use, refused when they are not those it was used with.
    pub async fn keyring(&self, db: &Db) -> anyhow::Result<Keyring> {
        Ok(record::open(&db.pool, &self.config.key_file()?, &ring::rand::SystemRandom::new()).await?)
    }
}
