//! The connection to Redis: opened when it is needed, left when it fails, opened again.
//!
//! Owns limits of time, back-off, and what a failure means. Does not know what is asked.
//! Invariant: nothing whose answer was lost is asked again, unless asking twice does no harm.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use redis::Cmd;
use redis::ErrorKind;
use redis::FromRedisValue;
use redis::Pipeline;
use redis::PushInfo;
use redis::PushKind;
use redis::RedisError;
use redis::ScriptInvocation;
use redis::ServerErrorKind;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use crate::store::StoreError;
use crate::store::redis::locate;
use crate::store::redis::locate::Locator;
use crate::store::redis::script;

/// How long an answer may take. Redis answers in microseconds; what takes longer is stuck.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(1000);
/// How long a script may take that visits many records, such as all of an identity provider.
const LONG_ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long finding and reaching the server may take, all candidates together.
const OPEN_WAIT_MAX: Duration = Duration::from_millis(2500);
/// How long is waited between two tries to connect: after the first failure, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(1000);
/// The longest text of the server that is repeated in an error.
const REASON_CHARS_MAX: usize = 200;

/// What is asked.
pub enum Question<'a> {
    /// A script that changes one record. It is not asked again when its answer was lost: the second
    /// answer would not be that of the first.
    Change(ScriptInvocation<'a>),
    /// A script that changes as many records as there are.
    ChangeMany(ScriptInvocation<'a>),
    /// A script that changes nothing, or may do so twice.
    Look(ScriptInvocation<'a>),
    /// A command that reads, behind a proof that the server is the right one: a server that was demoted
    /// still answers, but does not know who has signed out since.
    Read(Pipeline),
}

/// One connection, shared by all who ask.
#[derive(Clone)]
pub struct Live {
    pub connection: MultiplexedConnection,
    is_lost: Arc<AtomicBool>,
}

/// The way to Redis.
pub struct Link {
    locator: Locator,
    /// Begins every key; in braces, so that all keys are in one hash slot.
    pub prefix: String,
    live: Mutex<Option<Live>>,
    opening: tokio::sync::Mutex<Opening>,
    has_warned: AtomicBool,
}

/// What is known of earlier tries.
#[derive(Default)]
struct Opening {
    failures: u32,
    refused: Option<(Instant, StoreError)>,
}

impl Link {
    /// Does not connect yet.
    pub fn new(locator: Locator, prefix: String) -> Self {
        Self {
            locator,
            prefix,
            live: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            has_warned: AtomicBool::new(false),
        }
    }

    /// The name of a key.
    pub fn key(&self, kind: &str, rest: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), kind.as_bytes(), rest].concat()
    }

    /// Asks, and once again where the server said that it did nothing, or where that does no harm.
    ///
    /// # Errors
    ///
    /// As [`meaning`] says; then it may have been done or not.
    pub async fn ask<T: FromRedisValue>(&self, question: &Question<'_>) -> Result<T, StoreError> {
        let mut is_first = true;
        loop {
            let live = self.live().await?;
            let error = match question.put(&live).await {
                Ok(answer) => return T::from_redis_value(answer).map_err(|e| meaning(&e.into())),
                Err(error) => error,
            };
            let fault = fault(&error);
            if fault != Fault::Refused {
                live.leave();
            }
            let is_safe = match fault {
                Fault::Elsewhere => true,
                // The server is stuck: a second wait is no better than the first.
                Fault::Lost => question.is_harmless() && !error.is_timeout(),
                Fault::Refused => false,
            };
            if !is_first || !is_safe {
                return Err(meaning(&error));
            }
            is_first = false;
        }
    }

    /// The connection, opened if there is none.
    async fn live(&self) -> Result<Live, StoreError> {
        let current = || self.live.lock().clone().filter(|live| !live.is_lost());
        if let Some(live) = current() {
            return Ok(live);
        }
        // One opens and the others wait for it.
        let mut opening = self.opening.lock().await;
        if let Some(live) = current() {
            return Ok(live);
        }
        if let Some((until, reason)) = &opening.refused
            && Instant::now() < *until
        {
            return Err(reason.clone());
        }
        match self.open(|_| ()).await {
            Ok(live) => {
                *opening = Opening::default();
                *self.live.lock() = Some(live.clone());
                Ok(live)
            }
            Err(reason) => {
                let pause = PAUSE_MIN * 2_u32.pow(opening.failures.min(8));
                opening.failures += 1;
                let until = Instant::now() + pause.min(PAUSE_MAX);
                opening.refused = Some((until, reason.clone()));
                Err(reason)
            }
        }
    }

    /// Finds the server, connects, and makes sure that it takes what is written and has our format.
    /// `told` gets what it publishes.
    ///
    /// # Errors
    ///
    /// `Unavailable`; `NewerFormat` or `NotOurs` when the place is somebody else's.
    pub async fn open(
        &self,
        told: impl Fn(&PushInfo) + Send + Sync + 'static,
    ) -> Result<Live, StoreError> {
        match tokio::time::timeout(OPEN_WAIT_MAX, self.open_first(told)).await {
            Ok(opened) => opened,
            Err(_) => Err(StoreError::unavailable("it cannot be reached in time")),
        }
    }

    async fn open_first(
        &self,
        told: impl Fn(&PushInfo) + Send + Sync + 'static,
    ) -> Result<Live, StoreError> {
        let candidates = (self.locator.candidates().await).map_err(|error| meaning(&error))?;
        let mut reason = StoreError::unavailable("nobody knows which server is the master");
        let told = Arc::new(told);
        for server in candidates {
            let is_lost = Arc::new(AtomicBool::new(false));
            let (told, lost) = (Arc::clone(&told), Arc::clone(&is_lost));
            let config = locate::config(ANSWER_WAIT_MAX).set_push_sender(move |info: PushInfo| {
                if info.kind == PushKind::Disconnection {
                    lost.store(true, Ordering::Release);
                }
                told(&info);
                Ok::<_, redis::aio::SendError>(())
            });
            let connection = self.locator.connect(&server, &config).await;
            let opened = match connection.map_err(|error| meaning(&error)) {
                Ok(mut connection) => {
                    let marked = self.mark(&mut connection).await;
                    marked.map(|()| Live {
                        connection,
                        is_lost,
                    })
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok(mut live) => {
                    self.warn_of_eviction(&mut live.connection).await;
                    return Ok(live);
                }
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    fn marking(&self) -> ScriptInvocation<'static> {
        let mut marking = script::MARK.key(self.key("format", b""));
        marking.arg(&self.prefix).arg(script::FORMAT);
        marking
    }

    async fn mark(&self, connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
        let found = self.marking().invoke_async(connection).await;
        check_format(found.map_err(|error| meaning(&error))?)
    }

    /// Writes, reads, and looks at the format.
    ///
    /// # Errors
    ///
    /// As [`Link::open`].
    pub async fn check(&self) -> Result<(), StoreError> {
        check_format(self.ask(&Question::Change(self.marking())).await?)
    }

    /// A server that evicts forgets used codes early, which nothing else would tell.
    async fn warn_of_eviction(&self, connection: &mut MultiplexedConnection) {
        let mut question = redis::cmd("INFO");
        question.arg("memory");
        // Forbidden on some hosted servers; that is no fault.
        let Ok(info) = question.query_async::<String>(connection).await else {
            return;
        };
        let policy = info
            .lines()
            .find_map(|line| line.strip_prefix("maxmemory_policy:"))
            .map(str::trim);
        if let Some(policy) = policy
            && policy != "noeviction"
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                policy,
                "the store's maxmemory-policy is not noeviction: Redis may forget sessions and used one-time values"
            );
        }
    }
}

impl Live {
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Nobody is given this connection any more.
    fn leave(&self) {
        self.is_lost.store(true, Ordering::Release);
    }
}

impl<'a> Question<'a> {
    /// A command that reads; `none` is a key under which there is nothing.
    pub fn read(none: Vec<u8>, command: Cmd) -> Question<'a> {
        let mut both = redis::pipe();
        both.add_command(proof(none)).add_command(command);
        Question::Read(both)
    }

    fn is_harmless(&self) -> bool {
        matches!(self, Self::Look(_) | Self::Read(_))
    }

    async fn put(&self, live: &Live) -> Result<Value, RedisError> {
        let mut connection = live.connection.clone();
        match self {
            Self::Change(script) => script.invoke_async(&mut connection).await,
            Self::ChangeMany(script) | Self::Look(script) => {
                connection.set_response_timeout(LONG_ANSWER_WAIT_MAX);
                script.invoke_async(&mut connection).await
            }
            Self::Read(both) => {
                let answers = connection.send_packed_commands(both, 0, 2).await?;
                match <[Value; 2]>::try_from(answers) {
                    Ok([proof, _]) if is_elsewhere(&proof) => proof.extract_error(),
                    Ok([_, answer]) => answer.extract_error(),
                    Err(_) => Ok(Value::Nil),
                }
            }
        }
    }
}

