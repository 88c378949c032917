//! The pages of our own provider.

use super::*;

fn consent() -> Consent {
    Consent {
        app: "Shop".to_owned(),
        place: "shop.example".to_owned(),
        who: "alice@example.com".to_owned(),
        permissions: vec![
            "See your e-mail address".to_owned(),
            "See orders".to_owned(),
        ],
        action_url: "/oidc/consent".to_owned(),
        anti_forgery: "token".to_owned(),
        rd: "/oidc/authorize?x=1".to_owned(),
        request_id: "r".to_owned(),
    }
}

#[test]
fn the_consent_page_says_who_asks_for_what_and_posts_the_answer() {
    let html = pages().render(&consent());
    for text in [
        "<strong>Shop</strong>",
        "<code>shop.example</code>",
        "<strong>alice@example.com</strong>",
        "<li>See your e-mail address</li>",
        "<li>See orders</li>",
        "<form method=\"post\" action=\"/oidc/consent\">",
        "name=\"decision\" value=\"allow\"",
        "name=\"decision\" value=\"deny\"",
    ] {
        assert!(html.contains(text), "{text} in {html}");
    }
    assert!(input(&html, "csrf").contains("value=\"token\""));
    assert!(input(&html, "rd").contains("value=\"/oidc/authorize?x=1\""));
}

/// A name that an app has given itself stands on the page as it is.
#[test]
fn f20_names_and_descriptions_write_no_markup_on_the_consent_page() {
    let hostile = "Shop</h1><form action=https://evil.example><button>Allow</button>".to_owned();
    let html = pages().render(&Consent {
        app: hostile.clone(),
        place: hostile.clone(),
        permissions: vec![hostile],
        ..consent()
    });
    assert_eq!(html.matches("<form").count(), 1, "{html}");
    assert_eq!(html.matches("<button").count(), 2, "{html}");
    assert_eq!(html.matches("</h1>").count(), 1, "{html}");
}

#[test]
fn the_sign_in_page_can_be_left_where_there_is_an_app_to_go_back_to() {
    assert!(!account_sign_in("", None).contains("name=\"cancel\""));
    let html = pages().render(&AccountSignIn {
        host: "shop.example".to_owned(),
        action_url: "/oidc/sign_in".to_owned(),
        anti_forgery: "token".to_owned(),
        rd: "/oidc/authorize?x=1".to_owned(),
        username: String::new(),
        error: None,
        is_cancellable: true,
        request_id: "r".to_owned(),
    });
    // Return in a field presses the first button.
    let sign_in = html.find(">Sign in</button>").unwrap();
    let cancel = html.find("name=\"cancel\"").unwrap();
    assert!(sign_in < cancel, "{html}");
    // Nobody has to type a password to leave.
    assert!(html.contains("formnovalidate"), "{html}");
}
