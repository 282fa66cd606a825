//! The folder of an embedded server and what stands in it: `data/`, `password`, `server.log`, `lock`.
//!
//! Owns the two locks. `lock` is held while somebody starts or attaches. `server.log` is locked by the server itself: it inherits
//! the open file as its output, so the lock lasts exactly as long as any process of the server, and a stale `postmaster.pid` fools nobody.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::rand::SecureRandom;

use super::account::{Account, is_ours_alone};
use super::error::on;
use super::{GLANCE, PostgresError};

/// Where root's servers live when the folder asked for stands behind a closed one, such as /root.
const FOR_ROOT: &str = "/var/lib/tidings";
const OUR_FILES: [&str; 5] = ["data", "data.new", "password", "server.log", "lock"];
/// A log longer than this begins anew at the next start.
const LOG_LIMIT: u64 = 4 << 20;

/// A folder that was made ours.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) moved_from: Option<PathBuf>,
    pub(super) account: Account,
}

/// The server's log, locked: nobody else's server runs here, and ours may.
#[derive(Debug)]
pub(super) struct Held(pub(super) File);

/// What `postmaster.pid` says of a server that is ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Running {
    pub(super) port: u16,
}

impl Place {
    /// Makes the folder, or takes the one that is there if it is ours.
    pub(super) fn open(folder: &Path, account: Account) -> Result<Place, PostgresError> {
        let folder = std::path::absolute(folder).map_err(on("found", folder))?;
        let parent = folder.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(on("made", parent))?;
        let place = Place::resolve(&folder, account)?;
        if place.moved_from.is_some() {
            make_root_folder(Path::new(FOR_ROOT))?;
        }
        make_folder(&place.folder)?;
        place.refuse_foreign()?;
        if !place.file("password").exists() {
            place.own(&place.folder)?;
            place.write_password()?;
        }
        Ok(place)
    }

    /// The place of an earlier start, if there is one.
    pub(super) fn find(folder: &Path, account: Account) -> Result<Option<Place>, PostgresError> {
        let folder = std::path::absolute(folder).map_err(on("found", folder))?;
        if !folder.parent().is_some_and(Path::exists) {
            return Ok(None);
        }
        let place = Place::resolve(&folder, account)?;
        Ok(place.file("password").exists().then_some(place))
    }

    fn resolve(folder: &Path, account: Account) -> Result<Place, PostgresError> {
        let parent = folder.parent().unwrap_or(folder);
        let parent = parent.canonicalize().map_err(on("found", parent))?;
        let there = folder.file_name().map_or_else(|| parent.clone(), |name| parent.join(name));
        if account.closed_on_the_way(&parent).is_none() {
            return Ok(Place { folder: there, moved_from: None, account });
        }
        let moved = Path::new(FOR_ROOT).join(name_for(&there));
        // The owner of the closed folder, if any, says nothing about the other one.
        let account = Account::for_folder(&moved)?;
        Ok(Place { folder: moved, moved_from: Some(there), account })
    }

