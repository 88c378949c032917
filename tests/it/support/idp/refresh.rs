//! How the double treats refresh tokens.

use std::sync::Arc;

use serde_json::json;

use super::Idp;
use super::Reply;
use super::Request;
use super::value_of;

/// How refresh tokens are used.
#[derive(Clone, Copy, PartialEq)]
pub enum RefreshTokens {
    /// Each once; a second use ends all of the user's.
    Rotate,
    /// Each once, but for a moment the same successor comes again.
    RotateWithGrace,
    /// As often as one likes; no new one comes.
    Keep,
    /// There are none.
    None,
}

impl Idp {
    /// How often tokens were asked for by a refresh token.
    pub fn refreshes(&self) -> usize {
        self.requests("/token")
            .iter()
            .filter(|r| is_refresh(r))
            .count()
    }

    /// How long later access tokens live, in seconds.
    pub fn set_lifetime(&self, seconds: i64) {
        self.lie(|lies| {
            lies.token_response = Some(Box::new(move |response| {
                response["expires_in"] = json!(seconds);
            }));
        });
    }

    /// Does this to the answers of later refreshes.
    pub fn on_refresh(&self, change: impl Fn(Reply) -> Reply + Send + Sync + 'static) {
        self.lie(|lies| lies.on_refresh = Some(Arc::new(change)));
    }
}

pub(super) fn is_refresh(request: &Request) -> bool {
    value_of(&request.form(), "grant_type") == Some("refresh_token")
}
