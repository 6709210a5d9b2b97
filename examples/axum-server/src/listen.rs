//! Serving the application on a port, and the options for it.

use clap::Args;
use fastsync_core::{Server, SyncManager};
use fastsync_transport_http::{ServeConfig, serve};
use tokio::net::TcpListener;

/// Where to listen, and to whom.
#[derive(Debug, Args)]
pub struct Listen {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
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

impl Listen {
    /// Serves until it is interrupted.
    ///
    /// # Errors
    /// If the port is taken.
    #[allow(clippy::print_stdout, reason = "a command-line program talks to its user")]
    pub async fn serve(self, engine: SyncManager<Server>) -> anyhow::Result<()> {
        let users_by_token = self.tokens.into_iter().map(|(user, token)| (token, user)).collect();
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        println!("listening on http://{}/sync", listener.local_addr()?);
        let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
        // Not `axum::serve`: that has no timeouts, and a peer that sends nothing would keep its connection for ever.
        serve(listener, crate::app(engine, users_by_token), ServeConfig::default(), interrupted).await?;
        Ok(())
    }
}
