//! `compat-server`: serves the example clients of the original FastSync.
#![allow(clippy::print_stdout, reason = "a command-line program talks to its user")]

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use compat_server::Access;
use fastsync_core::Zone;
use fastsync_transport_http::{ServeConfig, serve};
use tokio::net::TcpListener;

/// A server for the example clients of the original FastSync
#[derive(Debug, Parser)]
struct Cli {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The file that holds the items
    #[arg(long, default_value = "compat.db")]
    db: PathBuf,
    /// The zone that everyone shares: the example clients send no credentials. `Global`, as the example for Dart and Hive
    /// calls it, makes the items a type without zones; such a file is another than one with zones
    #[arg(long, default_value = "user", conflicts_with = "tokens")]
    zone: String,
    /// A file with `TOKEN ZONE` on each line: only those with a bearer token may sync, each in the zone of the token
    #[arg(long)]
    tokens: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { port, db, zone, tokens } = Cli::parse();
    let is_shared = tokens.is_none() && zone == "Global";
    let access = match tokens {
        None => {
            Zone::restricted(&zone)?;
            Access::Everyone(zone)
        }
        Some(file) => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            Access::Tokens(compat_server::tokens(&text)?.into())
        }
    };
    let compat =
        if is_shared { compat_server::open_shared(&db).await? } else { compat_server::open(&db).await? };
    let app = compat_server::app(compat, access);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}/express");
    // `localhost`, which the example client calls, is the IPv6 address on some platforms.
    let twin = TcpListener::bind(("::1", address.port())).await.ok();
    let interrupted = || async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    let config = ServeConfig::default();
    let on_twin = async {
        match twin {
            Some(twin) => serve(twin, app.clone(), config.clone(), interrupted()).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(serve(listener, app.clone(), config.clone(), interrupted()), on_twin)?;
    Ok(())
}
