//! The legacy application behind the gateway, by itself: the same that `vestibule demo` runs.
//!
//! ```text
//! cargo run --example sample_app -- --listen 127.0.0.1:3000
//! ```

// By its file, not by the library: the whole gateway would be linked for it.
#[path = "../src/cli/demo/sample_app/mod.rs"]
mod app;

use std::env;
use std::io;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(address) = listen_address() else {
        eprintln!("usage: sample_app --listen ADDRESS:PORT");
        return ExitCode::from(2);
    };
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample_app: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen_address() -> Option<String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => Some(String::from("127.0.0.1:3000")),
        ["--listen", address] => Some((*address).to_owned()),
        _ => None,
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    io::stdout().flush()?;
    app::serve(&listener);
    Ok(())
}
