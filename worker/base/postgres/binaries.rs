//! Where Postgres's own programs are on this system, and the command that installs them.
//!
//! Owns the list of folders. Called by `base::postgres` before a server is started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::account::Account;
use super::fetch::{self, Fetch};
use super::place::Place;
use super::{Options, PostgresError};

const OLDEST: u32 = 15;

/// A folder with `postgres` and `initdb`, and their major version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    /// The newest of this system from 15 on, else those that were fetched; when there are data already, those of the same major version.
    pub(super) fn find(options: &Options, data: Option<u32>, place: &Place) -> Result<Binaries, PostgresError> {
        let found = found(options, data, place)?;
        // Programs that the server's account cannot come to are passed over, and named where there are no others.
        match closed(options, place).filter(|_| found.is_empty()) {
            Some(closed) => Err(PostgresError::Closed { account: place.account.name().into(), closed }),
            None => choose(found, data, options.bin_folder.as_deref(), place),
        }
    }

    fn serves(&self, data: Option<u32>) -> bool {
        self.major >= OLDEST && data.is_none_or(|data| data == self.major)
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Fetches what `find` would not find otherwise, if the options want it so.
pub(super) async fn fetch_missing(options: &Options, place: &Place) -> Result<(), PostgresError> {
    let data = place.major()?;
    let wanted = options.bin_folder.is_none() && options.fetch != Fetch::Never && fetch::serves(data);
    if wanted && !found(options, data, place)?.iter().any(|binaries| binaries.serves(data)) {
        fetch::fetch(&place.account).await?;
    }
    Ok(())
}

/// The command that installs Postgres with its extensions on this system.
pub(super) fn remedy() -> String {
    match () {
        () if in_path("apt-get") => install("postgresql postgresql-contrib"),
        () if in_path("dnf") || in_path("zypper") => install("postgresql-server postgresql-contrib"),
        () if in_path("pacman") => install("postgresql"),
        () if in_path("apk") => install("postgresql postgresql-contrib"),
        () => install("postgresql@17"),
    }
}

/// The command that installs packages of these names on this system.
pub(super) fn install(packages: &str) -> String {
    let sudo = if Uid::effective().is_root() { "" } else { "sudo " };
    match () {
        () if in_path("apt-get") => format!("{sudo}apt-get install {packages}"),
        () if in_path("dnf") => format!("{sudo}dnf install {packages}"),
        () if in_path("zypper") => format!("{sudo}zypper install {packages}"),
        () if in_path("pacman") => format!("{sudo}pacman -S {packages}"),
        () if in_path("apk") => format!("{sudo}apk add {packages}"),
        () => format!("brew install {packages}"),
    }
}

/// Whether a program is on PATH.
pub(super) fn in_path(program: &str) -> bool {
    path_folders().iter().any(|folder| folder.join(program).is_file())
}

// What was fetched comes in only where nothing else would serve: who installs Postgres has that one from then on.
fn found(options: &Options, data: Option<u32>, place: &Place) -> Result<Vec<Binaries>, PostgresError> {
    let mut found: Vec<Binaries> = folders(options).iter().filter_map(|folder| look_in(folder, &place.account)).collect();
    let wanted = options.bin_folder.is_none() && options.fetch != Fetch::Never;
    if wanted && !found.iter().any(|binaries| binaries.serves(data)) {
        found.extend(fetch::fetched(&place.account)?.and_then(|folder| look_in(&folder, &place.account)));
    }
    Ok(found)
}

// Where it is looked for before what was fetched.
fn folders(options: &Options) -> Vec<PathBuf> {
    match &options.bin_folder {
        Some(folder) => vec![folder.clone()],
        None if options.fetch == Fetch::Always => Vec::new(),
        None => candidates(),
    }
}

fn closed(options: &Options, place: &Place) -> Option<PathBuf> {
    let there = folders(options).into_iter().filter(|folder| folder.join("postgres").is_file());
    there.filter_map(|folder| folder.canonicalize().ok()).find_map(|folder| place.account.closed_on_the_way(&folder))
}

fn choose(found: Vec<Binaries>, data: Option<u32>, configured: Option<&Path>, place: &Place) -> Result<Binaries, PostgresError> {
    // Of equals the first one looked for, so that PATH comes last.
    let newest = found.iter().rev().max_by_key(|binaries| binaries.major).cloned();
    let Some(newest) = newest else {
        let looked = configured.map_or_else(|| "the usual folders and PATH".into(), |f| format!("database.bin_folder = {}", f.display()));
        return Err(PostgresError::NotFound { looked, remedy: remedy() });
    };
    if newest.major < OLDEST {
        return Err(PostgresError::TooOld { version: newest.major, folder: newest.folder, remedy: remedy() });
    }
    let Some(data) = data else { return Ok(newest) };
    let mut majors: Vec<String> = found.iter().map(|binaries| binaries.major.to_string()).collect();
    majors.sort();
    majors.dedup();
    found.into_iter().find(|binaries| binaries.major == data).ok_or_else(|| PostgresError::OtherMajor {
        folder: place.data(),
        data,
        found: majors.join(", "),
    })
}

// As the server's account: a program in PATH, or one that was fetched, is not run by root.
fn look_in(folder: &Path, account: &Account) -> Option<Binaries> {
    let postgres = folder.join("postgres");
    if !postgres.is_file() || !folder.join("initdb").is_file() {
        return None;
    }
    let said = account.command(&postgres).arg("--version").output().ok()?;
    let major = parse_version(&String::from_utf8_lossy(&said.stdout))?;
    Some(Binaries { folder: folder.into(), major })
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-1)`, `… 18beta1`: the digits that the third word begins with.
fn parse_version(said: &str) -> Option<u32> {
    let word = said.split_whitespace().nth(2)?;
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Debian; Red Hat's own and the makers' packages; Alpine; Gentoo; SUSE; Homebrew; Postgres.app; built by hand; then PATH.
fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (parent, begin, end) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/lib", "postgresql", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/usr/lib64", "postgresql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/usr/local", "pgsql", "bin"),
    ] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(begin));
        folders.extend(named.map(|entry| if end.is_empty() { entry.path() } else { entry.path().join(end) }));
    }
    folders.sort();
    folders.extend(path_folders());
    folders
}

fn path_folders() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_kind_of_release() {
        for (said, major) in [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", 15),
            ("postgres (PostgreSQL) 18beta1", 18),
            ("postgres (PostgreSQL) 16devel", 16),
            ("postgres (PostgreSQL) 9.6.24", 9),
        ] {
            assert_eq!(parse_version(said), Some(major), "{said}");
        }
        assert_eq!(parse_version("bash: postgres: not found"), None);
    }
}
