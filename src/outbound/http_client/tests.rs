//! Tests of the limits on an exchange.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::outbound::test_server::Reply;
use crate::outbound::test_server::TestServer;
use crate::outbound::test_server::client;
use crate::outbound::test_server::install_crypto_provider;

async fn send(server: &TestServer, client: &HttpClient) -> Result<Answer, OutboundError> {
    client.send(Request::get(&server.url("/a"))).await
}

/// The error of an exchange in which the server makes `reply`.
async fn refused(reply: Reply) -> OutboundError {
    let server = TestServer::start(move |_| reply.clone()).await;
    send(&server, &client()).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_comes_with_its_body() {
    let server = TestServer::start(|_| Reply::json("{}")).await;
    let answer = send(&server, &client()).await.unwrap();
    assert_eq!(answer.json().unwrap(), b"{}");
    let seen = server.seen();
    assert_eq!(seen[0].header("user-agent"), Some("vestibule"));
    assert_eq!(seen[0].header("accept"), Some("application/json"));
    // Nothing compressed is asked for, so nothing small grows large here.
    assert_eq!(seen[0].header("accept-encoding"), None);
}

#[tokio::test]
async fn names_below_localhost_lead_to_this_machine() {
    let server = TestServer::start(|_| Reply::json("{}")).await;
    let mut url = server.url("/a");
    url.set_host(Some("no-such-name.localhost")).unwrap();
    let answer = client().send(Request::get(&url)).await.unwrap();
    assert_eq!(answer.json().unwrap(), b"{}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server =
            TestServer::start(move |_| Reply::status(status).with_header("Location", "/b")).await;
        let error = send(&server, &client()).await.unwrap_err();
        assert_eq!(error, OutboundError::Redirected(status));
        assert_eq!(server.count("/b"), 0);
    }
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let body = "x".repeat(BODY_BYTES_MAX);
    let server = TestServer::start({
        let body = body.clone();
        move |_| Reply::json(&body)
    })
    .await;
    assert_eq!(
        send(&server, &client()).await.unwrap().body.expose().len(),
        BODY_BYTES_MAX
    );
    let error = refused(Reply::json(format!("{body}x"))).await;
    assert_eq!(
        error,
        OutboundError::TooLarge {
            bytes_max: BODY_BYTES_MAX
        }
    );
}

#[tokio::test]
async fn a_silent_peer_meets_the_deadline() {
    install_crypto_provider();
    for reply in [Reply::Hang, Reply::HangInBody] {
        let server = TestServer::start(move |_| reply.clone()).await;
        let client = HttpClient::with_deadline(None, Duration::from_millis(100)).unwrap();
        assert_eq!(
            send(&server, &client).await.unwrap_err(),
            OutboundError::TimedOut
        );
    }
}

#[tokio::test]
async fn a_request_is_sent_once() {
    let server = TestServer::start(|_| Reply::Close).await;
    let error = send(&server, &client()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable(_)), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_reason_names_no_address() {
    let url = Url::parse("http://127.0.0.1:1/?code=marker").unwrap();
    let error = client().send(Request::get(&url)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable(_)), "{error}");
    assert!(
        !error.to_string().contains("marker") && error.is_unreachable(),
        "{error}"
    );
}

#[tokio::test]
async fn plain_http_to_another_machine_is_refused() {
    for text in [
        "http://192.0.2.1/",
        "ftp://localhost/",
        "file:///etc/passwd",
    ] {
        let url = Url::parse(text).unwrap();
        let error = client().send(Request::get(&url)).await.unwrap_err();
        assert_eq!(error, OutboundError::ForbiddenUrl, "{text}");
    }
}

#[tokio::test]
async fn only_a_200_with_json_is_json() {
    let json = |reply: Reply| async {
        let server = TestServer::start(move |_| reply.clone()).await;
        let answer = send(&server, &client()).await.unwrap();
        answer.json().map(<[u8]>::to_vec)
    };
    assert!(
        json(Reply::typed(200, "Application/JSON; charset=utf-8", "{}"))
            .await
            .is_ok()
    );
    assert_eq!(
        json(Reply::typed(500, "application/json", "{}")).await,
        Err(OutboundError::Status(500))
    );
    assert_eq!(
        json(Reply::typed(204, "application/json", "")).await,
        Err(OutboundError::Status(204))
    );
    for content_type in ["text/html", "application/jwt", "application/json-seq"] {
        let error = json(Reply::typed(200, content_type, "{}"))
            .await
            .unwrap_err();
        let content_type = Some(content_type.to_owned());
        assert_eq!(error, OutboundError::NotJson { content_type });
    }
    let error = json(Reply::status(200)).await.unwrap_err();
    assert_eq!(error, OutboundError::NotJson { content_type: None });
}

#[test]
fn broken_certificate_authorities_are_refused() {
    install_crypto_provider();
    for pem in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = HttpClient::new(Some(pem)).unwrap_err();
        assert!(
            matches!(
                error,
                OutboundError::CertificateAuthority | OutboundError::SetUp(_)
            ),
            "{error}"
        );
    }
}

/// A server with the certificate `pair` that answers `{}` to whoever accepts it.
async fn tls_server(pair: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Url {
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4_096]).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                           Connection: close\r\nContent-Length: 2\r\n\r\n{}";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    Url::parse(&format!("https://localhost:{port}/")).unwrap()
}

#[tokio::test]
async fn only_the_configured_authority_is_believed() {
    install_crypto_provider();
    let pair = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (own, other) = (pair(), pair());
    let url = tls_server(&own).await;
    let send = |ca: Option<String>| {
        let url = url.clone();
        async move {
            let client = HttpClient::new(ca.as_deref()).unwrap();
            client
                .send(Request::get(&url))
                .await
                .map(|answer| answer.status)
        }
    };
    assert_eq!(send(Some(own.cert.pem())).await, Ok(StatusCode::OK));
    for ca in [Some(other.cert.pem()), None] {
        let error = send(ca).await.unwrap_err();
        let OutboundError::Unreachable(reason) = error else {
            panic!("{error}")
        };
        assert!(reason.contains("certificate"), "{reason}");
    }
}
