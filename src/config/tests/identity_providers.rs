//! Problems of identity providers.

use crate::config::tests::cases;
use crate::config::tests::partner;
use crate::config::tests::provider;
use crate::config::tests::replace;
use crate::config::tests::route;

cases! {
    an_id_with_a_slash: [replace("id: corp", "id: a/b")] =>
        ["4:9: identity_providers[0].id: `a/b` is not an id"],
    an_id_twice: [provider("name: Corp\n  - {id: corp, issuer: 'https://partner.example', client_id: g, client_secret: {env: CORP_SECRET}}")] =>
        ["9:10: identity_providers[1].id: the id `corp` is there twice"],
    an_issuer_over_http: [replace("https://login.example.com", "http://login.example.com")] =>
        ["5:13: identity_providers[0].issuer: `http://login.example.com` is plain http: codes and secrets could be read on the way"],
    an_issuer_that_is_no_url: [replace("https://login.example.com", "login.example.com")] =>
        ["5:13: identity_providers[0].issuer: `login.example.com` is not a URL"],
    an_issuer_with_a_query: [replace("https://login.example.com", "https://login.example.com/?a=b")] =>
        ["5:13: identity_providers[0].issuer: there is a query in `https://login.example.com/?a=b`"],
    an_issuer_with_a_password: [replace("https://login.example.com", "https://me:hunter2@login.example.com")] =>
        ["5:13: identity_providers[0].issuer: there is a user name in this URL"],
    the_discovery_document_as_issuer: [replace("https://login.example.com", "https://login.example.com/.well-known/openid-configuration")] =>
        ["5:13: identity_providers[0].issuer: this is the address of the discovery document, not the issuer"],
    an_empty_client_id: [replace("client_id: gateway", "client_id: ''")] =>
        ["6:16: identity_providers[0].client_id: the text is empty"],
    a_secret_that_is_not_set: [replace("env: CORP_SECRET", "env: UNSET")] =>
        ["7:20: identity_providers[0].client_secret: the environment variable `UNSET` is not set"],
    a_secret_in_place_of_its_name: [replace("env: CORP_SECRET", "env: hunter2!hunter2")] =>
        ["7:20: identity_providers[0].client_secret: this is not the name of an environment variable"],
    a_secret_file_that_is_missing: [replace("env: CORP_SECRET", "file: none")] =>
        ["7:20: identity_providers[0].client_secret: `none` cannot be read: No such file or directory (os error 2)"],
    an_empty_secret: [replace("env: CORP_SECRET", "env: EMPTY")] =>
        ["7:20: identity_providers[0].client_secret: the environment variable `EMPTY` is empty"],
    a_short_secret: [replace("env: CORP_SECRET", "env: SHORT")] =>
        ["7:20: warning: identity_providers[0].client_secret: the secret is short enough to be guessed"],
    a_placeholder_secret: [replace("env: CORP_SECRET", "env: PLACEHOLDER")] =>
        ["7:20: warning: identity_providers[0].client_secret: the secret looks like a placeholder"],
    two_places_of_a_secret: [replace("{env: CORP_SECRET}", "{env: CORP_SECRET, file: x}")] =>
        ["7:20: identity_providers[0].client_secret: two places of the secret are named"],
    no_place_of_a_secret: [replace("{env: CORP_SECRET}", "{}")] =>
        ["7:20: identity_providers[0].client_secret: no place of the secret is named"],
    a_client_without_a_secret: [replace("    client_secret: {env: CORP_SECRET}\n", "")] =>
        ["4:5: identity_providers[0].client_secret: the client has neither a secret nor a key"],
    a_method_without_its_secret: [replace("    client_secret: {env: CORP_SECRET}\n", "    client_auth: client_secret_basic\n")] =>
        ["7:18: identity_providers[0].client_auth: this method needs a `client_secret`"],
    a_method_without_its_key: [provider("client_auth: private_key_jwt")] =>
        ["8:18: identity_providers[0].client_auth: this method needs a `client_key`"],
    a_public_client_with_a_secret: [provider("client_auth: none")] =>
        ["8:18: identity_providers[0].client_auth: a public client has neither a secret nor a key"],
    a_public_client_without_pkce: [replace("    client_secret: {env: CORP_SECRET}\n", "    client_auth: none\n    pkce: auto\n")] =>
        ["8:11: identity_providers[0].pkce: nothing but PKCE protects a public client"],
    a_key_that_is_no_key: [provider("client_key: {env: CORP_SECRET}")] =>
        ["8:17: identity_providers[0].client_key: `client_key`: found no unencrypted private key in PEM form, expected `-----BEGIN PRIVATE KEY-----`"],
    pkce_off: [provider("pkce: off")] =>
        ["8:11: warning: identity_providers[0].pkce: without PKCE a stolen authorization code can be used by others"],
    pkce_auto: [provider("pkce: auto")] =>
        ["8:11: warning: identity_providers[0].pkce: PKCE is left out where discovery does not name it: without PKCE a stolen authorization code can be used by others"],
    scopes_without_openid: [provider("scopes: [profile]")] =>
        ["8:13: identity_providers[0].scopes: the scope `openid` is missing"],
    no_scope: [provider("scopes: []")] =>
        ["8:13: identity_providers[0].scopes: the scope `openid` is missing"],
    a_scope_with_a_space: [provider("scopes: [openid, 'a b']")] =>
        ["8:22: identity_providers[0].scopes[1]: `a b` is not a scope value"],
    a_scope_twice: [provider("scopes: [openid, openid]")] =>
        ["8:22: identity_providers[0].scopes[1]: `openid` is there twice"],
    an_address_as_a_domain: [provider("email_domains: [a@example.com]")] =>
        ["8:21: identity_providers[0].email_domains[0]: `a@example.com` is not a domain: there is an `@` in it"],
    a_wildcard_domain: [provider("email_domains: ['*.example.com']")] =>
        ["8:21: identity_providers[0].email_domains[0]: `*.example.com` is not a domain of e-mail addresses"],
    a_domain_of_two_providers: [partner(", email_domains: [Example.com]"), replace("client_id: gateway", "client_id: gateway\n    email_domains: [example.com]")] =>
        ["9:119: identity_providers[1].email_domains[0]: `example.com` already belongs to `corp`"],
    a_parameter_of_ours: [provider("authorization_parameters: {redirect_uri: 'https://evil.example'}")] =>
        ["8:32: identity_providers[0].authorization_parameters.redirect_uri: the gateway sets `redirect_uri` itself"],
    claims_for_an_unknown_place: [provider("claims_request: {idtoken: {}}")] =>
        ["8:22: identity_providers[0].claims_request.idtoken: no claims are requested for `idtoken`"],
    a_callback_without_a_slash: [provider("callback_path: callback")] =>
        ["8:20: identity_providers[0].callback_path: `callback` does not begin with `/`"],
    a_callback_with_a_dot_segment: [provider("callback_path: /a/../b")] =>
        ["8:20: identity_providers[0].callback_path: `/a/../b` has a dot segment"],
    a_callback_of_another_provider: [partner(", callback_path: /oauth2/callback/corp")] =>
        ["8:118: identity_providers[1].callback_path: `/oauth2/callback/corp` is also the callback of `corp`",
         "10:5: warning: routes[0].identity_providers: two people of different identity providers can have the same `user`: `corp` has no `email_domains`"],
    a_callback_at_an_endpoint: [provider("callback_path: /oauth2/sign_in")] =>
        ["8:20: identity_providers[0].callback_path: `/oauth2/sign_in` is an endpoint of the gateway"],
    an_empty_claim_path: [provider("claims: {user: [email, '']}")] =>
        ["8:28: identity_providers[0].claims.user[1]: `` is not a claim path: a claim path is not empty"],
    a_claim_in_place_of_the_roles: [provider("claims: {roles: groups}")] =>
        ["8:14: identity_providers[0].claims.roles: the attribute `roles` is not made of a claim"],
    no_source_of_claims: [provider("claims_from: []")] =>
        ["8:18: identity_providers[0].claims_from: the list is empty"],
    roles_that_nothing_becomes: [provider("roles: {from: [groups]}")] =>
        ["8:19: identity_providers[0].roles.from: no value found there would become a role"],
    a_map_of_nothing: [provider("roles: {map: {a: b}}")] =>
        ["8:18: identity_providers[0].roles.map: nothing is mapped: `from` names no claim"],
    an_empty_role: [provider("roles: {from: [groups], map: {a: ''}}")] =>
        ["8:38: identity_providers[0].roles.map.a: the text is empty"],
    an_endpoint_over_http: [provider("endpoints: {token: 'http://login.example.com/token'}")] =>
        ["8:24: identity_providers[0].endpoints.token: `http://login.example.com/token` is plain http: codes and secrets could be read on the way"],
    an_unsafe_algorithm: [provider("id_token_algorithms: [HS256]")] =>
        ["8:27: identity_providers[0].id_token_algorithms[0]: `HS256` is not one of the words"],
    authorities_that_are_missing: [provider("ca: {file: none.pem}")] =>
        ["8:16: identity_providers[0].ca.file: `none.pem` cannot be read: No such file or directory (os error 2)"],
    a_provider_that_nobody_uses: [partner(""), route("identity_providers: [corp]")] =>
        ["8:5: warning: identity_providers[1]: no route admits users of `partner`"],
}
