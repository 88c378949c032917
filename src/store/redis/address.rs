//! Where a Redis is, as one URL says it.
//!
//! Owns the forms of the URL. Does not resolve names or dial. Invariant: no error repeats a part of the
//! URL, since people put the password in every place of it.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::Host;

use crate::secret::Secret;

/// How many servers a URL names at most; a Sentinel or Cluster has three to seven to begin with.
const SERVERS_MAX: usize = 32;
/// The port of Redis.
const REDIS_PORT: u16 = 6379;
/// The port of Sentinel.
const SENTINEL_PORT: u16 = 26379;
/// Where a Redis is, and how to log in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How the server that counts is found.
    pub topology: Topology,
    /// The servers named: the one, the Sentinels, or some nodes of the Cluster.
    pub servers: Vec<Server>,
    /// Whether all of them, and those they name, are spoken to by TLS.
    pub is_tls: bool,
    /// The name and password for Redis.
    pub login: Login,
    /// The number of the database; 0 on a Cluster.
    pub database: i64,
}

/// How the server that counts is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// It is the one named.
    Single,
    /// The Sentinels know it.
    Sentinel {
        /// The name under which they know it.
        master: String,
        /// The name and password for the Sentinels.
        login: Login,
    },
    /// It is the node that owns the hash slot of our keys.
    Cluster,
}

/// A name and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A DNS name or an address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What a server asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The user; without one it is the server's default user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret<String>>,
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It begins with none of the known schemes.
    Scheme,
    /// The name or password has a broken percent-encoding.
    Login,
    /// A server is no name or address, or its port is none.
    Server,
    /// There are too many servers.
    TooManyServers,
    /// There are several servers, but neither Sentinel nor Cluster.
    SeveralServers,
    /// The path is no number of a database.
    Database,
    /// The name of the master is missing.
    Master,
    /// Something unknown follows `?`.
    Query,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the URL does not begin with `redis://` or one of its kind",
            Self::Login => "the user or password in the URL is not percent-encoded text",
            Self::Server => "a server in the URL is not a name or address with a port",
            Self::TooManyServers => "the URL names too many servers",
            Self::SeveralServers => "the URL names several servers, but not what they are",
            Self::Database => "the path of the URL is not the number of a database",
            Self::Master => "the URL does not name the master that the Sentinels watch",
            Self::Query => "there is something behind the `?` of the URL that is not known",
        })
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// The forms of the URL, for whoever has to write one.
    pub const FORMS: &str = "`redis://` or `rediss://` (TLS) and `[user:password@]host[:port][/database]`; for \
         Sentinel `redis+sentinel://[user:password@]host,host/master[/database]`, for Cluster \
         `redis+cluster://[user:password@]host,host`, or with `rediss+`";

    /// Reads a URL of one of the [`Address::FORMS`].
    ///
    /// # Errors
    ///
    /// [`AddressError`], one variant per part.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Scheme)?;
        let (scheme, is_tls) = match scheme.strip_prefix("rediss") {
            Some(kind) => (kind, true),
            None => (
                scheme.strip_prefix("redis").ok_or(AddressError::Scheme)?,
                false,
            ),
        };
        let default_port = match scheme {
            "" | "+cluster" => REDIS_PORT,
            "+sentinel" => SENTINEL_PORT,
            _ => return Err(AddressError::Scheme),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (read_login(login)?, hosts),
            None => (Login::default(), authority),
        };
        let servers = hosts
            .split(',')
            .map(|text| read_server(text, default_port))
            .collect::<Result<Vec<_>, _>>()?;
        if servers.len() > SERVERS_MAX {
            return Err(AddressError::TooManyServers);
        }
        let (topology, database) = match scheme {
            "+sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                let master = decoded(master)?;
                if master.is_empty() {
                    return Err(AddressError::Master);
                }
                let login = read_sentinel_login(query)?;
                (Topology::Sentinel { master, login }, database)
            }
            _ if query.is_some() => return Err(AddressError::Query),
            "+cluster" => (Topology::Cluster, path),
            _ if servers.len() > 1 => return Err(AddressError::SeveralServers),
            _ => (Topology::Single, path),
        };
        let database = match (database, &topology) {
            ("", _) => 0,
            // A Cluster has one database only.
            (_, Topology::Cluster) => return Err(AddressError::Database),
            (number, _) => number
                .parse::<u16>()
                .map(i64::from)
                .map_err(|_| AddressError::Database)?,
        };
        Ok(Self {
            topology,
            servers,
            is_tls,
            login,
            database,
        })
    }

    /// Whether passwords go over a network in the clear.
    pub fn is_exposed(&self) -> bool {
        !self.is_tls && !self.servers.iter().all(Server::is_loopback)
    }
}

impl Server {
    fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| AddressError::Login)?;
    Ok(text.into_owned())
}

fn read_login(text: &str) -> Result<Login, AddressError> {
    let (username, password) = match text.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (text, None),
    };
    Ok(Login {
        username: Some(decoded(username)?).filter(|name| !name.is_empty()),
        password: password.map(decoded).transpose()?.map(Secret::new),
    })
}

