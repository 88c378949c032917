//! Apps on users' devices: the way back to a port that is known from the request alone, or to a scheme.
//!
//! Chromium holds every redirect that follows a form against `form-action` of the page with the form.

use super::*;

const PHONE: &str = "
    - client_id: phone
      application_type: native
      redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'com.example.field:/callback']
      scopes: [openid]
";
const LOOPBACK: &str = "http://127.0.0.1:4711/callback";

fn changes<'a>(redirect_uri: &'a str, state: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("client_id", "phone"),
        ("redirect_uri", redirect_uri),
        ("scope", "openid"),
        ("state", state),
    ]
}

/// Where forms of a page may lead.
#[track_caller]
fn form_action(page: &Response) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text());
    let policy = page.header("content-security-policy").to_owned();
    let directives = policy.split(';').map(str::trim);
    let found: Vec<_> = directives
        .filter_map(|one| one.strip_prefix("form-action "))
        .collect();
    let [sources] = found[..] else {
        panic!("not one form-action: {policy}");
    };
    sources.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_sign_in_form_may_lead_to_the_port_or_scheme_of_this_request() {
    let world = World::with(&with_clients(local(""), PHONE));
    let long = "s".repeat(3000);
    for state in ["short", &long] {
        for (uri, target) in [
            (LOOPBACK, "http://127.0.0.1:4711"),
            ("http://127.0.0.1:4712/callback", "http://127.0.0.1:4712"),
            ("http://127.0.0.1/callback", "http://127.0.0.1"),
            ("com.example.field:/callback", "com.example.field:"),
            // No policy can name it.
            ("http://[::1]:4711/callback", "http:"),
        ] {
            let mut browser = world.browser();
            let first = browser.get(&authorize_url(&world, &changes(uri, state)));
            let page = browser.step(&first);
            assert_eq!(form_action(&page), ["'self'", target], "{uri}");
            assert_eq!(
                field(&page.text(), "rd").contains("vestibule_request="),
                state == long
            );
            // A wrong password shows the page again.
            let html = page.text();
            let form = Call::navigate(&format!("{}/sign_in", issuer(&world)))
                .header("Sec-Fetch-Site", "same-origin")
                .form(&[
                    ("username", "alice"),
                    ("password", ""),
                    ("csrf", &field(&html, "csrf")),
                    ("rd", &field(&html, "rd")),
                ]);
            assert_eq!(
                form_action(&browser.send(&form)),
                ["'self'", target],
                "{uri}"
            );
        }
    }
}

/// What no request that was checked has named opens nothing.
#[test]
fn a_place_that_somebody_has_made_up_opens_nothing() {
    let world = World::with(&with_clients(local(""), PHONE));
    let mut browser = world.browser();
    for (client, uri) in [
        ("phone", "http://127.0.0.1.evil.example:4711/callback"),
        ("phone", "http://127.0.0.1:4711/other"),
        ("phone", "http://[::1]:4711/other"),
        ("shop", "http://[::1]:4711/callback"),
        ("phone", "com.example.evil:/callback"),
        ("phone", "http://shop.localhost:4711/callback"),
        ("shop", LOOPBACK),
        ("nobody", LOOPBACK),
    ] {
        let mut rd = url::form_urlencoded::Serializer::new(String::new());
        rd.extend_pairs([("client_id", client), ("redirect_uri", uri)]);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("rd", &format!("/oidc/authorize?{}", rd.finish()));
        let page = browser.get(&format!("{}/sign_in?{}", issuer(&world), query.finish()));
        for source in form_action(&page) {
            assert!(
                !source.contains("4711") && !source.contains("evil") && source != "http:",
                "{client} {uri}"
            );
        }
    }
}

#[test]
fn the_chooser_may_lead_to_the_port_of_this_request() {
    let mut setup = with_clients(broker(""), PHONE);
    setup.settings = setup.settings.replace("[corp]", "[corp, partners]");
    setup.idp = "    email_domains: [corp.example]\n".to_owned();
    setup.more_idps = "  - id: partners
    name: Partners
    issuer: '{issuer}'
    client_id: gateway
    client_secret: {file: '{dir}/client-secret'}
"
    .to_owned();
    let world = World::with(&setup);
    let long = "s".repeat(3000);
    for state in ["short", &long] {
        let mut browser = world.browser();
        let first = browser.get(&authorize_url(&world, &changes(LOOPBACK, state)));
        let page = browser.step(&first);
        assert!(page.text().contains("Partners"), "{}", page.text());
        let app = "to continue to <strong>phone</strong>";
        assert!(page.text().contains(app), "{}", page.text());
        let sources = form_action(&page);
        assert!(
            sources.iter().any(|one| one == "http://127.0.0.1:4711"),
            "{sources:?}"
        );
        // The page shows again when the address is unknown.
        let html = page.text();
        let origin = issuer(&world).replace("/oidc", "");
        let form = Call::navigate(&format!("{origin}/oauth2/sign_in")).form(&[
            ("csrf", &field(&html, "csrf")),
            ("rd", &field(&html, "rd")),
            ("login_hint", "x@unknown.example"),
        ]);
        let sources = form_action(&browser.send(&form));
        assert!(
            sources.iter().any(|one| one == "http://127.0.0.1:4711"),
            "{sources:?}"
        );
        // Places that lead to no such request do not name it.
        for (path, client) in [("authorize", "shop"), ("other", "phone")] {
            let mut rd = url::form_urlencoded::Serializer::new(String::new());
            rd.extend_pairs([("client_id", client), ("redirect_uri", LOOPBACK)]);
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("rd", &format!("/oidc/{path}?{}", rd.finish()));
            let page = browser.get(&format!("{origin}/oauth2/sign_in?{}", query.finish()));
            assert!(!form_action(&page).iter().any(|one| one.contains("4711")));
        }
    }
}

/// RFC 8252 section 8.6: another app on the device gets nothing by an answer that was for this one.
#[test]
fn an_app_on_a_device_is_asked_about_every_time() {
    let explicit = PHONE.replace(
        "    - client_id: phone\n",
        "    - client_id: phone\n      consent: explicit\n",
    );
    assert_ne!(explicit, PHONE);
    let world = World::with(&with_clients(local(""), &explicit));
    let mut browser = world.browser();
    let scheme = "com.example.field:/callback";
    let first = browser.get(&authorize_url(&world, &changes(scheme, "s")));
    let page = to_client(&mut browser, first);
    let mut page = sign_in(&world, &mut browser, &page, "alice");
    for uri in [scheme, LOOPBACK] {
        let html = page.text();
        let form = Call::navigate(&format!("{}/consent", issuer(&world)))
            .header("Sec-Fetch-Site", "same-origin")
            .form(&[
                ("csrf", &field(&html, "csrf")),
                ("rd", &field(&html, "rd")),
                ("decision", "allow"),
            ]);
        let done = browser.send(&form);
        assert_eq!(done.status, 303, "{}", done.text());
        page = browser.get(&authorize_url(&world, &changes(LOOPBACK, "s")));
        assert_eq!(page.status, 200, "{uri}");
        assert!(page.text().contains("name=\"decision\""), "{uri}");
        let mut silent = changes(uri, "s").to_vec();
        silent.push(("prompt", "none"));
        let refused = answer(&browser.get(&authorize_url(&world, &silent)));
        assert_eq!(value(&refused, "error"), "consent_required");
    }
}
