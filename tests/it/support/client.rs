//! A client that behaves like a browser: a cookie jar, redirects, the headers of a navigation.
//!
//! Every name leads to 127.0.0.1. An https address is reached through the gateway's plain port, as if
//! something in front had ended TLS. Error pages of the gateway are searched for secrets (INV5).

use url::Url;

use super::raw::Raw;
use super::raw::Response;
use super::secrets::Secrets;

/// More redirects than any login needs: the loop breaker of the gateway must act before.
const REDIRECTS_MAX: usize = 20;

/// A request as a browser would describe it. The address is sent byte for byte.
#[derive(Clone)]
pub struct Call {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Call {
    /// A request with no headers of its own.
    pub fn bare(method: &str, url: &str) -> Self {
        let (method, url) = (method.to_owned(), url.to_owned());
        Self {
            method,
            url,
            headers: Vec::new(),
            body: None,
        }
    }

    /// A user who goes to an address.
    pub fn navigate(url: &str) -> Self {
        Self::bare("GET", url)
            .header("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
    }

    /// A script on the page that calls its server.
    pub fn script(url: &str) -> Self {
        Self::bare("GET", url)
            .header("Accept", "application/json")
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Site", "same-origin")
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another body.
    pub fn body(mut self, bytes: &[u8]) -> Self {
        self.body = Some(bytes.to_vec());
        self
    }

    /// As a POST of this form.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.method = "POST".to_owned();
        self.body = Some(form.finish().into_bytes());
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }
}

/// A cookie in the jar.
#[derive(Clone, Debug, PartialEq)]
pub struct Cookie {
    pub host: String,
    pub path: String,
    pub name: String,
    pub value: String,
}

/// A browser.
#[derive(Clone)]
pub struct Browser {
    pub jar: Vec<Cookie>,
    gateway_port: u16,
    secrets: Secrets,
}

impl Browser {
    /// A browser without cookies.
    pub fn new(gateway_port: u16, secrets: &Secrets) -> Self {
        Self {
            jar: Vec::new(),
            gateway_port,
            secrets: secrets.clone(),
        }
    }

    /// Sends one request and keeps its cookies; follows nothing.
    #[track_caller]
    pub fn send(&mut self, call: &Call) -> Response {
        let (scheme, host, target) = split(&call.url);
        let name = host.split(':').next().unwrap_or_default().to_owned();
        let port = host
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let port = if scheme == "https" {
            self.gateway_port
        } else {
            port.unwrap_or(80)
        };
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: {host}\r\n", call.method);
        for (name, value) in &call.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let path = target.split('?').next().unwrap_or_default();
        let cookies = self
            .jar
            .iter()
            .filter(|cookie| cookie.host == name && path.starts_with(cookie.path.as_str()));
        let cookies: Vec<_> = cookies.map(|c| format!("{}={}", c.name, c.value)).collect();
        if !cookies.is_empty() {
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        if let Some(body) = &call.body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (head + "Connection: close\r\n\r\n").into_bytes();
        bytes.extend(call.body.iter().flatten());
        let mut raw = Raw::connect(port);
        raw.send(bytes);
        let response = raw.response(&call.method);
        let mut response = response.unwrap_or_else(|| panic!("no answer from {}", call.url));
        response.url.clone_from(&call.url);
        for line in response.all("set-cookie") {
            self.keep(&name, line);
        }
        if response.status >= 400 {
            self.secrets
                .assert_absent("an error page", &response.text());
        }
        response
    }

    /// Goes to an address; follows nothing.
    #[track_caller]
    pub fn get(&mut self, url: &str) -> Response {
        self.send(&Call::navigate(url).header("Sec-Fetch-Site", "none"))
    }

    /// Follows redirects until there is a page.
    #[track_caller]
    pub fn follow(&mut self, mut response: Response) -> Response {
        for _ in 0..REDIRECTS_MAX {
            if !is_redirect(&response) {
                return response;
            }
            response = self.step(&response);
        }
        panic!(
            "redirects without end; the last one leads to {}",
            location(&response)
        );
    }

    /// Follows one redirect.
    #[track_caller]
    pub fn step(&mut self, response: &Response) -> Response {
        let next = location(response);
        let site = if origin(&next) == origin(&response.url) {
            "same-origin"
        } else {
            "cross-site"
        };
        self.send(&Call::navigate(&next).header("Sec-Fetch-Site", site))
    }

    /// Goes to an address and through the login it leads to.
    #[track_caller]
    pub fn login(&mut self, url: &str) -> Response {
        let first = self.get(url);
        self.follow(first)
    }

    /// Starts a login and gives the authorization request the gateway makes of it.
    #[track_caller]
    pub fn authorization_url(&mut self, url: &str) -> String {
        let mut response = self.get(url);
        for _ in 0..REDIRECTS_MAX {
            assert!(
                is_redirect(&response),
                "no login: {} {}",
                response.status,
                response.text()
            );
            let next = location(&response);
            if next.contains("/authorize?") {
                return next;
            }
            response = self.step(&response);
        }
        panic!("no authorization request");
    }

    /// Goes through a login up to the provider's answer and gives its address, not visited yet.
    #[track_caller]
    pub fn callback_url(&mut self, url: &str) -> String {
        let request = self.authorization_url(url);
        let answer = self.get(&request);
        assert!(
            is_redirect(&answer),
            "the provider refused: {}",
            answer.text()
        );
        location(&answer)
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar
            .iter()
            .find(|cookie| cookie.name == name)
            .map(|cookie| cookie.value.clone())
    }

    /// The cookies of logins under way.
    pub fn flow_cookies(&self) -> Vec<&Cookie> {
        self.jar
            .iter()
            .filter(|cookie| cookie.name.contains("vestibule-flow-"))
            .collect()
    }

    /// Puts a cookie for `/` of a host into the jar.
    pub fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        self.forget(name);
        let (host, name, value) = (host.to_owned(), name.to_owned(), value.to_owned());
        self.jar.push(Cookie {
            host,
            path: "/".to_owned(),
            name,
            value,
        });
    }

