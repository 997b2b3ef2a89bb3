//! TLS, the same for every protocol: rustls with ring, the public roots and one optional bundle of further roots.
//!
//! Certificates are always verified; there is no switch. The public roots are compiled in, because reading the
//! operating system's costs milliseconds at every cold start.

use std::io;
use std::sync::Arc;

use mailroom_core::server::Host;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use crate::verifier::{Verifier, is_self_signed};

/// The TLS client of a process. Cheap to clone; the clones share session tickets for resumption.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Why the extra certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bundle is not PEM text.
    #[error("the CA bundle is not PEM text: {0}")]
    Pem(rustls_pki_types::pem::Error),
    /// The file cannot be read.
    #[error("the CA bundle {path} cannot be read")]
    File {
        /// The path of the file.
        path: String,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// The bundle contains no certificate.
    #[error("the CA bundle contains no certificate")]
    Empty,
    /// A certificate in it cannot be used, or TLS cannot be set up at all.
    #[error("the CA bundle cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// Why a TLS handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate has expired.
    #[error("the server's certificate has expired")]
    Expired,
    /// The certificate is not valid yet.
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    /// The certificate chain does not end at a trusted root.
    #[error("the server's certificate is not signed by a trusted authority")]
    UnknownIssuer,
    /// The certificate names itself as its issuer.
    #[error("the server's certificate is self-signed")]
    SelfSigned,
    /// The certificate is for another host name.
    #[error("the server's certificate is for another host name")]
    WrongName,
    /// The certificate is invalid for another reason.
    #[error("the server's certificate is not valid")]
    Certificate(#[source] rustls::Error),
    /// The server's first bytes are not TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// The handshake failed, such as for want of a common version.
    #[error("the TLS handshake failed")]
    Handshake(#[source] rustls::Error),
    /// The connection broke during the handshake.
    #[error("the connection broke during the TLS handshake")]
    Broken(#[source] io::Error),
}

impl Tls {
    /// Trusts the public roots and, in addition, the certificates in `extra_ca_pem`.
    ///
    /// # Errors
    /// When the bundle is not PEM text or contains no usable certificate.
    pub fn new(extra_ca_pem: Option<&[u8]>) -> Result<Self, BundleError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = extra_ca_pem {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate.map_err(BundleError::Pem)?).map_err(BundleError::Unusable)?;
            }
            if roots.len() == before {
                return Err(BundleError::Empty);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(roots, Arc::clone(&provider)).map_err(BundleError::Unusable)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(BundleError::Unusable)?
            .dangerous() // Not so: the verifier is rustls' own, with a reason added.
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Trusts the public roots and the bundle that a function's environment names: PEM text, or the path of a PEM file in
    /// the function's package, because a Lambda environment has 4 KB in all.
    ///
    /// # Errors
    /// When the file cannot be read, or the bundle is not PEM text or contains no usable certificate.
    pub fn from_bundle(bundle: Option<&str>) -> Result<Self, BundleError> {
        match bundle {
            None => Self::new(None),
            Some(text) if text.contains("-----BEGIN") => Self::new(Some(text.as_bytes())),
            Some(path) => {
                let pem = std::fs::read(path)
                    .map_err(|source| BundleError::File { path: path.to_owned(), source })?;
                Self::new(Some(&pem))
            }
        }
    }

    /// Begins TLS with `host` over `stream`. Has no deadline of its own: the caller has one for the session.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub async fn connect<S>(&self, host: &Host, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Ok(name) = ServerName::try_from(host.as_str().to_owned()) else {
            // No certificate can contain such a host name.
            return Err(TlsError::WrongName);
        };
        self.connector.connect(name, stream).await.map_err(TlsError::from_handshake)
    }
}

impl TlsError {
    /// tokio-rustls wraps rustls' errors in an I/O error.
    fn from_handshake(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => Self::from_rustls(error),
            Err(error) => Self::Broken(error),
        }
    }

    /// rustls' enums are non-exhaustive, so any other error of the certificate is [`TlsError::Certificate`].
    fn from_rustls(error: rustls::Error) -> Self {
        if let rustls::Error::InvalidCertificate(why) = &error {
            if matches!(why, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
                return Self::Expired;
            }
            if matches!(why, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
                return Self::NotYetValid;
            }
            if matches!(
                why,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            ) {
                return Self::WrongName;
            }
            if is_self_signed(why) {
                return Self::SelfSigned;
            }
            if matches!(why, CertificateError::UnknownIssuer) {
                return Self::UnknownIssuer;
            }
            return Self::Certificate(error);
        }
        if matches!(error, rustls::Error::InvalidMessage(_)) {
            return Self::NotTls;
        }
        Self::Handshake(error)
    }
}
