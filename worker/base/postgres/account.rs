//! The account that the server runs as: ours, or, because Postgres refuses root, another when we are root.
//!
//! Owns the questions of who owns a folder and who can reach it. Called by the rest of `base::postgres`.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User};

use super::PostgresError;

/// Who the server runs as.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Account {
    /// As we do.
    Ours,
    /// As somebody else, since we are root.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// Root gives way to the folder's owner, else to `postgres`, else to `nobody`.
    pub(super) fn for_folder(folder: &Path) -> Result<Account, PostgresError> {
        if !Uid::effective().is_root() {
            return Ok(Account::Ours);
        }
        let owner = folder.metadata().ok().map(|m| m.uid()).filter(|uid| *uid != 0);
        let owner = owner.and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten());
        let named = |name| User::from_name(name).ok().flatten();
        let user = owner.or_else(|| named("postgres")).or_else(|| named("nobody")).ok_or(PostgresError::NoAccount)?;
        Ok(Account::Other { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    /// Makes the account own a file or folder.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        match self {
            Account::Ours => Ok(()),
            Account::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// A command that runs as the account, with nothing of our environment.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TZ", "UTC").env("LC_ALL", "C");
        if let Account::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// The first folder on the way to `path`, itself included, that the account may not enter.
    pub(super) fn closed_on_the_way(&self, path: &Path) -> Option<PathBuf> {
        let Account::Other { uid, gid, .. } = self else { return None };
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find(|folder| folder.metadata().is_ok_and(|m| !may_enter(&m, *uid, *gid))).map(Path::to_path_buf)
    }

    /// Its name, for messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Account::Ours => "yours",
            Account::Other { name, .. } => name,
        }
    }
}

/// Whether a file or folder is a real one of ours that nobody else may write to. To be asked of what a link's own metadata say.
pub(super) fn is_ours_alone(metadata: &Metadata) -> bool {
    !metadata.is_symlink() && metadata.uid() == Uid::effective().as_raw() && metadata.mode() & 0o022 == 0
}

fn may_enter(folder: &Metadata, uid: u32, gid: u32) -> bool {
    let bit = match () {
        () if folder.uid() == uid => 0o100,
        () if folder.gid() == gid => 0o010,
        () => 0o001,
    };
    folder.mode() & bit != 0
}
