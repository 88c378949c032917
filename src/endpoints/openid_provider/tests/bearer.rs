//! Our own access tokens on a route of the same gateway.

use crate::decision::TokenFact;
use crate::resource_server::TokenRefusal;

use super::*;

impl Place {
    /// Whom the route for APIs takes `token` for: user and client.
    async fn caller(&self, token: &str) -> Result<(String, Option<String>), TokenRefusal> {
        let snapshot = self.gateway.snapshot();
        let settings = snapshot
            .routes
            .iter()
            .find_map(|route| route.bearer.clone());
        let settings = settings.unwrap();
        let found = self
            .gateway
            .find_token(token, &settings, &snapshot, self.now);
        match found.await {
            TokenFact::Valid(live) => {
                Ok((live.identity.user.clone(), live.identity.client.clone()))
            }
            TokenFact::Invalid(refusal) => Err(refusal),
            TokenFact::NotAsked | TokenFact::Unavailable => unreachable!("the store answers"),
        }
    }
}

#[tokio::test]
async fn a_machine_and_a_user_call_an_api_until_their_tokens_end() {
    let place = Place::new();
    let machine = [
        ("grant_type", "client_credentials"),
        ("scope", "orders.read"),
    ];
    let of_machine = body(&place.token(SHOP, &machine).await);
    let of_machine = text(&of_machine, "access_token");
    let robot = Ok((String::new(), Some("shop".to_owned())));
    assert_eq!(place.caller(of_machine).await, robot);
    // For another audience, of another kind, over, or altered.
    let tokens = place.tokens("openid").await;
    let foreign = place.caller(text(&tokens, "access_token")).await;
    assert_eq!(foreign, Err(TokenRefusal::Audience));
    assert!(place.caller(text(&tokens, "id_token")).await.is_err());
    assert_eq!(
        place.later(3_600).caller(of_machine).await,
        Err(TokenRefusal::Expired)
    );
    assert!(place.caller(&format!("{of_machine}A")).await.is_err());

    let tokens = place.tokens("openid orders.read offline_access").await;
    let of_user = text(&tokens, "access_token");
    let (user, client) = place.caller(of_user).await.unwrap();
    assert_eq!((user.is_empty(), client), (false, None));
    let taken_back = [
        (of_machine, of_machine),
        (text(&tokens, "refresh_token"), of_user),
    ];
    for (revoked, ended) in taken_back {
        assert_eq!(place.revoke(SHOP, revoked).await.status, StatusCode::OK);
        // A verdict is believed for a second.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while place.caller(ended).await.is_ok() {
            assert!(
                std::time::Instant::now() < deadline,
                "the token has not ended"
            );
            tokio::task::yield_now().await;
        }
        assert_eq!(place.caller(ended).await, Err(TokenRefusal::Inactive));
    }
}
