//! Stops logins that go round in circles.
//!
//! A browser that keeps the login's cookie but not the session's, or an app that sends everyone back to
//! the login, would bounce between the app and the identity provider for ever. So a small sealed cookie
//! counts the logins that ended well although the browser brought no session along. In a browser that
//! keeps our cookies it never gets past one: the next page already shows the session.

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::random;
use crate::session::Purpose;
use crate::session::cookie;
use crate::session::cookie::Found;

/// A login may come to nothing this often before it is stopped.
const ROUNDS_MAX: u8 = 3;
/// Rounds further apart than this many seconds are no circle.
const WINDOW_SECONDS: i64 = 60;

#[derive(Serialize, Deserialize)]
struct Rounds {
    #[serde(rename = "n")]
    count: u8,
    #[serde(rename = "t")]
    last: Timestamp,
}

/// How many logins of this browser have just come to nothing.
fn count(call: &Call<'_>) -> u8 {
    let names = call.snapshot.policy.cookies(call.origin);
    let Found::One(value) = cookie::find(call.request.headers, names.rounds()) else {
        return 0;
    };
    let opened = std::str::from_utf8(value).ok().and_then(|text| {
        call.snapshot
            .keys
            .open_text(Purpose::Rounds, context(call).as_bytes(), text)
            .ok()
    });
    match opened.and_then(|bytes| serde_json::from_slice::<Rounds>(&bytes).ok()) {
        Some(rounds) if call.now.0.saturating_sub(rounds.last.0) < WINDOW_SECONDS => rounds.count,
        _ => 0,
    }
}

/// Whether another login would only go round once more.
pub fn is_circle(call: &Call<'_>) -> bool {
    count(call) >= ROUNDS_MAX
}

/// `Set-Cookie` with one round more.
pub fn one_more(call: &Call<'_>) -> String {
    let rounds = Rounds {
        count: count(call).saturating_add(1),
        last: call.now,
    };
    let plain = serde_json::to_vec(&rounds).unwrap_or_default();
    let sealed = call.snapshot.keys.seal_text(
        Purpose::Rounds,
        context(call).as_bytes(),
        random::bytes(),
        &plain,
    );
    call.snapshot
        .policy
        .cookies(call.origin)
        .set_rounds(&sealed, WINDOW_SECONDS)
}

fn context(call: &Call<'_>) -> String {
    call.origin.to_string()
}
