//! A simulated peer: a loopback HTTP server that can be told to be slow, to fail, or to do what it
//! is asked and lose the answer.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// How a peer misbehaves. Counts run down by one a request.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Wait before anything is done.
    pub slow: Duration,
    /// Answer these requests with `status` and do nothing.
    pub refuse: u32,
    /// The status of a refusal.
    pub status: u16,
    /// `Retry-After` of a refusal, in seconds.
    pub retry_after: Option<u32>,
    /// Do what these requests ask, then answer 500.
    pub lose_answer: u32,
    /// Do what these requests ask, then answer later than anybody waits.
    pub hang_after: Option<Duration>,
}

/// What a peer does with the next request.
pub enum Next {
    /// As asked.
    Serve,
    /// As asked, and the answer is lost.
    Lose,
    /// Nothing; this is the answer.
    Refuse(Response),
}

/// Faults as shared between a peer and whoever steers it.
#[derive(Debug, Clone, Default)]
pub struct Steering(Arc<Mutex<Faults>>);

impl Steering {
    /// The faults, to look at or set.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits as told, then says what to do with this request.
    pub async fn next(&self) -> Next {
        let slow = self.faults().slow;
        tokio::time::sleep(slow).await;
        let mut faults = self.faults();
        if faults.refuse > 0 {
            faults.refuse -= 1;
            let status = StatusCode::from_u16(faults.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Next::Refuse(match faults.retry_after {
                Some(seconds) => (status, [("retry-after", seconds.to_string())]).into_response(),
                None => status.into_response(),
            });
        }
        if faults.lose_answer > 0 {
            faults.lose_answer -= 1;
            return Next::Lose;
        }
        Next::Serve
    }

    /// The answer, or what stands in its place when it is lost.
    pub async fn answer(&self, lost: bool, answer: Response) -> Response {
        let hang = self.faults().hang_after.take();
        if let Some(hang) = hang {
            tokio::time::sleep(hang).await;
        }
        if lost { StatusCode::INTERNAL_SERVER_ERROR.into_response() } else { answer }
    }
}

/// Serves `router` on a loopback port of the system's choice until dropped.
pub struct Peer {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Peer {
    /// Starts it.
    ///
    /// # Errors
    /// When no loopback port can be had.
    pub async fn start(router: Router) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            if let Err(fault) = axum::serve(listener, router).await {
                tracing::warn!(error = %fault, "a simulated peer stopped");
            }
        });
        Ok(Self { url, serving })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
