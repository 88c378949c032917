//! What users have agreed to, as it lies in the store.

use super::*;
use crate::endpoints::openid_provider::consent_form;
use crate::jose::KeySet;
use crate::oidc::scope::Scope;
use crate::openid_provider::Parameters;
use crate::openid_provider::authorize;
use crate::openid_provider::authorize::Way;
use crate::openid_provider::consent::CONSENT_LIFETIME;
use crate::session::ReturnTo;

#[tokio::test]
async fn an_answer_belongs_to_one_user_and_one_app_and_has_an_end() {
    let place = Place::new();
    let snapshot = place.gateway.snapshot();
    let clients = &snapshot.openid_provider().unwrap().clients;
    let (shop, other) = (
        clients.find("shop").unwrap(),
        clients.find("other").unwrap(),
    );
    let alice = alice();
    let mut bob = alice.clone();
    bob.subject = "s-2".to_owned();
    let mut elsewhere = alice.clone();
    elsewhere.identity_provider = "partners".to_owned();
    let find = async |identity: &Identity, client, now| {
        let found = place.gateway.find_consent(&snapshot, identity, client, now);
        found.await.unwrap().map(|given| given.scope)
    };
    let remember = async |text: &str, now| {
        let scope = Scope::parse(text).unwrap();
        let kept = place
            .gateway
            .remember_consent(&snapshot, &alice, shop, &scope, now);
        kept.await.unwrap();
    };
    remember("openid profile", NOW).await;
    let found = find(&alice, shop, NOW).await;
    assert_eq!(found.as_deref(), Some("openid profile"));
    for (identity, client) in [(&alice, other), (&bob, shop), (&elsewhere, shop)] {
        assert_eq!(find(identity, client, NOW).await, None);
    }
    // A second answer adds to the first, and both count from then on.
    let later = NOW.after(Duration::from_secs(1_000));
    remember("openid editor", later).await;
    let end = later.after(CONSENT_LIFETIME);
    let found = find(&alice, shop, Timestamp(end.0 - 1)).await;
    assert_eq!(found.as_deref(), Some("openid profile editor"));
    assert_eq!(find(&alice, shop, end).await, None);
    let forgotten = place.gateway.forget_consent(&alice, shop);
    forgotten.await.unwrap();
    assert_eq!(find(&alice, shop, later).await, None);
}

/// It is sealed: without the key it was never given, and it can be given anew.
#[tokio::test]
async fn an_answer_under_a_key_that_has_left_was_never_given() {
    let place = Place::new();
    let (before, after) = (
        place.gateway.snapshot(),
        snapshot(FILE, Path::new(""), [8; 32]),
    );
    let shop = before.openid_provider().unwrap().clients.find("shop");
    let (shop, alice) = (shop.unwrap(), alice());
    let gateway = &place.gateway;
    let scope = Scope::parse("openid").unwrap();
    let kept = gateway.remember_consent(&before, &alice, shop, &scope, NOW);
    kept.await.unwrap();
    let found = gateway.find_consent(&after, &alice, shop, NOW).await;
    assert_eq!(found.unwrap(), None);
    let kept = gateway.remember_consent(&after, &alice, shop, &scope, NOW);
    kept.await.unwrap();
    let found = gateway.find_consent(&after, &alice, shop, NOW).await;
    assert_eq!(found.unwrap().unwrap().scope, "openid");
}

/// What cannot be remembered is not agreed to.
#[tokio::test]
async fn a_full_store_takes_no_answer() {
    let place = Place::with_room_for(0);
    let snapshot = place.gateway.snapshot();
    let shop = snapshot.openid_provider().unwrap().clients.find("shop");
    let scope = Scope::parse("openid").unwrap();
    let (alice, shop) = (alice(), shop.unwrap());
    let kept = (place.gateway).remember_consent(&snapshot, &alice, shop, &scope, NOW);
    assert!(kept.await.is_err());
}

/// A request as it reaches an endpoint.
async fn at_consent<T>(place: &Place, act: impl AsyncFnOnce(&Call<'_>) -> T) -> T {
    let target = ("POST", "/oidc/consent", None);
    let when = (place.now, place.address);
    with_call(&place.gateway, when, target, (&[], ""), act).await
}

/// F20: a page that was left open approves nothing the next day.
#[tokio::test]
async fn f20_a_page_counts_for_an_hour_and_for_what_it_has_shown() {
    let place = Place::new();
    let snapshot = place.gateway.snapshot();
    let provider = snapshot.openid_provider().unwrap();
    let text = format!(
        "client_id=shop&redirect_uri={CALLBACK}&response_type=code&scope=openid\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let parameters = Parameters::parse(text.as_bytes()).unwrap();
    let keys = KeySet::parse(br#"{"keys": []}"#).unwrap();
    let request = authorize::parse(&parameters, Way::Browser, provider, &keys, NOW).unwrap();
    let authentication = Authentication {
        identity: alice(),
        subject: subject(&alice()),
        auth_time: NOW,
        acr: None,
        amr: Vec::new(),
        sid: "sid-1".to_owned(),
    };
    let scope = Scope::parse("openid profile").unwrap();
    let rd = ReturnTo::of_sealed("/oidc/authorize?x=1".to_owned());
    let page = at_consent(&place, async |call| {
        consent_form::page(call, provider, &request, &authentication, &scope, &rd)
    });
    let page = page.await;
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    let (_, token) = html.split_once("name=\"csrf\" value=\"").unwrap();
    let (token, _) = token.split_once('"').unwrap();
    let shown = async |place: &Place, sid: &str, rd: &str| {
        let act = async |call: &Call<'_>| consent_form::shown(call, sid, rd, token);
        at_consent(place, act).await
    };
    let last = place.later(60 * 60 - 1);
    assert_eq!(shown(&last, "sid-1", rd.as_str()).await, Some(scope));
    let over = place.later(60 * 60);
    assert_eq!(shown(&over, "sid-1", rd.as_str()).await, None);
    assert_eq!(shown(&place, "sid-2", rd.as_str()).await, None);
    assert_eq!(shown(&place, "sid-1", "/oidc/authorize?x=2").await, None);
}
