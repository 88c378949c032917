//! `vestibule session list | revoke`: sessions of a running gateway, over its admin listener.

use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::Subcommand;
use http::Method;
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::cli::check;
use crate::cli::check::EXIT_CONFIGURATION;
use crate::clock;
use crate::clock::Timestamp;
use crate::config;
use crate::outbound::HttpClient;
use crate::outbound::OutboundError;
use crate::secret::Secret;
use crate::server;

/// Ten thousand sessions end in some seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Lists sessions and what was granted offline, of anybody or of some.
    List {
        #[command(flatten)]
        whose: Whose,
        /// How many at most.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: Option<u16>,
        #[command(flatten)]
        gateway: Running,
    },
    /// Ends sessions: the next request of each is without one, and what it has open is closed. What
    /// their users have granted to apps offline ends too. Tokens stay valid at the identity provider
    /// until it revokes them.
    #[command(group = clap::ArgGroup::new("whose").args(["user", "idp", "subject", "session"]).required(true).multiple(true))]
    Revoke {
        #[command(flatten)]
        whose: Whose,
        /// Leaves to apps what was granted to them offline.
        #[arg(long, conflicts_with = "forget")]
        keep_offline: bool,
        /// Removes all that is remembered of the person: codes, grants and consents too.
        #[arg(long, requires = "idp", requires = "subject", conflicts_with_all = ["user", "session"])]
        forget: bool,
        #[command(flatten)]
        gateway: Running,
    },
}

/// Which sessions: those that have all that is named.
#[derive(Debug, Args)]
pub struct Whose {
    /// The user, as apps are told.
    #[arg(long)]
    user: Option<String>,
    /// The id of an identity provider.
    #[arg(long, value_name = "ID")]
    idp: Option<String>,
    /// The subject there.
    #[arg(long)]
    subject: Option<String>,
    /// One session, as `list` names it.
    #[arg(long, value_name = "KEY")]
    session: Option<String>,
}

