//! `cargo xtask serve`: servers for a command of one's own.

use std::io::Read as _;

use anyhow::Result;

use crate::servers::{self, Policy};
use crate::summary::Skips;
use crate::workspace::Workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Install no server.
    #[arg(long)]
    no_install: bool,
    /// Names of servers: mysql, postgres, mongo; galera in the place of mysql, postgres-18 in that of postgres.
    #[arg(value_name = "SERVER", required = true)]
    names: Vec<String>,
    /// What is run while they are there; without it they are there until the input ends.
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

/// Starts the servers, runs the command with the variables that tell where they are, and stops them.
pub(crate) fn run(mut workspace: Workspace, args: &Args) -> Result<bool> {
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let policy = Policy::requiring(&names, args.no_install);
    policy.check()?;
    let (_, running) = servers::start_named(&names, &mut workspace, &policy, &mut Skips::default())?;
    for (name, value) in &workspace.env {
        println!("export {name}='{value}'");
    }
    let passed = match args.command.as_slice() {
        [program, args @ ..] => {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            workspace.program(program, &args).map_err(|error| println!("{error:#}")).is_ok()
        }
        [] => {
            println!("until the input ends (Ctrl-D)");
            std::io::stdin().read_to_end(&mut Vec::new())?;
            true
        }
    };
    drop(running);
    Ok(passed)
}
