//! A request's body, whole in memory: no longer than its limit, and not slower.
//!
//! What is sent as a file is not read here: see `upload`, which keeps it as it comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hyper::body::Body as _;

use crate::rejection::{BarsError, IssueType, Rejection};

/// The whole body.
///
/// # Errors
/// 413 above `bytes_max`, as soon as that is known; 408 where it has not come within `time`; 400
/// where it breaks off.
pub async fn read(mut body: Body, bytes_max: usize, time: Duration) -> Result<Bytes, Rejection> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_long(bytes_max));
    }
    let whole = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|_| Rejection::bad_request(IssueType::Structure, "the body broke off"))?;
            let data = frame.into_data().unwrap_or_default();
            if bytes.len() + data.len() > bytes_max {
                return Err(too_long(bytes_max));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    };
    let late = || {
        let words = format!("the body did not arrive within {} seconds; send it again", time.as_secs_f64());
        Rejection::new(BarsError::Timeout, IssueType::Transient, words)
    };
    tokio::time::timeout(time, whole).await.unwrap_or_else(|_| Err(late()))
}

fn too_long(bytes_max: usize) -> Rejection {
    let words = format!(
        "the body is longer than {bytes_max} bytes, the most that is taken in one request; nothing of it was kept: \
         send it in parts (a referral a request), or leave out attachments, or ask whoever runs this gateway for \
         more (serve.body_bytes_max)"
    );
    Rejection::new(BarsError::TooLarge, IssueType::TooLong, words)
}
