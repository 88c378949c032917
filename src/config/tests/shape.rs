//! Problems of shape.

use crate::config::tests::allow;
use crate::config::tests::cases;
use crate::config::tests::provider;
use crate::config::tests::replace;
use crate::config::tests::route;
use crate::config::tests::top;

cases! {
    an_unknown_key: [top("sesions: {}")] =>
        ["3:1: sesions: no key is named `sesions`"],
    an_unknown_key_inside: [provider("isuer: x")] =>
        ["8:5: identity_providers[0].isuer: no key is named `isuer`"],
    a_key_of_a_later_version: [top("outbound: {allow_addresses: []}")] =>
        ["3:1: outbound: this version of vestibule does not know `outbound`"],
    a_status_of_a_later_version: [provider("status: draft")] =>
        ["8:13: identity_providers[0].status: `draft` is not yet supported by this version"],
    an_unknown_word: [replace("auth: login", "auth: loign")] =>
        ["11:11: routes[0].auth: `loign` is not one of the words"],
    a_duplicate_key: [route("auth: public")] =>
        ["12:5: routes[0].auth: the key `auth` is there twice",
         "13:12: routes[0].allow: this route lets everybody in: the rules have no effect"],
    a_missing_key: [replace("    client_id: gateway\n", "")] =>
        ["4:5: identity_providers[0].client_id: this key is missing"],
    a_missing_auth: [replace("    auth: login\n", "")] =>
        ["9:5: routes[0].auth: this key is missing"],
    a_misspelt_required_key: [replace("client_id:", "clientid:")] =>
        ["6:5: identity_providers[0].clientid: no key is named `clientid`"],
    a_list_for_a_string: [replace("client_id: gateway", "client_id: [gateway]")] =>
        ["6:16: identity_providers[0].client_id: found a list"],
    a_number_for_a_string: [replace("client_id: gateway", "client_id: 12345")] =>
        ["6:16: identity_providers[0].client_id: found the number `12345`"],
    a_boolean_for_a_string: [replace("client_id: gateway", "client_id: true")] =>
        ["6:16: identity_providers[0].client_id: found the boolean `true`"],
    no_for_a_string: [replace("client_id: gateway", "client_id: no")] =>
        ["6:16: identity_providers[0].client_id: found `no`, which YAML 1.1 and 1.2 read differently"],
    on_for_a_boolean: [route("strip_prefix: on")] =>
        ["11:19: routes[0].strip_prefix: found `on`, which YAML 1.1 and 1.2 read differently"],
    an_octal_number: [top("threads: 010")] =>
        ["3:10: threads: found `010`, which YAML 1.1 and 1.2 read differently"],
    a_string_for_a_number: [top("threads: many")] =>
        ["3:10: threads: found a string"],
    a_string_for_a_list: [top("trusted_proxies: 10.0.0.0/8")] =>
        ["3:18: trusted_proxies: found a string"],
    nothing_for_a_list: [allow("")] =>
        ["12:5: routes[0].allow: found nothing"],
    a_string_for_a_mapping: [top("admin: 127.0.0.1:9090")] =>
        ["3:8: admin: found a string"],
    a_wrong_item: [replace("to: http://127.0.0.1:3000", "to: ['http://a:1', 7, 'http://b:1/x']")] =>
        ["10:24: routes[0].to[1]: found the number `7`",
         "10:27: routes[0].to[2]: there is a path in `http://b:1/x`"],
    a_route_that_is_no_mapping: [replace("    allow: [{any_user: true}]\n", "    allow: [{any_user: true}]\n  - wiki\n")] =>
        ["13:5: routes[1]: found a string"],
    an_unclear_claim_value: [allow("[{claims: {country: no}}]")] =>
        ["12:32: routes[0].allow[0].claims.country: `no` means different things to YAML 1.1 and 1.2"],
    a_number_as_a_parameter: [provider("authorization_parameters: {max_age: 300}")] =>
        ["8:41: identity_providers[0].authorization_parameters.max_age: found the number `300`"],
    a_secret_in_the_file: [replace("{env: CORP_SECRET}", "hunter2hunter2")] =>
        ["7:20: identity_providers[0].client_secret: a secret is not written into this file"],
    a_session_key_in_the_file: [top("session_keys: [AAAAhunter2AAAA]")] =>
        ["3:16: session_keys[0]: a secret is not written into this file"],
    pkce_off_is_a_word: [provider("pkce: off")] =>
        ["8:11: warning: identity_providers[0].pkce: without PKCE a stolen authorization code can be used by others"],
}
