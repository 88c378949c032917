//! The command line.
//!
//! Owns the commands and their exit codes: 0 fine, 1 run-time failure, 2 wrong usage, 78 a problem in
//! `gateway.yaml`, found before any port is opened.

mod check;
mod check_online;
mod client;
mod client_yaml;
pub mod demo;
mod explain;
mod explain_checks;
mod explain_client;
mod explain_client_text;
mod explain_token;
mod explain_user;
mod hash_password;
mod key;
mod keygen;
mod run;
mod schema;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

/// A reverse-proxy authentication gateway.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    file: FileArgument,
}

#[derive(Clone, Debug, Args)]
struct FileArgument {
    /// The configuration file.
    #[arg(
        short,
        long = "config",
        default_value = "gateway.yaml",
        value_name = "FILE"
    )]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the gateway (the default command).
    Run(FileArgument),
    /// The whole story on this machine: provider, accounts, an application, and the gateway before it.
    ///
    /// Runs `gateway.yaml` as it is delivered, with passwords made for this run, on loopback
    /// addresses only, and leaves nothing behind.
    Demo,
    /// Reports every problem of the file at once.
    Check {
        #[command(flatten)]
        file: FileArgument,
        /// Also asks each identity provider: discovery, keys, methods.
        #[arg(long)]
        online: bool,
    },
    /// Dry run: which route, which rule, which headers, and why; or what a client of our OpenID provider
    /// would be given.
    Explain(explain::Arguments),
    /// Prints the JSON Schema of the file, for editors.
    Schema,
    /// Prints a new session key.
    Keygen,
    /// Prints the hash of a password, for an account in `gateway.yaml`.
    ///
    /// Reads one line from standard input, without its line end; on a terminal it asks twice and
    /// shows nothing. The hash is Argon2id, as a PHC string, alone on standard output.
    HashPassword,
    /// Sessions of the running gateway: who is logged in, and ending it.
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Signing keys of the running gateway's OpenID provider.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Applications that are registered in the file, and the settings they need.
    #[command(subcommand)]
    Client(client::ClientCommand),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Run(cli.file)) {
        Command::Run(file) => run::run(&file.config),
        Command::Demo => demo::demo(),
        Command::Check {
            file,
            online: false,
        } => check::check(&file.config),
        Command::Check { file, online: true } => check_online::check_online(&file.config),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Schema => schema::schema(),
        Command::Keygen => keygen::keygen(),
        Command::HashPassword => hash_password::hash_password(),
        Command::Session(command) => session::session(&command),
        Command::Key(command) => key::key(&command),
        Command::Client(command) => client::client(&command),
    }
}
