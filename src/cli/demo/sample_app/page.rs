//! What the sample application shows: who is asking, and every header.

use std::fmt::Write as _;

use super::Request;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// What the gateway says about the user, and how a reader calls it.
const FACTS: [(&str, &str); 5] = [
    ("X-Forwarded-Email", "E-mail address"),
    ("X-Forwarded-Groups", "Groups"),
    ("X-Forwarded-Roles", "Roles"),
    ("X-Forwarded-Identity-Provider", "Signed in with"),
    ("X-Forwarded-Client", "Program"),
];

pub(super) fn html(request: &Request) -> String {
    let rows: String = request
        .headers
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
                escaped(name),
                escaped(value)
            )
        })
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Sample application</title>\n<style>\n{STYLE}</style>\n\
         <main>\n<h1>Hello, <span id=\"user\">{user}</span></h1>\n\
         <p>You asked for <code id=\"target\">{target}</code>. This application has no login of its own; \
         it reads who you are from the headers below.</p>\n\
         {facts}<p><a class=\"button\" href=\"{way_on}\">{way_on_label}</a></p>\n\
         <h2>What the gateway sent</h2>\n\
         <table id=\"headers\">\n{rows}</table>\n</main>\n</html>\n",
        user = escaped(request.user()),
        target = escaped(&request.target),
        facts = facts(request),
        way_on = if request.is_signed_in() {
            "/oauth2/sign_out"
        } else {
            "/oauth2/sign_in"
        },
        way_on_label = if request.is_signed_in() {
            "Sign out"
        } else {
            "Sign in"
        },
    )
}

/// What is known about the user, as a list; nothing where nothing is known.
fn facts(request: &Request) -> String {
    let mut list = String::new();
    for (header, label) in FACTS {
        let Some(value) = request.header(header).filter(|value| !value.is_empty()) else {
            continue;
        };
        list.push_str(&format!("<dt>{label}</dt><dd>"));
        for one in value.split(',') {
            list.push_str(&format!("<span>{}</span> ", escaped(one.trim())));
        }
        list.push_str("</dd>\n");
    }
    match list.as_str() {
        "" => list,
        list => format!("<dl id=\"identity\">\n{list}</dl>\n"),
    }
}

const STYLE: &str = "\
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin: 0 0 .5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .5rem; font-size: 1.125rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1.5rem; margin: 1.5rem 0;
  padding: 1rem; border: 1px solid var(--line); border-radius: .75rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
dd span { display: inline-block; padding: 0 .6rem; border: 1px solid var(--line); border-radius: 1rem; }
.button { display: inline-block; padding: .4rem 1rem; border: 1px solid currentColor; border-radius: .5rem;
  color: inherit; font-weight: 600; text-decoration: none; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; overflow-wrap: anywhere; }
th { width: 38%; font-weight: 600; }
tr { border-top: 1px solid var(--line); }
code { overflow-wrap: anywhere; }
";

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if u32::from(control) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Headers are a list of pairs, not an object: a name that came twice must be seen twice.
pub(super) fn json(request: &Request) -> String {
    let headers: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| format!("[{},{}]", quoted(name), quoted(value)))
        .collect();
    format!(
        "{{\"user\":{},\"method\":{},\"path\":{},\"headers\":[{}]}}\n",
        quoted(request.user()),
        quoted(&request.method),
        quoted(&request.target),
        headers.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Request {
            method: "GET".to_owned(),
            target: "/a?<b>".to_owned(),
            headers: headers.iter().map(own).collect(),
        }
    }

    #[test]
    fn whoever_is_signed_in_is_named_with_groups_and_a_way_out() {
        let page = html(&request(&[
            ("x-forwarded-user", "alice"),
            ("X-Forwarded-Groups", "staff,a%2Cb"),
            ("X-Forwarded-Roles", ""),
        ]));
        assert!(page.contains("Hello, <span id=\"user\">alice</span>"));
        assert!(page.contains("<dt>Groups</dt><dd><span>staff</span> <span>a%2Cb</span> </dd>"));
        assert!(
            !page.contains("<dt>Roles</dt>"),
            "nothing is said of what is not there"
        );
        assert!(page.contains("href=\"/oauth2/sign_out\">Sign out<"));
    }

    #[test]
    fn a_stranger_is_offered_to_sign_in() {
        let page = html(&request(&[("Accept", "text/html")]));
        assert!(page.contains("<span id=\"user\">anonymous</span>"));
        assert!(page.contains("href=\"/oauth2/sign_in\">Sign in<"));
        assert!(!page.contains("sign_out") && !page.contains("<dl"));
    }

    #[test]
    fn whatever_arrives_is_escaped() {
        let hostile = "</td><script>alert('1')</script>\"&";
        let names = FACTS.map(|(name, _)| (name, hostile));
        let headers = [&names[..], &[("X-Forwarded-User", hostile), (hostile, "x")]].concat();
        let page = html(&request(&headers));
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("/a?&lt;b&gt;"), "{page}");
        let read: serde_json::Value =
            serde_json::from_str(&json(&request(&headers))).unwrap_or_default();
        assert_eq!(read["user"], hostile);
        assert_eq!(read["headers"][6][0], hostile);
    }
}
