//! Which server to speak to: the one named, the master of the Sentinels, or the owner of our slot.
//!
//! Owns the questions to Sentinels and nodes. Does not decide whether an answer is still true: whoever
//! connects writes a mark, which only the right server takes.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::Client;
use redis::Cmd;
use redis::ConnectionAddr;
use redis::IntoConnectionInfo;
use redis::ProtocolVersion;
use redis::RedisConnectionInfo;
use redis::RedisResult;
use redis::TlsCertificates;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;

use crate::store::redis::address::Address;
use crate::store::redis::address::Login;
use crate::store::redis::address::Server;
use crate::store::redis::address::Topology;

/// How long a connection may take with TLS and login: more is a server that would not answer either.
const CONNECT_WAIT_MAX: Duration = Duration::from_millis(1000);
/// How long a Sentinel or a node may think about where the master is.
const ASK_WAIT_MAX: Duration = Duration::from_millis(500);
/// Hash slots of a Cluster.
const SLOTS: u16 = 16384;

/// Knows how to reach every server that one URL stands for.
pub struct Locator {
    address: Address,
    authorities: Option<Arc<str>>,
    /// The hash slot of all our keys.
    slot: u16,
}

impl Locator {
    /// `authorities` is PEM; without it the system's are believed. `tag` is what of the keys is hashed.
    pub fn new(address: Address, authorities: Option<Arc<str>>, tag: &str) -> Self {
        Self {
            address,
            authorities,
            slot: slot(tag.as_bytes()),
        }
    }

    /// The servers that may be the right one, the likeliest first; empty when nobody knows.
    pub async fn candidates(&self) -> RedisResult<Vec<Server>> {
        match &self.address.topology {
            Topology::Single => Ok(self.address.servers.clone()),
            Topology::Sentinel { master, login } => {
                let mut question = Cmd::new();
                question
                    .arg("SENTINEL")
                    .arg("GET-MASTER-ADDR-BY-NAME")
                    .arg(master);
                let read = |answer: &Value, _: &Server| read_master(answer);
                self.ask_all(login, &question, read).await
            }
            Topology::Cluster => {
                let mut question = Cmd::new();
                question.arg("CLUSTER").arg("SLOTS");
                let slot = self.slot;
                let read = move |answer: &Value, asked: &Server| read_owner(answer, slot, asked);
                self.ask_all(&self.address.login, &question, read).await
            }
        }
    }

    /// Asks all servers at once, since some may be gone, and lists what they say, the quickest first.
    async fn ask_all(
        &self,
        login: &Login,
        question: &Cmd,
        read: impl Fn(&Value, &Server) -> Option<Server>,
    ) -> RedisResult<Vec<Server>> {
        let mut asking = JoinSet::new();
        for server in &self.address.servers {
            let client = self.client(server, login, 0)?;
            let (server, question) = (server.clone(), question.clone());
            asking.spawn(async move {
                let config = config(ASK_WAIT_MAX);
                let asked = client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await;
                (server, ask(asked, &question).await)
            });
        }
        let (mut found, mut failure) = (Vec::new(), None);
        while let Some(answer) = asking.join_next().await {
            match answer {
                Ok((server, Ok(answer))) => {
                    found.extend(read(&answer, &server).filter(|one| !found.contains(one)));
                }
                Ok((_, Err(error))) => failure = Some(error),
                Err(_) => (),
            }
        }
        match failure {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Connects to one server. `config` says what becomes of what it sends unasked.
    pub async fn connect(
        &self,
        server: &Server,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        self.client(server, &self.address.login, self.address.database)?
            .get_multiplexed_async_connection_with_config(config)
            .await
    }

    fn client(&self, server: &Server, login: &Login, database: i64) -> RedisResult<Client> {
        let mut settings = RedisConnectionInfo::default()
            // Answers and published messages come in one order, and a lost connection is told.
            .set_protocol(ProtocolVersion::RESP3)
            .set_skip_set_lib_name()
            .set_db(database);
        if let Some(username) = &login.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &login.password {
            settings = settings.set_password(password.expose());
        }
        let (host, port) = (server.host.clone(), server.port);
        if !self.address.is_tls {
            let place = ConnectionAddr::Tcp(host, port).into_connection_info()?;
            return Client::open(place.set_redis_settings(settings));
        }
        let place = ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        };
        let place = place.into_connection_info()?.set_redis_settings(settings);
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: self.authorities.as_ref().map(|pem| pem.as_bytes().to_vec()),
        };
        Client::build_with_tls(place, certificates)
    }
}

/// The limits of a connection whose answers take at most `wait`.
pub fn config(wait: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WAIT_MAX))
        .set_response_timeout(Some(wait))
}

async fn ask(connection: RedisResult<MultiplexedConnection>, question: &Cmd) -> RedisResult<Value> {
    question.query_async(&mut connection?).await
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// `[host, port]`, or nothing where the Sentinel does not know the name.
fn read_master(answer: &Value) -> Option<Server> {
    let [host, port] = list(answer)? else {
        return None;
    };
    Some(Server {
        host: text(host)?.to_owned(),
        port: text(port)?.parse().ok()?,
    })
}

/// `[[first slot, last slot, [host, port, …] of the master, replicas…], …]`.
fn read_owner(answer: &Value, slot: u16, asked: &Server) -> Option<Server> {
    let slot = i64::from(slot);
    list(answer)?.iter().find_map(|range| {
        let [Value::Int(first), Value::Int(last), master, ..] = list(range)? else {
            return None;
        };
        let [host, Value::Int(port), ..] = list(master)? else {
            return None;
        };
        let host = match text(host) {
            // A node that does not know its own address means the one it was asked at.
            None | Some("") => asked.host.clone(),
            Some(host) => host.to_owned(),
        };
        let port = u16::try_from(*port).ok()?;
        (*first..=*last)
            .contains(&slot)
            .then_some(Server { host, port })
    })
}

/// The hash slot of a key: CRC16 (XMODEM) of it, as the specification of Redis Cluster says.
fn slot(tag: &[u8]) -> u16 {
    let mut crc = 0_u16;
    for byte in tag {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn server(host: &str, port: u16) -> Server {
        Server {
            host: host.to_owned(),
            port,
        }
    }

    /// The check value of CRC16/XMODEM, and a slot that Redis itself names in its documentation.
    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"somekey"), 11058);
    }

    #[test]
    fn the_owner_of_a_slot_is_read() {
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), bulk("id")]);
        let range =
            |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let answer = Value::Array(vec![
            range(0, 99, node(bulk("10.0.0.1"), 7000)),
            range(100, 199, node(Value::Nil, 7001)),
        ]);
        let asked = server("seed", 6379);
        assert_eq!(
            read_owner(&answer, 99, &asked),
            Some(server("10.0.0.1", 7000))
        );
        assert_eq!(read_owner(&answer, 100, &asked), Some(server("seed", 7001)));
        assert_eq!(read_owner(&answer, 200, &asked), None);
        assert_eq!(read_owner(&Value::Nil, 1, &asked), None);
    }

    #[test]
    fn the_master_is_read() {
        let answer = Value::Array(vec![bulk("10.0.0.1"), bulk("6379")]);
        assert_eq!(read_master(&answer), Some(server("10.0.0.1", 6379)));
        assert_eq!(read_master(&Value::Nil), None);
        let odd = Value::Array(vec![bulk("10.0.0.1"), bulk("port")]);
        assert_eq!(read_master(&odd), None);
    }
}
