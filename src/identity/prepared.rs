//! Headers of one identity, made once for each kind of settings.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::identity::attributes::Identity;
use crate::identity::headers::HeaderList;
use crate::identity::headers::IdentityHeaders;

/// The headers of one identity for every kind of settings that routes have, made on first use.
#[derive(Debug, Default)]
pub struct PreparedHeaders {
    made: OnceLock<Vec<(Arc<IdentityHeaders>, HeaderList)>>,
}

impl PreparedHeaders {
    /// The headers of `identity` for `settings`, one of `all` kinds. It must be the same identity
    /// with every call.
    pub fn get(
        &self,
        identity: &Identity,
        settings: &Arc<IdentityHeaders>,
        all: &[Arc<IdentityHeaders>],
    ) -> Cow<'_, HeaderList> {
        let make = |settings: &Arc<IdentityHeaders>| settings.headers(identity);
        let made = self.made.get_or_init(|| {
            all.iter()
                .map(|kind| (Arc::clone(kind), make(kind)))
                .collect()
        });
        let same = |(known, _): &&(Arc<IdentityHeaders>, HeaderList)| Arc::ptr_eq(known, settings);
        match made.iter().find(same) {
            Some((_, headers)) => Cow::Borrowed(headers),
            // The settings have been reloaded since: better slow than without headers.
            None => Cow::Owned(make(settings)),
        }
    }
}
