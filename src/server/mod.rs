//! Running: sockets, TLS, signals, reload, drain.
//!
//! Everything that can be wrong with `gateway.yaml` is found before a port is opened. From then on a
//! signal changes all or nothing.

mod certificates;
mod handover;
mod keys;
mod listeners;
mod notify;
mod reload;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::http_app::HttpServer;
use pingora::server::configuration::ServerConf;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;

use crate::admin::Admin;
use crate::clock;
use crate::config::Settings;
use crate::config::StoreSettings;
use crate::gateway::Gateway;
use crate::gateway::Sessions;
use crate::gateway::Snapshot;
use crate::gateway::SnapshotError;
use crate::gateway::feed;
use crate::gateway::provider::keys::LOOK_AFTER_EVERY;
use crate::proxy::GatewayApp;
use crate::proxy::Proxy;

use crate::server::certificates::Certificates;
use crate::server::handover::Inherited;
use crate::server::handover::Offer;
use crate::server::listeners::Bound;
use crate::server::notify::notify;
use crate::store::RedisStore;
use crate::store::SWEEP_COUNT_MAX;
use crate::store::SqliteStore;
use crate::store::Store;
use crate::store::StoreError;
use crate::telemetry::Metrics;

/// How often sessions that have ended are removed from the store.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How often certificate files are read again.
const CERTIFICATES_INTERVAL: Duration = Duration::from_secs(5);
/// How often a stopping gateway looks whether requests are still under way.
const DRAIN_STEP: Duration = Duration::from_millis(20);
/// Idle connections to upstreams that are kept, over all threads.
const UPSTREAM_POOL_SIZE: usize = 512;
/// Tries per request; only those that sent nothing, or may be repeated, are repeated.
const UPSTREAM_TRIES_MAX: usize = 3;

/// Why the gateway does not run.
#[derive(Debug)]
pub enum ServerError {
    /// Something that `gateway.yaml` names cannot be used. Nothing has been opened.
    Settings(String),
    /// The session store cannot be opened.
    Store(StoreError),
    /// An address cannot be listened on.
    Listen(std::net::SocketAddr, io::Error),
    /// The system refused something else.
    System(io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problem) => f.write_str(problem),
            Self::Store(error) => write!(f, "the session store cannot be opened: {error}"),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl From<SnapshotError> for ServerError {
    fn from(error: SnapshotError) -> Self {
        Self::Settings(error.to_string())
    }
}

/// What the settings came from, and so what a signal can ask for.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// This file: SIGHUP reads it again, SIGQUIT hands over to a new process that reads it.
    File(&'a Path),
    /// This run alone: there is nothing to read again, and SIGQUIT ends it.
    Run,
}

/// Chooses the cryptography of TLS, once for the process: several libraries bring one along.
pub fn install_cryptography() {
    pingora::tls::install_default_crypto_provider();
}

/// Runs the gateway until it is told to stop; calls `ready` once, when it answers.
///
/// # Errors
/// One [`ServerError`] per step of the start.
pub fn run(
    source: Source<'_>,
    settings: Settings,
    ready: impl FnOnce(),
) -> Result<(), ServerError> {
    let mut inherited = Inherited::receive().map_err(ServerError::System)?;
    let bound = bind(&settings, &mut inherited)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads.max(1))
        .enable_all()
        .build()
        .map_err(ServerError::System)?;
    let served = runtime.block_on(serve(source, settings, bound, &inherited, ready));
    // Background work has nothing left to finish.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// All sockets, bound and not yet served.
struct Sockets {
    public: Vec<Bound>,
    admin: Option<Bound>,
    certificates: Vec<(String, Arc<Certificates>)>,
}

impl Sockets {
    /// All that a later process can take over.
    fn offer(&self) -> io::Result<Offer> {
        Offer::new(
            self.public
                .iter()
                .chain(&self.admin)
                .map(Bound::named)
                .collect(),
        )
    }
}

fn bind(settings: &Settings, inherited: &mut Inherited) -> Result<Sockets, ServerError> {
    let mut sockets = Sockets {
        public: Vec::new(),
        admin: None,
        certificates: Vec::new(),
    };
    for listener in &settings.listeners {
        let certificates = match listener.certificates.as_slice() {
            [] => None,
            files => Some(Arc::new(
                Certificates::load(files).map_err(ServerError::Settings)?,
            )),
        };
        if let Some(certificates) = &certificates {
            sockets
                .certificates
                .push((listener.address.to_string(), Arc::clone(certificates)));
        }
        let bound = Bound::new("public", listener.address, certificates, inherited);
        sockets
            .public
            .push(bound.map_err(|error| ServerError::Listen(listener.address, error))?);
    }
    if let Some(address) = settings.admin {
        let bound = Bound::new("admin", address, None, inherited);
        sockets.admin = Some(bound.map_err(|error| ServerError::Listen(address, error))?);
    }
    Ok(sockets)
}

async fn serve(
    source: Source<'_>,
    settings: Settings,
    sockets: Sockets,
    inherited: &Inherited,
    ready: impl FnOnce(),
) -> Result<(), ServerError> {
    // Signals from here on find a handler, however early they come.
    let mut signals = Signals::new().map_err(ServerError::System)?;
    let offer = sockets.offer().map_err(ServerError::System)?;
    let gateway = Arc::new(gateway(settings).await?);
    let snapshot = gateway.snapshot();
    let drain_timeout = snapshot.settings.drain_timeout;
    let proxy = Arc::new(Proxy::new(Arc::clone(&gateway)));
    let configuration = Arc::new(ServerConf {
        threads: snapshot.settings.threads,
        upstream_keepalive_pool_size: UPSTREAM_POOL_SIZE,
        max_retries: UPSTREAM_TRIES_MAX,
        ..ServerConf::default()
    });
    let app = GatewayApp::new(&proxy, configuration);
    let (stop, stopped) = watch::channel(false);
    let mut services = Vec::new();
    for bound in sockets.public {
        tracing::info!(address = %bound.address, "listening");
        let served = bound.serve("gateway", app.clone(), stopped.clone());
        services.push(served.map_err(ServerError::System)?);
    }
    // Health is asked for until the last request has been answered.
    let (stop_admin, admin_stopped) = watch::channel(false);
    if let Some(bound) = sockets.admin {
        tracing::info!(address = %bound.address, "listening for administration");
        let token = keys::admin_token(&snapshot.settings).map_err(ServerError::Settings)?;
        let app = HttpServer::new_app(Admin::new(Arc::clone(&gateway), token));
        bound
            .serve("admin", app, admin_stopped)
            .map_err(ServerError::System)?;
    }
    tokio::spawn(Arc::clone(&gateway.sessions).follow_changes());
    tokio::spawn(feed::watch_streams(Arc::clone(&gateway)));
    tokio::spawn(sweep(Arc::clone(&gateway)));
    tokio::spawn(look_after_keys(Arc::clone(&gateway)));
    tokio::spawn(watch_certificates(
        Arc::clone(&gateway),
        sockets.certificates,
    ));
    notify("READY=1");
    inherited.tell_ready();
    tracing::info!(routes = snapshot.routes.len(), "the gateway is running");
    drop(snapshot);
    ready();

    loop {
        match (signals.next().await, source) {
            (Event::Reload, Source::File(path)) => {
                notify("RELOADING=1");
                reload::reload(path, &gateway, &proxy).await;
                notify("READY=1");
            }
            (Event::Reload, Source::Run) => tracing::info!("there is no file to read again"),
            (Event::HandOver, Source::File(_)) => match offer.hand_over().await {
                Ok(process) => {
                    notify(&format!("MAINPID={process}"));
                    tracing::info!(process, "handed over to a new process");
                    // Who asks for health or administration means the one that stays.
                    let _ = stop_admin.send(true);
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, "not handed over: this process goes on");
                }
            },
            (Event::Stop, _) | (Event::HandOver, Source::Run) => {
                notify("STOPPING=1");
                break;
            }
        }
    }
    tracing::info!(in_flight = proxy.in_flight(), "stopping");
    let _ = stop.send(true);
    for service in services {
        let _ = service.await;
    }
    let deadline = Instant::now() + drain_timeout;
    while (proxy.in_flight() > 0 || gateway.refreshes_under_way() > 0) && Instant::now() < deadline
    {
        tokio::time::sleep(DRAIN_STEP).await;
    }
    match proxy.in_flight() {
        0 => tracing::info!("stopped"),
        left => tracing::warn!(in_flight = left, "stopped with requests under way"),
    }
    let _ = stop_admin.send(true);
    Ok(())
}

