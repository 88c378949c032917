//! `vestibule key list | rotate | discard`: the signing keys of a running gateway's OpenID provider.

use std::process::ExitCode;

use clap::Subcommand;
use http::Method;
use serde::Deserialize;

use crate::cli::session;
use crate::cli::session::Running;
use crate::cli::session::plain;
use crate::cli::session::rough;
use crate::clock;
use crate::clock::Timestamp;

/// What to do with signing keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Lists the keys: which signs, which comes next, which only verifies any more.
    List {
        #[command(flatten)]
        gateway: Running,
    },
    /// Announces the next keys now. They begin to sign when every client has had time to read them, an
    /// hour at most; the keys before them stay published until the last token they signed is over.
    Rotate {
        #[command(flatten)]
        gateway: Running,
    },
    /// Gives up signing keys that no key under `session_keys` opens, and makes new ones at once. Every token
    /// that they signed is worth nothing then. Keys that can be read are left alone.
    Discard {
        #[command(flatten)]
        gateway: Running,
    },
}

#[derive(Deserialize)]
struct Listed {
    kid: String,
    algorithm: String,
    signs_from: Timestamp,
    state: String,
}

#[derive(Deserialize)]
struct List {
    keys: Vec<Listed>,
}

/// Asks the gateway and prints what it says.
pub fn key(command: &KeyCommand) -> ExitCode {
    let (method, gateway) = match command {
        KeyCommand::List { gateway } => (Method::GET, gateway),
        KeyCommand::Rotate { gateway } => (Method::POST, gateway),
        KeyCommand::Discard { gateway } => (Method::DELETE, gateway),
    };
    session::administer(gateway, &method, "/admin/v1/keys", table)
}

fn table(body: &[u8]) -> Result<String, String> {
    let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let now = clock::now();
    let heads = ["KEY", "ALGORITHM", "STATE", "SIGNS"];
    let mut rows = vec![heads.map(str::to_owned)];
    for one in &list.keys {
        let signs = match now < one.signs_from {
            true => format!("in {}", rough(one.signs_from.since(now))),
            false => format!("since {}", rough(now.since(one.signs_from))),
        };
        rows.push([
            plain(&one.kid),
            plain(&one.algorithm),
            plain(&one.state),
            signs,
        ]);
    }
    Ok(session::aligned(&rows))
}