fn read_sentinel_login(query: Option<&str>) -> Result<Login, AddressError> {
    let mut login = Login::default();
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        match pair.split_once('=') {
            Some(("sentinel_username", value)) => login.username = Some(decoded(value)?),
            Some(("sentinel_password", value)) => {
                login.password = Some(Secret::new(decoded(value)?));
            }
            _ => return Err(AddressError::Query),
        }
    }
    Ok(login)
}

fn read_server(text: &str, default_port: u16) -> Result<Server, AddressError> {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => {
            let port = port.parse().map_err(|_| AddressError::Server)?;
            (host, port)
        }
        _ => (text, default_port),
    };
    if port == 0 {
        return Err(AddressError::Server);
    }
    let host = match Host::parse(host).map_err(|_| AddressError::Server)? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Ok(Server { host, port })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn hosts(address: &Address) -> Vec<String> {
        let one = |server: &Server| format!("{} {}", server.host, server.port);
        address.servers.iter().map(one).collect()
    }

    fn secret(login: &Login) -> Option<&str> {
        login.password.as_ref().map(|word| word.expose().as_str())
    }

    #[test]
    fn one_server() {
        let plain = Address::parse("redis://redis.example.com").unwrap();
        assert_eq!(plain.topology, Topology::Single);
        assert_eq!(hosts(&plain), ["redis.example.com 6379"]);
        assert_eq!((plain.is_tls, plain.database), (false, 0));
        assert_eq!(plain.login, Login::default());
        let full = Address::parse("rediss://me:p%40ss%2F@[::1]:7000/5").unwrap();
        assert_eq!(hosts(&full), ["::1 7000"]);
        assert_eq!((full.is_tls, full.database), (true, 5));
        assert_eq!(full.login.username.as_deref(), Some("me"));
        assert_eq!(secret(&full.login), Some("p@ss/"));
        let default_user = Address::parse("redis://:pass:word@127.0.0.1/").unwrap();
        assert_eq!(default_user.login.username, None);
        assert_eq!(secret(&default_user.login), Some("pass:word"));
    }

    #[test]
    fn sentinels_and_clusters() {
        let url = "rediss+sentinel://u:p@s1,s2:26380/main/2?sentinel_password=s%26p";
        let sentinels = Address::parse(url).unwrap();
        assert_eq!(hosts(&sentinels), ["s1 26379", "s2 26380"]);
        assert_eq!((sentinels.is_tls, sentinels.database), (true, 2));
        assert_eq!(secret(&sentinels.login), Some("p"));
        let Topology::Sentinel { master, login } = &sentinels.topology else {
            panic!("{sentinels:?}");
        };
        assert_eq!((master.as_str(), secret(login)), ("main", Some("s&p")));
        let cluster = Address::parse("redis+cluster://n1:7000,10.0.0.2").unwrap();
        assert_eq!(cluster.topology, Topology::Cluster);
        assert_eq!(hosts(&cluster), ["n1 7000", "10.0.0.2 6379"]);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (url, expected) in [
            ("marker", AddressError::Scheme),
            ("http://marker", AddressError::Scheme),
            ("redis+marker://host", AddressError::Scheme),
            ("redisss://host", AddressError::Scheme),
            ("redis://", AddressError::Server),
            ("redis://marker host", AddressError::Server),
            ("redis://marker:0", AddressError::Server),
            ("redis://marker:70000", AddressError::Server),
            ("redis://marker:pass", AddressError::Server),
            ("redis://u:mar/ker@host", AddressError::Server),
            ("redis://u:%ff@host", AddressError::Login),
            ("redis://a,b", AddressError::SeveralServers),
            ("redis://host/marker", AddressError::Database),
            ("redis://host/-1", AddressError::Database),
            ("redis+cluster://host/1", AddressError::Database),
            ("redis+sentinel://host", AddressError::Master),
            ("redis+sentinel://host//1", AddressError::Master),
            ("redis+sentinel://host/main?marker=1", AddressError::Query),
            ("redis://host?protocol=marker", AddressError::Query),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("mar"), "{error}");
        }
        let many = format!("redis+cluster://{}", ["a"; SERVERS_MAX + 1].join(","));
        assert_eq!(Address::parse(&many), Err(AddressError::TooManyServers));
    }

    #[test]
    fn a_password_is_not_printed() {
        let url = "redis+sentinel://u:marker@s1/main?sentinel_password=marker";
        let address = Address::parse(url).unwrap();
        assert!(!format!("{address:?}").contains("marker"));
    }

    #[test]
    fn only_plain_text_to_elsewhere_is_exposed() {
        for (url, expected) in [
            ("redis://10.0.0.1", true),
            ("redis://redis.example.com", true),
            ("redis+cluster://127.0.0.1,10.0.0.1", true),
            ("rediss://10.0.0.1", false),
            ("redis://127.0.0.1", false),
            ("redis://[::1]", false),
            ("redis://localhost", false),
        ] {
            assert_eq!(Address::parse(url).unwrap().is_exposed(), expected, "{url}");
        }
    }
}
