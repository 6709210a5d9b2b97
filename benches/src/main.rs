//! The benchmark program. `cargo xtask bench` runs it by the names of its figures.

mod figures;

use std::process::ExitCode;

use anyhow::Result;
use benches::{profile, role};
use clap::{Parser, Subcommand};

use figures::{
    growth, layout, limits, memory, mongo, mysql, noop, page, postgres, ratios, sled, throughput, workloads,
};

#[derive(Debug, Parser)]
#[command(about = "Measures FastSync", subcommand_required = false)]
struct Cli {
    /// What to do when this program has started itself.
    #[arg(long, hide = true)]
    role: Option<String>,
    #[command(subcommand)]
    figure: Option<Figure>,
}

#[derive(Debug, Subcommand)]
enum Figure {
    /// Push and pull over HTTP, SQLite to SQLite, beside a hand-written loop.
    Throughput(throughput::Args),
    /// A sync with nothing to do.
    Noop(noop::Args),
    /// Peak memory of the first pull.
    Memory(memory::Args),
    /// sled to sled, beside raw batches.
    Sled(sled::Args),
    /// A server on MariaDB, beside bare statements.
    Mysql(mysql::Args),
    /// A server on PostgreSQL, beside bare statements.
    Postgres(postgres::Args),
    /// A server on MongoDB, beside the driver alone.
    Mongo(mongo::Args),
    /// SQLite: the index table against sync columns in the row.
    Layout(layout::Args),
    /// W1 to W5 on every pair of data sources.
    Workloads(workloads::Args),
    /// What limits every library of this sort: databases, JSON and HTTP alone.
    Limits(limits::Args),
    /// Every required ratio, ours and what limits it measured in one run.
    Ratios(ratios::Args),
    /// What a page, an empty pull and a commit cost as sessions and devices grow.
    Growth(growth::Args),
    /// The results page of what the last runs have kept.
    Page(page::Args),
    /// Both ends in one process, again and again, for a profiler.
    Profile(profile::Args),
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(role) = &cli.role {
        return role::play(role).map(|()| ExitCode::SUCCESS);
    }
    match cli.figure {
        Some(Figure::Throughput(args)) => throughput::figure(&args),
        Some(Figure::Noop(args)) => noop::figure(&args),
        Some(Figure::Memory(args)) => memory::figure(&args),
        Some(Figure::Sled(args)) => sled::figure(&args),
        Some(Figure::Mysql(args)) => mysql::figure(&args),
        Some(Figure::Postgres(args)) => postgres::figure(&args),
        Some(Figure::Mongo(args)) => mongo::figure(&args),
        Some(Figure::Layout(args)) => layout::figure(&args),
        Some(Figure::Workloads(args)) => workloads::figure(&args),
        Some(Figure::Limits(args)) => limits::figure(&args),
        Some(Figure::Ratios(args)) => ratios::figure(&args),
        Some(Figure::Growth(args)) => growth::figure(&args),
        Some(Figure::Page(args)) => page::figure(&args),
        Some(Figure::Profile(args)) => profile::profile(&args).map(|()| ExitCode::SUCCESS),
        None => anyhow::bail!("name a figure; `--help` lists them"),
    }
}
