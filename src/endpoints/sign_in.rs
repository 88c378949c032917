//! The chooser: which identity provider to sign in with.

use http::StatusCode;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::login;
use crate::endpoints::openid_provider::all_form_targets;
use crate::endpoints::openid_provider::asking;
use crate::endpoints::query;
use crate::pages::view::Chooser;
use crate::pages::view::EmailForm;
use crate::pages::view::ProviderChoice;
use crate::random;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::Selection;
use crate::relying_party::StartExtras;
use crate::relying_party::select;
use crate::routes::Origin;
use crate::session::Purpose;
use crate::session::ReturnTo;

/// `GET, POST /oauth2/sign_in?rd=`.
pub async fn handle(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    if call.request.method == "POST" {
        return by_email(call).await;
    }
    let query = call.request.query.unwrap_or_default();
    let return_to = login::return_to(call, query);
    let route = login::route_of(call, &return_to);
    let candidates = login::candidates(call, route.as_deref(), &return_to);
    if candidates.len() == 1 {
        let (prompt, acr_values) = asked(call);
        let extras = StartExtras {
            prompt,
            acr_values,
            ..StartExtras::default()
        };
        return login::begin(call, route.as_deref(), &return_to, None, extras).await;
    }
    if candidates.is_empty() {
        return Err(Failure::unknown_path().into());
    }
    Ok(page(call, &candidates, &return_to, None).await)
}

/// The e-mail step: the domain of the address names the provider.
async fn by_email(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let form = std::str::from_utf8(call.body).unwrap_or_default();
    let return_to = login::return_to(call, form);
    let route = login::route_of(call, &return_to);
    let candidates = login::candidates(call, route.as_deref(), &return_to);
    let is_ours = query::parameter(form, "csrf").is_some_and(|token| is_form_token(call, &token));
    if !is_ours {
        return Ok(page(call, &candidates, &return_to, Some("Please try again.")).await);
    }
    let email = query::parameter(form, "login_hint").unwrap_or_default();
    let email = email.trim();
    let by_domain: Vec<&IdentityProviderSettings> = candidates
        .iter()
        .copied()
        .filter(|one| !one.email_domains.is_empty())
        .collect();
    let domain = crate::identity::email_domain(email);
    let is_known = |one: &&IdentityProviderSettings| {
        domain
            .as_ref()
            .is_some_and(|domain| one.email_domains.contains(domain))
    };
    let found: Vec<_> = by_domain.into_iter().filter(is_known).collect();
    let Selection::One(id) = select(&found, None, Some(email)) else {
        let error = "No way to sign in is known for this address. Choose one below.";
        return Ok(page(call, &candidates, &return_to, Some(error)).await);
    };
    let (prompt, acr_values) = asked(call);
    let query = query::write(&[
        ("rd", Some(return_to.as_str())),
        ("idp", Some(&id)),
        ("login_hint", Some(email)),
        ("prompt", prompt.as_deref()),
        ("acr_values", acr_values.as_deref()),
    ]);
    Ok(Answer::redirect(
        StatusCode::SEE_OTHER,
        &call.own_url("/start", &query),
    ))
}

/// What the login is asked for beside the way: `prompt` and `acr_values` of the address.
fn asked(call: &Call<'_>) -> (Option<String>, Option<String>) {
    let query = call.request.query.unwrap_or_default();
    (
        query::parameter(query, "prompt"),
        query::parameter(query, "acr_values"),
    )
}

async fn page(
    call: &Call<'_>,
    candidates: &[&IdentityProviderSettings],
    return_to: &ReturnTo,
    error: Option<&str>,
) -> Answer {
    let rd = return_to.as_str();
    let (prompt, acr_values) = asked(call);
    let kept = query::write(&[
        ("prompt", prompt.as_deref()),
        ("acr_values", acr_values.as_deref()),
    ]);
    let providers = candidates.iter().map(|provider| ProviderChoice {
        name: provider.name.clone(),
        url: call.own_url(
            "/start",
            &query::write(&[
                ("rd", Some(rd)),
                ("idp", Some(&provider.id)),
                ("prompt", prompt.as_deref()),
                ("acr_values", acr_values.as_deref()),
            ]),
        ),
    });
    let has_domains = candidates
        .iter()
        .any(|provider| !provider.email_domains.is_empty());
    let mut targets = form_targets(call);
    let mut host = call.origin.authority();
    if let Some(asking) = asking(call, return_to).await {
        host = asking.name;
        let more = asking.form_targets.into_iter();
        targets.extend(
            more.filter(|target| !targets.contains(target))
                .collect::<Vec<_>>(),
        );
    }
    let chooser = Chooser {
        host,
        providers: providers.collect(),
        email_form: has_domains.then(|| EmailForm {
            action_url: call.own_url("/sign_in", &kept),
            anti_forgery: form_token(call),
            rd: rd.to_owned(),
            error: error.map(str::to_owned),
        }),
        request_id: call.request_id.as_str().to_owned(),
    };
    Answer::page_with_form(&call.snapshot.pages, &chooser, &targets)
}

/// Where a form of ours may lead. Chromium holds all redirects that follow a form against
/// `form-action`, and where identity providers send browsers on their own side cannot be known.
pub fn form_targets(call: &Call<'_>) -> Vec<String> {
    let providers = call.snapshot.settings.identity_providers.iter();
    let issuers = providers.filter_map(|provider| url::Url::parse(&provider.issuer).ok());
    // Those on this machine are the only ones without TLS.
    let local = issuers
        .filter(|url| url.scheme() == "http")
        .filter_map(|url| Origin::of_url(&url));
    let mut targets = vec!["https:".to_owned()];
    targets.extend(local.map(|origin| origin.to_string()));
    let provider = call.snapshot.openid_provider();
    targets.extend(provider.into_iter().flat_map(all_form_targets));
    targets
}

/// A value that only a page of ours on this origin can hold.
fn form_token(call: &Call<'_>) -> String {
    let plain = call.now.0.to_be_bytes();
    call.snapshot.keys.seal_text(
        Purpose::Form,
        form_context(call).as_bytes(),
        random::bytes(),
        &plain,
    )
}

fn is_form_token(call: &Call<'_>, token: &str) -> bool {
    /// A page may stay open this many seconds before its form is sent.
    const LIFETIME_SECONDS: i64 = 8 * 60 * 60;
    let opened = call
        .snapshot
        .keys
        .open_text(Purpose::Form, form_context(call).as_bytes(), token);
    let made_at = opened
        .ok()
        .and_then(|plain| <[u8; 8]>::try_from(plain).ok());
    made_at.is_some_and(|bytes| {
        call.now.0.saturating_sub(i64::from_be_bytes(bytes)) < LIFETIME_SECONDS
    })
}

fn form_context(call: &Call<'_>) -> String {
    format!("sign_in {}", call.origin)
}
