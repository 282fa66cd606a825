//! The key file: the secrets that sign links and hash addresses. It stands outside the database and is shared between hosts.
//!
//! The database records only the id of the current key; whoever starts without that key is refused, since links and
//! suppressions made with it could not be recognised. `cli` opens it, `token` signs with it, `audience` hashes with it.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use ring::{hmac, rand::SecureRandom};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or made.
    #[error("the key file `{path}` cannot be {what}: {source} (set keys.file to a file that this user may read)")]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        what: &'static str,
        /// The system's word.
        source: std::io::Error,
    },
    /// The file is not what we wrote.
    #[error("the key file `{path}` is damaged: {why}; bring back a copy of it, since links and suppressions depend on it")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The database was used with a key that is not in the file.
    #[error(
        "this database was used with key `{recorded}`, which is not in `{path}`: copy the key file from the host that made it and set keys.file, or links in sent mails and suppressions would be lost"
    )]
    Missing {
        /// The id in the database.
        recorded: String,
        /// The file.
        path: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    key: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    id: String,
    secret: String,
}

/// The keys of the installation, the newest last.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<Key>,
    current: usize,
}

/// One secret and the keys derived from it, each for one purpose.
#[derive(Clone)]
pub struct Key {
    /// Four lower-case letters and digits.
    pub id: [u8; 4],
    pub(super) seal: [u8; 32],
    pub(super) nonce: hmac::Key,
    address: hmac::Key,
    counting: hmac::Key,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring(current {})", self.current_id())
    }
}

impl Keyring {
    /// Opens the file at `path`, or makes it (mode 0600) when there is none and the database records no key yet.
    pub fn open(path: &Path, recorded: Option<&str>, random: &dyn SecureRandom) -> Result<Self, KeyError> {
        if !path.exists() {
            if let Some(recorded) = recorded {
                return Err(KeyError::Missing { recorded: recorded.to_owned(), path: path.display().to_string() });
            }
            create(path, random).map_err(|source| KeyError::Io { path: path.display().to_string(), what: "made", source })?;
        }
        let text = fs::read_to_string(path).map_err(|source| KeyError::Io { path: path.display().to_string(), what: "read", source })?;
        let damaged = |why: String| KeyError::Damaged { path: path.display().to_string(), why };
        let file: KeyFile = toml::from_str(&text).map_err(|e| damaged(e.message().to_owned()))?;
        let keys = file.key.iter().map(Key::read).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
        if keys.is_empty() {
            return Err(damaged("it holds no key".to_owned()));
        }
        Self::choose(keys, recorded, path)
    }

    /// A ring of one key made of `secret`: for tests, where chance is passed in.
    pub fn of_secret(secret: [u8; 32]) -> Self {
        Self { keys: vec![Key::derive(*b"test", &secret)], current: 0 }
    }

    fn choose(keys: Vec<Key>, recorded: Option<&str>, path: &Path) -> Result<Self, KeyError> {
        let current = match recorded {
            None => keys.len() - 1,
            Some(recorded) => keys
                .iter()
                .position(|k| k.id == recorded.as_bytes())
                .ok_or_else(|| KeyError::Missing { recorded: recorded.to_owned(), path: path.display().to_string() })?,
        };
        Ok(Self { keys, current })
    }

    /// The key that signs and hashes now.
    pub fn current(&self) -> &Key {
        &self.keys[self.current]
    }

    /// Its id, as the database records it.
    pub fn current_id(&self) -> &str {
        self.current().id()
    }

    /// The key with this id.
    pub fn find(&self, id: &[u8]) -> Option<&Key> {
        self.keys.iter().find(|k| k.id == id)
    }

    /// The keyed hash of an address key (HMAC-SHA-256, RFC 2104) under the current key, with the key's id.
    pub fn address_hash(&self, address_key: &str) -> (String, [u8; 32]) {
        self.current().address_hash(address_key)
    }

    /// The keyed hash under which something is counted, e.g. the mails to an address. Always that of the oldest key: with a
    /// new one every count would start anew.
    pub fn counting_hash(&self, what: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.keys[0].counting, what.as_bytes());
        tag.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }

    /// The hashes under every key: a suppression may have been made with an older one.
    pub fn address_hashes(&self, address_key: &str) -> Vec<(String, [u8; 32])> {
        self.keys.iter().map(|k| k.address_hash(address_key)).collect()
    }
}

impl Key {
    fn read(entry: &KeyEntry) -> Result<Self, String> {
        let id: [u8; 4] = entry.id.as_bytes().try_into().map_err(|_| format!("key id `{}` has not four characters", entry.id))?;
        let secret = STANDARD_NO_PAD.decode(&entry.secret).map_err(|_| format!("the secret of key `{}` is not base64", entry.id))?;
        let secret: [u8; 32] = secret.try_into().map_err(|_| format!("the secret of key `{}` has not 32 bytes", entry.id))?;
        Ok(Self::derive(id, &secret))
    }

    fn derive(id: [u8; 4], secret: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |purpose: &str| hmac::sign(&root, purpose.as_bytes());
        let mac = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, derived(purpose).as_ref());
        let seal = derived("tidings link seal").as_ref().try_into().expect("SHA-256 gives 32 bytes");
        Self { id, seal, nonce: mac("tidings link nonce"), address: mac("tidings address hash"), counting: mac("tidings counting hash") }
    }

    /// The id as text.
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.id).unwrap_or("????")
    }

    fn address_hash(&self, address_key: &str) -> (String, [u8; 32]) {
        let tag = hmac::sign(&self.address, address_key.as_bytes());
        (self.id().to_owned(), tag.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }
}

// Written aside and linked into place: of two processes that start at once, one makes the file and both read it.
fn create(path: &Path, random: &dyn SecureRandom) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.as_os_str().is_empty() && !folder.exists() {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    let mut bytes = [0u8; 40];
    random.fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    let alphabet = b"abcdefghijkmnpqrstuvwxyz23456789";
    let id: String = bytes[32..36].iter().map(|b| alphabet[usize::from(b % 32)] as char).collect();
    let entry = KeyEntry { id, secret: STANDARD_NO_PAD.encode(&bytes[..32]) };
    let text = toml::to_string(&KeyFile { key: vec![entry] }).map_err(std::io::Error::other)?;
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(b"# Signs links and hashes addresses. Keep it secret, keep a copy, share it between hosts.\n")?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    match linked {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_file_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/keys.toml");
        let random = ring::rand::SystemRandom::new();
        let first = Keyring::open(&path, None, &random).unwrap();
        let second = Keyring::open(&path, Some(first.current_id()), &random).unwrap();
        assert_eq!(first.address_hash("a@example.org"), second.address_hash("a@example.org"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_start_without_the_recorded_key_is_refused_and_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let error = Keyring::open(&path, Some("abcd"), &ring::rand::SystemRandom::new()).unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }), "{error}");
        assert!(!path.exists());
    }
}
