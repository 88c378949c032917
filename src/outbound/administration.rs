//! Requests of the command line to the admin listener of a running gateway.

use http::Method;
use http::StatusCode;
use url::Url;

use crate::outbound::http_client::HttpClient;
use crate::outbound::http_client::Request;
use crate::outbound::outbound_error::OutboundError;
use crate::secret::Secret;

impl HttpClient {
    /// Sends a request without a body, and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`OutboundError`]: the gateway is not there, or its address is on another machine, to which the
    /// token is not sent.
    pub async fn administer(
        &self,
        method: Method,
        url: &Url,
        token: &Secret<String>,
    ) -> Result<(StatusCode, Vec<u8>), OutboundError> {
        let mut request = Request {
            method,
            ..Request::get(url)
        };
        request.authorize(&Secret::new(format!("Bearer {}", token.expose())))?;
        let answer = self.send(request).await?;
        Ok((answer.status, answer.body.expose().clone()))
    }
}
