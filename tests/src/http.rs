//! HTTP/1.1 on loopback, as the harness needs it: whole bodies, one task per connection.

use std::future::Future;
use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
pub enum Reply {
    /// Sends this response.
    Answer(Response<Full<Bytes>>),
    /// Closes the connection without a response.
    HangUp,
}

/// Answers every request on `listener` with `handler`, until the task is dropped.
pub async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        tokio::spawn(converse(stream, handler.clone()));
    }
}

/// The same by TLS.
pub(crate) async fn serve_tls<H, F>(listener: TcpListener, tls: TlsAcceptor, handler: H)
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        let (tls, handler) = (tls.clone(), handler.clone());
        tokio::spawn(async move {
            // A browser looks at a certificate, and comes again.
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, handler).await;
            }
        });
    }
}

async fn converse<S, H, F>(stream: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            match handler(Request::from_parts(parts, body)).await {
                Reply::Answer(response) => Ok(response),
                // hyper closes the connection without a word.
                Reply::HangUp => Err(io::Error::other("hung up on purpose")),
            }
        }
    });
    // A peer that goes away is part of what is tested.
    let _ = server::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An answer with a body.
pub(crate) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
