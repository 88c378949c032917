//! Calls in the manner of gRPC: HTTP/2 on both sides, trailers at the end.

use std::sync::Arc;

use crate::support::eventually;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::h2_client;
use crate::support::h2_client::Certificates;
use crate::support::h2_upstream::Call;
use crate::support::h2_upstream::H2Upstream;

fn world(upstream: &H2Upstream) -> (World, Arc<Certificates>) {
    let certificates = Arc::new(h2_client::certificates());
    let routes = format!(
        "
  - {{from: 'https://secure.localhost:{{tls_port}}', to: '{url}', auth: public}}
  - {{from: '{{app}}', to: '{url}', auth: public}}
",
        url = upstream.url()
    );
    let mut setup = Setup::routes(&routes);
    setup.tls = Some(Arc::clone(&certificates));
    (World::with(&setup), certificates)
}

#[test]
fn a_call_keeps_its_trailers() {
    let upstream = H2Upstream::start();
    let (world, certificates) = world(&upstream);
    let authority = format!("secure.localhost:{}", world.gateway.tls_port);
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "5S"),
        ("x-forwarded-user", "admin"),
    ];
    let message = b"\0\0\0\0\x05hello";
    for number in 1..=3 {
        let url = format!("https://{authority}/shop.Orders/Get");
        let port = world.gateway.tls_port;
        let answer = h2_client::post(port, &certificates.authority, &url, &headers, message);
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &message[..]));
        assert_eq!(answer.trailers["grpc-status"], "0");
        assert_eq!(answer.trailers["grpc-message"], "fine");
        let calls = upstream.calls();
        assert_eq!(calls.len(), number);
        let call = &calls[number - 1];
        assert_eq!(call.path, "/shop.Orders/Get");
        assert_eq!(call.body, message);
        assert_eq!(call.authority, authority);
        assert_eq!(call.headers["te"], "trailers");
        assert_eq!(call.headers["grpc-timeout"], "5S");
        assert_eq!(call.headers["x-forwarded-proto"], "https");
        assert!(!call.headers.contains_key("x-forwarded-user"));
    }
}

#[test]
fn a_client_of_http_1_reaches_an_app_that_speaks_http_2() {
    let upstream = H2Upstream::start();
    let (world, _certificates) = world(&upstream);
    let request = "POST /x?y HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello";
    let answer = world.exchange(request).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    let calls = upstream.calls();
    assert_eq!(
        calls[0].authority,
        format!("app.localhost:{}", world.gateway.port)
    );
}

#[test]
fn the_health_of_an_app_that_speaks_http_2_is_asked_for_in_http_2() {
    let upstream = H2Upstream::start();
    let route = format!(
        "\n  - {{from: '{{app}}', to: ['{}'], auth: public, health_check: {{path: /healthz, interval: 1s}}}}\n",
        upstream.url()
    );
    let world = World::with(&Setup::routes(&route));
    let is_check = |call: &Call| call.path == "/healthz";
    eventually("the health is asked for", || {
        upstream
            .calls()
            .iter()
            .filter(|call| is_check(call))
            .count()
            >= 2
    });
    assert_eq!(world.browser().get(&world.app("/x")).status, 200);
}
