//! Whom this machine trusts to vouch for a server: the certificates of authorities, for TLS with rustls and ring.
//!
//! Owns their loading. Relays are checked with them, and whatever is fetched by https.

use std::sync::Arc;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};

/// The authorities whose certificates are trusted.
#[derive(Debug, Clone)]
pub enum Roots {
    /// Those of the operating system.
    OfThisMachine,
    /// These, as DER.
    These(Vec<Vec<u8>>),
}

/// This machine trusts nobody, so no certificate can be checked; holds the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no certificates of authorities were found on this machine: install the package ca-certificates ({0})")]
pub struct NoRoots(pub String);

/// The certificates, loaded.
pub fn store(roots: &Roots) -> Result<RootCertStore, NoRoots> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::OfThisMachine => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let cause = found.errors.first().map_or_else(|| "no file of certificates".to_owned(), ToString::to_string);
                return Err(NoRoots(cause));
            }
        }
        Roots::These(certificates) => {
            store.add_parsable_certificates(certificates.iter().map(|der| CertificateDer::from(der.clone())));
        }
    }
    Ok(store)
}

/// A client's side of TLS that checks every server's certificate.
pub fn client(roots: &Roots) -> Result<ClientConfig, NoRoots> {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions");
    Ok(versions.with_root_certificates(store(roots)?).with_no_client_auth())
}
