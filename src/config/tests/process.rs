//! Problems of listeners, store, templates and limits.

use crate::config::tests::cases;
use crate::config::tests::replace;
use crate::config::tests::top;

cases! {
    no_listener: [replace("listeners:\n  - address: 127.0.0.1:8080\n", "listeners: []\n")] =>
        ["1:12: listeners: the list is empty"],
    an_address_without_a_host: [replace("127.0.0.1:8080", "':8080'")] =>
        ["2:14: listeners[0].address: `:8080` is not an address"],
    an_address_by_name: [replace("127.0.0.1:8080", "localhost:8080")] =>
        ["2:14: listeners[0].address: `localhost:8080` is not an address"],
    two_listeners_at_one_address: [replace("  - address: 127.0.0.1:8080\n", "  - address: 127.0.0.1:8080\n  - address: 0.0.0.0:8080\n")] =>
        ["3:14: listeners[1].address: `0.0.0.0:8080` is taken by the listener on `127.0.0.1:8080`"],
    a_certificate_that_is_missing: [replace("  - address: 127.0.0.1:8080\n", "  - address: 127.0.0.1:8080\n    tls: {certificates: [{certificate: none.pem, private_key: none.key}]}\n")] =>
        ["3:40: listeners[0].tls.certificates[0].certificate: `none.pem` cannot be read: No such file or directory (os error 2)",
         "3:63: listeners[0].tls.certificates[0].private_key: `none.key` cannot be read: No such file or directory (os error 2)"],
    no_certificate: [replace("  - address: 127.0.0.1:8080\n", "  - address: 127.0.0.1:8080\n    tls: {certificates: []}\n")] =>
        ["3:25: listeners[0].tls.certificates: the list is empty"],
    an_admin_address_for_everybody: [top("admin: {address: '0.0.0.0:9090'}")] =>
        ["3:18: warning: admin.address: `0.0.0.0:9090` can be reached from other machines"],
    an_admin_address_of_a_listener: [top("admin: {address: '127.0.0.1:8080'}")] =>
        ["3:18: admin.address: `127.0.0.1:8080` is taken by the listener on `127.0.0.1:8080`"],
    a_proxy_that_is_no_network: [top("trusted_proxies: [10.0.0.0/8, proxy]")] =>
        ["3:31: trusted_proxies[1]: `proxy` is not an address or network"],
    a_proxy_with_bits_behind_the_prefix: [top("trusted_proxies: [192.168.1.10/24]")] =>
        ["3:19: trusted_proxies[0]: `192.168.1.10/24` has bits set behind its prefix"],
    everybody_as_a_proxy: [top("trusted_proxies: [0.0.0.0/0]")] =>
        ["3:19: warning: trusted_proxies[0]: everybody's `X-Forwarded-For` is believed"],
    a_store_that_is_a_folder: [top("store: {embedded: {path: '.'}}")] =>
        ["3:26: store.embedded.path: `.` is a folder"],
    an_empty_store_path: [top("store: {embedded: {path: ''}}")] =>
        ["3:26: store.embedded.path: the text is empty",
         "3:26: store.embedded.path: `` is a folder"],
    two_stores: [top("store: {embedded: {}, redis: {url: {env: REDIS_URL}}}\nsession_keys: [{env: KEY}]")] =>
        ["3:30: store.redis: there are two stores"],
    a_shared_store_without_keys: [top("store: {redis: {url: {env: REDIS_URL}}}")] =>
        ["3:16: store.redis: the gateways that share a store need the same keys, but `session_keys` is missing"],
    a_shared_store_without_a_url: [top("store: {redis: {}}\nsession_keys: [{env: KEY}]")] =>
        ["3:16: store.redis.url: this key is missing"],
    a_url_that_is_written_down: [top("store: {redis: {url: 'redis://:hunter2@127.0.0.1'}}\nsession_keys: [{env: KEY}]")] =>
        ["3:22: store.redis.url: a secret is not written into this file"],
    a_url_that_is_none: [top("store: {redis: {url: {env: BAD_REDIS_URL}}}\nsession_keys: [{env: KEY}]")] =>
        ["3:22: store.redis.url: a server in the URL is not a name or address with a port"],
    a_redis_far_away_in_the_clear: [top("store: {redis: {url: {env: FAR_REDIS_URL}}}\nsession_keys: [{env: KEY}]")] =>
        ["3:22: warning: store.redis.url: passwords go over the network to Redis in the clear"],
    an_authority_without_tls: [top("store: {redis: {url: {env: REDIS_URL}, ca: {file: none.pem}}}\nsession_keys: [{env: KEY}]")] =>
        ["3:44: store.redis.ca: without TLS no certificate is looked at",
         "3:51: store.redis.ca.file: `none.pem` cannot be read: No such file or directory (os error 2)"],
    a_prefix_with_braces: [top("store: {redis: {url: {env: TLS_REDIS_URL}, prefix: '{mine}'}}\nsession_keys: [{env: KEY}]")] =>
        ["3:52: store.redis.prefix: `{mine}` is no prefix"],
    an_empty_prefix_of_keys: [top("store: {redis: {url: {env: TLS_REDIS_URL}, prefix: ''}}\nsession_keys: [{env: KEY}]")] =>
        ["3:52: store.redis.prefix: `` is no prefix"],
    a_prefix_without_a_slash: [top("endpoints: {prefix: oauth2}")] =>
        ["3:21: endpoints.prefix: `oauth2` does not begin with `/`"],
    a_prefix_that_ends_with_a_slash: [top("endpoints: {prefix: /auth/}")] =>
        ["3:21: endpoints.prefix: `/auth/` ends with `/`"],
    a_templates_folder_that_is_missing: [top("templates: {dir: none}")] =>
        ["3:18: templates.dir: `none` cannot be read: No such file or directory (os error 2)"],
    no_thread: [top("threads: 0")] =>
        ["3:10: threads: found the number `0`"],
    a_negative_number_of_threads: [top("threads: -1")] =>
        ["3:10: threads: found the number `-1`"],
    a_drain_timeout_without_a_unit: [top("drain_timeout: '30'")] =>
        ["3:16: drain_timeout: `30` is not a duration"],
    a_body_limit_without_a_unit: [top("request_body_limit: '100'")] =>
        ["3:21: request_body_limit: `100` is not a size"],
    a_body_limit_of_zero: [top("request_body_limit: 0MiB")] =>
        ["3:21: request_body_limit: the size is zero"],
}
