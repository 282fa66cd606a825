//! DKIM keys: read from PEM files, made anew, and written as the DNS record that publishes them (RFC 6376, 3.6.1; 8463).
//!
//! The crate rsa makes keys and measures them; it never signs (RUSTSEC-2023-0071 is about that).

use super::{DkimError, MAX_BITS, MIN_BITS};
use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};
use mail_auth::common::{
    crypto::{Algorithm, CryptoError, Ed25519Key, Sha256, SigningKey},
    headers::Writable,
};
use rsa::{
    RsaPrivateKey, RsaPublicKey,
    pkcs1::DecodeRsaPrivateKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding},
    rand_core::CryptoRngCore,
    traits::PublicKeyParts,
};
use std::{fmt, fs, path::Path};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject};

/// An RSA key that signs with SHA-256 by AWS-LC, which takes less than half of ring's time.
pub(super) struct RsaKey(KeyPair);

impl SigningKey for RsaKey {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        let mut signed = Vec::with_capacity(1024);
        input.write(&mut signed);
        let mut signature = vec![0; self.0.public_modulus_len()];
        let failed = |e: aws_lc_rs::error::Unspecified| mail_auth::Error::Crypto(CryptoError::Library(e.to_string()));
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).map_err(failed)?;
        Ok(signature)
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::RsaSha256
    }
}

/// A key that was just made.
pub struct NewKey {
    /// The private key, PEM, PKCS#8.
    pub pem: String,
    /// What is to be published.
    pub record: DnsRecord,
}

/// The value of the TXT record at `selector._domainkey.domain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord(String);

/// Makes an RSA key of 2048 bits; takes a second or two.
pub fn new_rsa(randomness: &mut impl CryptoRngCore) -> Result<NewKey, DkimError> {
    let failed = |e: &dyn fmt::Display| DkimError::Settings(format!("no RSA key could be made: {e}"));
    let key = RsaPrivateKey::new(randomness, MIN_BITS).map_err(|e| failed(&e))?;
    let public = RsaPublicKey::from(&key).to_public_key_der().map_err(|e| failed(&e))?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| failed(&e))?;
    Ok(NewKey { pem: pem.to_string(), record: DnsRecord(format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(public.as_bytes()))) })
}

/// Makes an Ed25519 key, out of the operating system's randomness.
pub fn new_ed25519() -> Result<NewKey, DkimError> {
    let failed = |e: mail_auth::Error| DkimError::Settings(format!("no Ed25519 key could be made: {e}"));
    let der = Ed25519Key::generate_pkcs8().map_err(failed)?;
    let public = Ed25519Key::from_pkcs8_der(&der).map_err(failed)?.public_key();
    Ok(NewKey { pem: pem(&der), record: DnsRecord(format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(public))) })
}

pub(super) fn read_rsa(path: &Path) -> Result<RsaKey, DkimError> {
    const FORM: &str = "an RSA key in PEM, PKCS#8 or PKCS#1";
    let form = || DkimError::Form(path.to_owned(), FORM);
    let der = read_pem(path, FORM)?;
    let key = match &der {
        PrivateKeyDer::Pkcs8(der) => RsaPrivateKey::from_pkcs8_der(der.secret_pkcs8_der()).map_err(|_| form())?,
        PrivateKeyDer::Pkcs1(der) => RsaPrivateKey::from_pkcs1_der(der.secret_pkcs1_der()).map_err(|_| form())?,
        _ => return Err(form()),
    };
    let bits = key.n().bits();
    if bits < MIN_BITS {
        return Err(DkimError::TooShort(path.to_owned(), bits));
    }
    if bits > MAX_BITS {
        return Err(DkimError::Form(path.to_owned(), "an RSA key of at most 4096 bits, which is what every receiver must know"));
    }
    let pair = match &der {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        other => KeyPair::from_der(other.secret_der()),
    };
    pair.map(RsaKey).map_err(|_| form())
}

pub(super) fn read_ed25519(path: &Path) -> Result<Ed25519Key, DkimError> {
    const FORM: &str = "an Ed25519 key in PEM, PKCS#8";
    let form = || DkimError::Form(path.to_owned(), FORM);
    match read_pem(path, FORM)? {
        // OpenSSL writes keys without their public half, which is the older form of PKCS#8.
        PrivateKeyDer::Pkcs8(der) => Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der()).map_err(|_| form()),
        _ => Err(form()),
    }
}

fn read_pem(path: &Path, form: &'static str) -> Result<PrivateKeyDer<'static>, DkimError> {
    let pem = fs::read(path).map_err(|e| DkimError::Read(path.to_owned(), e))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| DkimError::Form(path.to_owned(), form))
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: String = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect();
    format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n")
}

impl DnsRecord {
    /// The value in one piece.
    pub fn value(&self) -> &str {
        &self.0
    }

    /// The whole record in the form of a zone file: a name, and strings of at most 255 octets.
    pub fn zone_line(&self, selector: &str, domain: &str) -> String {
        let strings: Vec<String> = self.0.as_bytes().chunks(255).map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece))).collect();
        format!("{selector}._domainkey.{domain}. IN TXT ( {} )", strings.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_can_be_pasted_into_a_zone() {
        let record = DnsRecord(format!("v=DKIM1; k=rsa; p={}", "A".repeat(392)));
        let line = record.zone_line("t1", "example.org");
        assert!(line.starts_with("t1._domainkey.example.org. IN TXT ( \"v=DKIM1; k=rsa; p="), "{line}");
        let strings: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert!(strings.iter().all(|s| s.len() <= 255));
        assert_eq!(strings.concat(), record.value());
    }

    #[test]
    fn a_new_ed25519_key_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("k.pem"), new_ed25519().unwrap());
        std::fs::write(&path, &new.pem).unwrap();
        let public = STANDARD.encode(read_ed25519(&path).unwrap().public_key());
        assert_eq!(new.record.value(), format!("v=DKIM1; k=ed25519; p={public}"));
    }
}
