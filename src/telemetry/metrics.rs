//! Metrics in the text format of Prometheus.
//!
//! Owns their names, labels and handles. Does not serve them. Invariant: every label value is a word of
//! this file or a name from the settings, so a visitor cannot make a new series.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::clock::Timestamp;
use crate::telemetry::histogram::DurationHistogram;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Stands for every identity provider that the settings do not name.
const OTHER: &str = "other";

/// Makes an enum whose variants are label values.
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All values, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $value,)+ }
            }
        }
    };
}

label_values! {
    /// How a request ended.
    RequestOutcome {
        /// The upstream answered.
        Forwarded = "forwarded",
        /// The caller was sent to the login.
        Login = "login",
        /// The gate refused.
        Refused = "refused",
        /// One of our own endpoints answered.
        Own = "own",
        /// Something failed: upstream, identity provider, store, or ourselves.
        Error = "error",
    }
}

label_values! {
    /// How a login ended.
    LoginOutcome {
        /// A session was made.
        Succeeded = "succeeded",
        /// The identity provider answered with an error.
        Denied = "denied",
        /// A check of ours failed: state, token, claims.
        Invalid = "invalid",
        /// The identity provider or the store could not be reached.
        Unavailable = "unavailable",
    }
}

label_values! {
    /// How the renewal of a session's tokens ended.
    RefreshOutcome {
        /// The session has new tokens.
        Renewed = "renewed",
        /// It did not work; the session is as it was.
        Kept = "kept",
        /// The session has ended.
        Ended = "ended",
    }
}

label_values! {
    /// How a reload of the settings ended.
    ReloadOutcome {
        /// The new settings are in force.
        Applied = "applied",
        /// The file has problems; the old settings stay.
        Refused = "refused",
    }
}

label_values! {
    /// What went wrong with an upstream.
    UpstreamErrorKind {
        /// No connection.
        Connect = "connect",
        /// TLS failed.
        Tls = "tls",
        /// Too slow.
        Timeout = "timeout",
        /// The connection broke.
        Broken = "broken",
        /// The answer is not HTTP.
        Invalid = "invalid",
    }
}

type Labels = Vec<(&'static str, String)>;
type CounterFamily = Family<Labels, Counter>;
type GaugeFamily = Family<Labels, Gauge>;

/// The metrics of the program. Clones are cheap and share their counts.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    /// By [`RequestOutcome`]: found once, so that a request hashes no labels.
    requests: Vec<Counter>,
    request_duration: DurationHistogram,
    logins: CounterFamily,
    refreshes: CounterFamily,
    tokens_issued: CounterFamily,
    clients_refused: CounterFamily,
    idp_metadata_stale: GaugeFamily,
    config_reloads: CounterFamily,
    sessions_cached: Gauge,
    store_errors: Counter,
    store_swept: Counter,
    streams_closed: Counter,
    upstream_errors: Vec<Counter>,
    tls_certificate_expiry: GaugeFamily,
    identity_providers: ArcSwap<BTreeSet<String>>,
}

impl Metrics {
    /// Makes all metrics, at zero, for the identity providers with these ids.
    pub fn new(identity_providers: &[String]) -> Self {
        let mut registry = Registry::with_prefix("vestibule");
        let requests = CounterFamily::default();
        registry.register("requests", "Requests by how they ended", requests.clone());
        let request_duration = DurationHistogram::default();
        registry.register(
            "request_duration_seconds",
            "Time from the first byte of a request to the last of its answer",
            request_duration.clone(),
        );
        let logins = CounterFamily::default();
        registry.register("logins", "Logins by how they ended", logins.clone());
        let refreshes = CounterFamily::default();
        registry.register(
            "refreshes",
            "Renewals of sessions' tokens by how they ended",
            refreshes.clone(),
        );
        let tokens_issued = CounterFamily::default();
        registry.register(
            "tokens_issued",
            "Requests of clients that our own provider answered with tokens",
            tokens_issued.clone(),
        );
        let clients_refused = CounterFamily::default();
        registry.register(
            "clients_refused",
            "Requests of clients that our own provider refused",
            clients_refused.clone(),
        );
        let idp_metadata_stale = GaugeFamily::default();
        registry.register(
            "idp_metadata_stale",
            "1 while metadata or keys of an identity provider could not be refreshed",
            idp_metadata_stale.clone(),
        );
        let config_reloads = CounterFamily::default();
        registry.register(
            "config_reloads",
            "Reloads of the settings",
            config_reloads.clone(),
        );
        let sessions_cached = Gauge::default();
        registry.register(
            "sessions_cached",
            "Sessions held in memory",
            sessions_cached.clone(),
        );
        let store_errors = Counter::default();
        registry.register(
            "store_errors",
            "Failures of the store",
            store_errors.clone(),
        );
        let store_swept = Counter::default();
        registry.register(
            "store_swept",
            "Entries that had ended and were removed from the store",
            store_swept.clone(),
        );
        let streams_closed = Counter::default();
        registry.register(
            "streams_closed",
            "Requests under way that were ended with their session",
            streams_closed.clone(),
        );
        let upstream_errors = CounterFamily::default();
        registry.register(
            "upstream_errors",
            "Failures of upstreams",
            upstream_errors.clone(),
        );
        let tls_certificate_expiry = GaugeFamily::default();
        registry.register(
            "tls_certificate_expiry_seconds",
            "Unix time at which the first certificate of a listener ends",
            tls_certificate_expiry.clone(),
        );
        for outcome in ReloadOutcome::ALL {
            drop(config_reloads.get_or_create(&outcome_label(outcome.as_str())));
        }
        let metrics = Self(Arc::new(Inner {
            registry,
            requests: handles(
                &requests,
                "outcome",
                RequestOutcome::ALL.iter().map(|o| o.as_str()),
            ),
            request_duration,
            logins,
            refreshes,
            tokens_issued,
            clients_refused,
            idp_metadata_stale,
            config_reloads,
            sessions_cached,
            store_errors,
            store_swept,
            streams_closed,
            upstream_errors: handles(
                &upstream_errors,
                "kind",
                UpstreamErrorKind::ALL.iter().map(|kind| kind.as_str()),
            ),
            tls_certificate_expiry,
            identity_providers: ArcSwap::default(),
        }));
        metrics.set_identity_providers(identity_providers);
        metrics
    }

