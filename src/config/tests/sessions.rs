//! Problems of sessions, their cookie and keys.

use crate::config::tests::cases;
use crate::config::tests::from;
use crate::config::tests::replace;
use crate::config::tests::top;

cases! {
    an_unknown_unit: [top("sessions: {idle_timeout: 300x}")] =>
        ["3:26: sessions.idle_timeout: `300x` is not a duration"],
    a_negative_duration: [top("sessions: {idle_timeout: -5s}")] =>
        ["3:26: sessions.idle_timeout: `-5s` is not a duration"],
    a_duration_of_zero: [top("sessions: {max_lifetime: 0s}")] =>
        ["3:26: sessions.max_lifetime: the duration is zero"],
    an_idle_timeout_beyond_the_lifetime: [top("sessions: {idle_timeout: 9h}")] =>
        ["3:26: sessions.idle_timeout: the idle timeout is longer than `max_lifetime`"],
    a_reauthentication_that_never_comes: [top("sessions: {reauthenticate_after: 8h}")] =>
        ["3:34: warning: sessions.reauthenticate_after: no session lives that long: `max_lifetime` is not longer"],
    no_session_key: [top("session_keys: []")] =>
        ["3:15: session_keys: the list is empty"],
    a_session_key_of_one_byte_value: [top("session_keys: [{env: WEAK_KEY}]")] =>
        ["3:16: session_keys[0]: the key is a placeholder"],
    a_short_session_key: [top("session_keys: [{env: SHORT_KEY}]")] =>
        ["3:16: session_keys[0]: the key has 31 bytes"],
    a_session_key_that_is_not_base64: [top("session_keys: [{env: CORP_SECRET}]")] =>
        ["3:16: session_keys[0]: the key is not base64"],
    a_session_key_twice: [top("session_keys: [{env: KEY}, {env: KEY}]")] =>
        ["3:28: session_keys[1]: the key is there twice"],
    a_cookie_name_with_a_prefix: [top("sessions: {cookie: {name: __Host-x}}")] =>
        ["3:27: sessions.cookie.name: `__Host-x` begins with `__`"],
    a_cookie_name_that_is_no_token: [top("sessions: {cookie: {name: 'a b'}}")] =>
        ["3:27: sessions.cookie.name: `a b` is not the name of a cookie"],
    a_cookie_for_a_public_suffix: [top("sessions: {cookie: {domain: co.uk}}")] =>
        ["3:29: sessions.cookie.domain: `co.uk` is a public suffix: the cookie would be everybody's"],
    a_cookie_for_everything: [top("sessions: {cookie: {domain: com}}")] =>
        ["3:29: sessions.cookie.domain: `com` is a public suffix: the cookie would be everybody's"],
    a_cookie_for_another_domain: [top("sessions: {cookie: {domain: example.org}}")] =>
        ["3:29: sessions.cookie.domain: `routes[0]` (`https://wiki.example.com`) is not below `example.org`"],
    a_cookie_for_a_domain_that_only_ends_alike: [top("sessions: {cookie: {domain: iki.example.com}}")] =>
        ["3:29: sessions.cookie.domain: `routes[0]` (`https://wiki.example.com`) is not below `iki.example.com`"],
    a_cookie_domain_with_a_dot: [top("sessions: {cookie: {domain: .example.com}}")] =>
        ["3:29: sessions.cookie.domain: `.example.com` begins with a dot"],
    a_cookie_for_an_address: [top("sessions: {cookie: {domain: 127.0.0.1}}")] =>
        ["3:29: sessions.cookie.domain: `127.0.0.1` is not a domain"],
    same_site_none_without_https: [replace("listeners:\n  - address: 127.0.0.1:8080\nidentity_providers:", "listeners: [{address: '127.0.0.1:1'}]\nsessions: {cookie: {same_site: none}}\nidentity_providers:"), from("http://app.localhost")] =>
        ["2:32: sessions.cookie.same_site: `none` needs https, but `routes[0]` (`http://app.localhost`) is not"],
}
