//! A self-signed certificate for TLS in tests, written by hand so that no test needs a tool or a key in the repository.
//!
//! For `localhost` and 127.0.0.1, Ed25519 (RFC 5280, 8410). Called by the faulty relay.

use ring::signature::{Ed25519KeyPair, KeyPair};
use std::sync::Arc;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

const SECRET: [u8; 32] = [42; 32];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const OTHER_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The certificate as DER; the same in every run.
pub(crate) fn der() -> Vec<u8> {
    let key = Ed25519KeyPair::from_seed_unchecked(&SECRET).expect("32 bytes are a key");
    let algorithm = sequence(&[tlv(0x06, ED25519)]);
    let name = sequence(&[tlv(0x31, &sequence(&[tlv(0x06, COMMON_NAME), tlv(0x0c, b"relay of a test")]))]);
    let valid = sequence(&[tlv(0x17, b"250101000000Z"), tlv(0x18, b"20991231235959Z")]);
    let public = sequence(&[algorithm.clone(), bits(key.public_key().as_ref())]);
    let names = sequence(&[tlv(0x82, b"localhost"), tlv(0x87, &[127, 0, 0, 1])]);
    let extensions = sequence(&[sequence(&[tlv(0x06, OTHER_NAMES), tlv(0x04, &names)])]);
    let certificate = sequence(&[
        tlv(0xa0, &tlv(0x02, &[2])),
        tlv(0x02, &[1]),
        algorithm.clone(),
        name.clone(),
        valid,
        name,
        public,
        tlv(0xa3, &extensions),
    ]);
    let signature = key.sign(&certificate);
    sequence(&[certificate, algorithm, bits(signature.as_ref())])
}

/// A server's side of TLS with it.
pub(crate) fn acceptor() -> TlsAcceptor {
    let key = sequence(&[tlv(0x02, &[0]), sequence(&[tlv(0x06, ED25519)]), tlv(0x04, &tlv(0x04, &SECRET))]);
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der())], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))
        .expect("the certificate fits its key");
    TlsAcceptor::from(Arc::new(config))
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short value");
    let mut out = vec![tag];
    match length {
        0..128 => out.push(length as u8),
        128..256 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}
