//! `vestibule client list | show`: the applications that are registered in `gateway.yaml`, and what each
//! of them has to be told.
//!
//! Reads the file alone, so it works before the gateway runs. Never prints a secret: the file says where
//! it is.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use serde_json::Value;
use serde_json::json;

use crate::cli::FileArgument;
use crate::cli::check;
use crate::cli::check::EXIT_CONFIGURATION;
use crate::cli::client_yaml;
use crate::cli::session;
use crate::config;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::clients::Client;
use crate::openid_provider::clients::ClientAuthentication;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::metadata::path;

/// What to tell of clients.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Lists the clients of the file.
    List {
        #[command(flatten)]
        file: FileArgument,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the settings that an application needs to log its users in here.
    Show(Show),
}

/// Which client, and how it is written.
#[derive(Debug, Args)]
pub struct Show {
    /// The `client_id`.
    client_id: String,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    file: FileArgument,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For reading.
    Text,
    /// Lines of `NAME=value`, for an environment file.
    Env,
    /// One JSON object.
    Json,
    /// The entry under `identity_providers` of a gateway that logs its users in here.
    Yaml,
}

/// Where a client is registered: this file is the only place.
const SOURCE: &str = "yaml";

/// Runs the command.
pub fn client(command: &ClientCommand) -> ExitCode {
    let file = match command {
        ClientCommand::List { file, .. } => file,
        ClientCommand::Show(show) => &show.file,
    };
    let settings = match config::load(&file.config) {
        Ok(loaded) => loaded.settings,
        Err(problems) => {
            check::report(&problems);
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    let Some(provider) = settings.openid_provider else {
        return failed(&format!(
            "{} has no `openid_provider`, so there are no clients",
            file.config.display()
        ));
    };
    match command {
        ClientCommand::List { json, .. } => print(&match json {
            true => listed_as_json(&provider),
            false => listed(&provider),
        }),
        ClientCommand::Show(show) => match provider.clients.find(&show.client_id) {
            Some(client) if show.format.is_for_users() && !is_for_users(client) => {
                failed(&format!(
                    "`{}` logs nobody in: it has not the grant `authorization_code`",
                    client.client_id
                ))
            }
            Some(client) => print(&shown(&provider, client, show.format)),
            None => {
                let known: Vec<&str> = provider.clients.iter().map(|one| &*one.client_id).collect();
                failed(&format!(
                    "no client is named `{}`; expected one of: {}",
                    show.client_id,
                    known.join(", ")
                ))
            }
        },
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn failed(problem: &str) -> ExitCode {
    // Where standard error is closed the exit code remains.
    let _ = writeln!(std::io::stderr(), "vestibule: {problem}");
    ExitCode::FAILURE
}

impl Format {
    /// Whether it speaks of logins alone.
    const fn is_for_users(self) -> bool {
        matches!(self, Self::Yaml)
    }
}

fn is_for_users(client: &Client) -> bool {
    client.may_use(GrantType::AuthorizationCode)
}

fn grants(client: &Client) -> Vec<&'static str> {
    client.grant_types.iter().map(|one| one.as_str()).collect()
}

fn listed(provider: &OpenIdProviderSettings) -> String {
    let heads = ["CLIENT", "SOURCE", "AUTHENTICATION", "GRANTS", "SCOPES"];
    let mut rows = vec![heads.map(str::to_owned)];
    for client in provider.clients.iter() {
        rows.push([
            client.client_id.to_string(),
            SOURCE.to_owned(),
            client.authentication.method().as_str().to_owned(),
            grants(client).join(" "),
            client.scopes.to_string(),
        ]);
    }
    session::aligned(&rows)
}

fn listed_as_json(provider: &OpenIdProviderSettings) -> String {
    let clients: Vec<Value> = provider.clients.iter().map(facts).collect();
    format!("{:#}\n", Value::Array(clients))
}

fn facts(client: &Arc<Client>) -> Value {
    let redirect_uris: Vec<&str> = client
        .redirect_uris
        .iter()
        .map(|uri| uri.as_str())
        .collect();
    json!({
        "client_id": &*client.client_id,
        "client_name": client.name,
        "source": SOURCE,
        "token_endpoint_auth_method": client.authentication.method().as_str(),
        "grant_types": grants(client),
        "scope": client.scopes.to_string(),
        "redirect_uris": redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
    })
}

fn shown(provider: &OpenIdProviderSettings, client: &Arc<Client>, format: Format) -> String {
    let endpoint = |path| provider.endpoint(path);
    let mut settings: Vec<(&str, String)> = vec![
        ("ISSUER", provider.issuer.clone()),
        ("DISCOVERY_URL", endpoint(path::CONFIGURATION)),
        ("CLIENT_ID", client.client_id.to_string()),
        (
            "CLIENT_AUTH",
            client.authentication.method().as_str().to_owned(),
        ),
        ("SCOPES", client.scopes.to_string()),
        ("GRANT_TYPES", grants(client).join(" ")),
    ];
    if is_for_users(client) {
        for uri in &client.redirect_uris {
            settings.push(("REDIRECT_URI", uri.as_str().to_owned()));
        }
        for uri in &client.post_logout_redirect_uris {
            settings.push(("POST_LOGOUT_REDIRECT_URI", uri.clone()));
        }
        settings.extend([
            ("RESPONSE_TYPE", "code".to_owned()),
            ("PKCE_METHOD", "S256".to_owned()),
            ("AUTHORIZATION_ENDPOINT", endpoint(path::AUTHORIZE)),
            ("USERINFO_ENDPOINT", endpoint(path::USERINFO)),
            ("END_SESSION_ENDPOINT", endpoint(path::LOGOUT)),
        ]);
    }
    settings.extend([
        ("TOKEN_ENDPOINT", endpoint(path::TOKEN)),
        ("JWKS_URI", endpoint(path::JWKS)),
    ]);
    let proof = match client.authentication {
        ClientAuthentication::SecretBasic(_) | ClientAuthentication::SecretPost(_) => {
            "the secret is where `client_secret` in gateway.yaml says; it is never printed"
        }
        ClientAuthentication::PrivateKeyJwt(_) => "the app signs with its own private key",
        ClientAuthentication::None => "a public client: no secret, PKCE only",
    };
    match format {
        Format::Yaml => format!("  # {proof}\n{}", client_yaml::entry(provider, client)),
        Format::Json => {
            let mut object = facts(client);
            for (name, value) in &settings {
                if name.ends_with("ENDPOINT") || matches!(*name, "ISSUER" | "JWKS_URI") {
                    object[name.to_ascii_lowercase()] = json!(value);
                }
            }
            format!("{object:#}\n")
        }
        Format::Text => {
            let mut text = format!("# {proof}\n");
            for (name, value) in &settings {
                let name = name.to_ascii_lowercase();
                let _ = writeln!(text, "{name:26}{value}");
            }
            text
        }
        Format::Env => {
            let mut text = format!("# {proof}\n");
            let mut numbers = std::collections::BTreeMap::new();
            for (name, value) in &settings {
                // A second redirect URI is OIDC_REDIRECT_URI_2.
                let number = numbers
                    .entry(*name)
                    .and_modify(|count| *count += 1)
                    .or_insert(1);
                let suffix = match number {
                    1 => String::new(),
                    number => format!("_{number}"),
                };
                let _ = writeln!(text, "OIDC_{name}{suffix}={}", quoted(value));
            }
            text
        }
    }
}

/// As shells, systemd and container engines read it alike.
fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-+@%,=".contains(&byte);
    match value.bytes().all(is_plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for (value, expected) in [
            ("https://a.example/b", "https://a.example/b"),
            ("openid email", "'openid email'"),
            ("https://a.example/?a=1&b=2", "'https://a.example/?a=1&b=2'"),
            ("$(x)", "'$(x)'"),
            ("it's", "'it'\\''s'"),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
