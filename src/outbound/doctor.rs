//! Asking a provider whether a login there can work.
//!
//! Owns the checks behind `check --online`: they only read public documents, log nobody in and change
//! nothing. Every finding is a sentence that an operator can act on.

use std::fmt;
use std::time::Duration;

use http::header;

use crate::clock::Timestamp;
use crate::jose::KeySet;
use crate::oidc::excerpt::Excerpt;
use crate::oidc::metadata::METADATA_SIZE_MAX;
use crate::oidc::metadata::MetadataError;
use crate::oidc::metadata::ProviderMetadata;
use crate::outbound::http_client::Answer;
use crate::outbound::http_client::Request;
use crate::outbound::http_date;
use crate::outbound::identity_provider::IdentityProvider;
use crate::outbound::identity_provider::check_loopback;
use crate::outbound::identity_provider::discovery_url;
use crate::outbound::identity_provider::fetch_keys;
use crate::relying_party::Pkce;

/// A difference of clocks that is worth a word: token checks forgive 60 seconds.
const SKEW_WARNED: Duration = Duration::from_secs(10);

/// A difference of clocks with which every ID token is refused.
const SKEW_FATAL: Duration = Duration::from_secs(60);

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Fine,
    /// Logins can work, but something is missing.
    Warning,
    /// Logins fail.
    Failure,
}

/// One check of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `discovery`, `issuer`, `metadata`, `keys`, `client_auth`, `pkce`, `scopes`,
    /// `end_session` or `clock`.
    pub check: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            Outcome::Fine => "ok",
            Outcome::Warning => "warning",
            Outcome::Failure => "failure",
        };
        write!(f, "{word}: {}: {}", self.check, self.message)
    }
}

/// The findings so far.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, check: &'static str, outcome: Outcome, message: impl fmt::Display) {
        self.0.push(Finding {
            check,
            outcome,
            message: message.to_string(),
        });
    }

    fn fine(&mut self, check: &'static str, message: impl fmt::Display) {
        self.add(check, Outcome::Fine, message);
    }

    fn warn(&mut self, check: &'static str, message: impl fmt::Display) {
        self.add(check, Outcome::Warning, message);
    }

    fn fail(&mut self, check: &'static str, message: impl fmt::Display) {
        self.add(check, Outcome::Failure, message);
    }
}

impl IdentityProvider {
    /// Asks the provider and reports, in the order of a login. What builds on a failed check is left
    /// out.
    pub async fn examine(&self, now: Timestamp) -> Vec<Finding> {
        let mut report = Report::default();
        if let Some(metadata) = self.examine_discovery(&mut report, now).await {
            self.examine_keys(&mut report, &metadata).await;
            self.examine_metadata(&mut report, &metadata);
        }
        report.0
    }

    async fn examine_discovery(
        &self,
        report: &mut Report,
        now: Timestamp,
    ) -> Option<ProviderMetadata> {
        let by_hand = self.settings.endpoints.to_metadata();
        if self.settings.endpoints.suffice() {
            report.fine(
                "discovery",
                "not used: the endpoints are in the configuration",
            );
            return ProviderMetadata::from_endpoints(&self.settings.issuer, by_hand)
                .map_err(|error| report.fail("metadata", error))
                .ok();
        }
        let url = discovery_url(&self.settings.issuer)
            .map_err(|error| report.fail("discovery", error))
            .ok()?;
        let request = Request {
            body_bytes_max: METADATA_SIZE_MAX,
            ..Request::get(&url)
        };
        let answer = self.client.send(request).await;
        let answer = answer
            .map_err(|error| report.fail("discovery", format_args!("`{url}`: {error}")))
            .ok()?;
        examine_clock(report, &answer, now);
        let body = answer
            .ok()
            .map_err(|error| report.fail("discovery", format_args!("`{url}`: {error}")))
            .ok()?;
        report.fine("discovery", format_args!("`{url}` answers"));
        let metadata = match ProviderMetadata::parse_with(body, &self.settings.issuer, &by_hand) {
            Ok(metadata) => metadata,
            Err(error) => {
                let is_issuer = matches!(error, MetadataError::IssuerMismatch { .. });
                report.fail(if is_issuer { "issuer" } else { "metadata" }, error);
                return None;
            }
        };
        report.fine(
            "issuer",
            format_args!("{} as configured", Excerpt(&metadata.issuer)),
        );
        check_loopback(&self.settings, &url, &metadata)
            .map_err(|error| report.fail("metadata", error))
            .ok()?;
        Some(metadata)
    }

