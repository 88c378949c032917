//! Users who change between the code and its redemption.

use super::*;

fn redeem_for(
    identity: Option<&Identity>,
    settings: &OpenIdProviderSettings,
) -> Result<Redemption, GrantRefusal> {
    authorization_code::redeem(
        &stored("openid editor offline_access"),
        authorization_code::Presented {
            redirect_uri: CALLBACK,
            code_verifier: Some(&CodeVerifier::parse(VERIFIER).unwrap()),
            resources: &[],
        },
        &client("shop"),
        identity,
        settings,
        RefreshKey::from_random([2; 32]),
        NOW,
    )
}

#[test]
fn what_the_user_lost_since_the_code_was_made_is_lost() {
    let mut demoted = alice();
    demoted.groups.clear();
    let redeemed = redeem_for(Some(&demoted), &provider()).unwrap();
    let scope = redeemed.issuance.target.scope.to_string();
    assert_eq!(scope, "openid offline_access");
    assert_eq!(redeemed.grant.authentication.identity, demoted);
}

#[test]
fn a_user_who_may_no_longer_log_in_redeems_no_code() {
    let refused = ("invalid_grant", Consequence::None);
    assert_eq!(code_of(redeem_for(None, &provider())), refused);
    let mut settings = provider();
    settings.login = Login::IdentityProviders(vec![Arc::from("partner")]);
    assert_eq!(code_of(redeem_for(Some(&alice()), &settings)), refused);
    assert!(redeem_for(Some(&alice()), &provider()).is_ok());
}
