//! `vestibule explain`: what would happen to a request, and why.
//!
//! It asks the very functions that requests go through, so it cannot tell another story than they do.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use http::HeaderMap;
use http::HeaderValue;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use url::Url;

use crate::cli::check;
use crate::cli::explain_client;
use crate::cli::explain_client_text;
use crate::cli::explain_token;
use crate::cli::explain_user;
use crate::clock;
use crate::config;
use crate::config::Settings;
use crate::decision;
use crate::decision::CookieState;
use crate::decision::Decided;
use crate::decision::Decision;
use crate::decision::Facts;
use crate::decision::SessionFact;
use crate::decision::Step;
use crate::decision::TokenFact;
use crate::gateway;
use crate::identity::Identity;
use crate::relying_party::IdentityProviderSettings;
use crate::routes::Named;
use crate::routes::Origin;
use crate::routes::RequestView;
use crate::routes::Route;
use crate::routes::Scheme;
use crate::session::LiveSession;
use crate::session::SessionId;

/// The arguments.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: super::FileArgument,
    /// The method, such as GET.
    #[arg(required_unless_present = "client", conflicts_with = "client")]
    method: Option<String>,
    /// The whole URL.
    #[arg(required_unless_present = "client", conflicts_with = "client")]
    url: Option<String>,
    /// Claims of a user, as JSON: what would happen with their session.
    #[arg(long, value_name = "FILE.json")]
    pub(super) claims: Option<PathBuf>,
    /// The identity provider the claims come from; default: the one whose issuer is their `iss`, or
    /// the first of the route.
    #[arg(long, value_name = "ID", requires = "claims")]
    pub(super) idp: Option<String>,
    /// A client of our own OpenID provider, in place of METHOD and URL: what it would be given, for the user
    /// of `--claims` or `--user`, or with neither for itself.
    #[arg(long, value_name = "CLIENT_ID")]
    pub(super) client: Option<String>,
    /// An account of our own, in place of claims.
    #[arg(long, value_name = "NAME", conflicts_with = "claims")]
    pub(super) user: Option<String>,
    /// The scope that the client asks for; default: all that it may.
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Option<String>,
    /// An access token that the caller brings. Its issuer is asked for keys, or about the token, as the
    /// gateway would do it; for a token of our own provider that is the running gateway.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["claims", "client"])]
    token: Option<String>,
    /// The caller's address.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1",
        conflicts_with = "client"
    )]
    from: IpAddr,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Explains one request.
pub fn explain(arguments: &Arguments) -> ExitCode {
    let settings = match config::load(&arguments.file.config) {
        Ok(loaded) => loaded.settings,
        Err(problems) => {
            check::report(&problems);
            return ExitCode::from(check::EXIT_CONFIGURATION);
        }
    };
    let (story, readable): (_, fn(&Value) -> String) = match &arguments.client {
        Some(client) => (
            explain_client::story(arguments, client, &settings),
            explain_client_text::readable,
        ),
        None => (story(arguments, &settings), readable),
    };
    let text = match story {
        Ok(story) if arguments.json => format!("{story:#}\n"),
        Ok(story) => readable(&story),
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "vestibule explain: {problem}");
            return ExitCode::from(2);
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Works the story out, as JSON.
fn story(arguments: &Arguments, settings: &Settings) -> Result<Value, String> {
    let asked = Asked::parse(arguments)?;
    let policy = gateway::policy(settings, &settings.routes);
    let now = clock::now();
    let mut headers = asked.headers.clone();
    let anonymous = asked.view(&headers)?;
    let nothing = Facts {
        session: SessionFact::Absent,
        ..Facts::default()
    };
    let route = match decision::decide(&policy, &anonymous, &nothing, now) {
        Step::Done(Decided {
            route: Some(route), ..
        }) => Some(route),
        _ => None,
    };
    let mut facts = nothing;
    if let (Some(path), Some(route)) = (&arguments.claims, &route) {
        let id = SessionId::new([1; 32]);
        let claims = explain_user::claims(path)?;
        let idp = idp(arguments, settings, route, &claims)?;
        let session = explain_user::session(idp, path, claims, &asked.origin, now)?;
        facts.session = SessionFact::Found(Arc::new(LiveSession::new(id.key(), session, now)));
        let names = policy.cookies(&asked.origin);
        let cookie = format!("{}={}", names.session(), id.to_text());
        headers.insert(
            "cookie",
            HeaderValue::from_str(&cookie).map_err(|error| error.to_string())?,
        );
    }
    if let Some(token) = &arguments.token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "a token has no such characters".to_owned())?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
    }
    let request = asked.view(&headers)?;
    let mut checks = None;
    if let Step::NeedToken(bearer, token) = decision::decide(&policy, &request, &facts, now) {
        let finding = explain_token::find(settings, &bearer, token, now)?;
        facts.token = finding.fact;
        checks = Some(finding.checks);
    }
    match decision::decide(&policy, &request, &facts, now) {
        Step::Done(decided) => {
            if let (Some(checks), TokenFact::Valid(live), Some(route)) =
                (&mut checks, &facts.token, &decided.route)
            {
                checks.add_gate(route, live, &decided.decision);
            }
            let mut story = tell(&asked, &request, decided, &facts.token);
            if let Some(checks) = checks {
                story["token"] = checks.verdict().into();
                story["checks"] = checks.to_json();
            }
            Ok(story)
        }
        Step::NeedSession(_) | Step::NeedToken(..) | Step::NeedProof(_) | Step::NeedFresh(..) => {
            Err("the gate came to no decision".to_owned())
        }
    }
}

