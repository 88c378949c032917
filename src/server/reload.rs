//! A new `gateway.yaml` while requests run: all of it, or nothing.

use std::path::Path;
use std::sync::Arc;

use crate::config;
use crate::config::Settings;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::proxy::Proxy;
use crate::server::keys;
use crate::telemetry::metrics::ReloadOutcome;

/// Reads the file again and puts it in force. A bad file changes nothing, is logged and counted.
pub async fn reload(path: &Path, gateway: &Arc<Gateway>, proxy: &Arc<Proxy>) {
    let (file, current) = (path.to_owned(), gateway.snapshot());
    let built = tokio::task::spawn_blocking(move || build(&file, &current)).await;
    match built {
        Ok(Ok(snapshot)) => {
            let ids = snapshot.settings.identity_provider_names();
            gateway.metrics.set_identity_providers(&ids);
            let routes = snapshot.routes.len();
            gateway.replace(snapshot);
            proxy.reload();
            gateway.metrics.config_reload(ReloadOutcome::Applied);
            tracing::info!(routes, "reloaded");
        }
        Ok(Err(problems)) => {
            for problem in problems {
                tracing::error!(%problem, "not reloaded");
            }
            gateway.metrics.config_reload(ReloadOutcome::Refused);
        }
        Err(error) => {
            tracing::error!(%error, "not reloaded");
            gateway.metrics.config_reload(ReloadOutcome::Refused);
        }
    }
}

fn build(path: &Path, current: &Snapshot) -> Result<Snapshot, Vec<String>> {
    let loaded = config::load(path)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let settings = loaded.settings;
    for what in needs_restart(&current.settings, &settings) {
        tracing::warn!(what, "a change of this takes effect at the next start");
    }
    let keys = keys::session_keys(&settings).map_err(|problem| vec![problem])?;
    Snapshot::build(settings, &keys, Some(current)).map_err(|error| vec![error.to_string()])
}

/// What has changed although only a start can change it, by its keys.
fn needs_restart(current: &Settings, new: &Settings) -> Vec<&'static str> {
    let log = |settings: &Settings| (settings.log.format, settings.log.level);
    let changes = [
        ("listeners", current.listeners != new.listeners),
        ("admin", current.admin != new.admin),
        ("store", current.store != new.store),
        ("threads", current.threads != new.threads),
        ("drain_timeout", current.drain_timeout != new.drain_timeout),
        ("log", log(current) != log(new)),
    ];
    let changed = changes.iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(name, _)| *name).collect()
}
