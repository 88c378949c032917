//! `step_up`: which login an access token must come from.

use std::time::Duration;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::values::Finest;
use crate::routes::Auth;
use crate::routes::StepUp;

/// `step_up` of a route with `auth`.
pub fn settings(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::StepUp>,
    auth: Option<Auth>,
) -> Option<StepUp> {
    let raw = raw?;
    match auth? {
        Auth::Bearer | Auth::Either => {}
        Auth::Login | Auth::Optional => {
            context
                .problem(path, "`step_up` on login routes comes later")
                .help("use it with `auth: bearer`, or remove the key");
            return None;
        }
        Auth::Public | Auth::Deny => {
            context
                .problem(path, "no access token is looked at on this route")
                .help("use it with `auth: bearer`, or remove the key");
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
