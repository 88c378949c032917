//! `step_up`: which login an access token or a session must come from.

use std::time::Duration;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::values::Finest;
use crate::routes::Auth;
use crate::routes::StepUp;

/// The longest `acr_values` that a browser is sent away with, in bytes: they lie in the cookie of the
/// login beside the longest address, and browsers take 4096 bytes.
const ACR_VALUES_BYTES_MAX: usize = 256;

/// `step_up` of a route with `auth`.
pub fn settings(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::StepUp>,
    auth: Option<Auth>,
) -> Option<StepUp> {
    let raw = raw?;
    match auth? {
        Auth::Login | Auth::Bearer | Auth::Either => {}
        // It could only tell users with a weak session that they have none.
        Auth::Optional => {
            context
                .problem(
                    path,
                    "this route lets everybody in: nobody is asked for a login",
                )
                .help("write `auth: login`, or remove the key");
            return None;
        }
        Auth::Public | Auth::Deny => {
            context
                .problem(path, "no login is looked at on this route")
                .help("use it with `auth: login` or `auth: bearer`, or remove the key");
            return None;
        }
    }
    let acr_path = path.key("acr_values");
    let age_path = path.key("max_age");
    let is_empty = raw.acr_values.is_none() && raw.max_age.is_none();
    if is_empty && !context.is_wrong(&acr_path) && !context.is_wrong(&age_path) {
        context
            .problem(path, "nothing is asked for here")
            .help("write `acr_values`, `max_age` or both");
    }
    let acr_values = context.some_texts(&acr_path, raw.acr_values);
    for (index, value) in acr_values.iter().enumerate() {
        if !value.trim().is_empty() && !value.chars().any(char::is_control) && !is_acr(value) {
            let message = format!("{} cannot be told to callers", quoted(value));
            context.problem(&acr_path.index(index), message).expected(
                "visible ASCII without spaces, quotes and backslashes, such as `urn:mfa`",
            );
        }
    }
    let bytes = acr_values.join(" ").len();
    if bytes > ACR_VALUES_BYTES_MAX && auth != Some(Auth::Bearer) {
        context.problem(
            &acr_path,
            format!(
                "the values have {bytes} bytes together, expected at most {ACR_VALUES_BYTES_MAX}"
            ),
        );
    }
    let max_age = raw.max_age.map(|text| {
        context.duration(
            &age_path,
            Some(&text),
            Duration::ZERO,
            Finest::Seconds,
            Zero::Refused,
        )
    });
    Some(StepUp {
        acr_values,
        max_age,
    })
}

/// Whether `value` can stand in a quoted string, in a list that is parted by spaces.
fn is_acr(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}
