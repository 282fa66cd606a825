//! The versions of the templates that a process knows: the newest good one of its own, and those that editions began with.
//!
//! The operator's folder is looked at again by every sweep; a version that does not compile or whose samples have findings is named
//! once and never used. An edition keeps the version that it began with (`store`), whatever any folder or binary has by then.
//! Mails that belong to no edition are made with the newest.

pub mod store;
#[cfg(test)]
mod tests;

use super::render::{Faults, Files, Site, Templates, folder, samples};
use jiff::{SignedDuration, Timestamp};
use sqlx::{PgConnection, PgPool};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::Instant;

/// Compiled versions that are kept beside the newest: the editions of a busy day share them.
const KEPT: usize = 8;

/// So long the folder must have stood still before anything of it is taken: of one that is being copied, a part makes sound mails too.
pub const REST: Duration = Duration::from_secs(2);

/// So long it is remembered that a version cannot be used.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(5);

/// The versions of one process; built once.
#[derive(Debug)]
pub struct Versions {
    site: Site,
    folder: Option<PathBuf>,
    newest: RwLock<Arc<Templates>>,
    watch: Mutex<Watch>,
    // Held while one is compiled, so that the connections of a pump do it once.
    older: tokio::sync::Mutex<HashMap<String, Older>>,
}

/// What became of another version than the newest.
#[derive(Debug)]
struct Older {
    templates: Result<Arc<Templates>, Arc<str>>,
    /// Until when it holds; for ever when it is none.
    good_until: Option<Timestamp>,
}

/// How the folder looked when it was read last, and how it looks since when.
#[derive(Debug)]
struct Watch {
    read: Found,
    seen: Option<Seen>,
}

/// What a look at the folder found; none when it cannot be read.
type Found = Option<folder::Look>;

/// What the last look found, and the first one that found the same.
#[derive(Debug)]
struct Seen {
    found: Found,
    since: Instant,
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
    #[error("this binary cannot use the version of the templates that the edition began with, {version}: {why}")]
    Stored {
        /// Its first digits.
        version: String,
        /// What is wrong with it.
        why: Arc<str>,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a look at the folder came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing is new.
    None,
    /// It does not stand still long enough yet: the version before is kept for now.
    Restless,
    /// There is a new version, and it is used from now on.
    Taken,
    /// There is a new version, and it is not good; the one before is kept.
    Refused,
}

impl Versions {
    /// The templates of `folder` before those of the binary; refused when they do not make sound mails.
    pub fn load(site: Site, folder: Option<&Path>) -> Result<Self, VersionError> {
        // Seen before they are read: what is written in between is found by the next look.
        let found = folder.and_then(|folder| folder::look(folder).ok());
        let seen = Seen { found: found.clone(), since: Instant::now() };
        let newest = match folder {
            Some(folder) => sound(&site, folder)?,
            None => Templates::load(site.clone())?,
        };
        metrics::gauge!(BROKEN).set(0);
        Ok(Self {
            site,
            folder: folder.map(Path::to_owned),
            newest: RwLock::new(Arc::new(newest)),
            watch: Mutex::new(Watch { read: found, seen: Some(seen) }),
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

    /// Looks at the folder; takes up a new version once it stood still for [`REST`], so that one that is half copied is not. Blocks while
    /// it compiles.
    pub fn look(&self) -> Change {
        let Some(folder) = &self.folder else { return Change::None };
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        // The time is taken under the lock: somebody else may have compiled until now.
        self.look_at(folder, &mut watch, Instant::now())
    }

    fn look_at(&self, folder: &Path, watch: &mut Watch, now: Instant) -> Change {
        let found = folder::look(folder).ok();
        let since = watch.seen.take().filter(|seen| seen.found == found).map_or(now, |seen| seen.since);
        watch.seen = Some(Seen { found: found.clone(), since });
        if now.saturating_duration_since(since) < REST {
            return Change::Restless;
        }
        if watch.read == found {
            return Change::None;
        }
        // Were a compilation to panic, it would not be tried again.
        let before = std::mem::replace(&mut watch.read, found);
        let templates = sound(&self.site, folder);
        if folder::look(folder).ok() != watch.read {
            // It was written to while it was read: that may be half of it.
            (watch.read, watch.seen) = (before, None);
            return Change::Restless;
        }
        match templates {
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

    /// The templates of a version. One that this binary cannot use is not compiled again for a while.
    pub async fn of_version(&self, pool: &PgPool, version: &str, now: Timestamp) -> Result<Arc<Templates>, VersionError> {
        let newest = self.newest();
        if version == newest.files().version() {
            return Ok(newest);
        }
        let mut older = self.older.lock().await;
        let known = older.get(version).filter(|older| older.good_until.is_none_or(|until| now < until));
        let found = match known {
            Some(known) => known.templates.clone(),
            None => {
                let texts = store::texts(&mut *pool.acquire().await?, version).await?;
                let templates = compiled(self.site.clone(), Files::stored(version, texts)).await;
                if older.len() >= KEPT {
                    older.clear();
                }
                let good_until = templates.is_err().then(|| now + REMEMBERED);
                older.insert(version.to_owned(), Older { templates: templates.clone(), good_until });
                templates
            }
        };
        found.map_err(|why| VersionError::Stored { version: short(version).to_owned(), why })
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

// Not on this thread: others are sending on it.
async fn compiled(site: Site, files: Files) -> Result<Arc<Templates>, Arc<str>> {
    let compiling = tokio::task::spawn_blocking(move || Templates::of(site, Arc::new(files)));
    match compiling.await {
        Ok(Ok(templates)) => Ok(Arc::new(templates)),
        Ok(Err(faults)) => Err(faults.to_string().into()),
        Err(error) => Err(error.to_string().into()),
    }
}

// A folder's templates, compiled, and every sample of theirs looked at.
fn sound(site: &Site, folder: &Path) -> Result<Templates, VersionError> {
    let templates = Templates::of(site.clone(), Arc::new(folder::read(folder)?))?;
    match samples::findings(&templates) {
        found if found.is_empty() => Ok(templates),
        found => Err(VersionError::Findings(found)),
    }
}
