//! The folder in which what was fetched is kept: where it is, that nobody else writes there, whose turn it is to do so.
//!
//! What stands there is run, by a server of root's too: nothing in it counts that another account could have put there.
//! Called by `fetch`.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{failed, programs, unpack};
use crate::base::postgres::account::{Account, is_ours_alone};
use crate::base::postgres::error::on;
use crate::base::postgres::{GLANCE, PostgresError, binaries};

/// Where root's are kept: its home is closed to the account of the server, and the one in HOME may be somebody else's.
const FOR_ROOT: &str = "/var/cache/tidings";

/// The folder for the servers of an account.
pub(super) fn folder(account: &Account) -> Result<PathBuf, PostgresError> {
    use etcetera::BaseStrategy;
    if let Account::Other { .. } = account {
        return Ok(FOR_ROOT.into());
    }
    let base = etcetera::choose_base_strategy().map_err(|_| failed("this account has no home folder to keep it in".into()))?;
    Ok(base.cache_dir().join("tidings"))
}

/// Makes the folder, or takes the one that is there if it is ours alone.
pub(super) fn make(cache: &Path) -> Result<(), PostgresError> {
    let instead = if cache == Path::new(FOR_ROOT) { "" } else { ": XDG_CACHE_HOME names another place" };
    let made = DirBuilder::new().recursive(true).mode(0o755).create(cache);
    made.map_err(|error| failed(format!("{} cannot be made ({error}){instead}", cache.display())))?;
    if is_there(cache)? {
        // A strict umask would close it to the account of the server.
        unpack::open_to_all(cache)?;
    }
    Ok(())
}

/// Whether a package stands in the folder with its programs. One that another account may have changed is refused.
pub(super) fn holds(package: &Path) -> Result<bool, PostgresError> {
    let bin = programs(package);
    let way = [package.parent().unwrap_or(package), package, &package.join("native"), &bin, &bin.join("postgres"), &bin.join("initdb")];
    for path in way {
        if !is_there(path)? {
            return Ok(false);
        }
    }
    Ok(bin.join("postgres").is_file() && bin.join("initdb").is_file())
}

/// The turn to write in the folder, waited for. Killed, its holder lets go of it.
pub(super) async fn turn(cache: &Path) -> Result<File, PostgresError> {
    let path = cache.join("postgres.lock");
    let mut options = File::options();
    // Not through a link, which could have root make a file anywhere.
    options.append(true).create(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    let file = options.open(&path).map_err(on("opened", &path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Tried, not awaited: a thread that waits for a file's lock cannot be called back.
            Err(TryLockError::WouldBlock) => tokio::time::sleep(GLANCE).await,
            Err(TryLockError::Error(error)) => return Err(on("locked", &path)(error)),
        }
    }
}

fn is_there(path: &Path) -> Result<bool, PostgresError> {
    match path.symlink_metadata() {
        Ok(metadata) if is_ours_alone(&metadata) => Ok(true),
        Ok(_) => Err(PostgresError::NotFetched {
            said: format!("{} is a link, or belongs to another account, or others may write to it", path.display()),
            instead: "move it away for a new one".into(),
            remedy: binaries::remedy(),
        }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(on("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn whole() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let package = folder.path().join("tidings/postgres-1");
        fs::create_dir_all(programs(&package)).expect("folders");
        for program in ["postgres", "initdb"] {
            fs::write(programs(&package).join(program), "program").expect("a file");
        }
        for path in package.join("native/bin").ancestors().take(4) {
            unpack::open_to_all(path).expect("mode 755");
        }
        (folder, package)
    }

    fn refused<T: std::fmt::Debug>(of: Result<T, PostgresError>) -> bool {
        of.expect_err("refused").to_string().contains("move it away")
    }

    #[test]
    fn a_package_counts_with_both_programs_only() {
        let (_folder, package) = whole();
        assert!(holds(&package).expect("ours"));
        assert!(!holds(&package.with_file_name("postgres-2")).expect("not there"));
        fs::remove_file(programs(&package).join("initdb")).expect("removed");
        assert!(!holds(&package).expect("damaged"));
        fs::remove_dir_all(package.join("native")).expect("removed");
        fs::write(package.join("native"), "").expect("a file");
        assert!(!holds(&package).expect("damaged"));
    }

    #[test]
    fn what_others_may_write_to_is_refused() {
        for open in ["", "postgres-1", "postgres-1/native", "postgres-1/native/bin", "postgres-1/native/bin/postgres"] {
            let (folder, package) = whole();
            let open = folder.path().join("tidings").join(open);
            fs::set_permissions(&open, Permissions::from_mode(0o775)).expect("open to the group");
            assert!(refused(holds(&package)), "{}", open.display());
        }
    }

    #[tokio::test]
    async fn a_link_is_refused_and_what_it_leads_to_is_left_alone() {
        let (folder, package) = whole();
        let (closed, cache) = (folder.path().join("closed"), folder.path().join("link"));
        fs::create_dir(&closed).expect("a folder");
        fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("mode 700");
        symlink(&closed, &cache).expect("a link");
        assert!(refused(make(&cache)));
        assert_eq!(closed.metadata().expect("a folder").permissions().mode() & 0o777, 0o700);
        symlink(&package, package.with_file_name("postgres-2")).expect("a link");
        assert!(refused(holds(&package.with_file_name("postgres-2"))));
        symlink(closed.join("made"), closed.join("postgres.lock")).expect("a link");
        assert!(turn(&closed).await.is_err());
        assert!(!closed.join("made").exists());
    }

    #[test]
    fn the_home_that_root_was_started_with_is_not_where_it_keeps_programs() {
        let root = Account::Other { name: "postgres".into(), uid: 1, gid: 1 };
        assert_eq!(folder(&root).expect("a folder"), Path::new(FOR_ROOT));
    }
}