/// A question that only the right server answers well and that changes nothing: a replica, or a node
/// without our slot, refuses to delete, even what is not there.
pub fn proof(none: Vec<u8>) -> Cmd {
    let mut proof = redis::cmd("DEL");
    proof.arg(none);
    proof
}

/// What a failed question says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The server did nothing, since it is not the right one, or not now.
    Elsewhere,
    /// The connection broke, or the answer did not come in time.
    Lost,
    /// The server is the right one and refused.
    Refused,
}

fn fault(error: &RedisError) -> Fault {
    match error.kind() {
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::ReadOnly,
        ) => Fault::Elsewhere,
        // Redis 6 wraps what fails inside of a script.
        ErrorKind::Server(_) | ErrorKind::Extension
            if error
                .detail()
                .is_some_and(|text| text.contains("-READONLY")) =>
        {
            Fault::Elsewhere
        }
        ErrorKind::Extension if error.code() == Some("NOAUTH") => Fault::Elsewhere,
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
            Fault::Refused
        }
        _ => Fault::Lost,
    }
}

/// Whether a server that gave this answer to [`proof`] is the wrong one.
pub fn is_elsewhere(answer: &Value) -> bool {
    match answer {
        Value::ServerError(error) => fault(&RedisError::from(error.clone())) == Fault::Elsewhere,
        _ => false,
    }
}