    /// The turn to start or attach, waited for.
    pub(super) async fn turn(&self) -> Result<File, PostgresError> {
        let path = self.file("lock");
        let file = self.open_file(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                // Tried, not awaited: a thread that waits for a file's lock cannot be called back.
                Err(TryLockError::WouldBlock) => tokio::time::sleep(GLANCE).await,
                Err(TryLockError::Error(error)) => return Err(on("locked", &path)(error)),
            }
        }
    }

    /// The log's lock, unless a server has it.
    pub(super) fn try_hold(&self) -> Result<Option<Held>, PostgresError> {
        let path = self.file("server.log");
        let file = self.open_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(on("locked", &path)(error)),
        }
    }

    /// The server, once it is ready: line 4 of `postmaster.pid` is the port, line 8 the state.
    pub(super) fn running(&self) -> Result<Option<Running>, PostgresError> {
        let path = self.data().join("postmaster.pid");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(parse_pid_file(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(on("read", &path)(error)),
        }
    }

    /// The major version that wrote the data; none before the first start.
    pub(super) fn major(&self) -> Result<Option<u32>, PostgresError> {
        let path = self.data().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(on("read", &path)(error)),
        }
    }

    /// Clears what a killed server or a broken-off `initdb` left. Only with the log's lock in hand.
    pub(super) fn clear_leftovers(&self) -> Result<(), PostgresError> {
        let pid = self.data().join("postmaster.pid");
        if pid.exists() {
            fs::remove_file(&pid).map_err(on("removed", &pid))?;
        }
        let half = self.file("data.new");
        if half.exists() {
            fs::remove_dir_all(&half).map_err(on("removed", &half))?;
        }
        let log = self.file("server.log");
        if log.metadata().is_ok_and(|m| m.len() > LOG_LIMIT) {
            OpenOptions::new().write(true).truncate(true).open(&log).map_err(on("emptied", &log))?;
        }
        Ok(())
    }

    /// The password of this server's role.
    pub(super) fn password(&self) -> Result<String, PostgresError> {
        let path = self.file("password");
        fs::read_to_string(&path).map(|text| text.trim().into()).map_err(on("opened", &path))
    }

    /// Removes the folder and all that is in it.
    pub(super) fn remove(&self) -> Result<(), PostgresError> {
        self.refuse_foreign()?;
        fs::remove_dir_all(&self.folder).map_err(on("removed", &self.folder))
    }

    pub(super) fn data(&self) -> PathBuf {
        self.file("data")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn own(&self, path: &Path) -> Result<(), PostgresError> {
        self.account.own(path).map_err(on("given to the account of Postgres", path))
    }

    fn open_file(&self, path: &Path) -> Result<File, PostgresError> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(on("opened", path))?;
        self.own(path)?;
        Ok(file)
    }

    /// Written aside and moved into place, so that of two processes at once the second sees a whole one.
    fn write_password(&self) -> Result<(), PostgresError> {
        let mut bytes = [0u8; 24];
        ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| on("written", &self.folder)(ErrorKind::Other.into()))?;
        let password: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (aside, path) = (self.file(&format!("password.{}", &password[..8])), self.file("password"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(on("opened", &aside))?;
        file.write_all(password.as_bytes()).map_err(on("written", &aside))?;
        self.own(&aside)?;
        // A link, not a rename: it fails where the other process was first.
        let linked = fs::hard_link(&aside, &path);
        fs::remove_file(&aside).map_err(on("removed", &aside))?;
        linked.or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }).map_err(on("written", &path))
    }

    fn refuse_foreign(&self) -> Result<(), PostgresError> {
        let entries = fs::read_dir(&self.folder).map_err(on("opened", &self.folder.join("data")))?;
        let ours = |name: &str| OUR_FILES.contains(&name) || name.starts_with("password.");
        if entries.flatten().all(|entry| entry.file_name().to_str().is_some_and(ours)) {
            return Ok(());
        }
        Err(PostgresError::Foreign { folder: self.folder.clone() })
    }
}

fn make_folder(folder: &Path) -> Result<(), PostgresError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(on("made", folder)(error)),
        _ => Ok(()),
    }
}

/// Makes a folder that root's servers share, each in a folder of its own account in it.
fn make_root_folder(folder: &Path) -> Result<(), PostgresError> {
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(on("made", folder))?;
    // Who owns it could put a link where root is about to give a folder away.
    if !is_ours_alone(&folder.symlink_metadata().map_err(on("read", folder))?) {
        return Err(PostgresError::NotOurs { folder: folder.into() });
    }
    // Open to pass through: a strict umask would close it to the account of the server.
    fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(on("opened to all", folder))
}

/// Stable for a path, so that every process comes to the same folder.
fn name_for(folder: &Path) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, folder.as_os_str().as_encoded_bytes());
    let short: String = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("postgres-{short}")
}

fn parse_pid_file(text: &str) -> Option<Running> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let port = lines.get(3)?.parse().ok()?;
    (*lines.get(7)? == "ready").then_some(Running { port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_counts_only_when_its_last_line_says_ready() {
        let lines = |state: &str| format!("12\n/data\n1700000000\n5544\n\n127.0.0.1\n  5 6\n{state}   \n");
        assert_eq!(parse_pid_file(&lines("ready")), Some(Running { port: 5544 }));
        assert_eq!(parse_pid_file(&lines("starting")), None);
        assert_eq!(parse_pid_file("12\n/data\n"), None);
        assert_eq!(parse_pid_file(""), None);
    }

    #[test]
    fn a_moved_folder_has_the_same_name_every_time() {
        assert_eq!(name_for(Path::new("/root/a")), name_for(Path::new("/root/a")));
        assert_ne!(name_for(Path::new("/root/a")), name_for(Path::new("/root/b")));
    }
}