/// The request that is asked about.
struct Asked {
    method: String,
    url: String,
    origin: Origin,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    address: IpAddr,
}

impl Asked {
    fn parse(arguments: &Arguments) -> Result<Self, String> {
        let (Some(method), Some(address)) = (&arguments.method, &arguments.url) else {
            // As the command line has seen to it.
            return Err("expected METHOD and URL".to_owned());
        };
        if arguments.scope.is_some() || arguments.user.is_some() {
            return Err("--scope and --user go with --client".to_owned());
        }
        let url = Url::parse(address).map_err(|error| format!("`{address}`: {error}"))?;
        let origin = Origin::of_url(&url).ok_or("the URL begins with http:// or https://")?;
        // The path as it was written: `Url` would already have resolved dot segments.
        let rest = address.splitn(4, '/').nth(3).unwrap_or_default();
        let target = format!("/{}", rest.split('#').next().unwrap_or_default());
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target, None),
        };
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(&origin.authority()).map_err(|error| error.to_string())?;
        headers.insert("host", host);
        headers.insert("accept", HeaderValue::from_static("text/html"));
        Ok(Self {
            method: method.clone(),
            url: address.clone(),
            origin,
            path,
            query,
            headers,
            address: arguments.from,
        })
    }

    fn view<'a>(&'a self, headers: &'a HeaderMap) -> Result<RequestView<'a>, String> {
        let target = (self.path.as_str(), self.query.as_deref());
        let scheme = Some(self.origin.scheme).filter(|scheme| *scheme == Scheme::Https);
        RequestView::parse(
            &self.method,
            Named::Host,
            target,
            headers,
            self.address,
            scheme,
        )
        .map_err(|problem| format!("refused with 400: {problem}"))
    }
}

/// The provider that the claims come from.
fn idp<'a>(
    arguments: &Arguments,
    settings: &'a Settings,
    route: &Route,
    claims: &Map<String, Value>,
) -> Result<&'a IdentityProviderSettings, String> {
    let by = |is: &dyn Fn(&IdentityProviderSettings) -> bool| explain_user::idp(settings, is);
    if let Some(id) = &arguments.idp {
        return by(&|provider| *provider.id == **id)
            .ok_or_else(|| format!("no identity provider is named `{id}`"));
    }
    let issuer = claims.get("iss").and_then(Value::as_str);
    let first = route.identity_providers.first();
    by(&|provider| Some(provider.issuer.as_str()) == issuer)
        .or_else(|| first.and_then(|id| by(&|one| one.id == *id)))
        .ok_or_else(|| "the route has no identity provider that claims could come from".to_owned())
}

