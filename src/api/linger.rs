//! Hearing a sender out: the rest of a body that was refused is read and dropped before the answer
//! goes. A server that closes while its client still writes resets the connection, and the client
//! loses the answer: it sees a broken pipe in place of the 413 or 401 that says what to do.
//! <https://www.rfc-editor.org/rfc/rfc9112.html#section-9.6>
//!
//! Bounded in bytes and in time; past these the connection is closed with the answer sent.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// Bytes that are read and dropped at most.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Seconds without a byte after which a sender is no longer waited for.
const SILENCE_SECONDS_MAX: u64 = 5;
/// Seconds for all of it.
const SECONDS_MAX: u64 = 30;

/// Answers a request when its body has been read, by the handler or else here.
pub async fn hear_out(request: Request, next: Next) -> Response {
    let waits = waits_to_send(request.headers());
    let (parts, body) = request.into_parts();
    let body = Arc::new(Mutex::new(body));
    let lent = Body::new(Lent(Arc::clone(&body)));
    let response = next.run(Request::from_parts(parts, lent)).await;
    // Who was too slow once is not waited for again, and who asked first has sent nothing.
    if !waits && response.status() != StatusCode::REQUEST_TIMEOUT {
        let all = Duration::from_secs(SECONDS_MAX);
        let _ = tokio::time::timeout(all, drop_rest(Lent(body))).await; // whichever way it ends, the answer goes
    }
    response
}

/// `Expect: 100-continue`: the sender waits for leave, which an answer refuses.
fn waits_to_send(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads until the end, a fault, a silence, or the last byte that is allowed.
async fn drop_rest(mut body: Lent) {
    use hyper::body::Body as _;
    let mut left = BYTES_MAX;
    let silence = Duration::from_secs(SILENCE_SECONDS_MAX);
    while body.size_hint().lower() <= left {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let Ok(Some(Ok(frame))) = tokio::time::timeout(silence, next).await else { return };
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
    }
}

/// A body lent to a handler: what it leaves unread can still be read.
struct Lent(Arc<Mutex<Body>>);

impl Lent {
    fn with<T>(&self, ask: impl FnOnce(Pin<&mut Body>) -> T) -> T {
        ask(Pin::new(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| body.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}
