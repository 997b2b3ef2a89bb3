//! TLS for the harness's own servers, with the certificates of this machine.

use std::fs;
use std::sync::Arc;

use mailroom_local::certificates::{Certificates, Leaf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Accepts TLS with the good certificate.
pub(crate) fn acceptor(certificates: &Certificates) -> TlsAcceptor {
    let pem = fs::read(certificates.certificate(Leaf::Good)).expect("a certificate");
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(&fs::read(certificates.key(Leaf::Good)).expect("a key"));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key.expect("PEM"))
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}