/// What is told of a decision.
fn tell(asked: &Asked, request: &RequestView<'_>, decided: Decided, token: &TokenFact) -> Value {
    let mut story = json!({ "method": asked.method, "url": asked.url });
    let mut add = |name: &str, value: Value| story[name] = value;
    if let Some(route) = &decided.route {
        add("route", format!("routes[{}]", route.index).into());
        add("from", route.name.as_str().into());
        add("auth", format!("{:?}", route.auth).to_lowercase().into());
    }
    match &decided.decision {
        Decision::Own(own) => {
            add("decision", "own_endpoint".into());
            add("endpoint", own.name().into());
        }
        Decision::Login => {
            add("decision", "login".into());
            add(
                "why",
                "there is no session: browsers are sent to log in, scripts get 401".into(),
            );
        }
        Decision::StepUp(_) => {
            add("decision", "step_up".into());
            add(
                "why",
                "the login is too old or too weak for this route: browsers are sent to log in again, \
                 scripts get 401"
                    .into(),
            );
        }
        Decision::Renew(_) => {
            add("decision", "renew".into());
            add(
                "why",
                "the login is old: the browser asks the identity provider in silence".into(),
            );
        }
        Decision::KeepForm(rejection) => {
            add("decision", "login".into());
            add("reason", rejection.name().into());
            add(
                "why",
                "there is no login that suffices: the form is kept until there is one".into(),
            );
        }
        Decision::Reject(rejection) => {
            add("decision", "reject".into());
            add("reason", rejection.name().into());
            add("status", status(rejection.name()).into());
        }
        Decision::Forward(permit) => {
            add("decision", "forward".into());
            let upstreams = permit
                .route()
                .upstreams
                .iter()
                .map(|upstream| upstream.authority());
            add("to", upstreams.collect::<Vec<_>>().into());
            if let Some(identity) = permit.identity() {
                let headers = permit.route().identity_headers.headers(identity);
                let headers: Vec<Value> = headers
                    .iter()
                    .map(|header| {
                        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                        json!([text(&header.spelling), text(header.value.as_bytes())])
                    })
                    .collect();
                add("headers", headers.into());
            }
        }
    }
    let identity = match (&decided.cookie, token) {
        (CookieState::Live(live), _) => Some(&live.session.identity),
        (_, TokenFact::Valid(live)) => Some(&live.identity),
        _ => None,
    };
    if let (Some(identity), Some(route)) = (identity, &decided.route) {
        match &identity.client {
            Some(client) => add("client", client.as_str().into()),
            None => add("user", identity.user.as_str().into()),
        }
        add("scopes", identity.scopes.clone().into());
        add(
            "identity_provider",
            identity.identity_provider.as_str().into(),
        );
        add("roles", identity.roles.clone().into());
        add("rules", rules(route, identity, request));
    }
    story
}

/// Every entry of `allow`, with the first criterion that does not hold.
fn rules(route: &Route, identity: &Identity, request: &RequestView<'_>) -> Value {
    let tell = |(index, rule): (usize, &crate::routes::AllowRule)| {
        let rule = match rule.unmet(identity, request.method, request.client_address) {
            None => json!({ "admits": true }),
            Some(criterion) => json!({ "admits": false, "unmet": criterion }),
        };
        let mut named = json!({ "rule": format!("routes[{}].allow[{index}]", route.index) });
        if let (Some(named), Value::Object(rule)) = (named.as_object_mut(), rule) {
            named.extend(rule);
        }
        named
    };
    route
        .allow
        .iter()
        .enumerate()
        .map(tell)
        .collect::<Vec<_>>()
        .into()
}

fn status(reason: &str) -> u16 {
    match reason {
        "unknown_host" | "unknown_path" => 404,
        "ambiguous_path" | "token_unclear" => 400,
        "store_unavailable" | "token_unavailable" => 503,
        "login_required" | "insufficient_user_authentication" => 401,
        token if token.starts_with("token_") => 401,
        _ => 403,
    }
}

/// The story for reading.
fn readable(story: &Value) -> String {
    let mut text = String::new();
    let value = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let texts = items
                .iter()
                .map(|item| item.as_str().unwrap_or_default().to_owned());
            texts.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    for name in [
        "route", "from", "auth", "decision", "reason", "status", "endpoint", "why", "to",
    ]
    .into_iter()
    .chain([
        "token",
        "user",
        "client",
        "identity_provider",
        "roles",
        "scopes",
    ]) {
        if let Some(found) = story.get(name) {
            let _ = writeln!(text, "{name:<18} {}", value(found));
        }
    }
    for check in story["checks"].as_array().into_iter().flatten() {
        let part = |name: &str| check[name].as_str().unwrap_or_default();
        let mut outcome = part("outcome").replace('_', " ");
        if outcome == "not checked" {
            outcome = format!("{outcome}: {}", part("says"));
        }
        let _ = writeln!(text, "{:<18} {:<12} {outcome}", "check", part("check"));
    }
    for rule in story["rules"].as_array().into_iter().flatten() {
        let outcome = match rule["unmet"].as_str() {
            Some(criterion) => format!("does not admit: `{criterion}` is not met"),
            None => "admits".to_owned(),
        };
        let _ = writeln!(
            text,
            "{:<18} {outcome}",
            rule["rule"].as_str().unwrap_or_default()
        );
    }
    for header in story["headers"].as_array().into_iter().flatten() {
        let part = |index: usize| header[index].as_str().unwrap_or_default();
        let _ = writeln!(text, "{:<18} {}: {}", "header", part(0), part(1));
    }
    text
}
