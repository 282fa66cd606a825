//! The key file itself: made once, read at every start, gaining a key now and then. It is never written in place.

use super::KeyError;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

const HEAD: &str = "# Signs links and hashes addresses. Keep it secret, keep a copy, share it between hosts.\n";
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    key: Vec<KeyEntry>,
}

/// A key as the file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEntry {
    pub(super) id: String,
    pub(super) secret: String,
}

/// The keys in the file, at least one, the newest last.
pub(super) fn read(path: &Path) -> Result<Vec<KeyEntry>, KeyError> {
    let text = fs::read_to_string(path).map_err(|source| io(path, "read", source))?;
    let file: KeyFile = toml::from_str(&text).map_err(|e| damaged(path, e.message().to_owned()))?;
    match file.key.is_empty() {
        true => Err(damaged(path, "it holds no key".to_owned())),
        false => Ok(file.key),
    }
}

/// Makes the file with one key. Of two processes that start at once, one makes it and both read it.
pub(super) fn create(path: &Path, random: &dyn SecureRandom) -> Result<(), KeyError> {
    let made = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        if !folder.as_os_str().is_empty() && !folder.exists() {
            fs::create_dir_all(folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        let aside = write_aside(path, vec![draw(random, &[])?])?;
        let linked = fs::hard_link(&aside, path);
        fs::remove_file(&aside)?;
        match linked {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    };
    made().map_err(|source| io(path, "made", source))
}

/// Adds a key and gives its id. Whoever reads meanwhile sees the file without it or with it; its owner stays.
pub(super) fn add(path: &Path, random: &dyn SecureRandom) -> Result<String, KeyError> {
    let mut entries = read(path)?;
    let added = || {
        // A link to the file stays a link.
        let path = fs::canonicalize(path)?;
        let entry = draw(random, &entries)?;
        let id = entry.id.clone();
        entries.push(entry);
        let aside = write_aside(&path, entries)?;
        let owner = fs::metadata(&path)?;
        let placed = chown(&aside, Some(owner.uid()), Some(owner.gid())).and_then(|()| fs::rename(&aside, &path));
        if placed.is_err() {
            fs::remove_file(&aside)?;
        }
        placed.map(|()| id)
    };
    added().map_err(|source| io(path, "written", source))
}

/// The error for a file that is not what we wrote.
pub(super) fn damaged(path: &Path, why: String) -> KeyError {
    KeyError::Damaged { path: path.display().to_string(), why }
}

fn io(path: &Path, what: &'static str, source: std::io::Error) -> KeyError {
    KeyError::Io { path: path.display().to_string(), what, source }
}

fn write_aside(path: &Path, key: Vec<KeyEntry>) -> std::io::Result<PathBuf> {
    let text = toml::to_string(&KeyFile { key }).map_err(std::io::Error::other)?;
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(HEAD.as_bytes())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(aside)
}

// A secret of 32 bytes, and an id that none of the others has.
fn draw(random: &dyn SecureRandom, others: &[KeyEntry]) -> std::io::Result<KeyEntry> {
    loop {
        let mut bytes = [0u8; 36];
        random.fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
        let id: String = bytes[32..].iter().map(|b| ALPHABET[usize::from(b % 32)] as char).collect();
        if !others.iter().any(|other| other.id == id) {
            return Ok(KeyEntry { id, secret: STANDARD_NO_PAD.encode(&bytes[..32]) });
        }
    }
}
