//! A connection that is given up where its other end takes nothing: who asks and does not read
//! the answer would else hold a place for ever.
//!
//! It bounds silence, not slowness: an end that takes a little now and then is waited for.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Sleep;

/// A connection, and how long its other end may take nothing.
pub struct Impatient<I> {
    io: I,
    quiet: Duration,
    /// Runs while a write waits.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<I> Impatient<I> {
    /// Gives up after `quiet` without a byte taken.
    pub fn new(io: I, quiet: Duration) -> Self {
        Self { io, quiet, waits: None }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = None;
            return written;
        }
        let quiet = self.quiet;
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(quiet)));
        match waits.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<I: Read + Unpin> Read for Impatient<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: Write + Unpin> Write for Impatient<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(cx, shut)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.judge(cx, written)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_given_up_and_who_takes_little_is_not() {
        let quiet = Duration::from_millis(300);
        let (near, mut far) = tokio::io::duplex(8);
        let mut near = TokioIo::new(Impatient::new(TokioIo::new(near), quiet));
        let reader = tokio::spawn(async move {
            let mut taken = [0; 24];
            for part in taken.chunks_mut(4) {
                tokio::time::sleep(quiet / 3).await;
                far.read_exact(part).await.unwrap();
            }
            far
        });
        near.write_all(&[7; 32]).await.unwrap();
        let far = reader.await.unwrap();
        assert_eq!(near.write_all(&[7; 1]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(far);
    }
}
