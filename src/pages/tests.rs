//! Tests of all pages: escaping, overrides, the policy.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod provider;

use std::collections::BTreeMap;

use crate::pages::render::Pages;
use crate::pages::render::TEMPLATE_BYTES_MAX;
use crate::pages::render::TemplateProblem;
use crate::pages::scripted::CarryFragment;
use crate::pages::scripted::Field;
use crate::pages::scripted::Resubmit;
use crate::pages::scripted::ScriptedPage;
use crate::pages::style;
use crate::pages::view::AccountSignIn;
use crate::pages::view::Action;
use crate::pages::view::Chooser;
use crate::pages::view::ConfirmSignOut;
use crate::pages::view::Consent;
use crate::pages::view::EmailForm;
use crate::pages::view::Error;
use crate::pages::view::Forbidden;
use crate::pages::view::ProviderChoice;
use crate::pages::view::SignedOut;

const HOSTILE: &str = "</p><script>alert(1)</script>\"'&";

fn pages() -> Pages {
    Pages::new(&BTreeMap::new()).unwrap()
}

fn with(file: &str, text: &str) -> Result<Pages, TemplateProblem> {
    Pages::new(&BTreeMap::from([(file.to_owned(), text.to_owned())]))
}

/// Renders every page with `value` in every text.
fn all(pages: &Pages, value: &str) -> Vec<String> {
    let value = || value.to_owned();
    vec![
        pages.render(&Chooser {
            host: value(),
            providers: vec![ProviderChoice {
                name: value(),
                url: value(),
            }],
            email_form: Some(EmailForm {
                action_url: value(),
                anti_forgery: value(),
                rd: value(),
                error: Some(value()),
            }),
            request_id: "request-7".to_owned() + &value(),
        }),
        pages.render(&Error {
            status: 502,
            title: value(),
            message: value(),
            what_to_do: value(),
            code: Some(value()),
            idp_message: Some(value()),
            request_id: "request-7".to_owned() + &value(),
            actions: vec![Action {
                label: value(),
                url: value(),
            }],
        }),
        pages.render(&Forbidden {
            who: value(),
            idp: value(),
            reason: value(),
            request_id: "request-7".to_owned() + &value(),
            other_account_url: value(),
            sign_out_url: value(),
        }),
        pages.render(&SignedOut {
            sign_in_url: Some(value()),
            request_id: "request-7".to_owned() + &value(),
        }),
        pages.render(&AccountSignIn {
            host: value(),
            action_url: value(),
            anti_forgery: value(),
            rd: value(),
            username: value(),
            error: Some(value()),
            is_cancellable: true,
            request_id: "request-7".to_owned() + &value(),
        }),
        pages.render(&Consent {
            app: value(),
            place: value(),
            who: value(),
            permissions: vec![value(), value()],
            action_url: value(),
            anti_forgery: value(),
            rd: value(),
            request_id: "request-7".to_owned() + &value(),
        }),
        pages.render(&ConfirmSignOut {
            action_url: value(),
            anti_forgery: value(),
            rd: value(),
            request_id: "request-7".to_owned() + &value(),
        }),
    ]
}

fn signed_out() -> SignedOut {
    SignedOut {
        sign_in_url: Some("/oauth2/sign_in?rd=/a".to_owned()),
        request_id: "r".to_owned(),
    }
}

#[test]
fn html_in_any_value_is_escaped() {
    for html in all(&pages(), HOSTILE) {
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("\"'&"), "{html}");
        assert!(
            html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"),
            "{html}"
        );
    }
}

#[test]
fn every_page_states_the_request_id() {
    for html in all(&pages(), "x") {
        assert!(html.contains("<code>request-7x</code>"), "{html}");
    }
}

#[test]
fn no_page_has_scripts_inline_styles_or_event_handlers() {
    for html in all(&pages(), "x") {
        for tag in html.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap().to_ascii_lowercase();
            assert!(!tag.starts_with("script"), "{tag}");
            assert!(!tag.contains(" style="), "{tag}");
            assert!(
                !tag.split_whitespace().any(|word| word.starts_with("on")),
                "{tag}"
            );
        }
    }
}

#[test]
fn every_page_has_a_language_a_title_and_one_heading() {
    for html in all(&pages(), "x") {
        assert!(html.contains("<html lang=\"en\">"), "{html}");
        assert!(!html.contains("<title></title>"), "{html}");
        assert_eq!(html.matches("<h1>").count(), 1, "{html}");
    }
}

#[test]
fn the_policy_holds_the_hash_of_the_style_of_every_page() {
    let pages = pages();
    for html in all(&pages, HOSTILE) {
        let styles = style::style_texts(&html);
        assert_eq!(styles.len(), 1);
        for text in styles {
            assert!(
                pages
                    .content_security_policy()
                    .contains(&style::source_expression(text))
            );
        }
    }
    assert_eq!(
        pages.content_security_policy().matches("'sha256-").count(),
        1
    );
}

