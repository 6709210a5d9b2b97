//! `hyper-server`: keeps to-do lists in step.
#![allow(clippy::print_stdout, reason = "a command-line program talks to its user")]

use std::path::PathBuf;

use clap::Parser;
use fastsync_transport_http::{ServeConfig, serve};
use tokio::net::TcpListener;

/// A sync server for the to-do client.
#[derive(Debug, Parser)]
struct Cli {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The file that holds the tasks
    #[arg(long, default_value = "server.db")]
    db: PathBuf,
    /// Who may sync: USER=TOKEN, separated by commas. Better in the environment, where other users cannot see it
    #[arg(long, env = "TODO_TOKENS", hide_env_values = true, value_delimiter = ',', required = true, value_parser = user_token)]
    tokens: Vec<(String, String)>,
}

fn user_token(text: &str) -> Result<(String, String), String> {
    let (user, token) = text.split_once('=').ok_or("it must be USER=TOKEN")?;
    if user.is_empty() || token.is_empty() {
        return Err("neither the user nor the token may be empty".to_owned());
    }
    Ok((user.to_owned(), token.to_owned()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { port, db, tokens } = Cli::parse();
    let users_by_token = tokens.into_iter().map(|(user, token)| (token, user)).collect();
    let service = hyper_server::service(&db, users_by_token).await?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}/sync", listener.local_addr()?);
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    // hyper alone has hardly any timeouts; this adds those that a server needs against slow peers.
    serve(listener, service, ServeConfig::default(), interrupted).await?;
    Ok(())
}
