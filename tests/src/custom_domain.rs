//! An address of the API's own: what a custom domain of API Gateway is in the cloud. The emulator learns from a header
//! alone which account's API is meant, and no browser sends it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::AUTHORIZATION;
use hyper::{Request, Response};
use mailroom_local::http;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::http::{Reply, serve, serve_tls};

/// A reverse proxy that adds the account to each request. Stops when dropped.
#[derive(Debug)]
pub struct CustomDomain {
    address: SocketAddr,
    base: Arc<Mutex<String>>,
    server: JoinHandle<()>,
    scheme: &'static str,
}

impl CustomDomain {
    /// Starts a proxy to the gateway for this account, by TLS if it is told how. It serves once [`Self::route_to`] has named
    /// the API.
    pub(crate) fn start(
        handle: &Handle,
        gateway: SocketAddr,
        account: &str,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = handle.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let base = Arc::<Mutex<String>>::default();
        let (shared, account) = (Arc::clone(&base), account.to_owned());
        let pass_on = move |request: Request<Bytes>| {
            let base = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let credential = format!("AWS4-HMAC-SHA256 Credential={account}/execute-api");
            async move {
                let (mut parts, body) = request.into_parts();
                parts.uri = format!("{base}{}", parts.uri).parse().expect("an address");
                parts.headers.insert(AUTHORIZATION, credential.parse().expect("a header"));
                match http::send(gateway, Request::from_parts(parts, body)).await {
                    Ok(response) => {
                        let (parts, body) = response.into_parts();
                        Reply::Answer(Response::from_parts(parts, Full::new(body)))
                    }
                    Err(_) => Reply::HangUp,
                }
            }
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = match tls {
            Some(tls) => handle.spawn(serve_tls(listener, tls, pass_on)),
            None => handle.spawn(serve(listener, pass_on)),
        };
        Self { address, base, server, scheme }
    }

    /// Passes requests on to the API at this path of the gateway.
    pub(crate) fn route_to(&self, base: &str) {
        base.clone_into(&mut self.base.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The address that browsers and programs open.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for CustomDomain {
    fn drop(&mut self) {
        self.server.abort();
    }
}
