//! Requests to identity providers, each with limits.
//!
//! Owns the one HTTP client set-up: no redirect is followed, no proxy of the environment is used,
//! nothing is decompressed, the whole exchange has a deadline and the body a size. It reads no
//! meaning into answers.
//!
//! Invariant: a request is sent at most once and to the given address only, so that no code, token
//! or secret reaches a place that nobody configured.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::header;
use reqwest::Certificate;
use url::Url;

use crate::oidc::url_policy::is_secure_or_loopback;
use crate::outbound::outbound_error::OutboundError;
use crate::outbound::resolver::Resolver;
use crate::secret::Secret;

/// Largest answer in bytes: token responses with group lists reach some hundred KiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Largest key set in bytes: a hundred RSA keys with certificates fit.
pub const KEY_SET_BYTES_MAX: usize = 512 * 1024;

/// Connecting takes less than a second anywhere on earth; three leave room for one lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The whole exchange, body included: a user waits for it in front of an empty page.
const DEADLINE: Duration = Duration::from_secs(10);

/// What we call ourselves.
const USER_AGENT: &str = "vestibule";

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// GET or POST.
    pub(crate) method: Method,
    /// Where to; `https`, or `http` to this machine.
    pub(crate) url: &'a Url,
    /// Headers, secrets marked sensitive.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Option<Secret<String>>,
    /// Largest body of the answer in bytes.
    pub(crate) body_bytes_max: usize,
}

impl<'a> Request<'a> {
    /// A GET that asks for JSON.
    pub(crate) fn get(url: &'a Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            header::HeaderValue::from_static("application/json"),
        );
        Self {
            method: Method::GET,
            url,
            headers,
            body: None,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }

    /// Sets `Authorization`, kept out of debug output.
    ///
    /// # Errors
    /// [`OutboundError::Header`]: `value` holds what no header may hold.
    pub(crate) fn authorize(&mut self, value: &Secret<String>) -> Result<(), OutboundError> {
        let mut value =
            header::HeaderValue::from_str(value.expose()).map_err(|_| OutboundError::Header)?;
        value.set_sensitive(true);
        self.headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

/// An answer below 300 or above 399, with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, which can hold tokens.
    pub(crate) body: Secret<Vec<u8>>,
}

impl Answer {
    /// The body of a 200, whatever its type.
    ///
    /// # Errors
    /// [`OutboundError::Status`]: another status.
    pub(crate) fn ok(&self) -> Result<&[u8], OutboundError> {
        if self.status != StatusCode::OK {
            return Err(OutboundError::Status(self.status.as_u16()));
        }
        Ok(self.body.expose())
    }

    /// The body of a 200 that says it is JSON.
    ///
    /// # Errors
    /// - [`OutboundError::Status`]: another status
    /// - [`OutboundError::NotJson`]: another type, such as a login page or a signed JWT
    pub(crate) fn json(&self) -> Result<&[u8], OutboundError> {
        let body = self.ok()?;
        if !self.is_json() {
            return Err(OutboundError::NotJson {
                content_type: self.content_type().map(cut),
            });
        }
        Ok(body)
    }

    /// Whether the answer says that it is JSON, with or without parameters.
    fn is_json(&self) -> bool {
        let essence = self.content_type().and_then(|text| text.split(';').next());
        essence.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json"))
    }

    fn content_type(&self) -> Option<&str> {
        let mut values = self.headers.get_all(header::CONTENT_TYPE).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(100)
        .collect()
}

/// Sends requests. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    deadline: Duration,
}

impl HttpClient {
    /// Makes a client. Peers must present a certificate from `ca` (PEM) alone, or from one of the
    /// system's authorities when there is none.
    ///
    /// The process must have installed a `rustls` crypto provider.
    ///
    /// # Errors
    /// - [`OutboundError::CertificateAuthority`]: `ca` holds no certificate, or a broken one
    /// - [`OutboundError::SetUp`]: TLS cannot be set up
    pub fn new(ca: Option<&str>) -> Result<Self, OutboundError> {
        Self::with_deadline(ca, DEADLINE)
    }

    /// As [`HttpClient::new`], with a deadline for the whole exchange.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn with_deadline(ca: Option<&str>, deadline: Duration) -> Result<Self, OutboundError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(OutboundError::SetUp(
                "no crypto provider is installed".to_owned(),
            ));
        }
        let client = match ca {
            Some(pem) => {
                let authorities = Certificate::from_pem_bundle(pem.as_bytes())
                    .map_err(|_| OutboundError::CertificateAuthority)?;
                if authorities.is_empty() {
                    return Err(OutboundError::CertificateAuthority);
                }
                builder().tls_certs_only(authorities).build()
            }
            None => builder().build().or_else(|error| {
                // A container without certificates: peers on this machine need none, and every other
                // peer is refused by the handshake.
                tracing::warn!(
                    reason = reason(&error),
                    "no certificate authorities of the system"
                );
                builder().tls_certs_only([]).build()
            }),
        };
        let client = client.map_err(|error| OutboundError::SetUp(reason(&error)))?;
        Ok(Self { client, deadline })
    }

    /// Sends `request` once and reads the whole answer.
    ///
    /// # Errors
    /// - [`OutboundError::ForbiddenUrl`]: plain `http` to another machine, or another scheme
    /// - [`OutboundError::Unreachable`]: no connection, or it broke
    /// - [`OutboundError::TimedOut`]: the deadline passed, wherever the exchange was
    /// - [`OutboundError::Redirected`]: a status from 300 to 399
    /// - [`OutboundError::TooLarge`]: the body is larger than the request allows
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Answer, OutboundError> {
        if !is_secure_or_loopback(request.url) {
            return Err(OutboundError::ForbiddenUrl);
        }
        tokio::time::timeout(self.deadline, self.exchange(request))
            .await
            .map_err(|_| OutboundError::TimedOut)?
    }

    async fn exchange(&self, request: Request<'_>) -> Result<Answer, OutboundError> {
        let mut outgoing = self
            .client
            .request(request.method, request.url.clone())
            .headers(request.headers);
        if let Some(body) = request.body {
            outgoing = outgoing.body(body.expose().clone());
        }
        let mut response = outgoing.send().await.map_err(failure)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(OutboundError::Redirected(status.as_u16()));
        }
        // A wrong announcement changes nothing: the count below decides.
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if body.len() + chunk.len() > request.body_bytes_max {
                return Err(OutboundError::TooLarge {
                    bytes_max: request.body_bytes_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer {
            status,
            headers,
            body: Secret::new(body),
        })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(Arc::new(Resolver))
}

fn failure(error: reqwest::Error) -> OutboundError {
    if error.is_timeout() {
        return OutboundError::TimedOut;
    }
    OutboundError::Unreachable(reason(&error))
}

/// The innermost cause: "Connection refused", "invalid peer certificate: UnknownIssuer". The outer
/// texts repeat the address, whose query can hold what nobody should read.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<reqwest::Error>() {
        return "the request failed".to_owned();
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
