//! Problems of routes.

use crate::config::tests::allow;
use crate::config::tests::cases;
use crate::config::tests::from;
use crate::config::tests::partner;
use crate::config::tests::provider;
use crate::config::tests::replace;
use crate::config::tests::route;
use crate::config::tests::second_route;

cases! {
    no_route: [replace("routes:\n  - from: https://wiki.example.com\n    to: http://127.0.0.1:3000\n    auth: login\n    allow: [{any_user: true}]\n", "routes: []\n")] =>
        ["8:9: routes: the list is empty"],
    a_from_over_http: [from("http://wiki.example.com")] =>
        ["9:11: routes[0].from: `http://wiki.example.com` is plain http: sessions could be stolen on the way"],
    a_from_with_a_password: [from("https://me:hunter2@wiki.example.com")] =>
        ["9:11: routes[0].from: there is a user name in this address"],
    a_from_with_a_query: [from("https://wiki.example.com/?a")] =>
        ["9:11: routes[0].from: there is a query in `https://wiki.example.com/?a`"],
    a_from_with_a_dot_segment: [from("https://wiki.example.com/a/../b")] =>
        ["9:11: routes[0].from: the path of `https://wiki.example.com/a/../b` has a dot segment"],
    a_from_with_a_percent_sign: [from("https://wiki.example.com/%61")] =>
        ["9:11: routes[0].from: the path of `https://wiki.example.com/%61` is percent-encoded"],
    a_from_that_ends_with_a_slash: [from("https://wiki.example.com/a/")] =>
        ["9:11: routes[0].from: the path of `https://wiki.example.com/a/` ends with `/`"],
    a_wildcard_inside: [from("https://a.*.example.com")] =>
        ["9:11: routes[0].from: there is a `*` within the host of `https://a.*.example.com`"],
    a_from_below_our_endpoints: [from("https://wiki.example.com/oauth2/x")] =>
        ["9:11: routes[0].from: the gateway's own endpoints are below `/oauth2`"],
    an_address_twice: [second_route("https://WIKI.example.com:443/")] =>
        ["13:12: routes[1].from: `https://wiki.example.com` is also the address of `routes[0]`"],
    two_schemes_at_one_port: [from("https://app.localhost:8443"), second_route("http://app.localhost:8443/a")] =>
        ["13:12: routes[1].from: `routes[0]` has another scheme for the host `app.localhost:8443`"],
    two_schemes_under_a_wildcard: [from("http://*.localhost"), second_route("https://app.localhost")] =>
        ["13:12: routes[1].from: `routes[0]` has another scheme for the host `app.localhost`"],
    two_schemes_of_one_host: [from("https://app.localhost"), second_route("http://app.localhost")] =>
        ["13:12: routes[1].from: `routes[0]` has another scheme for the host `app.localhost`"],
    a_to_with_a_path: [replace("to: http://127.0.0.1:3000", "to: http://127.0.0.1:3000/app")] =>
        ["10:9: routes[0].to: there is a path in `http://127.0.0.1:3000/app`"],
    a_to_of_another_protocol: [replace("to: http://127.0.0.1:3000", "to: ftp://127.0.0.1")] =>
        ["10:9: routes[0].to: `ftp://127.0.0.1` does not name a protocol that upstreams speak"],
    no_to: [replace("    to: http://127.0.0.1:3000\n", "")] =>
        ["9:5: routes[0].to: this key is missing"],
    an_empty_list_to: [replace("to: http://127.0.0.1:3000", "to: []")] =>
        ["10:9: routes[0].to: the list is empty"],
    an_upstream_twice: [replace("to: http://127.0.0.1:3000", "to: ['http://a:1', 'http://a:1/']")] =>
        ["10:24: routes[0].to[1]: `http://a:1/` is there twice"],
    an_unknown_identity_provider: [partner(""), route("identity_providers: [crop, partner]")] =>
        ["12:26: routes[0].identity_providers[0]: no identity provider is named `crop`"],
    no_identity_provider_in_the_list: [route("identity_providers: []")] =>
        ["11:25: routes[0].identity_providers: the list is empty"],
    no_active_identity_provider: [provider("status: disabled")] =>
        ["12:11: routes[0].auth: there is no active identity provider to log in at"],
    no_identity_provider_at_all: [replace("identity_providers:\n  - id: corp\n    issuer: https://login.example.com\n    client_id: gateway\n    client_secret: {env: CORP_SECRET}\n", "")] =>
        ["6:11: routes[0].auth: there is no active identity provider to log in at"],
    names_that_can_collide: [partner(", email_domains: [partner.example]")] =>
        ["10:5: warning: routes[0].identity_providers: two people of different identity providers can have the same `user`: `corp` has no `email_domains`"],
    no_allow: [replace("    allow: [{any_user: true}]\n", "")] =>
        ["9:5: routes[0].allow: this key is missing"],
    an_empty_allow: [allow("[]")] =>
        ["12:12: routes[0].allow: the list is empty"],
    rules_on_a_public_route: [replace("auth: login", "auth: public")] =>
        ["12:12: routes[0].allow: this route lets everybody in: the rules have no effect"],
    rules_on_an_optional_route: [replace("auth: login", "auth: optional")] =>
        ["12:12: routes[0].allow: this route lets everybody in: the rules have no effect"],
    providers_on_a_public_route: [replace("    allow: [{any_user: true}]\n", "    allow: [{any_user: true}]\n  - {from: 'https://b.example.com', to: 'http://a:1', auth: public, identity_providers: [corp]}\n")] =>
        ["13:89: warning: routes[1].identity_providers: nobody logs in on this route: the list has no effect"],
    a_rule_that_asks_for_nothing: [allow("[{}]")] =>
        ["12:13: routes[0].allow[0]: the entry asks for nothing"],
    a_rule_with_an_empty_list: [allow("[{groups: []}]")] =>
        ["12:22: routes[0].allow[0].groups: the list is empty"],
    a_rule_with_an_empty_text: [allow("[{groups: ['']}]")] =>
        ["12:23: routes[0].allow[0].groups[0]: the text is empty"],
    any_user_false: [allow("[{any_user: false}]")] =>
        ["12:24: routes[0].allow[0].any_user: `false` lets nobody in and keeps nobody out"],
    an_allowed_address_that_is_none: [allow("[{emails: [alice]}]")] =>
        ["12:23: routes[0].allow[0].emails[0]: `alice` is not an e-mail address"],
    an_allowed_domain_that_is_none: [allow("[{email_domains: ['@example.com']}]")] =>
        ["12:30: routes[0].allow[0].email_domains[0]: `@example.com` is not a domain: there is an `@` in it"],
    a_method_in_lower_case: [allow("[{methods: [get]}]")] =>
        ["12:24: routes[0].allow[0].methods[0]: `get` is not a method"],
    a_source_that_is_no_network: [allow("[{source_ips: [office]}]")] =>
        ["12:27: routes[0].allow[0].source_ips[0]: `office` is not an address or network"],
    an_unknown_provider_in_a_rule: [allow("[{identity_providers: [cor]}]")] =>
        ["12:35: routes[0].allow[0].identity_providers[0]: no identity provider is named `cor`"],
    a_claim_without_a_value: [allow("[{claims: {department: []}}]")] =>
        ["12:35: routes[0].allow[0].claims.department: the list is empty"],
    a_claim_compared_with_null: [allow("[{claims: {department: null}}]")] =>
        ["12:35: routes[0].allow[0].claims.department: the claim is compared with nothing"],
    no_claim_in_a_rule: [allow("[{claims: {}}]")] =>
        ["12:22: routes[0].allow[0].claims: no claim is named"],
    a_role_that_nobody_gets: [provider("roles: {from: [groups], map: {a: editor}, default: [user]}"), allow("[{roles: [edtior]}]")] =>
        ["13:21: warning: routes[0].allow[0].roles: no identity provider of this route gives the role `edtior`"],
    a_role_without_any_mapping: [allow("[{roles: [admin]}]")] =>
        ["12:21: warning: routes[0].allow[0].roles: no identity provider of this route gives the role `admin`"],
    a_machine_on_a_login_route: [allow("[{clients: [robot]}, {any_user: true}]")] =>
        ["12:23: warning: routes[0].allow[0].clients: no machine caller comes through a route with `auth: login`: the entry lets nobody in"],
    a_token_route_without_tokens: [replace("auth: login", "auth: bearer")] =>
        ["9:5: routes[0].bearer: this key is missing"],
    tokens_on_a_login_route: [route("bearer: {issuers: [corp], audience: a}")] =>
        ["11:13: routes[0].bearer: no access token is looked at on this route"],
    tokens_for_any_api: [route("bearer: {issuers: [corp]}"), replace("auth: login", "auth: either")] =>
        ["11:13: routes[0].bearer.audience: this key is missing"],
    tokens_of_anybody: [route("bearer: {audience: a}"), replace("auth: login", "auth: bearer")] =>
        ["11:13: routes[0].bearer.issuers: this key is missing"],
    tokens_of_a_stranger: [route("bearer: {issuers: [crop], audience: a}"), replace("auth: login", "auth: bearer")] =>
        ["11:24: routes[0].bearer.issuers[0]: no identity provider is named `crop`"],
    tokens_of_our_own: [route("bearer: {issuers: [openid_provider], audience: a}"), replace("auth: login", "auth: bearer")] =>
        ["11:24: routes[0].bearer.issuers[0]: there is no `openid_provider` in the file"],
    an_empty_scope: [route("bearer: {issuers: [corp], audience: a, scopes: []}"), replace("auth: login", "auth: bearer")] =>
        ["11:52: routes[0].bearer.scopes: the list is empty"],
    two_scopes_in_one: [route("bearer: {issuers: [corp], audience: a, scopes: [a b]}"), replace("auth: login", "auth: bearer")] =>
        ["11:53: routes[0].bearer.scopes[0]: `a b` is not a scope value"],
    a_step_up_to_nothing: [route("bearer: {issuers: [corp], audience: a}\n    step_up: {}"), replace("auth: login", "auth: bearer")] =>
        ["12:14: routes[0].step_up: nothing is asked for here"],
    a_step_up_to_no_acr: [route("bearer: {issuers: [corp], audience: a}\n    step_up: {acr_values: []}"), replace("auth: login", "auth: either")] =>
        ["12:27: routes[0].step_up.acr_values: the list is empty"],
    a_step_up_with_a_quote: [route("bearer: {issuers: [corp], audience: a}\n    step_up: {acr_values: [urn:mfa, 'a\"b', 'a b']}"), replace("auth: login", "auth: bearer")] =>
        ["12:37: routes[0].step_up.acr_values[1]: `a\"b` cannot be told to callers",
         "12:44: routes[0].step_up.acr_values[2]: `a b` cannot be told to callers"],
    a_step_up_to_no_time: [route("bearer: {issuers: [corp], audience: a}\n    step_up: {max_age: 0s}"), replace("auth: login", "auth: bearer")] =>
        ["12:24: routes[0].step_up.max_age: the duration is zero"],
    nonces_for_no_proof: [route("bearer: {issuers: [corp], audience: a, dpop_nonce: required}"), replace("auth: login", "auth: bearer")] =>
        ["11:56: routes[0].bearer.dpop_nonce: no proof is looked at on this route"],
    a_step_up_on_an_optional_route: [route("step_up: {acr_values: [urn:mfa], max_age: 15m}"), replace("auth: login\n    allow: [{any_user: true}]", "auth: optional")] =>
        ["11:14: routes[0].step_up: this route lets everybody in: nobody is asked for a login"],
    a_step_up_on_a_public_route: [route("step_up: {max_age: 15m}"), replace("auth: login\n    allow: [{any_user: true}]", "auth: public")] =>
        ["11:14: routes[0].step_up: no login is looked at on this route"],
    a_step_up_that_no_cookie_holds: [route(&format!("step_up: {{acr_values: [{}, {}]}}", "a".repeat(128), "b".repeat(128)))] =>
        ["11:27: routes[0].step_up.acr_values: the values have 257 bytes together, expected at most 256"],
    a_post_that_nothing_interrupts: [route("preserve_post: true"), replace("auth: login\n    allow: [{any_user: true}]", "auth: optional")] =>
        ["11:20: routes[0].preserve_post: nobody is sent to log in on this route: the key has no effect"],
    a_fragment_that_nothing_interrupts: [route("preserve_fragment: true"), replace("auth: login\n    allow: [{any_user: true}]", "auth: public")] =>
        ["11:24: routes[0].preserve_fragment: nobody is sent to log in on this route: the key has no effect"],
    an_empty_audience: [route("bearer: {issuers: [corp], audience: []}"), replace("auth: login", "auth: bearer")] =>
        ["11:41: routes[0].bearer.audience: the list is empty"],
    opaque_tokens_of_two: [partner(""), route("bearer: {issuers: [corp, partner], audience: a, validation: auto}"), replace("auth: login", "auth: bearer")] =>
        ["12:23: routes[0].bearer.issuers: an opaque token does not say who issued it: only one issuer can be asked"],
    a_cache_of_nothing: [route("bearer: {issuers: [corp], audience: a, cache: 5s}"), replace("auth: login", "auth: bearer")] =>
        ["11:51: warning: routes[0].bearer.cache: nothing is introspected on this route: the duration has no effect"],
    tokens_and_nobody_allowed: [route("bearer: {issuers: [corp], audience: a}"), replace("auth: login\n    allow: [{any_user: true}]", "auth: bearer")] =>
        ["9:5: routes[0].allow: this key is missing"],
    a_preflight_of_an_open_route: [route("cors_preflight: pass"), replace("auth: login\n    allow: [{any_user: true}]", "auth: public")] =>
        ["11:21: routes[0].cors_preflight: this route asks nobody who they are: the key has no effect"],
    a_header_of_the_connection: [route("identity_headers: {set: {Connection: email}}")] =>
        ["11:30: routes[0].identity_headers.set.Connection: the header `Connection` cannot carry an identity"],
    a_header_written_twice: [route("identity_headers: {set: {X-Mail: email, x_mail: email}}")] =>
        ["11:53: routes[0].identity_headers.set.x_mail: the header `x_mail` is also written by `routes[0].identity_headers.set.X-Mail`"],
    a_token_in_the_cookie: [route("identity_headers: {access_token: Cookie}")] =>
        ["11:38: routes[0].identity_headers.access_token: the header `Cookie` cannot carry an identity"],
    an_assertion_without_an_audience: [route("identity_headers: {assertion: {header: X-A}}")] =>
        ["11:35: routes[0].identity_headers.assertion.audience: this key is missing"],
    an_assertion_for_a_wildcard: [from("https://*.example.com"), route("identity_headers: {preset: pomerium}")] =>
        ["11:23: routes[0].identity_headers.assertion.audience: this key is missing"],
    headers_on_a_public_route: [replace("auth: login\n    allow: [{any_user: true}]", "auth: public\n    identity_headers: {preset: remote_user}")] =>
        ["4:5: warning: identity_providers[0]: no route admits users of `corp`",
         "12:23: warning: routes[0].identity_headers: no identity is known on this route: these headers are never set"],
    a_prefix_that_is_not_there: [route("strip_prefix: true")] =>
        ["11:19: warning: routes[0].strip_prefix: there is no path in `from` to take off"],
    a_timeout_of_zero: [route("timeouts: {connect: 0ms}")] =>
        ["11:25: routes[0].timeouts.connect: the duration is zero"],
    a_timeout_with_a_wrong_unit: [route("timeouts: {read: 1min}")] =>
        ["11:22: routes[0].timeouts.read: `1min` is not a duration"],
    a_health_path_without_a_slash: [route("health_check: {path: healthz}")] =>
        ["11:26: routes[0].health_check.path: `healthz` does not begin with `/`"],
    authorities_without_tls: [route("upstream_ca: {file: none.pem}")] =>
        ["11:18: routes[0].upstream_ca: no upstream of this route uses TLS",
         "11:25: routes[0].upstream_ca.file: `none.pem` cannot be read: No such file or directory (os error 2)"],
}