async fn gateway(settings: Settings) -> Result<Gateway, ServerError> {
    let store = store(&settings.store).await.map_err(ServerError::Store)?;
    let keys = keys::session_keys(&settings).map_err(ServerError::Settings)?;
    let ids = settings.identity_provider_names();
    let metrics = Metrics::new(&ids);
    let snapshot = Snapshot::build(settings, &keys, None)?;
    Ok(Gateway::new(
        snapshot,
        Sessions::new(store, metrics.clone()),
        metrics,
    ))
}

async fn store(settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    match settings {
        StoreSettings::Embedded { path } => Ok(Arc::new(SqliteStore::open(path)?)),
        StoreSettings::Redis(settings) => {
            let store = RedisStore::new(settings);
            match store.check().await {
                // It may come later, as after a power cut; until then `/readyz` and logins say so. What
                // is not ours, or newer than we are, does not get better by waiting.
                Err(error @ StoreError::Unavailable { .. }) => {
                    tracing::warn!(%error, "the session store does not answer yet");
                }
                checked => checked?,
            }
            Ok(Arc::new(store))
        }
    }
}

/// Removes what has ended from the store, for ever.
async fn sweep(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while let Ok(removed) = gateway.sessions.sweep(clock::now(), SWEEP_COUNT_MAX).await {
            if removed < SWEEP_COUNT_MAX {
                break;
            }
        }
    }
}

/// Makes, announces and forgets signing keys of our provider when it is time, for ever.
async fn look_after_keys(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(LOOK_AFTER_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = gateway.snapshot();
        if snapshot.openid_provider().is_none() {
            continue;
        }
        if let Err(error) = gateway.provider_keys(&snapshot, clock::now()).await {
            tracing::warn!(%error, "the signing keys of the provider cannot be looked after");
        }
    }
}

/// Reads certificate files again, for ever.
async fn watch_certificates(gateway: Arc<Gateway>, certificates: Vec<(String, Arc<Certificates>)>) {
    let mut ticks = tokio::time::interval(CERTIFICATES_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !certificates.is_empty() {
        ticks.tick().await;
        for (listener, certificates) in &certificates {
            let reading = Arc::clone(certificates);
            let _ = tokio::task::spawn_blocking(move || reading.refresh()).await;
            if let Some(end_at) = certificates.end_at() {
                gateway.metrics.tls_certificate_expiry(listener, end_at);
            }
        }
    }
}

/// What a signal asks for.
enum Event {
    Reload,
    HandOver,
    Stop,
}

struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.hang_up.recv() => Event::Reload,
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.quit.recv() => Event::HandOver,
        }
    }
}