/// Says what a failure of Redis means. What the server says can be repeated: it names commands and
/// servers, never what was stored.
pub fn meaning(error: &RedisError) -> StoreError {
    let detail: String = (error.detail().unwrap_or_default().chars())
        .take(REASON_CHARS_MAX)
        .collect();
    match error.kind() {
        _ if error.is_timeout() => StoreError::unavailable("it did not answer in time"),
        ErrorKind::Io => StoreError::unavailable(error),
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
            StoreError::corrupt("the answer has another form than expected")
        }
        ErrorKind::Extension if error.code() == Some("WRONGTYPE") => {
            StoreError::corrupt("a key holds something else than this program puts there")
        }
        _ => match error.code() {
            Some(code) => StoreError::unavailable(format!("it says `{code}`: {detail}")),
            None => StoreError::unavailable(error.category()),
        },
    }
}

fn check_format(found: Value) -> Result<(), StoreError> {
    match i64::from_redis_value(found) {
        Ok(script::FORMAT) => Ok(()),
        Ok(found) if found > script::FORMAT => Err(StoreError::NewerFormat {
            found,
            supported: script::FORMAT,
        }),
        Ok(found) => Err(StoreError::corrupt(format!(
            "found format {found}; expected {}",
            script::FORMAT
        ))),
        Err(_) => Err(StoreError::NotOurs {
            reason: "the key of the format holds no number; choose another prefix".to_owned(),
        }),
    }
}
