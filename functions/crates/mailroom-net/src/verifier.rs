//! The verifier of certificates: rustls' own, which decides alone. Added is one reason that rustls does not give: that
//! a certificate is self-signed, which is what its owner has to know.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::{
    self, CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use webpki::EndEntityCert;

/// The reason for a refusal: the certificate names itself as its issuer.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is self-signed")]
struct SelfSigned;

/// Whether a certificate was refused because it is self-signed.
pub(crate) fn is_self_signed(why: &CertificateError) -> bool {
    matches!(why, CertificateError::Other(OtherError(inner)) if inner.is::<SelfSigned>())
}

/// Verifies as rustls does, and gives the additional reason.
#[derive(Debug)]
pub(crate) struct Verifier(Arc<WebPkiServerVerifier>);

impl Verifier {
    /// Trusts these roots.
    pub(crate) fn new(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Self)
            .map_err(|error| rustls::Error::General(error.to_string()))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(
            |error| {
                // `Other`: openssl marks self-signed certificates as authorities, which no server's own may be.
                let may_be = matches!(
                    &error,
                    rustls::Error::InvalidCertificate(
                        CertificateError::UnknownIssuer | CertificateError::Other(_)
                    )
                );
                if may_be && names_itself(end_entity) {
                    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                        SelfSigned,
                    ))))
                } else {
                    error
                }
            },
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Whether a certificate's issuer is its subject.
fn names_itself(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}
