//! TLS listeners: which certificate, which protocol, and when files change.

use crate::support::eventually;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::h2_client;
use crate::support::h2_client::HOST;
use crate::support::tls::Authority;
use crate::support::tls::Handshake;
use crate::support::tls::Sni;
use crate::support::tls::handshake;

const LISTENER: &str = "
  - address: '127.0.0.1:{tls_port}'
    tls:
      certificates:
        - {certificate: '{dir}/exact.pem', private_key: '{dir}/exact.key'}
        - {certificate: '{dir}/wild.pem', private_key: '{dir}/wild.key'}
";

const ROUTES: &str = "
  - {from: 'https://secure.localhost:{tls_port}', to: '{echo}', auth: public}
  - {from: '{app}', to: '{echo}', auth: public}
  - {from: 'http://plain.localhost:{tls_port}', to: '{echo}', auth: public}
";

/// One certificate for a host, one for a domain.
fn start() -> (World, Authority) {
    let authority = Authority::new();
    let mut setup = Setup::routes(ROUTES);
    setup.listeners = LISTENER.to_owned();
    for (names, certificate, key) in [
        (&[HOST][..], "exact.pem", "exact.key"),
        (
            &["*.apps.localhost", "apps.localhost"],
            "wild.pem",
            "wild.key",
        ),
    ] {
        let (chain, private_key) = authority.issue(names);
        setup = setup.file(certificate, chain).file(key, private_key);
    }
    (World::with(&setup), authority)
}

fn shake(world: &World, authority: &Authority, host: &str, sni: Sni) -> std::io::Result<Handshake> {
    handshake(world.gateway.tls_port, authority, host, sni, &[])
}

#[test]
fn the_name_a_client_sends_picks_the_certificate() {
    let (world, authority) = start();
    let get = |host, sni| shake(&world, &authority, host, sni);
    let exact = get(HOST, Sni::Sent).expect("the certificate of the host");
    let wild = get("wiki.apps.localhost", Sni::Sent).expect("the certificate of the domain");
    assert_ne!(exact.certificate, wild.certificate);
    let upper = get("WIKI.Apps.localhost", Sni::Sent).expect("names have no case");
    assert_eq!(upper.certificate, wild.certificate);
    let domain = get("apps.localhost", Sni::Sent).expect("the second name");
    assert_eq!(domain.certificate, wild.certificate);
    let first = get(HOST, Sni::Withheld).expect("the first certificate");
    assert_eq!(first.certificate, exact.certificate);
    // What no certificate is for gets one that the client refuses.
    for host in ["deep.wiki.apps.localhost", "elsewhere.localhost"] {
        assert!(get(host, Sni::Sent).is_err(), "{host}");
    }
    assert!(get("wiki.apps.localhost", Sni::Withheld).is_err());
}

#[test]
fn the_protocol_is_agreed_on_by_alpn() {
    let (world, authority) = start();
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["h2"], Some("h2")),
        (&[], None),
    ] {
        let port = world.gateway.tls_port;
        let shaken = handshake(port, &authority, HOST, Sni::Sent, offered).expect("a connection");
        assert_eq!(shaken.protocol.as_deref(), agreed, "{offered:?}");
    }
}

#[test]
fn certificates_are_read_again_when_their_files_change() {
    let (world, authority) = start();
    let get = || {
        shake(&world, &authority, HOST, Sni::Sent)
            .expect("a connection")
            .certificate
    };
    let before = get();
    let write = |name, text: &str| std::fs::write(world.gateway.path(name), text).unwrap();
    let good_key = std::fs::read_to_string(world.gateway.path("exact.key")).unwrap();
    let (chain, key) = authority.issue(&[HOST]);
    write("exact.key", &key);
    world
        .gateway
        .wait_for_log("a certificate cannot be renewed");
    assert_eq!(get(), before, "half of a pair changes nothing");
    assert_ne!(good_key, key);
    write("exact.pem", &chain);
    eventually("the new certificate is used", || get() != before);
    let expiry = format!(
        "vestibule_tls_certificate_expiry_seconds{{listener=\"127.0.0.1:{}\"}}",
        world.gateway.tls_port
    );
    assert!(world.gateway.metric(&expiry) > 1_700_000_000);
}

#[test]
fn a_host_of_plain_http_is_not_there_over_tls() {
    let (world, authority) = start();
    let certificate = authority.certificate();
    let port = world.gateway.tls_port;
    let get = |url: &str| h2_client::get(port, &certificate, url, &[]);
    assert_eq!(get(&format!("https://secure.localhost:{port}/x")), 200);
    assert_eq!(world.echo.requests().len(), 1);
    for url in [
        format!("https://plain.localhost:{port}/x"),
        format!("https://app.localhost:{}/x", world.gateway.port),
        format!("http://plain.localhost:{port}/x"),
    ] {
        let status = get(&url);
        assert!(matches!(status, 400 | 404 | 421), "{url}: {status}");
    }
    assert_eq!(world.echo.requests().len(), 1);
}
