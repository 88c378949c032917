//! Tests of the metrics as a scraper reads them.

use super::*;

fn metrics() -> Metrics {
    Metrics::new(&["corp".to_owned(), "partner".to_owned()])
}

/// Checks that the text has exactly this sample.
fn check(metrics: &Metrics, sample: &str) {
    let text = metrics.encode();
    assert!(
        text.lines().any(|line| line == sample),
        "no `{sample}` in\n{text}"
    );
}

#[test]
fn the_hot_counters_are_there_from_the_start() {
    let metrics = metrics();
    for outcome in ["forwarded", "login", "refused", "own", "error"] {
        check(
            &metrics,
            &format!("vestibule_requests_total{{outcome=\"{outcome}\"}} 0"),
        );
    }
    check(&metrics, "vestibule_request_duration_seconds_count 0");
    check(&metrics, "vestibule_idp_metadata_stale{idp=\"corp\"} 0");
    check(
        &metrics,
        "vestibule_config_reloads_total{outcome=\"refused\"} 0",
    );
    check(
        &metrics,
        "vestibule_upstream_errors_total{kind=\"timeout\"} 0",
    );
    check(&metrics, "vestibule_store_errors_total 0");
    check(&metrics, "vestibule_store_swept_total 0");
    check(&metrics, "vestibule_streams_closed_total 0");
}

#[test]
fn each_outcome_counts_for_itself() {
    let metrics = metrics();
    for (times, outcome) in RequestOutcome::ALL.iter().enumerate() {
        for _ in 0..=times {
            metrics.clone().request(*outcome, Duration::ZERO);
        }
    }
    for (times, outcome) in RequestOutcome::ALL.iter().enumerate() {
        let outcome = outcome.as_str();
        let sample = format!(
            "vestibule_requests_total{{outcome=\"{outcome}\"}} {}",
            times + 1
        );
        check(&metrics, &sample);
    }
}

#[test]
fn durations_fall_into_cumulative_buckets() {
    let metrics = metrics();
    for micros in [500, 501, 3_000_000, 100_000_000] {
        metrics.request(RequestOutcome::Own, Duration::from_micros(micros));
    }
    check(
        &metrics,
        "vestibule_request_duration_seconds_bucket{le=\"0.0005\"} 1",
    );
    check(
        &metrics,
        "vestibule_request_duration_seconds_bucket{le=\"0.001\"} 2",
    );
    check(
        &metrics,
        "vestibule_request_duration_seconds_bucket{le=\"2.5\"} 2",
    );
    check(
        &metrics,
        "vestibule_request_duration_seconds_bucket{le=\"10.0\"} 3",
    );
    check(
        &metrics,
        "vestibule_request_duration_seconds_bucket{le=\"60.0\"} 3",
    );
    check(
        &metrics,
        "vestibule_request_duration_seconds_bucket{le=\"+Inf\"} 4",
    );
    check(&metrics, "vestibule_request_duration_seconds_count 4");
    check(
        &metrics,
        "vestibule_request_duration_seconds_sum 103.001001",
    );
}

#[test]
fn the_rest_is_counted_under_its_labels() {
    let metrics = metrics();
    metrics.login("corp", LoginOutcome::Invalid);
    check(
        &metrics,
        "vestibule_logins_total{idp=\"corp\",outcome=\"invalid\"} 1",
    );
    metrics.tokens_issued("refresh_token");
    check(
        &metrics,
        "vestibule_tokens_issued_total{grant_type=\"refresh_token\"} 1",
    );
    metrics.client_refused("invalid_client");
    check(
        &metrics,
        "vestibule_clients_refused_total{code=\"invalid_client\"} 1",
    );
    metrics.config_reload(ReloadOutcome::Refused);
    check(
        &metrics,
        "vestibule_config_reloads_total{outcome=\"refused\"} 1",
    );
    metrics.sessions_cached(7);
    check(&metrics, "vestibule_sessions_cached 7");
    metrics.store_error();
    check(&metrics, "vestibule_store_errors_total 1");
    metrics.upstream_error(UpstreamErrorKind::Tls);
    check(&metrics, "vestibule_upstream_errors_total{kind=\"tls\"} 1");
    metrics.tls_certificate_expiry("0.0.0.0:8443", Timestamp(1_800_000_000));
    check(
        &metrics,
        "vestibule_tls_certificate_expiry_seconds{listener=\"0.0.0.0:8443\"} 1800000000",
    );
}

#[test]
fn staleness_is_shown_and_taken_back() {
    let metrics = metrics();
    metrics.idp_metadata("partner", Freshness::Stale);
    check(&metrics, "vestibule_idp_metadata_stale{idp=\"partner\"} 1");
    metrics.idp_metadata("partner", Freshness::Fresh);
    check(&metrics, "vestibule_idp_metadata_stale{idp=\"partner\"} 0");
}

#[test]
fn names_that_the_settings_do_not_have_make_no_series() {
    let metrics = metrics();
    for n in 0..1000 {
        metrics.login(&format!("invented-{n}"), LoginOutcome::Denied);
    }
    assert!(!metrics.encode().contains("invented"));
    check(
        &metrics,
        "vestibule_logins_total{idp=\"other\",outcome=\"denied\"} 1000",
    );
}

#[test]
fn a_reload_forgets_providers_that_are_gone() {
    let metrics = metrics();
    metrics.idp_metadata("partner", Freshness::Stale);
    metrics.set_identity_providers(&["corp".to_owned(), "new".to_owned()]);
    assert!(!metrics.encode().contains("idp=\"partner\""));
    check(&metrics, "vestibule_idp_metadata_stale{idp=\"new\"} 0");
    metrics.login("partner", LoginOutcome::Succeeded);
    check(
        &metrics,
        "vestibule_logins_total{idp=\"other\",outcome=\"succeeded\"} 1",
    );
}

#[test]
fn a_name_cannot_break_out_of_its_label() {
    let name = "a\"} 1\nforged 2\\".to_owned();
    let metrics = Metrics::new(std::slice::from_ref(&name));
    metrics.login(&name, LoginOutcome::Succeeded);
    assert!(
        !metrics
            .encode()
            .lines()
            .any(|line| line.starts_with("forged"))
    );
}

#[test]
fn every_metric_has_a_type_and_the_text_its_end() {
    let text = metrics().encode();
    for line in [
        "# TYPE vestibule_requests counter",
        "# TYPE vestibule_request_duration_seconds histogram",
        "# TYPE vestibule_idp_metadata_stale gauge",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
