//! TLS for connections to relays: whom to trust, and the handshake.
//!
//! rustls with ring. Certificates are checked against the authorities of this machine; only opportunistic TLS without a
//! login goes without a check, because a stranger who can show a false certificate can as well hide STARTTLS (RFC 7435).

use super::{
    RelayError,
    url::{Server, Tls},
};
use crate::base::trust::{self, Roots};
use std::{io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

/// What is needed to speak TLS with one server.
#[derive(Clone)]
pub(super) struct Client {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Client {
    /// `None`: this server is never spoken to in TLS.
    pub(super) fn for_server(server: &Server, roots: &Roots) -> Result<Option<Self>, RelayError> {
        let unchecked = server.tls == Tls::Opportunistic && server.login.is_none();
        if server.tls == Tls::None {
            return Ok(None);
        }
        let name = ServerName::try_from(server.host.clone()).map_err(|_| RelayError::HostName(server.host.clone()))?;
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions");
        let config = match unchecked {
            true => versions.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider))).with_no_client_auth(),
            false => versions.with_root_certificates(trust::store(roots)?).with_no_client_auth(),
        };
        Ok(Some(Self { connector: TlsConnector::from(Arc::new(config)), name }))
    }

    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// Takes any certificate; the handshake's signatures are still checked, so the peer holds the certificate's key.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TLS with {:?}", self.name)
    }
}
