//! `rd`: where a browser goes after a login or logout.

use std::sync::LazyLock;

use http::HeaderValue;
use url::Url;
use vestibule::routes::Origin;
use vestibule::session::ReturnTo;

static HERE: LazyLock<Url> =
    LazyLock::new(|| Url::parse("https://app.example/").expect("the URL is valid"));
static OTHER: LazyLock<Url> =
    LazyLock::new(|| Url::parse("https://wiki.example/").expect("the URL is valid"));

/// Reads `data` as the value of the parameter.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let [here, other] =
        [&*HERE, &*OTHER].map(|url| Origin::of_url(url).expect("the URL has an origin"));
    let place = ReturnTo::of_parameter(text, &here, |origin| *origin == other);
    let location = place.as_str();
    assert!(
        HeaderValue::from_str(location).is_ok(),
        "{location:?} is no header value"
    );
    // What a browser makes of a `Location`: the URL standard, as the crate `url` has it.
    let followed = HERE.join(location).expect("a `Location` is a URL");
    let origin = Origin::of_url(&followed).expect("a `Location` has an origin");
    assert!(
        origin == here || origin == other,
        "{text:?} leads to {followed}"
    );
    assert!(followed.username().is_empty() && followed.password().is_none());
    if let Some(path) = place.path_on(&here) {
        assert_eq!(origin, here, "{location:?} is said to be here");
        assert!(path.starts_with('/') && !path.contains(['?', '#']));
    }
    let again = ReturnTo::of_parameter(location, &here, |origin| *origin == other);
    assert_eq!(
        again, place,
        "a place that has been checked passes the check"
    );
}
