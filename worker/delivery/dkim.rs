//! DKIM signatures (RFC 6376, 8301, 8463): RSA with SHA-256, and Ed25519 beside it where there is a key.
//!
//! Owns the keys in memory and the list of signed headers. The pump makes one [`Signer`] at start and signs every mail with
//! it; `cli/dkim` makes new keys with [`new_rsa`] and [`new_ed25519`]. mail-auth does the canonical forms, AWS-LC the arithmetic of RSA, ring that of Ed25519.

mod key;
mod sign;

pub use key::{DnsRecord, NewKey, new_ed25519, new_rsa};

use crate::base::config;
use jiff::Timestamp;
use mail_auth::{
    common::crypto::Ed25519Key,
    dkim::{DkimSigner, Done},
};
use std::path::{Path, PathBuf};

/// The headers that are signed. Each stands twice in h=, so that none can be added to a signed mail (RFC 6376, 8.15).
pub const SIGNED: [&str; 11] = [
    "From",
    "Subject",
    "To",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "MIME-Version",
    "Content-Type",
    "Content-Language",
];

/// The smallest RSA key, in bits (RFC 8301, 3.2).
pub const MIN_BITS: usize = 2048;

/// The largest that every receiver must know (RFC 8301, 3.2).
pub const MAX_BITS: usize = 4096;

/// Signs mails for one domain.
pub struct Signer {
    rsa: DkimSigner<key::RsaKey, Done>,
    ed25519: Option<DkimSigner<Ed25519Key, Done>>,
}

/// Why mails cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    /// A key without its domain or selector, or Ed25519 without RSA.
    #[error("[dkim] {0}")]
    Settings(String),
    /// The file cannot be read.
    #[error("the DKIM key `{0}` cannot be read: {1}")]
    Read(PathBuf, std::io::Error),
    /// The file holds no key of the kind wanted.
    #[error("the DKIM key `{0}` is not {1}: `tidings dkim new` makes one")]
    Form(PathBuf, &'static str),
    /// The RSA key is too short.
    #[error("the DKIM key `{0}` has {1} bits, and receivers ignore RSA keys below {MIN_BITS}: `tidings dkim new` makes one")]
    TooShort(PathBuf, usize),
    /// The library refused to sign.
    #[error("the mail could not be signed: {0}")]
    Sign(String),
}

impl Signer {
    /// A signer for the settings; `None`: no key is set, mails go unsigned.
    pub fn from_config(settings: &config::Dkim) -> Result<Option<Self>, DkimError> {
        let wrong = |text: &str| Err(DkimError::Settings(text.to_owned()));
        match (settings.key_file.as_str(), settings.ed25519_key_file.as_str()) {
            ("", "") if settings.domain.is_empty() && settings.selector.is_empty() => Ok(None),
            ("", "") => wrong("domain or selector is set, and key_file is not: name the key, or leave all three empty"),
            ("", _) => {
                wrong("ed25519_key_file is set, and key_file is not: many receivers know RSA only, so Ed25519 goes beside it (RFC 8463)")
            }
            _ if !is_domain(&settings.domain) => wrong("domain must be the domain of `mail.from` or one above it, e.g. example.org"),
            _ if !is_domain(&settings.selector) => {
                wrong("selector must be the name under _domainkey where the public key stands, e.g. t2026")
            }
            (_, ed25519) if !ed25519.is_empty() && !is_domain(&settings.ed25519_selector) => {
                wrong("ed25519_selector must be a name of its own under _domainkey, e.g. t2026-ed25519")
            }
            (rsa, ed25519) => Self::from_files(settings, Path::new(rsa), Some(ed25519).filter(|f| !f.is_empty()).map(Path::new)).map(Some),
        }
    }

    fn from_files(settings: &config::Dkim, rsa: &Path, ed25519: Option<&Path>) -> Result<Self, DkimError> {
        let headers = || SIGNED.iter().chain(SIGNED.iter()).copied();
        let domain = settings.domain.to_ascii_lowercase();
        let rsa = DkimSigner::from_key(key::read_rsa(rsa)?).domain(&domain).selector(&settings.selector).headers(headers());
        let ed25519 = ed25519.map(key::read_ed25519).transpose()?;
        let ed25519 = ed25519.map(|key| DkimSigner::from_key(key).domain(&domain).selector(&settings.ed25519_selector).headers(headers()));
        Ok(Self { rsa, ed25519 })
    }

    /// The d= of the signatures.
    pub fn domain(&self) -> &str {
        &self.rsa.template.d
    }

    /// Whether a sender at `domain` is aligned with the signature (RFC 7489, 3.1.1): the same domain, or one below the other.
    pub fn is_aligned(&self, domain: &str) -> bool {
        let below = |low: &str, high: &str| low.strip_suffix(high).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        below(domain, self.domain()) || below(self.domain(), domain)
    }

    /// The mail with its signatures before it.
    pub fn sign(&self, message: &[u8], now: Timestamp) -> Result<Vec<u8>, DkimError> {
        let mut signed = Vec::with_capacity(message.len() + 1536);
        if let Some(ed25519) = &self.ed25519 {
            signed.extend_from_slice(&sign::header(ed25519, message, now)?);
        }
        signed.extend_from_slice(&sign::header(&self.rsa, message, now)?);
        signed.extend_from_slice(message);
        Ok(signed)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer for {}", self.domain())
    }
}

fn is_domain(name: &str) -> bool {
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_aligned_with_the_domain_that_signs_or_one_below() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, new_rsa(&mut rsa::rand_core::OsRng).unwrap().pem).unwrap();
        let settings = config::Dkim {
            domain: "Example.org".to_owned(),
            selector: "t1".to_owned(),
            key_file: file.display().to_string(),
            ed25519_selector: String::new(),
            ed25519_key_file: String::new(),
        };
        let signer = Signer::from_config(&settings).unwrap().unwrap();
        for (domain, aligned) in [("example.org", true), ("news.example.org", true), ("badexample.org", false), ("example.com", false)] {
            assert_eq!(signer.is_aligned(domain), aligned, "{domain}");
        }
    }
}
