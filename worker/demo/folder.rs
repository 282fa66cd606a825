//! The demo's data folder: its Postgres, its mails, its keys, and the ports that it used last.
//!
//! Owns the lock that lets one demo at a time use a folder, and what `--fresh` removes. Called by `demo::run`.

use super::screen::Screen;
use crate::base::{
    config::Config,
    postgres::{EmbeddedPostgres, PostgresError},
};
use anyhow::{Context, bail, ensure};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

const OURS: [&str; 7] = ["demo.json", "lock", "postgres", "mails", "keys.toml", "dkim.pem", "dkim.pem.new"];
/// A demo that was killed leaves a server that ends a moment later.
const SERVER_ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The folder, locked for this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    // Held until this process ends, however it ends.
    _lock: File,
}

/// The ports of the last run, 0 where there was none: links in old mails lead to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ports {
    /// Of the pages.
    pub(super) pages: u16,
    /// Of the inbox.
    pub(super) inbox: u16,
}

impl Folder {
    /// Opens the folder, made when it is missing; `fresh` empties it first.
    pub(super) async fn open(wanted: Option<&Path>, fresh: bool, screen: &Screen) -> anyhow::Result<Self> {
        let path = match wanted {
            Some(path) => std::path::absolute(path)?,
            None => usual_place(screen)?,
        };
        make(&path).with_context(|| format!("the demo's folder {} cannot be made: name another with --data", path.display()))?;
        refuse_foreign(&path)?;
        let lock = lock(&path)?;
        let folder = Self { path, _lock: lock };
        if fresh {
            folder.empty().await?;
        }
        Ok(folder)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The ports of the last run.
    pub(super) fn ports(&self) -> Ports {
        let text = fs::read(self.path.join("demo.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps the ports for the next run.
    pub(super) fn keep_ports(&self, ports: Ports) -> anyhow::Result<()> {
        let file = self.path.join("demo.json");
        fs::write(&file, serde_json::to_vec(&ports)?).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Of the embedded Postgres.
    pub(super) fn postgres(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Of the mail catcher.
    pub(super) fn mails(&self) -> PathBuf {
        self.path.join("mails")
    }

    /// The key file.
    pub(super) fn keys(&self) -> PathBuf {
        self.path.join("keys.toml")
    }

    /// The key that signs mails.
    pub(super) fn dkim_key(&self) -> PathBuf {
        self.path.join("dkim.pem")
    }

    async fn empty(&self) -> anyhow::Result<()> {
        remove_server(&self.postgres()).await?;
        for path in [self.mails(), self.keys(), self.dkim_key()] {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => bail!("{} cannot be removed: {error}", path.display()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn usual_place(screen: &Screen) -> anyhow::Result<PathBuf> {
    let home = env::var_os("HOME").is_some_and(|home| !home.is_empty());
    if let Some(path) = Config::user_data("demo").ok().filter(|path| home && make(path).is_ok()) {
        return Ok(path);
    }
    let path = env::temp_dir().join(format!("tidings-demo-{}", Uid::effective()));
    screen.line(format_args!("note: there is no home folder to write to: the demo's data go to {}", path.display()));
    Ok(path)
}

fn make(path: &Path) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // Root's Postgres runs as another account, which has to pass through.
    let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let about = path.metadata()?;
    ensure!(about.is_dir(), "it is a file");
    // In a folder for everybody's temporary files somebody else may have been first.
    ensure!(about.uid() == Uid::effective().as_raw(), "it belongs to another account");
    Ok(())
}

fn refuse_foreign(path: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(path).with_context(|| format!("the demo's folder {} cannot be read", path.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        ensure!(
            OURS.iter().any(|ours| name == **ours),
            "the folder {} holds other files (such as `{}`): give --data a folder that is empty or missing",
            path.display(),
            name.display()
        );
    }
    Ok(())
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = path.join("lock");
    let lock = OpenOptions::new().append(true).create(true).open(&file).with_context(|| format!("{} cannot be opened", file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("a demo runs on {} already: end that one with Ctrl-C, or give this one a folder of its own with --data", path.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{} cannot be locked", file.display())),
    }
}

async fn remove_server(folder: &Path) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    loop {
        match EmbeddedPostgres::remove(folder) {
            Err(PostgresError::InUse { .. }) if began.elapsed() < SERVER_ENDS_WITHIN => {
                // The server of the last run is ending: between two tries, with the limit above.
                tokio::time::sleep(Duration::from_millis(100)).await
            }
            removed => return Ok(removed?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(path: &Path) -> anyhow::Result<Folder> {
        Folder::open(Some(path), false, &Screen::new()).await
    }

    #[tokio::test]
    async fn a_folder_serves_one_demo_at_a_time_and_keeps_its_ports() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("inner/demo");
        let first = opened(&path).await.unwrap();
        assert_eq!(first.ports(), Ports::default());
        first.keep_ports(Ports { pages: 4001, inbox: 4002 }).unwrap();
        let refused = opened(&path).await.unwrap_err().to_string();
        assert!(refused.starts_with("a demo runs on ") && refused.contains("--data"), "{refused}");
        drop(first);
        assert_eq!(opened(&path).await.unwrap().ports(), Ports { pages: 4001, inbox: 4002 });
    }

    #[tokio::test]
    async fn a_folder_with_files_of_others_is_refused_and_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("thesis.txt"), "mine").unwrap();
        let refused = Folder::open(Some(place.path()), true, &Screen::new()).await.unwrap_err().to_string();
        assert!(refused.contains("`thesis.txt`"), "{refused}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