    async fn examine_keys(&self, report: &mut Report, metadata: &ProviderMetadata) {
        match fetch_keys(&metadata.jwks_uri, &self.client).await {
            Err(error) => report.fail("keys", error),
            Ok(keys) if !has_fitting_key(&keys, &self.settings.id_token_algorithms) => {
                report.fail("keys", "no key fits `id_token_algorithms`");
            }
            Ok(keys) => {
                for dropped in keys.dropped() {
                    report.warn("keys", dropped);
                }
                report.fine("keys", format_args!("{} usable", keys.keys().len()));
            }
        }
    }

    fn examine_metadata(&self, report: &mut Report, metadata: &ProviderMetadata) {
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        match self.credentials.method(metadata) {
            Err(error) => report.fail("client_auth", error),
            Ok(method) if methods.is_some() && !method.is_advertised(methods) => report.warn(
                "client_auth",
                format_args!("`{method}` is configured, but the provider does not advertise it"),
            ),
            Ok(method) => report.fine("client_auth", format_args!("`{method}`")),
        }
        match (self.settings.pkce, metadata.require_s256()) {
            (Pkce::Off, _) => report.warn("pkce", "turned off in the configuration"),
            (Pkce::Required, Err(error)) => report.fail("pkce", error),
            (Pkce::Auto, Err(error)) => report.warn("pkce", error),
            (_, Ok(())) if metadata.code_challenge_methods_supported.is_some() => {
                report.fine("pkce", "`S256` is advertised");
            }
            (Pkce::Auto, Ok(())) => {
                report.warn(
                    "pkce",
                    "the provider does not advertise `S256`, so it is not used",
                );
            }
            (Pkce::Required, Ok(())) => {
                report.warn(
                    "pkce",
                    "the provider does not say whether it supports `S256`",
                );
            }
        }
        let supported = metadata.scopes_supported.as_deref();
        let unknown: Vec<&String> = (self.settings.scopes.iter())
            .filter(|scope| supported.is_some_and(|list| !list.contains(scope)))
            .collect();
        for scope in &unknown {
            report.warn(
                "scopes",
                format_args!("the provider does not name {}", Excerpt(scope)),
            );
        }
        if unknown.is_empty() {
            report.fine("scopes", self.settings.scopes.join(" "));
        }
        match &metadata.end_session_endpoint {
            Some(_) => report.fine("end_session", "there is an `end_session_endpoint`"),
            None => report.warn(
                "end_session",
                "there is no `end_session_endpoint`: a sign-out ends the session here only",
            ),
        }
    }
}

/// Whether a published key can sign an ID token, or none has to.
fn has_fitting_key(keys: &KeySet, algorithms: &[String]) -> bool {
    let is_listed = |name: &str| algorithms.iter().any(|own| own == name);
    algorithms.is_empty()
        || algorithms.iter().all(|name| name.starts_with("HS"))
        || (keys.keys().iter()).any(|key| {
            key.algorithms()
                .any(|algorithm| is_listed(algorithm.as_str()))
        })
}

fn examine_clock(report: &mut Report, answer: &Answer, now: Timestamp) {
    let date = answer.headers.get(header::DATE);
    let Some(date) = date.and_then(|value| http_date::parse(value.to_str().ok()?)) else {
        report.warn(
            "clock",
            "the provider sends no `Date` to compare the clocks by",
        );
        return;
    };
    let difference = now.since(date).max(date.since(now));
    let seconds = difference.as_secs();
    if difference >= SKEW_FATAL {
        report.fail(
            "clock",
            format_args!("the clocks differ by {seconds} s, tokens are refused"),
        );
    } else if difference >= SKEW_WARNED {
        report.warn("clock", format_args!("the clocks differ by {seconds} s"));
    } else {
        report.fine("clock", format_args!("the clocks differ by {seconds} s"));
    }
}

#[cfg(test)]
mod tests;
