//! Parameters onto an endpoint's URL.

use url::Url;

/// Appends `parameters` to the query of `endpoint`, which is kept except for parameters of the same
/// names: a doubled `redirect_uri` or `state` would let two readers see two requests.
pub(super) fn with_parameters(endpoint: &Url, parameters: &[(&str, &str)]) -> Url {
    let is_ours = |name: &str| parameters.iter().any(|(own, _)| *own == name);
    let kept: Vec<(String, String)> = endpoint
        .query_pairs()
        .filter(|(name, _)| !is_ours(name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = endpoint.clone();
    // RFC 6749 section 3.1: an endpoint has no fragment.
    url.set_fragment(None);
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .extend_pairs(parameters);
    url
}
