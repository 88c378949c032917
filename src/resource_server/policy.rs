//! What a JWT has to satisfy as an access token here.

use crate::jose::Algorithm;
use crate::jose::Binding;
use crate::jose::TokenKind;
use crate::jose::TokenPolicy;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::relying_party::IdentityProviderSettings;
use crate::routes::BearerSettings;
use crate::routes::Dpop;

/// The policy for access tokens of `provider` on a route with `settings`: any algorithm with a public
/// key, never one with the client secret, which is for ID tokens alone.
pub fn access_token_policy<'a>(
    provider: &'a IdentityProviderSettings,
    settings: &'a BearerSettings,
) -> TokenPolicy<'a> {
    TokenPolicy {
        issuer: &provider.issuer,
        algorithms: Algorithm::PUBLIC_KEY,
        hmac_key: None,
        leeway: LEEWAY_DEFAULT,
        kind: TokenKind::AccessToken {
            audience: &settings.audience,
            token_type: settings.token_type,
            binding: match settings.dpop {
                Dpop::Refused => Binding::Refused,
                Dpop::Accepted | Dpop::Required => Binding::Dpop,
            },
        },
    }
}
