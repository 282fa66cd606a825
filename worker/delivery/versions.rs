//! The versions of the templates that a process knows: the newest good one of its own, and those that editions began with.
//!
//! The operator's folder is looked at again by every sweep; a version that does not compile or whose samples have findings is named
//! once and never used. An edition keeps the version that it began with (`store`), whatever any folder or binary has by then.
//! Mails that belong to no edition are made with the newest.

pub mod store;
#[cfg(test)]
mod tests;

use super::render::{Faults, Files, Site, Templates, folder, samples};
use jiff::Timestamp;
use sqlx::PgConnection;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Compiled versions that are kept beside the newest: the editions of a busy day share them.
const KEPT: usize = 8;

/// The versions of one process; built once.
#[derive(Debug)]
pub struct Versions {
    site: Site,
    folder: Option<PathBuf>,
    newest: RwLock<Arc<Templates>>,
    watch: Mutex<Watch>,
    // Held while one is compiled, so that the connections of a pump do it once.
    older: tokio::sync::Mutex<HashMap<String, Arc<Templates>>>,
}

/// How the folder looked when it was read last, and at the last look.
#[derive(Debug, Default)]
struct Watch {
    read: Option<folder::Look>,
    seen: Option<folder::Look>,
}

/// Why there are no templates.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The files cannot be used.
    #[error("the templates cannot be used:\n{0}")]
    Faults(#[from] Faults),
    /// They compile, but what they make of the samples is no mail.
    #[error("the mails of the templates have findings (`tidings template check` shows all):\n{}", .0.join("\n"))]
    Findings(Vec<String>),
    /// An edition began with a version that this binary cannot use.
    #[error("the version of the templates that the edition began with, {version}, cannot be used by this binary: {faults}")]
    Stored {
        /// Its first digits.
        version: String,
        /// What is wrong with it.
        faults: Faults,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a look at the folder came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing is new, or it is still being written.
    None,
    /// There is a new version, and it is used from now on.
    Taken,
    /// There is a new version, and it is not good; the one before is kept.
    Refused,
}

impl Versions {
    /// The templates of `folder` before those of the binary; refused when they do not make sound mails.
    pub fn load(site: Site, folder: Option<&Path>) -> Result<Self, VersionError> {
        // Seen before they are read: what is written in between is found by the next look.
        let look = folder.and_then(|folder| folder::look(folder).ok());
        let newest = match folder {
            Some(folder) => sound(&site, folder)?,
            None => Templates::load(site.clone())?,
        };
        metrics::gauge!(BROKEN).set(0);
        Ok(Self {
            site,
            folder: folder.map(Path::to_owned),
            newest: RwLock::new(Arc::new(newest)),
            watch: Mutex::new(Watch { read: look.clone(), seen: look }),
            older: tokio::sync::Mutex::default(),
        })
    }

    /// The templates of the settings.
    pub fn of(config: &crate::base::config::Config) -> anyhow::Result<Self> {
        Ok(Self::load(Site::of(&config.site)?, config.templates.folder())?)
    }

    /// The publisher that they were compiled for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The newest good version.
    pub fn newest(&self) -> Arc<Templates> {
        self.newest.read().expect("no holder panics").clone()
    }

    /// Whether the folder has to be looked at.
    pub fn is_watched(&self) -> bool {
        self.folder.is_some()
    }

    /// Looks at the folder; takes up a new version once it rests, so that one that is half copied is not. Blocks while it compiles.
    pub fn look(&self) -> Change {
        let Some(folder) = &self.folder else { return Change::None };
        let now = folder::look(folder).ok();
        // Were a compilation to panic, it would not be tried again.
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = watch.seen == now;
        watch.seen.clone_from(&now);
        if watch.read == now || !rests {
            return Change::None;
        }
        watch.read = now;
        match sound(&self.site, folder) {
            Ok(templates) => self.take(templates),
            Err(error) => {
                metrics::gauge!(BROKEN).set(1);
                tracing::error!(%error, "the folder of templates has changed and cannot be used: mails are made with the version before");
                Change::Refused
            }
        }
    }

    /// The version that an edition keeps; one that has none yet begins with the newest.
    pub async fn begin(&self, conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<String> {
        match store::of_edition(&mut *conn, edition_id).await? {
            Some(version) => Ok(version),
            None => store::begin(conn, edition_id, self.newest().files(), now).await,
        }
    }

    /// The templates that an edition is rendered with; one that has none yet begins with the newest.
    pub async fn of_edition(&self, conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> Result<Arc<Templates>, VersionError> {
        let (newest, version) = (self.newest(), self.begin(&mut *conn, edition_id, now).await?);
        if version == newest.files().version() {
            return Ok(newest);
        }
        let mut older = self.older.lock().await;
        if let Some(templates) = older.get(&version) {
            return Ok(templates.clone());
        }
        let files = Arc::new(Files::stored(&version, store::texts(conn, &version).await?));
        let compiled = Templates::of(self.site.clone(), files);
        let templates = Arc::new(compiled.map_err(|faults| VersionError::Stored { version: short(&version).to_owned(), faults })?);
        if older.len() >= KEPT {
            older.clear();
        }
        older.insert(version, templates.clone());
        Ok(templates)
    }

    fn take(&self, templates: Templates) -> Change {
        let version = templates.files().version().to_owned();
        let before = std::mem::replace(&mut *self.newest.write().expect("no holder panics"), Arc::new(templates));
        metrics::gauge!(BROKEN).set(0);
        if before.files().version() == version {
            return Change::None;
        }
        tracing::info!(version = short(&version), "new templates are used for what begins from now on");
        Change::Taken
    }
}

/// 1 when the folder has templates that cannot be used.
const BROKEN: &str = "tidings_templates_broken";

/// The digits of a version by which people know it.
pub fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

// A folder's templates, compiled, and every sample of theirs looked at.
fn sound(site: &Site, folder: &Path) -> Result<Templates, VersionError> {
    let templates = Templates::of(site.clone(), Arc::new(folder::read(folder)?))?;
    match samples::findings(&templates) {
        found if found.is_empty() => Ok(templates),
        found => Err(VersionError::Findings(found)),
    }
}