#[test]
fn the_policy_denies_everything_else() {
    let pages = pages();
    let policy = pages.content_security_policy();
    for directive in [
        "default-src 'none';",
        "img-src 'self' data:;",
        "form-action 'self';",
        "base-uri 'none';",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[test]
fn form_targets_are_origins_and_nothing_else() {
    let targets = [
        "https://login.example.com:8443",
        "https://evil.example; script-src *",
        "https://a.example https://b.example",
        "javascript:alert(1)",
        "javascript:",
        "data:",
        "http:",
        "http: *",
        "com.example.field:",
        "com.example.field:; script-src *:",
        "Com.example:",
        ".:",
        "https://",
        "*",
    ]
    .map(str::to_owned);
    let policy = pages().content_security_policy_with_form_targets(&targets);
    assert!(
        policy.contains(
            "form-action 'self' https://login.example.com:8443 http: com.example.field:;"
        ),
        "{policy}"
    );
    assert!(!policy.contains("script-src"), "{policy}");
}

#[test]
fn an_override_is_used_and_its_style_is_allowed() {
    let layout = "<html>\r\n<style>\r\nb { color: red }\r\n</style>\
                  <i>mine</i>{% block content %}{% endblock %}{{ request_id }}</html>";
    let pages = with("layout.html", layout).unwrap();
    let html = pages.render(&signed_out());
    assert!(html.contains("<i>mine</i>"), "{html}");
    // A browser hashes the style with LF, whatever the file had.
    let source = style::source_expression("\nb { color: red }\n");
    assert!(pages.content_security_policy().contains(&source));
}

#[test]
fn an_address_stays_readable_in_its_attribute() {
    let html = pages().render(&signed_out());
    assert!(html.contains("href=\"/oauth2/sign_in?rd=/a\""), "{html}");
}

#[test]
fn a_template_that_does_not_parse_is_refused_with_file_and_line() {
    let problem = with("error.html", "<p>\n<b>\n{% if %}</b>").unwrap_err();
    assert_eq!((problem.file.as_str(), problem.line), ("error.html", 3));
    assert!(
        problem.to_string().starts_with("error.html:3: "),
        "{problem}"
    );
}

#[test]
fn a_misspelt_variable_is_refused_with_file_and_line() {
    let problem = with("forbidden.html", "<p>\n{{ whoo }}</p>").unwrap_err();
    assert_eq!((problem.file.as_str(), problem.line), ("forbidden.html", 2));
    let problem = with("layout.html", "\n\n{{ nothing_here }}").unwrap_err();
    assert_eq!((problem.file.as_str(), problem.line), ("layout.html", 3));
}

#[test]
fn a_template_that_turns_escaping_off_is_refused() {
    let raw = "{% autoescape false %}{{ title }}{% endautoescape %}";
    assert!(
        with("error.html", raw)
            .unwrap_err()
            .message
            .contains("without escaping")
    );
    assert!(
        with("error.html", "\n{{ title|safe }}")
            .unwrap_err()
            .message
            .contains("safe")
    );
}

#[test]
fn a_template_with_a_script_is_refused() {
    assert!(
        with("error.html", "<SCRIPT></SCRIPT>")
            .unwrap_err()
            .message
            .contains("scripts")
    );
}

#[test]
fn a_form_without_its_anti_forgery_field_is_refused() {
    let form = "<form method=\"post\" action=\"{{ action_url }}\"><button>x</button></form>";
    assert!(
        with("confirm_sign_out.html", form)
            .unwrap_err()
            .message
            .contains("`csrf`")
    );
    assert!(with("chooser.html", form).is_err());
    assert!(with("account_sign_in.html", form).is_err());
    assert!(with("consent.html", form).is_err());
}

fn account_sign_in(username: &str, error: Option<&str>) -> String {
    pages().render(&AccountSignIn {
        host: "shop.example".to_owned(),
        action_url: "/oidc/sign_in".to_owned(),
        anti_forgery: "token".to_owned(),
        rd: "/oidc/authorize?x=1".to_owned(),
        username: username.to_owned(),
        error: error.map(str::to_owned),
        is_cancellable: false,
        request_id: "r".to_owned(),
    })
}

/// The opening tag of the input of this name.
fn input<'a>(html: &'a str, name: &str) -> &'a str {
    let tags = html.split("<input ").skip(1);
    tags.map(|tag| tag.split('>').next().unwrap())
        .find(|tag| tag.contains(&format!("name=\"{name}\"")))
        .unwrap()
}

#[test]
fn the_sign_in_form_posts_its_fields_and_is_labelled() {
    let html = account_sign_in("", None);
    assert!(
        html.contains("<form method=\"post\" action=\"/oidc/sign_in\">"),
        "{html}"
    );
    assert!(input(&html, "csrf").contains("value=\"token\""));
    assert!(input(&html, "rd").contains("value=\"/oidc/authorize?x=1\""));
    for (name, kind, autocomplete) in [
        ("username", "text", "username"),
        ("password", "password", "current-password"),
    ] {
        let tag = input(&html, name);
        assert!(tag.contains(&format!("type=\"{kind}\"")), "{tag}");
        assert!(
            tag.contains(&format!("autocomplete=\"{autocomplete}\"")),
            "{tag}"
        );
        assert!(tag.contains(&format!("id=\"{name}\"")), "{tag}");
        assert!(html.contains(&format!("<label for=\"{name}\">")), "{html}");
    }
    assert!(!html.contains("role=\"alert\""), "{html}");
    // Whoever has nothing typed yet begins with the name.
    assert!(input(&html, "username").contains(" autofocus"));
    assert!(!input(&html, "password").contains(" autofocus"));
}