    /// Takes the ids of newly loaded settings; others are counted as `other` from now on.
    pub fn set_identity_providers(&self, ids: &[String]) {
        let ids: BTreeSet<String> = ids.iter().cloned().collect();
        let before = self.0.identity_providers.swap(Arc::new(ids.clone()));
        for gone in before.difference(&ids) {
            // A provider that is gone would stay stale for ever.
            self.0
                .idp_metadata_stale
                .remove(&vec![("idp", label(gone))]);
        }
        for id in &ids {
            drop(
                self.0
                    .idp_metadata_stale
                    .get_or_create(&vec![("idp", label(id))]),
            );
        }
    }

    /// Counts a request that has ended. Two to four relaxed additions; no lock, no allocation.
    pub fn request(&self, outcome: RequestOutcome, duration: Duration) {
        if let Some(counter) = self.0.requests.get(outcome as usize) {
            counter.inc();
        }
        self.0.request_duration.observe(duration);
    }

    /// Counts a login that has ended.
    pub fn login(&self, idp: &str, outcome: LoginOutcome) {
        let labels = vec![
            ("idp", self.idp(idp)),
            ("outcome", outcome.as_str().to_owned()),
        ];
        self.0.logins.get_or_create(&labels).inc();
    }

    /// Counts a renewal of a session's tokens that has ended.
    pub fn refresh(&self, idp: &str, outcome: RefreshOutcome) {
        let labels = vec![
            ("idp", self.idp(idp)),
            ("outcome", outcome.as_str().to_owned()),
        ];
        self.0.refreshes.get_or_create(&labels).inc();
    }

    /// Counts an answer with tokens to a client of our own provider.
    pub fn tokens_issued(&self, grant_type: &'static str) {
        let labels = vec![("grant_type", grant_type.to_owned())];
        self.0.tokens_issued.get_or_create(&labels).inc();
    }

    /// Counts a refusal of a client's request, by the error code it was told.
    pub fn client_refused(&self, code: &'static str) {
        let labels = vec![("code", code.to_owned())];
        self.0.clients_refused.get_or_create(&labels).inc();
    }

    /// Notes whether metadata or keys of an identity provider are older than they should be.
    pub fn idp_metadata(&self, idp: &str, freshness: Freshness) {
        let stale = i64::from(freshness == Freshness::Stale);
        self.0
            .idp_metadata_stale
            .get_or_create(&vec![("idp", self.idp(idp))])
            .set(stale);
    }

    /// Counts a reload of the settings.
    pub fn config_reload(&self, outcome: ReloadOutcome) {
        self.0
            .config_reloads
            .get_or_create(&outcome_label(outcome.as_str()))
            .inc();
    }

    /// Notes how many sessions are held in memory.
    pub fn sessions_cached(&self, count: usize) {
        self.0
            .sessions_cached
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a failure of the store.
    pub fn store_error(&self) {
        self.0.store_errors.inc();
    }

    /// Counts entries that had ended and were removed from the store.
    pub fn store_swept(&self, count: usize) {
        self.0.store_swept.inc_by(count as u64);
    }

    /// Counts a request that was ended with its session.
    pub fn stream_closed(&self) {
        self.0.streams_closed.inc();
    }

    /// Counts a failure of an upstream.
    pub fn upstream_error(&self, kind: UpstreamErrorKind) {
        if let Some(counter) = self.0.upstream_errors.get(kind as usize) {
            counter.inc();
        }
    }

    /// Notes when the first certificate of a listener ends; `listener` is its address in the settings.
    pub fn tls_certificate_expiry(&self, listener: &str, expires_at: Timestamp) {
        let labels = vec![("listener", label(listener))];
        self.0
            .tls_certificate_expiry
            .get_or_create(&labels)
            .set(expires_at.0);
    }

    /// Writes all metrics as text of type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail, and every metric here encodes.
        if text::encode(&mut text, &self.0.registry).is_err() {
            text.clear();
        }
        text
    }

    fn idp(&self, id: &str) -> String {
        if self.0.identity_providers.load().contains(id) {
            label(id)
        } else {
            OTHER.to_owned()
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Whether what we hold of an identity provider is as new as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The last refresh succeeded.
    Fresh,
    /// The last refresh failed; the last good copy is in use.
    Stale,
}

fn outcome_label(outcome: &'static str) -> Labels {
    vec![("outcome", outcome.to_owned())]
}

/// Makes the counters of a family, one per value, at zero from the start.
fn handles(
    family: &CounterFamily,
    name: &'static str,
    values: impl Iterator<Item = &'static str>,
) -> Vec<Counter> {
    values
        .map(|value| family.get_or_create_owned(&vec![(name, value.to_owned())]))
        .collect()
}

/// Takes out of a name what would end the label value: the encoder writes it as it is.
fn label(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '"' | '\\') {
                '_'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
