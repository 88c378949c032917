//! Requests: which route governs a path, however it is written.

use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;

use http::HeaderMap;
use http::HeaderValue;
use http::header::HOST;
use vestibule::config;
use vestibule::routes::Auth;
use vestibule::routes::Named;
use vestibule::routes::RequestView;
use vestibule::routes::RouteTable;
use vestibule::routes::Target;

/// Everything is open but what lies below `/admin`.
const ROUTES: &str = "
listeners: [{address: '127.0.0.1:8080'}]
identity_providers:
  - {id: corp, issuer: 'https://idp.example', client_id: gateway, client_auth: none}
routes:
  - {from: 'https://app.example', to: 'http://127.0.0.1:1', auth: public}
  - {from: 'https://app.example/public', to: 'http://127.0.0.1:1', auth: public}
  - {from: 'https://app.example/admin', to: 'http://127.0.0.1:1', auth: login, allow: [{any_user: true}]}
  - {from: 'https://*.wild.example', to: 'http://127.0.0.1:1', auth: public}
";

/// Reads `data` as lines: the request target, the host, HTTP/2's `:authority`.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(target) = std::str::from_utf8(lines.next().unwrap_or_default()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    let host = lines.next().unwrap_or(b"app.example");
    if let Ok(host) = HeaderValue::from_bytes(host) {
        headers.insert(HOST, host);
    }
    let authority = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let target = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let client = IpAddr::from([192, 0, 2, 1]);
    let named = authority.map_or(Named::Host, Named::Http2);
    let Ok(request) = RequestView::parse("GET", named, target, &headers, client, None) else {
        return;
    };
    assert_eq!(
        (request.path, request.query),
        target,
        "decided on is what will be sent"
    );
    let host = &request.authority.host;
    assert!(!host.is_empty() && !host.ends_with('.') && !host.contains(['/', '@', ' ', '\t']));
    assert_eq!(**host, *host.to_lowercase());
    let Ok(matched) = table().find(&request) else {
        return;
    };
    let asked = matched.origin.host.as_str();
    assert_eq!(
        asked, &**host,
        "links are built on the host that was asked for"
    );
    assert!(asked == "app.example" || asked.ends_with(".wild.example"));
    if let Target::Route(route) = matched.target
        && route.auth == Auth::Public
        && asked == "app.example"
    {
        for reading in readings(request.path.as_bytes()) {
            let is_admin = reading == "/admin" || reading.starts_with("/admin/");
            assert!(
                !is_admin,
                "`{}` reads as `{reading}` and needs no login",
                request.path
            );
        }
    }
}

/// How apps may read a path, written down independently of the library: unescaped, without
/// parameters, in lower case or not, with dot segments resolved and slashes merged.
fn readings(path: &[u8]) -> Vec<String> {
    let once = unescape(path);
    let mut readings = Vec::new();
    for bytes in [path.to_vec(), once] {
        let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
        // A C program stops at a NUL byte.
        let text = text.split('\0').next().unwrap_or_default().to_owned();
        for text in [text.to_lowercase(), text] {
            for separators in [&[][..], &[';']] {
                readings.push(resolve(&text, separators));
            }
        }
    }
    readings
}

fn resolve(text: &str, separators: &[char]) -> String {
    let mut resolved: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        let segment = segment.split(separators).next().unwrap_or_default();
        match segment.trim_end_matches(' ') {
            "" | "." => (),
            ".." => drop(resolved.pop()),
            // Windows takes trailing dots and spaces off a name.
            segment => resolved.push(segment.trim_end_matches(['.', ' '])),
        }
    }
    format!("/{}", resolved.join("/"))
}

fn unescape(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut unescaped = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                unescaped.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                unescaped.push(*byte);
                at += 1;
            }
        }
    }
    unescaped
}

fn table() -> &'static RouteTable {
    static TABLE: OnceLock<RouteTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        let loaded = config::parse(ROUTES.as_bytes(), "routes", Path::new(""), &|_| None);
        let settings = loaded.expect("the routes are valid").settings;
        RouteTable::new(&settings.routes, &settings.endpoints_prefix, &[])
    })
}