#[test]
fn a_name_that_is_known_stands_there_and_an_error_is_announced() {
    let html = account_sign_in("alice", Some("Name or password is wrong."));
    assert!(input(&html, "username").contains("value=\"alice\""));
    assert!(!input(&html, "password").contains("value="));
    assert!(input(&html, "password").contains(" autofocus"));
    assert!(
        html.contains("role=\"alert\">Name or password is wrong.<"),
        "{html}"
    );
    assert!(input(&html, "username").contains("aria-describedby=\"sign_in_error\""));
}

#[test]
fn an_unknown_file_and_an_oversized_one_are_refused() {
    let problem = with("eror.html", "x").unwrap_err();
    assert_eq!(problem.file, "eror.html");
    assert!(problem.message.contains("`error.html`"), "{problem}");
    assert!(with("error.html", &"x".repeat(TEMPLATE_BYTES_MAX)).is_ok());
    assert!(with("error.html", &"x".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
}

#[test]
fn a_template_that_fails_late_gives_way_to_the_built_in_one() {
    // The samples have no title `boom`, so only the real page meets the unknown variable.
    let late = "{% if title == 'boom' %}{{ unknown }}{% endif %}fine";
    let pages = with("error.html", late).unwrap();
    let error = Error {
        status: 500,
        title: "boom".to_owned(),
        message: "the message".to_owned(),
        what_to_do: "wait".to_owned(),
        code: None,
        idp_message: None,
        request_id: "r".to_owned(),
        actions: Vec::new(),
    };
    let html = pages.render(&error);
    assert!(html.contains("the message"), "{html}");
    let style = style::style_texts(&html)[0];
    assert!(
        pages
            .content_security_policy()
            .contains(&style::source_expression(style))
    );
}

fn resubmit(value: &str) -> Resubmit {
    let value = || value.to_owned();
    Resubmit {
        place: value(),
        action_url: value(),
        fields: vec![Field {
            name: value(),
            value: value(),
        }],
        request_id: value(),
    }
}

fn carry(value: &str) -> CarryFragment {
    let value = || value.to_owned();
    CarryFragment {
        host: value(),
        start_url: value(),
        request_id: value(),
    }
}

/// What stands between the tags of the only script.
fn script(html: &str) -> &str {
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    let (_, rest) = html.split_once("<script>").unwrap();
    rest.split_once("</script>").unwrap().0
}

#[test]
fn a_page_with_a_script_runs_that_script_and_no_other() {
    let pages = pages();
    for ((html, policy), expected) in [
        (pages.render_scripted(&resubmit(HOSTILE)), Resubmit::SCRIPT),
        (
            pages.render_scripted(&carry(HOSTILE)),
            CarryFragment::SCRIPT,
        ),
    ] {
        assert_eq!(script(&html), expected);
        let source = style::source_expression(expected);
        assert!(
            policy.contains(&format!("; script-src {source}")),
            "{policy}"
        );
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("form-action 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let style = style::style_texts(&html)[0];
        assert!(
            policy.contains(&style::source_expression(style)),
            "{policy}"
        );
        assert!(!html.contains(HOSTILE), "{html}");
        assert!(!html.contains("{{"), "{html}");
    }
}

#[test]
fn pages_with_a_script_work_without_it_and_stay_as_they_are() {
    let layout = "<style>b{}</style>{% block content %}{% endblock %}{{ request_id }}";
    let pages = with("layout.html", layout).unwrap();
    let (html, policy) = pages.render_scripted(&resubmit("x"));
    assert!(
        html.contains("<button type=\"submit\">Continue</button>"),
        "{html}"
    );
    let style = style::style_texts(&html)[0];
    assert!(
        policy.contains(&style::source_expression(style)),
        "{policy}"
    );
    let (html, _) = pages.render_scripted(&carry("/start?rd=%2F"));
    let refresh =
        "<noscript><meta http-equiv=\"refresh\" content=\"0;url=/start?rd=%2F\"></noscript>";
    assert!(html.contains(refresh), "{html}");
    // The script takes the first link of the page.
    assert_eq!(html.matches("<a ").count(), 1, "{html}");
    for file in ["resubmit.html", "carry_fragment.html"] {
        assert!(with(file, "x").is_err());
    }
}

#[test]
fn line_ends_in_a_value_survive_the_reading_of_the_page() {
    let (html, _) = pages().render_scripted(&resubmit("a\r\nb"));
    assert!(html.contains("value=\"a&#13;\nb\""), "{html}");
}
