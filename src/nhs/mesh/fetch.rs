//! Fetching one message, all its chunks. Fetching does not take it off the inbox.

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{Method, Response};

use super::client::{Client, read, value};
use super::envelope::Envelope;
use super::fault::MeshError;
use super::gzip::{self, Packed};

/// Chunks of one message that are fetched.
const CHUNKS_MAX: u32 = 10_000;

/// One message as fetched.
#[derive(Clone)]
pub struct Mail {
    /// What stands on it.
    pub envelope: Envelope,
    /// Its bytes, unpacked; empty for a report. Where `damaged`, as they came.
    pub bytes: Bytes,
    /// True when a chunk said that it was packed and could not be unpacked.
    pub damaged: bool,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (envelope, bytes) = (&self.envelope, self.bytes.len());
        f.debug_struct("Mail").field("envelope", envelope).field("bytes", &bytes).finish_non_exhaustive()
    }
}

impl Client {
    /// `HEAD /{mailbox}/inbox/{id}`: what stands on a message.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn head(&self, id: &str, now: Timestamp) -> Result<Envelope, MeshError> {
        let request = self.mine(Method::HEAD, &["inbox", id], now)?;
        Ok(envelope(id, &self.done(request).await?))
    }

    /// `GET /{mailbox}/inbox/{id}` and `/{n}`: the whole message. 206 says that more chunks follow.
    ///
    /// # Errors
    /// [`MeshError::TooLarge`] past `mesh.message_bytes_max`; else see [`MeshError`].
    pub async fn download(&self, id: &str, now: Timestamp) -> Result<Mail, MeshError> {
        let first = self.chunk(id, None, now).await?;
        let envelope = envelope(id, &first);
        let mut whole = Whole { limit: self.limits.message_bytes_max, ..Whole::default() };
        let mut more = first.status().as_u16() == 206;
        whole.add(first).await?;
        let mut number = 2;
        while more || number <= envelope.chunks {
            if number > CHUNKS_MAX {
                return Err(whole.too_large());
            }
            let chunk = self.chunk(id, Some(number), now).await?;
            more = chunk.status().as_u16() == 206;
            whole.add(chunk).await?;
            number += 1;
        }
        let bytes = if whole.damaged { whole.raw } else { whole.bytes };
        Ok(Mail { envelope, bytes: bytes.into(), damaged: whole.damaged })
    }

    async fn chunk(&self, id: &str, number: Option<u32>, now: Timestamp) -> Result<Response, MeshError> {
        let number = number.map(|number| number.to_string());
        let mut path = vec!["inbox", id];
        path.extend(number.as_deref());
        let mut request = self.mine(Method::GET, &path, now)?;
        request.headers_mut().insert("accept-encoding", value("gzip")?);
        self.done(request).await
    }
}

fn envelope(id: &str, response: &Response) -> Envelope {
    let headers = response.headers();
    Envelope::read(id, |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned))
}

/// The chunks put together, as they came and unpacked: whichever is needed.
#[derive(Default)]
struct Whole {
    limit: usize,
    bytes: Vec<u8>,
    raw: Vec<u8>,
    damaged: bool,
}

impl Whole {
    async fn add(&mut self, chunk: Response) -> Result<(), MeshError> {
        let packed = chunk.headers().get("content-encoding").is_some_and(|value| value.as_bytes() == b"gzip");
        let body = read(chunk, self.limit.saturating_sub(self.raw.len())).await?;
        self.take(&body.ok_or_else(|| self.too_large())?, packed)
    }

    fn take(&mut self, body: &[u8], packed: bool) -> Result<(), MeshError> {
        self.raw.extend_from_slice(body);
        let room = self.limit.saturating_sub(self.bytes.len());
        if !packed || body.is_empty() {
            self.bytes.extend_from_slice(body);
        } else {
            match gzip::unpack(body, room) {
                Ok(bytes) => self.bytes.extend(bytes),
                Err(Packed::Damaged) => self.damaged = true,
                Err(Packed::TooLarge) => return Err(self.too_large()),
            }
        }
        if self.bytes.len() > self.limit { Err(self.too_large()) } else { Ok(()) }
    }

    fn too_large(&self) -> MeshError {
        MeshError::TooLarge { what: "a message in the inbox", limit: self.limit, key: "message_bytes_max" }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packed_and_bare_chunks_are_put_together() {
        let mut whole = Whole { limit: 100, ..Whole::default() };
        whole.take(&gzip::pack(b"first-").unwrap(), true).unwrap();
        whole.take(b"second", false).unwrap();
        assert_eq!((whole.bytes.as_slice(), whole.damaged), (&b"first-second"[..], false));
    }

    #[test]
    fn a_damaged_chunk_leaves_the_bytes_as_they_came() {
        let mut whole = Whole { limit: 100, ..Whole::default() };
        whole.take(b"not gzip", true).unwrap();
        assert!(whole.damaged);
        assert_eq!(whole.raw, b"not gzip");
    }

    #[test]
    fn a_message_past_the_limit_is_refused_packed_or_not() {
        let whole = || Whole { limit: 10, ..Whole::default() };
        assert!(matches!(whole().take(b"eleven byte", false), Err(MeshError::TooLarge { .. })));
        assert!(matches!(whole().take(&gzip::pack(&[0; 5000]).unwrap(), true), Err(MeshError::TooLarge { .. })));
    }
}
