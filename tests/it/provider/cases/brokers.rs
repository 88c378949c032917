//! Users of several identity providers, and identity providers that answer for one another.

use serde_json::json;

use super::*;
use crate::support::echo::Echo;
use crate::support::idp::Idp;
use crate::support::secrets::Secrets;

/// A provider whose users log in at `corp` or at `partner`.
fn two() -> (World, Idp) {
    let secrets = Secrets::default();
    let (corp, partner) = (Idp::start(&secrets), Idp::start(&secrets));
    let mut setup = broker("").file("partner-secret", partner.client_secret());
    setup.settings = setup.settings.replace("[corp]", "[corp, partner]");
    setup.more_idps = format!(
        "  - {{id: partner, name: Partner, issuer: '{}', client_id: gateway, client_secret: {{file: '{{dir}}/partner-secret'}}}}\n",
        partner.issuer()
    );
    (World::around(&setup, corp, Echo::start(), secrets), partner)
}

/// Begins a login and chooses an identity provider. Gives the redirect to it.
#[track_caller]
fn chosen(world: &World, browser: &mut Browser, id: &str) -> Response {
    let first = browser.get(&authorize_url(world, &[]));
    let page = to_client(browser, first);
    assert_eq!(page.status, 200, "{}", page.text());
    let html = page.text().replace("&amp;", "&");
    let link = html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let link = link
        .into_iter()
        .find(|link| link.ends_with(&format!("&idp={id}")) || link.contains(&format!("idp={id}&")));
    let link = link
        .unwrap_or_else(|| panic!("no link to {id} in {html}"))
        .to_owned();
    let origin = issuer(world).replace("/oidc", "");
    let sent = browser.get(&format!("{origin}{link}"));
    assert!(is_redirect(&sent), "{}", sent.text());
    sent
}

#[track_caller]
fn through(world: &World, id: &str) -> Value {
    let mut browser = world.browser();
    let sent = chosen(world, &mut browser, id);
    id_token(world, &to_client(&mut browser, sent))
}

/// An address can be had at any provider: a person is provider and subject.
#[test]
fn f10_the_same_address_at_two_providers_is_two_users() {
    let (world, partner) = two();
    let here = through(&world, "corp");
    let there = through(&world, "partner");
    assert_ne!(
        here["sub"], there["sub"],
        "the same subject at another provider"
    );
    partner.set_user(&json!({"sub": "user-0002"}));
    let third = through(&world, "partner");
    assert_ne!(third["sub"], there["sub"]);
    assert_ne!(third["sub"], here["sub"]);
    // A user whose address changes stays who they are.
    world
        .idp
        .set_user(&json!({"email": "alice.smith@example.com"}));
    assert_eq!(through(&world, "corp")["sub"], here["sub"]);
    // The ends of the two names do not run together.
    partner.set_user(&json!({"sub": "user-0001"}));
    assert_eq!(through(&world, "partner")["sub"], there["sub"]);
}

/// RFC 9700 section 4.4: what was asked of one provider is not answered by another.
#[test]
fn f10_a_login_at_one_provider_is_not_finished_by_another() {
    let (world, partner) = two();
    let callback = |id: &str| {
        format!(
            "{}/oauth2/callback/{id}",
            issuer(&world).replace("/oidc", "")
        )
    };
    for (asked, answering) in [("partner", "corp"), ("corp", "partner")] {
        let mut browser = world.browser();
        let sent = chosen(&world, &mut browser, asked);
        let state = value(&query(&location(&sent)), "state");
        // A good code of the other one, from a login of the attacker's own.
        let mut attacker = world.browser();
        let other = chosen(&world, &mut attacker, answering);
        let answered = attacker.step(&other);
        let stolen = query(&location(&answered));
        let (code, iss) = (value(&stolen, "code"), value(&stolen, "iss"));
        for id in [asked, answering] {
            let mut url = url::form_urlencoded::Serializer::new(String::new());
            url.extend_pairs([("code", &code), ("state", &state), ("iss", &iss)]);
            let refused = browser
                .clone()
                .get(&format!("{}?{}", callback(id), url.finish()));
            assert!(
                (400..500).contains(&refused.status),
                "{asked} by {answering}: {}",
                refused.status
            );
            assert_eq!(refused.all("location").len(), 0);
        }
        assert_eq!((world.idp.calls("/token"), partner.calls("/token")), (0, 0));
        let silent = browser.get(&authorize_url(&world, &[("prompt", "none")]));
        assert_eq!(value(&answer(&silent), "error"), "login_required");
    }
}

/// A login that the provider does not offer is none, though the gateway knows the identity provider.
#[test]
fn f10_a_session_of_an_identity_provider_that_is_not_offered_does_not_count() {
    let (world, _partner) = two();
    let mut browser = world.browser();
    let sent = chosen(&world, &mut browser, "partner");
    code(&world, &to_client(&mut browser, sent));
    next_code(&world, &mut browser, &[("prompt", "none")]);
    world.gateway.edit_and_reload("[corp, partner]", "[corp]");
    let silent = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&silent), "error"), "login_required");
    let start = format!(
        "{}/oauth2/start?idp=partner&rd=/oidc/authorize",
        issuer(&world).replace("/oidc", "")
    );
    let begun = browser.get(&start);
    let target = begun
        .all("location")
        .first()
        .map(|target| (*target).to_owned());
    assert!(
        target.is_none_or(|target| target.starts_with(&world.idp.issuer())),
        "the other one is not offered"
    );
}
