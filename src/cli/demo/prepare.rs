//! From the reference file to settings for one run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Component;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::accounts::HashProblem;
use crate::cli::demo::DemoAccount;
use crate::config;
use crate::config::Problem;
use crate::config::Settings;
use crate::config::StoreSettings;
use crate::openid_provider::settings::Login;
use crate::random;

/// The file that the demonstration runs, as it is delivered.
pub const GATEWAY_YAML: &str = include_str!("../../../gateway.yaml");
/// Where the gateway listens in the file, and in the demonstration if the port is free.
const GATEWAY_PORT: u16 = 8080;
/// The same of the admin listener.
const ADMIN_PORT: u16 = 9090;
/// Where the app is in the file.
const APP_PORT: u16 = 3000;

/// The ports of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The gateway's.
    pub gateway: u16,
    /// The admin listener's.
    pub admin: u16,
    /// The sample application's.
    pub app: u16,
}

/// What one run needs.
#[derive(Debug)]
pub struct Prepared {
    /// The settings.
    pub settings: Settings,
    /// The addresses to open: those of the routes with one host. There is at least one.
    pub addresses: Vec<String>,
    /// The accounts of the provider, with the passwords of this run.
    pub accounts: Vec<DemoAccount>,
}

/// Why there is no demonstration.
#[derive(Debug)]
pub enum DemoProblem {
    /// The file has problems.
    File(Vec<Problem>),
    /// This listener could be reached from another machine.
    Reachable(SocketAddr),
    /// The store would be outside the folder of the run.
    Store,
    /// There is no route with a host that can be opened.
    NoRoute,
    /// A password cannot be hashed.
    Password(HashProblem),
}

impl fmt::Display for DemoProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(problems) => {
                f.write_str("the built-in file has problems")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n{problem}"))
            }
            Self::Reachable(address) => write!(
                f,
                "`{address}` could be reached from other machines; a demonstration listens on \
                 loopback addresses only"
            ),
            Self::Store => f.write_str("the store is not in the folder of the demonstration"),
            Self::NoRoute => f.write_str("the file has no route to open"),
            Self::Password(problem) => write!(f, "no password could be made: {problem}"),
        }
    }
}

impl Ports {
    /// Finds free ports for the gateway and the admin listener: those of the file, or else any.
    ///
    /// # Errors
    /// What the system says when it has no free port.
    pub fn find(app: u16) -> io::Result<Self> {
        // Held until all are chosen: else one port could be chosen twice.
        let gateway = free(GATEWAY_PORT)?;
        let admin = free(ADMIN_PORT)?;
        Ok(Self {
            gateway: gateway.local_addr()?.port(),
            admin: admin.local_addr()?.port(),
            app,
        })
    }
}

fn free(preferred: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, preferred))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

/// Reads `text`, the reference file, for a run on `ports` with all that is stored in `folder`.
///
/// Every environment variable that it names gets a random value, the same wherever it is named: a
/// secret between the gateway and its own provider is known to nobody else. Every account gets a new
/// password, whatever hash stands in the file.
///
/// # Errors
/// One [`DemoProblem`] per check.
pub fn prepare(text: &str, ports: Ports, folder: &Path) -> Result<Prepared, DemoProblem> {
    let text = with_ports(text, ports);
    let made: RefCell<BTreeMap<String, Zeroizing<String>>> = RefCell::default();
    let environment = |name: &str| {
        let mut made = made.borrow_mut();
        let value = made
            .entry(name.to_owned())
            .or_insert_with(|| Zeroizing::new(URL_SAFE_NO_PAD.encode(random::bytes::<32>())));
        Some(value.to_string())
    };
    let mut settings = config::parse(text.as_bytes(), "gateway.yaml", folder, &environment)
        .map_err(DemoProblem::File)?
        .settings;
    let listeners = settings.listeners.iter().map(|listener| listener.address);
    let outside = listeners
        .chain(settings.admin)
        .find(|address| !address.ip().is_loopback());
    if let Some(address) = outside {
        return Err(DemoProblem::Reachable(address));
    }
    let StoreSettings::Embedded { path } = &settings.store else {
        return Err(DemoProblem::Store);
    };
    let leads_up = path.components().any(|part| part == Component::ParentDir);
    if leads_up || !path.starts_with(folder) {
        return Err(DemoProblem::Store);
    }
    let to_open = settings.routes.iter().filter(|route| !route.is_wildcard);
    let addresses: Vec<String> = to_open
        .map(|route| match route.prefix.as_ref() {
            "" => format!("{}/", route.origin),
            prefix => format!("{}{prefix}", route.origin),
        })
        .collect();
    if addresses.is_empty() {
        return Err(DemoProblem::NoRoute);
    }
    let accounts = new_passwords(&mut settings).map_err(DemoProblem::Password)?;
    Ok(Prepared {
        settings,
        addresses,
        accounts,
    })
}

/// Puts hashes of new passwords in the place of all that are there.
fn new_passwords(settings: &mut Settings) -> Result<Vec<DemoAccount>, HashProblem> {
    let mut made = Vec::new();
    if let Some(provider) = &mut settings.openid_provider
        && let Login::Accounts(accounts) = &mut Arc::make_mut(provider).login
    {
        for account in accounts {
            let new = DemoAccount::new(&account.username)?;
            account.password_hash = new.password_hash.clone();
            made.push(new);
        }
    }
    Ok(made)
}

