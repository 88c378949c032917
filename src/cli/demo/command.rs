//! `vestibule demo`.

use std::env;
use std::fmt::Display;
use std::io;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use crate::cli::demo::DemoAccount;
use crate::cli::demo::Folder;
use crate::cli::demo::GATEWAY_YAML;
use crate::cli::demo::Ports;
use crate::cli::demo::Prepared;
use crate::cli::demo::prepare;
use crate::cli::demo::sample_app;
use crate::server;
use crate::server::ServerError;
use crate::telemetry::LogFormat;
use crate::telemetry::LogOutput;
use crate::telemetry::LogSettings;
use crate::telemetry::logging;

/// How often ports are looked for: one that was free a moment ago may be taken by another program.
const ATTEMPTS_MAX: usize = 5;

/// Runs the demonstration until a signal ends it.
pub fn demo() -> ExitCode {
    server::install_cryptography();
    // Standard output is for what the user needs to know.
    let log = LogSettings {
        format: LogFormat::Text,
        output: LogOutput::Stderr,
        level: "warn,audit=warn,access=warn".to_owned(),
    };
    let _guard = match logging::init(&log) {
        Ok(guard) => guard,
        Err(error) => return failed(&error),
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn Display) -> ExitCode {
    // Where standard error is closed the exit code remains.
    let _ = writeln!(io::stderr(), "vestibule: {error}");
    ExitCode::FAILURE
}

/// In an order that leaves nothing behind: the folder is dropped, and so removed, however this ends.
fn run() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Folder::below(&env::temp_dir())?;
    let app = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let app_port = app.local_addr()?.port();
    // Ends with the process: it keeps nothing that would have to be written down.
    thread::Builder::new()
        .name("sample-app".to_owned())
        .spawn(move || sample_app::serve(&app))?;
    let mut attempts = 1..=ATTEMPTS_MAX;
    loop {
        attempts.next();
        match serve(app_port, folder.path()) {
            Err(ServerError::Listen(..)) if !attempts.is_empty() => {}
            other => return other.map_err(|error| error.to_string().into()),
        }
    }
}

fn serve(app_port: u16, folder: &Path) -> Result<(), ServerError> {
    let ports = Ports::find(app_port).map_err(ServerError::System)?;
    let prepared = prepare(GATEWAY_YAML, ports, folder);
    let Prepared {
        settings,
        addresses,
        accounts,
    } = prepared.map_err(|problem| ServerError::Settings(problem.to_string()))?;
    let issuer = (settings.openid_provider.as_ref()).map(|provider| provider.issuer.clone());
    server::run(server::Source::Run, settings, || {
        tell(&addresses, &accounts, issuer.as_deref());
    })
}

/// What the user needs to know. A closed standard output ends nothing: there may be a browser open.
fn tell(addresses: &[String], accounts: &[DemoAccount], issuer: Option<&str>) {
    let mut out = String::from("open ");
    out.push_str(&addresses.join("\n     "));
    out.push_str("\n\n");
    for account in accounts {
        out.push_str(&format!("{account}\n"));
    }
    if let Some(issuer) = issuer {
        out.push_str(&format!("\nissuer {issuer}\n"));
    }
    out.push_str("\nCtrl-C ends everything, and nothing stays behind.\n");
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(out.as_bytes());
    let _ = stdout.flush();
}
