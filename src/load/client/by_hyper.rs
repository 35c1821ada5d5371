//! What hyper's two protocols have in common: a request as hyper has it, and what becomes of it.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::pooled::{Failed, Progress};
use super::{Body, Outgoing, Reading, failure};
use crate::model::Outcome;

/// A request as hyper has it.
pub(super) type Message = Request<Full<Bytes>>;

/// The request, for this address and with these headers.
pub(super) fn message(request: &Outgoing, uri: Uri, headers: HeaderMap) -> Message {
    let mut message = Request::new(Full::new(request.body.clone()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = uri;
    *message.headers_mut() = headers;
    message
}

/// How sending failed, and the request where it never left.
pub(super) fn unsent(mut error: TrySendError<Message>) -> (Failed, Option<Message>) {
    // hyper hands the request back only where it had not begun to write it.
    let message = error.take_message();
    let outcome = failure::of_exchange(&error.into_error());
    let failed = if message.is_none() {
        Failed::Ended(outcome)
    } else {
        Failed::NeverLeft(outcome)
    };
    (failed, message)
}

/// Reads the answer to its last byte, of which the first `keep` are kept.
pub(super) async fn answer(
    response: Response<Incoming>,
    keep: usize,
    progress: &mut Progress,
) -> Result<Body, Failed> {
    let (head, body) = response.into_parts();
    progress.status = head.status.as_u16();
    progress.headers = head.headers;
    read(body, keep).await.map_err(Failed::Ended)
}

/// Reads a body to its last byte and keeps the first `keep` of them.
async fn read(mut body: Incoming, keep: usize) -> Result<Body, Outcome> {
    let mut reading = Reading::new(keep);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| failure::of_exchange(&e))?;
        if let Some(data) = frame.data_ref() {
            reading.take(data);
        }
    }
    Ok(reading.done())
}
