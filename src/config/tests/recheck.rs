//! `openid_provider.login.recheck`.

use std::time::Duration;

use crate::config::tests::SOUND;
use crate::config::tests::parsed;
use crate::config::tests::said;

fn file(login: &str, scopes: &str) -> String {
    let clients = "
    - client_id: shop
      client_secret: {env: CORP_SECRET}
      redirect_uris: [https://shop.example.com/callback]";
    format!(
        "{SOUND}openid_provider:\n  issuer: https://sso.example.com/oidc\n  login: {login}\n  \
         clients:{clients}\n      scopes: {scopes}\n"
    )
}

const ONLINE: &str = "[openid]";
const OFFLINE: &str = "[openid, offline_access]";

fn recheck(login: &str) -> Option<Duration> {
    let loaded = parsed(file(login, ONLINE)).expect("the file is sound");
    let provider = loaded.settings.openid_provider.expect("there is one");
    provider.recheck
}

#[test]
fn a_word_counts_for_a_while_or_for_ever() {
    let of = |more: &str| recheck(&format!("{{identity_providers: [corp]{more}}}"));
    for (text, seconds) in [
        ("", 900),
        (", recheck: 1m", 60),
        (", recheck: 90s", 90),
        (", recheck: 24h", 86_400),
    ] {
        assert_eq!(of(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    assert_eq!(of(", recheck: never"), None);
}

#[test]
fn what_is_too_short_too_long_or_of_no_effect_is_said() {
    let said = |login: &str| -> Vec<String> {
        let found = said(file(login, ONLINE));
        found.iter().map(ToString::to_string).collect()
    };
    for wrong in ["59s", "25h", "0s"] {
        let login = format!("{{identity_providers: [corp], recheck: {wrong}}}");
        let found = said(&login);
        assert!(
            found.len() == 1
                && found
                    .iter()
                    .all(|one| one.contains("openid_provider.login.recheck")),
            "{wrong}: {found:?}"
        );
    }
    let found = said("{identity_providers: [corp], recheck: sometimes}");
    assert_eq!(found.len(), 1, "{found:?}");
    let hash = "'$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM'";
    let accounts = format!(
        "{{accounts: local, recheck: 15m}}\n  accounts: [{{username: al, password_hash: {hash}}}]"
    );
    let found = said(&accounts);
    assert!(
        found.len() == 1
            && found
                .iter()
                .all(|one| one.contains("this key has no effect")),
        "{found:?}"
    );
}

/// Without a refresh token nobody can be asked about.
#[test]
fn a_promise_that_may_not_be_kept_is_a_warning() {
    let login = "{identity_providers: [corp], recheck: 15m}";
    let warned = |text: String| {
        let found = said(text);
        let is_meant =
            |one: &String| one.contains("warning: ") && one.contains("`corp` is not asked for");
        assert!(found.len() <= 1, "{found:?}");
        found
            .iter()
            .map(ToString::to_string)
            .any(|one| is_meant(&one))
    };
    assert!(warned(file(login, OFFLINE)));
    assert!(
        !warned(file(login, ONLINE)),
        "nobody is granted anything offline"
    );
    assert!(!warned(file("{identity_providers: [corp]}", OFFLINE)));
    let id = "- id: corp\n";
    for more in [
        "scopes: [openid, offline_access]",
        "authorization_parameters: {access_type: offline}",
    ] {
        let text = file(login, OFFLINE);
        assert_eq!(text.matches(id).count(), 1, "{text}");
        assert!(
            !warned(text.replace(id, &format!("{id}    {more}\n"))),
            "{more}"
        );
    }
}
