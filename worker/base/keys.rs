//! The keys: the secrets that sign links and hash addresses. Their file stands outside the database and is shared between hosts.
//!
//! The database records only ids: of the current key, and of every key that it was ever used with. Whoever starts without one of them
//! is refused, since links and suppressions made with it could not be recognised. `record` agrees with the database and adds keys,
//! `file` reads and writes; `cli` calls them, `token` signs, `audience` hashes.

mod file;
pub mod record;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use file::KeyEntry;
use ring::{hmac, rand::SecureRandom};
use std::path::Path;

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
    /// The database failed.
    #[error("the keys could not be agreed with the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a database knows of the keys that it was used with: their ids.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The key that signs and hashes now; none before the first use.
    pub current: Option<String>,
    /// Every key that ever did.
    pub used: Vec<String>,
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
    /// Opens the file at `path`, or makes it (mode 0600) when there is none and the database records no key yet. A key that the
    /// database records and the file has not is an error that names it.
    pub fn open(path: &Path, recorded: &Recorded, random: &dyn SecureRandom) -> Result<Self, KeyError> {
        let wanted: Vec<&str> = recorded.current.iter().chain(&recorded.used).map(String::as_str).collect();
        let missing = |id: &str| KeyError::Missing { recorded: id.to_owned(), path: path.display().to_string() };
        if !path.exists() {
            if let Some(id) = wanted.first() {
                return Err(missing(id));
            }
            file::create(path, random)?;
        }
        let entries = file::read(path)?;
        let keys = entries.iter().map(Key::read).collect::<Result<Vec<_>, _>>().map_err(|why| file::damaged(path, why))?;
        if let Some(id) = wanted.iter().find(|id| !keys.iter().any(|key| key.id() == **id)) {
            return Err(missing(id));
        }
        let current = recorded.current.as_ref().and_then(|id| keys.iter().position(|key| key.id() == id));
        Ok(Self { current: current.unwrap_or(keys.len() - 1), keys })
    }

    /// A ring of one key made of `secret`: for tests, where chance is passed in.
    pub fn of_secret(secret: [u8; 32]) -> Self {
        Self { keys: vec![Key::derive(*b"test", &secret)], current: 0 }
    }

    /// The key that signs and hashes now.
    pub fn current(&self) -> &Key {
        &self.keys[self.current]
    }

    /// Its id, as the database records it.
    pub fn current_id(&self) -> &str {
        self.current().id()
    }

    /// The ids of all keys of the file, the newest last.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(Key::id)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn recorded(current: &str, used: &[&str]) -> Recorded {
        Recorded { current: Some(current.to_owned()), used: used.iter().map(|id| (*id).to_owned()).collect() }
    }

    #[test]
    fn the_key_file_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/keys.toml");
        let random = ring::rand::SystemRandom::new();
        let first = Keyring::open(&path, &Recorded::default(), &random).unwrap();
        let second = Keyring::open(&path, &recorded(first.current_id(), &[]), &random).unwrap();
        assert_eq!(first.address_hash("a@example.org"), second.address_hash("a@example.org"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_start_without_a_recorded_key_is_refused_and_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let random = ring::rand::SystemRandom::new();
        let error = Keyring::open(&path, &recorded("abcd", &[]), &random).unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }), "{error}");
        assert!(!path.exists());
        let current = Keyring::open(&path, &Recorded::default(), &random).unwrap().current_id().to_owned();
        let error = Keyring::open(&path, &recorded(&current, &["0000", &current]), &random).unwrap_err();
        assert!(matches!(&error, KeyError::Missing { recorded, .. } if recorded == "0000"), "{error}");
    }

    #[test]
    fn a_key_that_is_added_changes_nothing_until_it_is_recorded_as_the_current_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let random = ring::rand::SystemRandom::new();
        let old = Keyring::open(&path, &Recorded::default(), &random).unwrap();
        let id = file::add(&path, &random).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Keyring::open(&path, &recorded(old.current_id(), &[]), &random).unwrap().current_id(), old.current_id());
        let new = Keyring::open(&path, &recorded(&id, &[old.current_id()]), &random).unwrap();
        assert_eq!(new.ids().collect::<Vec<_>>(), [old.current_id(), &id]);
        assert_eq!(new.current_id(), id);
        assert!(new.address_hashes("a@example.org").contains(&old.address_hash("a@example.org")));
    }
}
