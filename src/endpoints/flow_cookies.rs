//! The cookies of logins under way, and the `state` that belongs to each.
//!
//! One cookie per flow, so that any number of tabs can log in at once. `state` is sealed too and says
//! where the login was going: a callback that comes too late, or a second time, still ends on the right
//! page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::random;
use crate::relying_party::FLOW_LIFETIME;
use crate::relying_party::FLOWS_MAX;
use crate::relying_party::Flow;
use crate::session::Purpose;
use crate::session::ReturnTo;
use crate::session::cookie;
use crate::session::cookie::Found;

/// All flow cookies together stay below this, since browsers send them with every request and apps
/// stop at 8 to 16 KiB of headers.
const COOKIES_BYTES_MAX: usize = 12 * 1024;
/// A longer return place is left out of `state`: some identity providers cap it.
const STATE_RETURN_TO_BYTES_MAX: usize = 256;

/// What `state` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The id of the flow, in the name of its cookie.
    #[serde(rename = "i")]
    pub flow_id: String,
    /// The identity provider.
    #[serde(rename = "p")]
    pub identity_provider: String,
    /// Where the login was going; empty: too long to be kept here.
    #[serde(rename = "r")]
    return_to: String,
    /// When it began.
    #[serde(rename = "t")]
    started_at: Timestamp,
}

impl State {
    /// The state of a new flow.
    pub fn new(identity_provider: &str, return_to: &ReturnTo, now: Timestamp) -> Self {
        let place = return_to.as_str();
        Self {
            flow_id: URL_SAFE_NO_PAD.encode(random::bytes::<9>()),
            identity_provider: identity_provider.to_owned(),
            return_to: if place.len() <= STATE_RETURN_TO_BYTES_MAX {
                place
            } else {
                "/"
            }
            .to_owned(),
            started_at: now,
        }
    }

    /// Seals it for the identity provider to carry.
    pub fn seal(&self, call: &Call<'_>) -> String {
        let plain = serde_json::to_vec(self).unwrap_or_default();
        let context = call.origin.to_string();
        call.snapshot
            .keys
            .seal_text(Purpose::State, context.as_bytes(), random::bytes(), &plain)
    }

    /// Reads what came back. None: it was not made here, or for another origin, or by a key that has
    /// left.
    pub fn open(call: &Call<'_>, text: &str) -> Option<Self> {
        let context = call.origin.to_string();
        let plain = call
            .snapshot
            .keys
            .open_text(Purpose::State, context.as_bytes(), text)
            .ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// Where the login was going.
    pub fn return_to(&self) -> ReturnTo {
        ReturnTo::of_sealed(self.return_to.clone())
    }

    /// Whether the login took too long.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.started_at.after(FLOW_LIFETIME)
    }
}

/// What became of a flow's cookie.
pub enum FlowCookie {
    /// The browser does not have it.
    Missing,
    /// It cannot be opened any more.
    Unreadable,
    /// The flow.
    Found(Box<Flow>),
}

/// Reads the cookie of one flow.
pub fn read(call: &Call<'_>, flow_id: &str) -> FlowCookie {
    let names = call.snapshot.policy.cookies(call.origin);
    match cookie::find(call.request.headers, &names.flow(flow_id)) {
        Found::None => FlowCookie::Missing,
        Found::Several => FlowCookie::Unreadable,
        Found::One(value) => match open(call, flow_id, value) {
            Some(flow) => FlowCookie::Found(Box::new(flow)),
            None => FlowCookie::Unreadable,
        },
    }
}

/// `Set-Cookie` lines for a new flow: its own, and the end of those that make room for it.
pub fn write(call: &Call<'_>, flow_id: &str, flow: &Flow) -> Vec<String> {
    let names = call.snapshot.policy.cookies(call.origin);
    let plain = serde_json::to_vec(flow).unwrap_or_default();
    let sealed = call.snapshot.keys.seal_text(
        Purpose::Flow,
        context(call, flow_id).as_bytes(),
        random::bytes(),
        &plain,
    );
    let lifetime = i64::try_from(FLOW_LIFETIME.as_secs()).unwrap_or(0);
    let mut cookies = vec![names.set_flow(flow_id, &sealed, lifetime)];

    // The newest stay. What cannot be opened is as old as time.
    let mut others: Vec<(Timestamp, String, usize)> = under_way(call)
        .map(|(id, value)| {
            let started_at = open(call, id, value)
                .map(|flow| flow.started_at)
                .unwrap_or_default();
            (started_at, id.to_owned(), value.len())
        })
        .collect();
    others.sort_unstable_by(|one, other| other.cmp(one));
    let mut bytes = sealed.len();
    for (index, (_, id, len)) in others.iter().enumerate() {
        bytes += len;
        if index + 1 >= FLOWS_MAX || bytes > COOKIES_BYTES_MAX {
            cookies.push(names.end_flow(id));
        }
    }
    cookies
}

/// `Set-Cookie` lines that end all logins under way.
pub fn end_all(call: &Call<'_>) -> Vec<String> {
    let names = call.snapshot.policy.cookies(call.origin);
    under_way(call).map(|(id, _)| names.end_flow(id)).collect()
}

fn under_way<'a>(call: &'a Call<'_>) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    let names = call.snapshot.policy.cookies(call.origin);
    cookie::pairs(call.request.headers).filter_map(move |(name, value)| {
        let id = names.flow_id(std::str::from_utf8(name).ok()?)?;
        // The name is written into `Set-Cookie`.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        id.bytes().all(is_plain).then_some((id, value))
    })
}

fn open(call: &Call<'_>, flow_id: &str, value: &[u8]) -> Option<Flow> {
    let text = std::str::from_utf8(value).ok()?;
    let plain = call
        .snapshot
        .keys
        .open_text(Purpose::Flow, context(call, flow_id).as_bytes(), text)
        .ok()?;
    serde_json::from_slice(&plain).ok()
}

fn context(call: &Call<'_>, flow_id: &str) -> String {
    format!("{} {flow_id}", call.origin)
}
