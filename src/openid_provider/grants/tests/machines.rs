//! Machines that ask for tokens of their own.

use crate::oidc::scope::Scope;
use crate::openid_provider::grants::client_credentials;
use crate::openid_provider::test_support::*;

#[test]
fn rfc6749_4_4_a_machine_gets_its_own_scopes() {
    let mut machine = client("robot");
    machine.scopes = Scope::parse("openid orders.read editor").unwrap();
    let ask = |scope: Option<&str>| {
        let scope = scope.map(|text| Scope::parse(text).unwrap());
        client_credentials::issue(&machine, scope.as_ref(), &[], &provider())
            .map(|target| (target.scope.to_string(), target.audience.join(" ")))
            .map_err(|refusal| refusal.code.as_str())
    };
    let expected = Ok(("orders.read".to_owned(), API.to_owned()));
    assert_eq!(ask(Some("orders.read")), expected);
    // Without a scope: all of its own, but no role that no rule gives to a machine.
    assert_eq!(ask(None), expected);
    assert_eq!(ask(Some("editor")), Ok((String::new(), "robot".to_owned())));
    for scope in [
        "openid",
        "openid orders.read",
        "profile",
        "offline_access",
        "invoices.read",
    ] {
        assert_eq!(ask(Some(scope)), Err("invalid_scope"), "{scope}");
    }
}

#[test]
fn a_role_can_be_given_to_a_machine() {
    let mut settings = provider();
    let allow = crate::routes::AllowRule {
        clients: ["robot".to_owned()].into(),
        ..Default::default()
    };
    let rule = crate::openid_provider::settings::GrantRule {
        allow,
        ..Default::default()
    };
    settings.scopes.get_mut("editor").unwrap().grant = Some(vec![rule]);
    let scope = Scope::parse("editor").unwrap();
    let granted = |id: &str| {
        let target = client_credentials::issue(&client(id), Some(&scope), &[], &settings);
        target.unwrap().scope.to_string()
    };
    assert_eq!(granted("robot"), "editor");
    assert_eq!(granted("other"), "");
}
