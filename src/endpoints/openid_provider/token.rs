//! The token endpoint: codes, refresh tokens and the names of clients for tokens.
//!
//! Owns the order of things: tokens are made, what they rest on is written, and only then they are sent.
//! Whoever cannot write sends nothing. A refresh asks the identity provider about the user, where its word
//! is old, after the refresh token has proved good and before it is used up.

use std::sync::Arc;

use http::StatusCode;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::new_session::audit_origin;
use crate::endpoints::openid_provider::client_request;
use crate::endpoints::openid_provider::client_request::ClientRequest;
use crate::endpoints::openid_provider::client_request::Refused;
use crate::endpoints::openid_provider::cross_origin;
use crate::endpoints::openid_provider::user;
use crate::gateway::Keeping;
use crate::gateway::Recheck;
use crate::jose::Algorithm;
use crate::jose::SigningKey;
use crate::jose::sign::SignError;
use crate::oidc::scope::Scope;
use crate::openid_provider::Client;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Refusal;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::clients::check_grant;
use crate::openid_provider::clients::confidential;
use crate::openid_provider::grants::Consequence;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::grants::GrantRefusal;
use crate::openid_provider::grants::Issuance;
use crate::openid_provider::grants::TokenRequest;
use crate::openid_provider::grants::authorization_code;
use crate::openid_provider::grants::client_credentials;
use crate::openid_provider::grants::refresh_token;
use crate::openid_provider::handle::Code;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::handle::RefreshKey;
use crate::openid_provider::handle::RefreshToken;
use crate::openid_provider::handle::token_id;
use crate::openid_provider::issue::Issuer;
use crate::openid_provider::issue::Ties;
use crate::openid_provider::issue::TokenResponse;
use crate::openid_provider::keys::KeyRing;
use crate::random;
use crate::routes::ProviderPath;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;

/// How often a refresh is tried that others get in the way of. The second try sees their rotation and
/// changes nothing, so more are needed only where the store is slower than many clients of one grant.
const TRIES_MAX: usize = 5;

/// The identity provider lets the user in no more.
const DISMISSED: GrantRefusal = GrantRefusal {
    refusal: Refusal::invalid_grant("the identity provider has ended the login of the user"),
    consequence: Consequence::EndGrant,
};
const UNREACHABLE: Refusal = Refusal::new(
    ErrorCode::TemporarilyUnavailable,
    "the identity provider cannot be asked about the user at the moment",
);

/// What all answers to one request are made with.
struct Desk<'a> {
    call: &'a Call<'a>,
    provider: &'a Arc<OpenIdProviderSettings>,
    client: &'a Arc<Client>,
    keys: Arc<KeyRing>,
}

/// Answers a request. Implements RFC 6749 sections 3.2 and 5.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let request = client_request::read(call, provider, ProviderPath::Token.path()).await;
    let request = match request {
        Ok(request) => request,
        Err(refused) => {
            let answer = refused.answer(call);
            return Ok(cross_origin::to_clients(call, provider, answer));
        }
    };
    let client = &request.authenticated.client;
    let answer = match exchange(call, provider, &request).await {
        Ok(response) => {
            let answer = Answer::json_value(StatusCode::OK, &response.to_json());
            client_request::unstored(answer).because("tokens_issued")
        }
        Err(refused) => refused.answer(call),
    };
    Ok(cross_origin::to_client(call, client, answer))
}

async fn exchange(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    request: &ClientRequest,
) -> Result<TokenResponse, Refused> {
    let asked = TokenRequest::parse(&request.parameters)?;
    let client = &request.authenticated.client;
    check_grant(client, asked.grant_type())?;
    let desk = Desk {
        call,
        provider,
        client,
        keys: (call.gateway.provider_keys(call.snapshot, call.now)).await?,
    };
    match &asked {
        TokenRequest::AuthorizationCode {
            code,
            redirect_uri,
            code_verifier,
            resources,
        } => {
            let presented = authorization_code::Presented {
                redirect_uri,
                code_verifier: code_verifier.as_ref(),
                resources,
            };
            desk.redeem(code, presented).await
        }
        TokenRequest::RefreshToken {
            token,
            scope,
            resources,
        } => {
            let presented = refresh_token::Presented {
                token,
                scope: scope.as_ref(),
                resources,
            };
            desk.refresh(presented).await
        }
        TokenRequest::ClientCredentials { scope, resources } => {
            confidential(&request.authenticated)?;
            desk.for_itself(scope.as_ref(), resources)
        }
    }
}