/// One pass over all three, so that a new port is not taken for an old one.
fn with_ports(text: &str, ports: Ports) -> String {
    let replaced = [
        (GATEWAY_PORT, ports.gateway),
        (ADMIN_PORT, ports.admin),
        (APP_PORT, ports.app),
    ];
    let mut parts = text.split(':');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push(':');
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        let found = replaced.iter().find(|(old, _)| number == old.to_string());
        match found {
            Some((_, new)) => out.push_str(&new.to_string()),
            None => out.push_str(number),
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const PORTS: Ports = Ports {
        gateway: 9090,
        admin: 40_001,
        app: 8080,
    };

    fn of(text: &str) -> Result<Prepared, DemoProblem> {
        prepare(text, PORTS, Path::new("/run/demo"))
    }

    #[test]
    fn the_file_as_delivered_runs_on_the_ports_of_the_run() {
        let prepared = of(GATEWAY_YAML).unwrap();
        let settings = prepared.settings;
        let listeners: Vec<_> = settings.listeners.iter().map(|one| one.address).collect();
        assert_eq!(listeners, ["127.0.0.1:9090".parse().unwrap()]);
        assert_eq!(settings.admin, "127.0.0.1:40001".parse().ok());
        assert_eq!(
            prepared.addresses,
            [
                "http://app.localhost:9090/",
                "http://app.localhost:9090/admin",
                "http://wiki.localhost:9090/"
            ]
        );
        let provider = settings.openid_provider.unwrap();
        assert_eq!(provider.issuer, "http://sso.localhost:9090/oidc");
        assert_eq!(settings.identity_providers[0].issuer, provider.issuer);
        assert!(!format!("{:?}", settings.routes).contains("3000"));
        assert!(matches!(
            settings.store,
            StoreSettings::Embedded { path } if path.starts_with("/run/demo")
        ));
    }

    #[test]
    fn every_account_gets_a_new_password() {
        let prepared = of(GATEWAY_YAML).unwrap();
        let provider = prepared.settings.openid_provider.unwrap();
        let Login::Accounts(accounts) = &provider.login else {
            panic!("users log in at accounts");
        };
        let names: Vec<_> = accounts.iter().map(|one| one.username.as_str()).collect();
        assert_eq!(names, ["alice", "bob"]);
        for (account, told) in accounts.iter().zip(&prepared.accounts) {
            assert_eq!(account.username, told.username);
            let hash = &account.password_hash;
            assert!(!GATEWAY_YAML.contains(&hash.to_string()));
            assert!(hash.is_of(told.password.expose().as_bytes()));
        }
    }

    #[test]
    fn ports_are_replaced_whole_and_once() {
        let text = "a: 127.0.0.1:8080, b:80801 c:18080 d:9090 e:3000/x 8080 f:8080";
        assert_eq!(
            with_ports(text, PORTS),
            "a: 127.0.0.1:9090, b:80801 c:18080 d:40001 e:8080/x 8080 f:9090"
        );
    }

    const SECRETS: &str = "listeners: [{address: '127.0.0.1:8080'}]
identity_providers:
  - {id: a, issuer: 'http://localhost:1', client_id: g, client_secret: {env: ONE}}
  - {id: b, issuer: 'http://localhost:1', client_id: g, client_secret: {env: ONE}}
  - {id: c, issuer: 'http://localhost:1', client_id: g, client_secret: {env: TWO}}
routes: [{from: 'http://app.localhost:8080', to: 'http://127.0.0.1:3000', auth: public}]
";

    #[test]
    fn secrets_are_made_for_each_run() {
        let secrets = || {
            let providers = of(SECRETS).unwrap().settings.identity_providers;
            let secrets = providers
                .iter()
                .map(|one| one.client_secret.clone().unwrap());
            secrets
                .map(|secret| secret.expose().clone())
                .collect::<Vec<_>>()
        };
        let (first, second) = (secrets(), secrets());
        assert_eq!(first[0], first[1]);
        assert_ne!(first[0], first[2]);
        assert_ne!(first[0], second[0]);
    }

    #[test]
    fn nothing_listens_where_other_machines_could_reach_it() {
        for (from, to) in [
            ("127.0.0.1:8080'}]", "0.0.0.0:8080'}]"),
            ("127.0.0.1:8080'}]", "192.0.2.1:8080'}]"),
            (
                "127.0.0.1:8080'}]",
                "127.0.0.1:8080'}, {address: '[::]:8443'}]",
            ),
            ("listeners", "admin: {address: '0.0.0.0:9090'}\nlisteners"),
        ] {
            let problem = of(&SECRETS.replacen(from, to, 1)).unwrap_err();
            assert!(matches!(problem, DemoProblem::Reachable(_)), "{problem}");
        }
        assert!(of(&SECRETS.replacen("127.0.0.1:8080", "[::1]:8080", 1)).is_ok());
    }

    #[test]
    fn a_store_elsewhere_and_a_broken_file_are_refused() {
        let elsewhere = format!("{SECRETS}store: {{embedded: {{path: /var/lib/x.db}}}}\n");
        assert!(matches!(of(&elsewhere), Err(DemoProblem::Store)));
        let above = format!("{SECRETS}store: {{embedded: {{path: ../x.db}}}}\n");
        assert!(matches!(of(&above), Err(DemoProblem::Store)));
        assert!(matches!(of("routes: []"), Err(DemoProblem::File(_))));
    }

    #[test]
    fn a_port_that_is_taken_gives_way_to_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let other = free(port).unwrap().local_addr().unwrap().port();
        assert_ne!(other, port);
        let ports = Ports::find(1).unwrap();
        assert_ne!(ports.gateway, ports.admin);
    }
}
