//! A reply that goes out while it is still being made, and that can't end too early unnoticed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// A body that comes in parts. If its [`Writer`] goes before it said which part is the last, the body ends with an
/// error: whoever reads it sees a broken reply, and never a valid, shorter one.
#[derive(Debug)]
pub struct Streamed {
    /// A part that was waited for.
    first: Option<Part>,
    parts: mpsc::Receiver<Part>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Broken,
}

#[derive(Debug)]
struct Part {
    bytes: Bytes,
    last: bool,
}

/// The reply broke off: what made it failed, or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reply broke off before its end")]
pub struct BrokenOff;

/// The end into which a handler writes the reply's parts.
#[derive(Debug)]
pub struct Writer(mpsc::Sender<Part>);

/// Nobody reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NobodyReads;

impl Writer {
    /// Hands a part on; waits while the one before it has not gone out.
    pub async fn write(&self, bytes: impl Into<Bytes>) -> Result<(), NobodyReads> {
        self.0.send(Part { bytes: bytes.into(), last: false }).await.map_err(|_| NobodyReads)
    }

    /// Writes the last part, which may be empty.
    pub async fn end(self, bytes: impl Into<Bytes>) -> Result<(), NobodyReads> {
        self.0.send(Part { bytes: bytes.into(), last: true }).await.map_err(|_| NobodyReads)
    }
}

/// A body, and what writes it.
pub fn streamed() -> (Writer, Streamed) {
    let (sender, parts) = mpsc::channel(1);
    (Writer(sender), Streamed { first: None, parts, state: State::Open })
}

impl Streamed {
    /// Waits until there is something of it: before that, what fails can still be told otherwise.
    pub async fn begun(&mut self) -> Result<(), BrokenOff> {
        if self.first.is_none() {
            self.first = Some(self.parts.recv().await.ok_or(BrokenOff)?);
        }
        Ok(())
    }

    /// All of it, as long as it doesn't break off.
    pub async fn collect(mut self) -> Result<Vec<u8>, BrokenOff> {
        let mut whole = Vec::new();
        loop {
            let part = match self.first.take() {
                Some(part) => part,
                None => self.parts.recv().await.ok_or(BrokenOff)?,
            };
            whole.extend_from_slice(&part.bytes);
            if part.last {
                return Ok(whole);
            }
        }
    }
}

impl From<lambda_http::Body> for Streamed {
    /// A reply that is whole from the beginning.
    fn from(body: lambda_http::Body) -> Streamed {
        let (sender, parts) = mpsc::channel(1);
        let bytes = match body {
            lambda_http::Body::Text(text) => Bytes::from(text),
            lambda_http::Body::Binary(bytes) => Bytes::from(bytes),
            _ => Bytes::new(),
        };
        let _ = sender.try_send(Part { bytes, last: true });
        Streamed { first: None, parts, state: State::Open }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.state != State::Open {
            return Poll::Ready(None);
        }
        let part = match self.first.take() {
            Some(part) => Some(part),
            None => ready!(self.parts.poll_recv(context)),
        };
        Poll::Ready(Some(match part {
            Some(part) => {
                if part.last {
                    self.state = State::Ended;
                }
                Ok(Frame::data(part.bytes))
            }
            None => {
                self.state = State::Broken;
                Err(BrokenOff)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Ended
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
