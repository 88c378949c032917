//! Bodies of requests: limits, and reading a small one for an endpoint of ours.

use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use pingora::Error;
use pingora::ErrorType;
use pingora::proxy::Session;

use crate::endpoints::BODY_BYTES_MAX;
use crate::proxy::context::Context;

/// A form of ours is small: who needs longer is not a browser.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Counts a forwarded body against `request_body_limit`.
pub fn count(body: Option<&Bytes>, context: &mut Context) -> pingora::Result<()> {
    let Some(limit) = context.live.snapshot.settings.request_body_bytes_max else {
        return Ok(());
    };
    let bytes = body.map_or(0, Bytes::len);
    context.body_bytes = context
        .body_bytes
        .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    if context.body_bytes > limit {
        context.reason = Some("body_too_large");
        return Err(Error::new_down(ErrorType::HTTPStatus(413)));
    }
    Ok(())
}

/// Whether the length that a request announces is over `request_body_limit`.
pub fn is_announced_too_large(session: &Session, context: &Context) -> bool {
    let limit = context.live.snapshot.settings.request_body_bytes_max;
    limit.is_some_and(|limit| announced(session).is_some_and(|length| length > limit))
}

/// Why a body was not read.
pub enum Unread {
    /// It is larger than [`BODY_BYTES_MAX`].
    TooLarge,
    /// It did not come within the time.
    TooSlow,
}

/// Reads a small body whole.
pub async fn read(session: &mut Session) -> Result<Bytes, Unread> {
    let max = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX);
    if announced(session).is_some_and(|length| length > max) {
        return Err(Unread::TooLarge);
    }
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = session
            .read_request_body()
            .await
            .map_err(|_| Unread::TooSlow)?
        {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Unread::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(BODY_TIMEOUT, read)
        .await
        .unwrap_or(Err(Unread::TooSlow))
}

fn announced(session: &Session) -> Option<u64> {
    session
        .req_header()
        .headers
        .get(http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
