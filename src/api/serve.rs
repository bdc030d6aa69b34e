//! Listening: sockets in, a router behind them, a drain at the end.
//!
//! Plain HTTP is for development only: production needs `serve.tls_cert_file`.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::impatient::Impatient;
use super::tls;
use super::who::Peer;
use crate::gateway::Gateway;

/// Connections open at once; the next ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// Seconds in which a request's headers must have arrived.
const HEADER_SECONDS_MAX: u64 = 10;
/// Seconds in which a caller takes nothing of an answer, after which it is given up.
const UNREAD_SECONDS_MAX: u64 = 30;
/// Seconds for a TLS handshake.
const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Headers of one request at most.
const HEADERS_MAX: usize = 64;
/// Bytes of one request's headers at most.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Wait after a failed accept (out of file descriptors), milliseconds.
const ACCEPT_RETRY_MS: u64 = 50;

/// Why the gateway does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeFault {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
    /// The TLS files.
    #[error("{0}")]
    Tls(String),
    /// Plain HTTP outside development.
    #[error("serve.tls_cert_file is not set: plain HTTP is for gateway.mode = \"development\" only")]
    Plain,
}

/// Serves until `shutdown` is done, then drains: no new work, work under way finishes within
/// `serve.drain_seconds`. Prints `listening on ...` for each listener.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(mut gateway: Gateway, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeFault> {
    let acceptor = tls::acceptor(&gateway.config.serve).map_err(ServeFault::Tls)?;
    if acceptor.is_none() && !gateway.config.is_development() {
        return Err(ServeFault::Plain);
    }
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    let mut listeners = Vec::new();
    for address in &gateway.config.serve.listen {
        let fault = |why| ServeFault::Listen(address.clone(), why);
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let at = listener.local_addr().map_err(fault)?;
        listeners.push((listener, at));
    }
    if gateway.config.serve.base_url.is_empty()
        && let Some((_, at)) = listeners.first()
    {
        Arc::make_mut(&mut gateway.config).serve.base_url = format!("{scheme}://{at}");
    }
    let drain = Duration::from_secs(gateway.config.serve.drain_seconds);
    if gateway.config.is_development() {
        tracing::warn!("DEVELOPMENT MODE: plain HTTP and minted tokens are allowed; never for patients");
    }
    let (stop, stopped) = watch::channel(false);
    let router = super::router(gateway);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut loops = tokio::task::JoinSet::new();
    for (listener, at) in listeners {
        say(&format!("listening on {scheme}://{at}"));
        let line = Line { router: router.clone(), acceptor: acceptor.clone(), room: room.clone() };
        loops.spawn(line.accept_all(listener, stopped.clone(), drain));
    }
    shutdown.await;
    let _ = stop.send(true);
    while loops.join_next().await.is_some() {}
    Ok(())
}

/// The ready line is for whoever started the process, so it is on stdout.
#[allow(clippy::print_stdout)] // the contract's ready line
fn say(line: &str) {
    println!("{line}");
}

/// What one listener gives to its connections.
#[derive(Clone)]
struct Line {
    router: axum::Router,
    acceptor: Option<TlsAcceptor>,
    room: Arc<Semaphore>,
}

impl Line {
    async fn accept_all(self, listener: TcpListener, mut stopped: watch::Receiver<bool>, drain: Duration) {
        let graceful = GracefulShutdown::new();
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok(place) = self.room.clone().acquire_owned().await else { break };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.changed() => break,
            };
            match accepted {
                Ok((socket, from)) => {
                    connections.spawn(self.clone().connection(socket, from, graceful.watcher(), place));
                }
                Err(fault) => {
                    tracing::warn!(error = %fault, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        let finish = async {
            graceful.shutdown().await;
            while connections.join_next().await.is_some() {}
        };
        if tokio::time::timeout(drain, finish).await.is_err() {
            tracing::warn!("connections were still open when the drain ended");
        }
    }

    async fn connection(self, socket: TcpStream, from: SocketAddr, graceful: Watcher, _place: OwnedSemaphorePermit) {
        let _ = socket.set_nodelay(true);
        let Some(acceptor) = self.acceptor else {
            let peer = Peer { address: from.ip(), certificate: None };
            return talk(TokioIo::new(socket), self.router, peer, graceful).await;
        };
        let shake = tokio::time::timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), acceptor.accept(socket));
        let Ok(Ok(stream)) = shake.await else {
            tracing::debug!("a TLS handshake failed");
            return;
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|der| bytes::Bytes::copy_from_slice(der));
        let peer = Peer { address: from.ip(), certificate };
        talk(TokioIo::new(stream), self.router, peer, graceful).await;
    }
}

/// Answers one connection's requests.
async fn talk<I>(io: I, router: axum::Router, peer: Peer, graceful: Watcher)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.map(axum::body::Body::new)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_SECONDS_MAX))
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(
            Impatient::new(io, Duration::from_secs(UNREAD_SECONDS_MAX)),
            TowerToHyperService::new(service),
        );
    if let Err(fault) = graceful.watch(connection).await {
        tracing::debug!(error = %fault, "a connection broke off");
    }
}