    /// Drops a cookie.
    pub fn forget(&mut self, name: &str) {
        self.jar.retain(|cookie| cookie.name != name);
    }

    fn keep(&mut self, host: &str, line: &str) {
        let cookie = set_cookie(line);
        let attribute = |name: &str| {
            let found = cookie
                .attributes
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let path = attribute("path")
            .filter(|p| p.starts_with('/'))
            .unwrap_or("/".to_owned());
        self.jar
            .retain(|c| !(c.host == host && c.name == cookie.name && c.path == path));
        let is_deletion = attribute("max-age").is_some_and(|age| age.starts_with(['0', '-']));
        if !is_deletion {
            if cookie.name.contains("vestibule") {
                self.secrets.note(&cookie.value);
            }
            let (name, value) = (cookie.name, cookie.value);
            self.jar.push(Cookie {
                host: host.to_owned(),
                path,
                name,
                value,
            });
        }
    }
}

/// A parsed `Set-Cookie` line.
pub struct SetCookie {
    pub name: String,
    pub value: String,
    pub attributes: Vec<(String, String)>,
}

impl SetCookie {
    /// Whether an attribute is there, with this value; flags have an empty one.
    pub fn has(&self, name: &str, value: &str) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|(n, v)| n.eq_ignore_ascii_case(name) && v.eq_ignore_ascii_case(value))
    }
}

/// Takes a `Set-Cookie` line apart.
pub fn set_cookie(line: &str) -> SetCookie {
    let mut parts = line.split(';').map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    });
    let (name, value) = parts.next().unwrap_or_default();
    SetCookie {
        name,
        value,
        attributes: parts.collect(),
    }
}

/// The `Set-Cookie` lines of an answer for cookies whose name contains `part`.
pub fn cookies_set(response: &Response, part: &str) -> Vec<SetCookie> {
    let all = response.all("set-cookie").into_iter().map(set_cookie);
    all.filter(|cookie| cookie.name.contains(part)).collect()
}

/// Whether an answer sends the browser elsewhere.
pub fn is_redirect(response: &Response) -> bool {
    matches!(response.status, 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, as an absolute address.
#[track_caller]
pub fn location(response: &Response) -> String {
    let [target] = response.all("location")[..] else {
        panic!("not one Location: {:?}", response.headers);
    };
    if target.starts_with("http://") || target.starts_with("https://") {
        return target.to_owned();
    }
    // A path is kept byte for byte; what a browser would read otherwise goes through its parser.
    if target.starts_with('/') && !target[1..].starts_with(['/', '\\']) {
        return format!("{}{target}", origin(&response.url));
    }
    let base = Url::parse(&response.url).expect("the page has an address");
    base.join(target)
        .map(String::from)
        .unwrap_or_else(|_| target.to_owned())
}

/// `scheme://host[:port]` of an address.
pub fn origin(url: &str) -> String {
    let (scheme, host, _) = split(url);
    format!("{scheme}://{host}")
}

/// The parameters of an address.
pub fn query(url: &str) -> Vec<(String, String)> {
    super::http_server::pairs(url.split_once('?').map_or("", |(_, query)| query))
}

fn split(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url
        .split_once("://")
        .unwrap_or_else(|| panic!("no address: {url}"));
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let target = if rest[at..].is_empty() {
        "/"
    } else {
        &rest[at..]
    };
    (scheme, &rest[..at], target)
}
