//! Sending. `POST /{mailbox}/outbox` is not idempotent: each try may make a message, and after a lost
//! answer the receiver's own memory of message ids is what keeps it from being filed twice.
//!
//! A message in chunks is delivered only when its last chunk has come: one that is broken off before
//! that is never seen by the receiver, and may be sent anew.

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{Method, Request};
use serde_json::Value;

use super::client::{Client, is_id, value};
use super::fault::MeshError;
use super::gzip;

/// Limits of the headers, in characters.
const SUBJECT_CHARS_MAX: usize = 500;
const FILE_NAME_CHARS_MAX: usize = 300;
const NAME_CHARS_MAX: usize = 300;
/// Chunks of one message; far more than any that the gateway makes.
const CHUNKS_MAX: usize = 10_000;

/// One message to send. The recipient, subject and file name may hold a person's data: never logged.
#[derive(Clone, Default)]
pub struct Parcel {
    /// A mailbox, or `address::of_person`.
    pub to: String,
    /// The workflow, such as `GPCONNECT_UPDATE_RECORD`.
    pub workflow: String,
    /// The sender's own id; no patient data. GP Connect wants the sender's ODS code in it. Empty: none.
    pub local_id: String,
    /// Up to 500 characters. Empty: none.
    pub subject: String,
    /// Up to 300 characters. Empty: MESH gives one.
    pub file_name: String,
    /// The media type.
    pub content_type: String,
    /// The bytes.
    pub body: Bytes,
    /// Whether each chunk is packed by gzip.
    pub packed: bool,
}

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.body.len();
        f.debug_struct("Parcel").field("workflow", &self.workflow).field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// MESH's id of a message from the answer to a send, or why it was not taken.
///
/// # Errors
/// [`MeshError::Refused`] for anything but 202; [`MeshError::Unreadable`] for a 202 without an id: it
/// was taken, and its id is not known.
pub fn sent(status: u16, body: &[u8]) -> Result<String, MeshError> {
    if status != 202 {
        return Err(MeshError::answered(status, body));
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = answer["message_id"].as_str().or_else(|| answer["messageID"].as_str()).filter(|id| is_id(id));
    id.map(str::to_owned).ok_or(MeshError::Unreadable("the message was taken, but no message id was given"))
}

impl Client {
    /// The one request that sends a parcel which fits one chunk, with a new token: make it anew for
    /// each try. Judge its answer by [`sent`].
    ///
    /// # Errors
    /// [`MeshError::TooLarge`] past `mesh.chunk_bytes_max`; [`MeshError::Unsendable`] for a header that
    /// cannot be.
    pub fn parcel_request(&self, parcel: &Parcel, now: Timestamp) -> Result<Request, MeshError> {
        let limit = self.limits.chunk_bytes_max;
        if parcel.body.len() > limit {
            return Err(MeshError::TooLarge { what: "a message in one request", limit, key: "chunk_bytes_max" });
        }
        self.first(parcel, &parcel.body, None, now)
    }

    /// Sends a parcel, in chunks where it is larger than `mesh.chunk_bytes_max`; MESH's id of it.
    ///
    /// # Errors
    /// See [`MeshError`]. After [`MeshError::Unanswered`] it may have been sent.
    pub async fn send(&self, parcel: &Parcel, now: Timestamp) -> Result<String, MeshError> {
        let chunks: Vec<Bytes> = match parcel.body.len() {
            0 => vec![Bytes::new()],
            _ => parcel.body.chunks(self.limits.chunk_bytes_max).map(|part| parcel.body.slice_ref(part)).collect(),
        };
        let total = chunks.len();
        if total > CHUNKS_MAX {
            return Err(MeshError::TooLarge {
                what: "a message",
                limit: CHUNKS_MAX,
                key: "chunk_bytes_max, in chunks",
            });
        }
        let first = self.first(parcel, &chunks[0], (total > 1).then_some(total), now)?;
        let answer = self.json(first).await?;
        let id = sent(202, answer.to_string().as_bytes())?;
        for (number, chunk) in (2_usize..).zip(&chunks[1..]) {
            let mut request = self.mine(Method::POST, &["outbox", &id, &number.to_string()], now)?;
            request.headers_mut().insert("mex-chunk-range", value(&format!("{number}:{total}"))?);
            request.headers_mut().insert("content-type", value("application/octet-stream")?);
            load(&mut request, chunk, parcel.packed)?;
            self.done(request).await?;
        }
        Ok(id)
    }

    fn first(
        &self,
        parcel: &Parcel,
        chunk: &Bytes,
        chunks: Option<usize>,
        now: Timestamp,
    ) -> Result<Request, MeshError> {
        let mut request = self.mine(Method::POST, &["outbox"], now)?;
        let headers = request.headers_mut();
        headers.insert("mex-from", value(self.mailbox())?);
        for (name, text, most) in [
            ("mex-to", &parcel.to, NAME_CHARS_MAX),
            ("mex-workflowid", &parcel.workflow, NAME_CHARS_MAX),
            ("mex-localid", &parcel.local_id, NAME_CHARS_MAX),
            ("mex-subject", &parcel.subject, SUBJECT_CHARS_MAX),
            ("mex-filename", &parcel.file_name, FILE_NAME_CHARS_MAX),
            ("mex-content-type", &parcel.content_type, NAME_CHARS_MAX),
        ] {
            if text.is_empty() {
                continue;
            }
            if text.len() > most || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                return Err(MeshError::Unsendable(format!("{name} must be at most {most} visible ASCII characters")));
            }
            let mut text = value(text)?;
            text.set_sensitive(true);
            headers.insert(name, text);
        }
        let content_type = match chunks {
            Some(total) => {
                headers.insert("mex-chunk-range", value(&format!("1:{total}"))?);
                "application/octet-stream"
            }
            None if parcel.content_type.is_empty() => "application/octet-stream",
            None => &parcel.content_type,
        };
        headers.insert("content-type", value(content_type)?);
        load(&mut request, chunk, parcel.packed)?;
        Ok(request)
    }
}

/// Puts a chunk in a request, packed where asked for.
fn load(request: &mut Request, chunk: &Bytes, packed: bool) -> Result<(), MeshError> {
    let body = if packed {
        request.headers_mut().insert("content-encoding", value("gzip")?);
        gzip::pack(chunk).map_err(|_| MeshError::Unsendable("a chunk could not be packed".to_owned()))?.into()
    } else {
        chunk.clone()
    };
    *request.body_mut() = Some(body.into());
    Ok(())
}
