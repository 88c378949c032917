//! A token in memory, with the headers that apps get from it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::identity::HeaderList;
use crate::identity::Identity;
use crate::identity::IdentityHeaders;
use crate::identity::PreparedHeaders;

/// An accepted token as requests use it. The token itself is not in it.
#[derive(Debug)]
pub struct LiveToken {
    /// SHA-256 of the token.
    pub key: [u8; 32],
    /// Who the caller is.
    pub identity: Identity,
    /// Up to when it counts without being checked again; never later than its own end.
    pub valid_until: Timestamp,
    /// The thumbprint of the key it is bound to: without a proof it is worth nothing then.
    pub bound_to: Option<String>,
    headers: PreparedHeaders,
}

impl LiveToken {
    /// Wraps what has been found out about a token.
    pub fn new(
        key: [u8; 32],
        identity: Identity,
        valid_until: Timestamp,
        bound_to: Option<String>,
    ) -> Self {
        Self {
            key,
            identity,
            valid_until,
            bound_to,
            headers: PreparedHeaders::default(),
        }
    }

    /// The headers for `settings`, one of `all` kinds that routes have.
    pub fn headers(
        &self,
        settings: &Arc<IdentityHeaders>,
        all: &[Arc<IdentityHeaders>],
    ) -> Cow<'_, HeaderList> {
        self.headers.get(&self.identity, settings, all)
    }
}