/// Which gateway, and how the answer is written.
#[derive(Debug, Args)]
pub struct Running {
    /// The configuration file of the gateway.
    #[arg(
        short,
        long = "config",
        default_value = "gateway.yaml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// The file with the admin token, and with `--admin` instead of the configuration file.
    #[arg(long, value_name = "FILE", requires = "admin")]
    token_file: Option<PathBuf>,
    /// The address of the admin listener.
    #[arg(long, value_name = "ADDRESS", requires = "token_file")]
    admin: Option<SocketAddr>,
    /// Writes JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Listed {
    session: String,
    user: String,
    subject: String,
    idp: String,
    origin: String,
    created_at: Timestamp,
    last_seen: Timestamp,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct ListedGrant {
    client_id: String,
    user: String,
    subject: String,
    idp: String,
    scope: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct List {
    sessions: Vec<Listed>,
    offline: Vec<ListedGrant>,
    more: bool,
}

#[derive(Deserialize)]
struct Revoked {
    revoked: u64,
    offline: u64,
}

#[derive(Deserialize)]
struct Refusal {
    error_description: String,
}

/// Asks the gateway and prints what it says.
pub fn session(command: &SessionCommand) -> ExitCode {
    let (method, query, gateway) = match command {
        SessionCommand::List {
            whose,
            limit,
            gateway,
        } => {
            let limit = limit.map(|limit| limit.to_string());
            let query = whose.query(&[("limit", limit.as_deref())]);
            (Method::GET, query, gateway)
        }
        SessionCommand::Revoke {
            whose,
            keep_offline,
            forget,
            gateway,
        } => {
            let offline = match (keep_offline, forget) {
                (true, _) => Some("keep"),
                (_, true) => Some("forget"),
                _ => None,
            };
            (
                Method::DELETE,
                whose.query(&[("offline", offline)]),
                gateway,
            )
        }
    };
    let path = format!("/admin/v1/sessions?{query}");
    let print = match method {
        Method::GET => table,
        _ => count,
    };
    administer(gateway, &method, &path, print)
}

/// Sends a request to the admin listener and prints the answer, as JSON or as `print` writes it.
pub fn administer(
    gateway: &Running,
    method: &Method,
    path: &str,
    print: impl Fn(&[u8]) -> Result<String, String>,
) -> ExitCode {
    let (address, token_file) = match place(gateway) {
        Ok(place) => place,
        Err(code) => return code,
    };
    let told = ask(method, address, &token_file, path);
    let written = told.and_then(|body| {
        let text = match gateway.json {
            true => format!("{}\n", String::from_utf8_lossy(&body).trim_end()),
            false => print(&body)?,
        };
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => failed(&problem),
    }
}

/// The address of the admin listener and the file of its token.
fn place(gateway: &Running) -> Result<(SocketAddr, PathBuf), ExitCode> {
    if let (Some(address), Some(file)) = (gateway.admin, &gateway.token_file) {
        return Ok((address, file.clone()));
    }
    let settings = config::load(&gateway.config).map_err(|problems| {
        check::report(&problems);
        ExitCode::from(EXIT_CONFIGURATION)
    })?;
    let settings = settings.settings;
    let Some(address) = settings.admin else {
        let file = gateway.config.display();
        return Err(failed(&format!(
            "{file} has no admin listener; expected `admin: {{address: 127.0.0.1:9090}}`"
        )));
    };
    Ok((address, settings.admin_token))
}

impl Whose {
    fn query(&self, more: &[(&str, Option<&str>)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let named = [
            ("user", &self.user),
            ("idp", &self.idp),
            ("subject", &self.subject),
            ("session", &self.session),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        for (name, value) in more {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

fn ask(
    method: &Method,
    address: SocketAddr,
    token_file: &Path,
    path: &str,
) -> Result<Vec<u8>, String> {
    let named = token_file.display();
    let token = std::fs::read_to_string(token_file)
        .map_err(|error| format!("the admin token cannot be read: {named}: {error}"))?;
    let token = Secret::new(token.trim().to_owned());
    let reached = SocketAddr::new(reached(address.ip()), address.port());
    let url = Url::parse(&format!("http://{reached}{path}")).map_err(|error| error.to_string())?;
    server::install_cryptography();
    let client = HttpClient::with_deadline(None, DEADLINE).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let answer = runtime.block_on(client.administer(method.clone(), &url, &token));
    let (status, body) = answer.map_err(|error| match error {
        OutboundError::ForbiddenUrl => format!(
            "the admin listener {reached} is not on a loopback address, so the token would cross a network"
        ),
        error => format!("is the gateway running? its admin listener {reached}: {error}"),
    })?;
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::UNAUTHORIZED => Err(format!(
            "the gateway at {reached} does not take the token in {named}: is it the gateway of this file?"
        )),
        status => {
            let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
            let said = refusal.map_or_else(|| status.to_string(), |said| said.error_description);
            Err(format!("the gateway at {reached} says: {said}"))
        }
    }
}

/// A listener on all addresses is reached on this machine.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn count(body: &[u8]) -> Result<String, String> {
    let answer: Revoked = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let sessions = counted(answer.revoked, "session");
    Ok(match answer.offline {
        0 => format!("{sessions} ended\n"),
        offline => format!(
            "{sessions} ended; {} ended that would have outlived them\n",
            counted(offline, "grant")
        ),
    })
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what} has"),
        count => format!("{count} {what}s have"),
    }
}

fn table(body: &[u8]) -> Result<String, String> {
    let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let now = clock::now();
    let heads = [
        "USER",
        "IDP",
        "SUBJECT",
        "ORIGIN",
        "LOGIN",
        "LAST SEEN",
        "ENDS",
        "SESSION",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    for one in &list.sessions {
        rows.push([
            plain(&one.user),
            plain(&one.idp),
            plain(&one.subject),
            plain(&one.origin),
            format!("{} ago", rough(now.since(one.created_at))),
            format!("{} ago", rough(now.since(one.last_seen))),
            format!("in {}", rough(one.expires_at.since(now))),
            plain(&one.session),
        ]);
    }
    let mut text = aligned(&rows);
    if !list.offline.is_empty() {
        let heads = ["USER", "IDP", "SUBJECT", "APP", "GRANTED OFFLINE", "ENDS"];
        let mut rows = vec![heads.map(str::to_owned)];
        for one in &list.offline {
            rows.push([
                plain(&one.user),
                plain(&one.idp),
                plain(&one.subject),
                plain(&one.client_id),
                plain(&one.scope),
                format!("in {}", rough(one.expires_at.since(now))),
            ]);
        }
        text.push('\n');
        text.push_str(&aligned(&rows));
    }
    if list.more {
        text.push_str("there are more: name a user, or a larger --limit\n");
    }
    Ok(text)
}

/// A table with its columns below each other.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Names come from identity providers: nothing in them may reach the terminal as a command to it.
pub fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// A time for people: in its largest unit.
pub fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn failed(problem: &str) -> ExitCode {
    // Where standard error is closed the exit code remains.
    let _ = writeln!(std::io::stderr(), "vestibule: {problem}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_command_to_the_terminal() {
        let body = serde_json::json!({"sessions": [{
            "session": "ab", "user": "eve\u{1b}[2J\n", "subject": "s", "idp": "corp",
            "origin": "https://a.example", "created_at": 0, "last_seen": 0, "expires_at": 0,
        }], "offline": [{
            "client_id": "shop", "user": "eve\u{1b}[2J\n", "subject": "s", "idp": "corp",
            "scope": "openid", "expires_at": 0,
        }], "more": true});
        let text = table(body.to_string().as_bytes()).expect("it is a list");
        assert!(!text.contains('\u{1b}'));
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn what_has_ended_is_counted() {
        let told = |revoked: u64, offline: u64| {
            let body = serde_json::json!({"revoked": revoked, "offline": offline});
            count(body.to_string().as_bytes()).expect("it is a count")
        };
        assert_eq!(told(1, 0), "1 session has ended\n");
        assert_eq!(
            told(2, 1),
            "2 sessions have ended; 1 grant has ended that would have outlived them\n"
        );
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let rough = |seconds| rough(Duration::from_secs(seconds));
        assert_eq!(
            [59, 60, 3599, 3600, 172_799].map(rough),
            ["59s", "1m", "59m", "1h", "47h"]
        );
        assert_eq!(rough(172_800), "2d");
    }
}