impl Desk<'_> {
    /// A code for tokens (RFC 6749 section 4.1.3).
    async fn redeem(
        &self,
        code: &Code,
        presented: authorization_code::Presented<'_>,
    ) -> Result<TokenResponse, Refused> {
        const UNKNOWN: Refusal = Refusal::invalid_grant("the code is unknown");
        let Call {
            gateway,
            snapshot,
            now,
            ..
        } = self.call;
        let found = gateway.find_code(snapshot, code, *now).await?;
        let found = found.ok_or(UNKNOWN)?;
        let identity = user::of_code(self.provider, &found.value.authentication);
        let redeemed = authorization_code::redeem(
            &found.value,
            presented,
            self.client,
            identity.as_ref(),
            self.provider,
            RefreshKey::from_random(random::bytes()),
            *now,
        );
        let redemption = match redeemed {
            Ok(redemption) => redemption,
            Err(refusal) => return Err(self.refused(refusal, &found.value.grant_id).await),
        };
        let (grant, issuance) = (&redemption.grant, &redemption.issuance);
        let response = self.tokens(grant, issuance, Some(code))?;
        if grant.is_offline()
            && self.provider.recheck.is_some()
            && gateway.keep_login(snapshot, grant).await? == Keeping::SessionOver
        {
            let description = "the session of the user has ended";
            return Err(Refusal::invalid_grant(description).into());
        }
        let used = gateway.use_code(
            snapshot,
            (code, found.version),
            &redemption.used,
            grant,
            *now,
        );
        if !used.await? {
            return Err(Refusal::invalid_grant("the code was used before").into());
        }
        self.tell(GrantType::AuthorizationCode, Some(grant));
        Ok(response)
    }

    /// A refresh token for tokens (RFC 6749 section 6).
    async fn refresh(
        &self,
        presented: refresh_token::Presented<'_>,
    ) -> Result<TokenResponse, Refused> {
        const UNKNOWN: Refusal = Refusal::invalid_grant("the refresh token is unknown");
        let Call {
            gateway,
            snapshot,
            now,
            ..
        } = self.call;
        let mut recheck = self.provider.recheck;
        for _ in 0..TRIES_MAX {
            let RefreshToken { grant, .. } = presented.token;
            let found = gateway.find_grant(snapshot, grant, *now).await?;
            let found = found.ok_or(UNKNOWN)?;
            let user = &found.value.authentication;
            let identity = user::current(self.call, self.provider, user).await?;
            let redeemed = refresh_token::redeem(
                &found.value,
                presented,
                self.client,
                identity.as_ref(),
                self.provider,
                *now,
            );
            let rotation = match redeemed {
                Ok(rotation) => rotation,
                Err(refusal) => return Err(self.refused(refusal, grant).await),
            };
            // Once: the call may take long, and it must not be begun again by a short `recheck`.
            if let Some(every) = recheck.take() {
                let sid = &found.value.authentication.sid;
                match gateway.recheck(sid, every).await {
                    Recheck::Fresh => (),
                    // Who the user is may have changed, and the grant too.
                    Recheck::Confirmed => continue,
                    Recheck::Refused => return Err(self.refused(DISMISSED, grant).await),
                    Recheck::Unavailable => return Err(UNREACHABLE.into()),
                }
            }
            let response = self.tokens(&rotation.grant, &rotation.issuance, None)?;
            let is_written = rotation.is_retry
                || gateway
                    .replace_grant(snapshot, found.version, &rotation.grant, *now)
                    .await?;
            if is_written {
                self.tell(GrantType::RefreshToken, Some(&rotation.grant));
                return Ok(response);
            }
        }
        tracing::warn!("a grant is refreshed by too many at once");
        Err(Refused::Unavailable)
    }

    /// A token for the client itself (RFC 6749 section 4.4).
    fn for_itself(
        &self,
        scope: Option<&Scope>,
        resources: &[String],
    ) -> Result<TokenResponse, Refused> {
        let target = client_credentials::issue(self.client, scope, resources, self.provider)?;
        let issuer = Issuer {
            settings: self.provider,
            client: self.client,
            authentication: None,
            now: self.call.now,
        };
        let key = self.key(self.provider.signing.algorithm)?;
        let jti = token_id(random::bytes());
        let access_token = issuer.access_token(&target, &jti, key);
        let access_token = access_token.map_err(cannot_sign)?;
        self.tell(GrantType::ClientCredentials, None);
        Ok(TokenResponse {
            access_token,
            expires_in: self.provider.lifetimes_of(self.client).access_token,
            scope: target.scope,
            id_token: None,
            refresh_token: None,
        })
    }

    /// The tokens of a grant.
    fn tokens(
        &self,
        grant: &Grant,
        issuance: &Issuance,
        code: Option<&Code>,
    ) -> Result<TokenResponse, Refused> {
        let issuer = Issuer {
            settings: self.provider,
            client: self.client,
            authentication: Some(&grant.authentication),
            now: self.call.now,
        };
        let of_provider = self.provider.signing.algorithm;
        let jti = grant.id.token_id(random::bytes());
        let key = self.key(of_provider)?;
        let access_token = issuer.access_token(&issuance.target, &jti, key);
        let access_token = access_token.map_err(cannot_sign)?;
        let mut id_token = None;
        if issuance.has_id_token {
            let algorithm = self.client.id_token_algorithm.unwrap_or(of_provider);
            let ties = Ties {
                nonce: issuance.nonce.as_deref(),
                access_token: &access_token,
                code: code.map(Code::secret),
            };
            let (scope, key) = (&issuance.target.scope, self.key(algorithm)?);
            let made = issuer.id_token(scope, &grant.claims, ties, key);
            id_token = made.map_err(cannot_sign)?;
        }
        Ok(TokenResponse {
            access_token,
            expires_in: self.provider.lifetimes_of(self.client).access_token,
            scope: issuance.target.scope.clone(),
            id_token,
            refresh_token: grant.refresh_token(),
        })
    }

    fn key(&self, algorithm: Algorithm) -> Result<&Arc<SigningKey>, Refused> {
        let key = self.keys.signing_key(algorithm, self.call.now);
        key.ok_or_else(|| {
            tracing::error!(algorithm = algorithm.as_str(), "no key signs yet");
            Refused::Unavailable
        })
    }

    /// Tells the audit log and the metrics that tokens are sent now.
    fn tell(&self, grant_type: GrantType, grant: Option<&Grant>) {
        let identity = grant.map(|grant| &grant.authentication.identity);
        let idp = identity.map(|identity| identity.identity_provider.as_str());
        AuditEvent::TokensIssued {
            client: &self.client.client_id,
            person: identity.map(audit::Person::from),
            grant_type: grant_type.as_str(),
        }
        .emit(&audit_origin(self.call, idp));
        self.call.gateway.metrics.tokens_issued(grant_type.as_str());
    }

    /// Ends the grant where that follows. If it cannot be ended the client does not hear that it was.
    async fn refused(&self, refusal: GrantRefusal, grant: &GrantId) -> Refused {
        if refusal.consequence == Consequence::EndGrant {
            if let Err(error) = self.call.gateway.end_grant(grant).await {
                return error.into();
            }
            AuditEvent::TokensRevoked {
                client: &self.client.client_id,
                reason: refusal.refusal.description,
            }
            .emit(&audit_origin(self.call, None));
        }
        refusal.refusal.into()
    }
}

fn cannot_sign(error: SignError) -> Refused {
    tracing::error!(%error, "a token cannot be signed");
    Refused::Unavailable
}
