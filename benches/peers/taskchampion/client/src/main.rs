//! A replica of TaskChampion in SQLite. A line of JSON comes in, a line goes out: see `common/process.mjs`.
#![forbid(unsafe_code)]

mod records;

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use taskchampion::storage::AccessMode;
use taskchampion::{Operations, Replica, Server, ServerConfig, SqliteStorage, TaskData, Uuid};
use tokio::runtime::Runtime;

use crate::records::{Digest, Item};

/// All replicas are of one user.
const CLIENT_ID: Uuid = Uuid::from_u128(0x6f1d_2c3b_4a59_4687_9c0d_1e2f_3a4b_5c6d);

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut client = None;
    for line in std::io::stdin().lock().lines() {
        let answer = match obey(&line?, &runtime, &mut client) {
            Ok(result) => json!({ "result": result }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn obey(line: &str, runtime: &Runtime, client: &mut Option<Client>) -> Result<Value> {
    let order: Value = serde_json::from_str(line)?;
    let args = &order["args"];
    let method = order["method"].as_str().unwrap_or_default();
    if method == "open" {
        let folder = args[0]["folder"].as_str().context("no folder")?;
        let port = args[0]["port"].as_u64().context("no port")?;
        *client = Some(runtime.block_on(Client::open(Path::new(folder), port))?);
        return Ok(Value::Null);
    }
    let client = client.as_mut().context("not open")?;
    runtime.block_on(async {
        match method {
            "add" => client.add(number(&args[0])?, number(&args[1])?).await,
            "change" => client.change(args[0].as_array().context("no numbers")?).await,
            // There is one kind of sync, which does both.
            "push" | "pull" | "sync" => client.sync().await,
            "digest" => client.digest().await,
            // Every write is in the database when it is done.
            "close" => Ok(Value::Null),
            other => bail!("there is no {other}"),
        }
    })
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("no number: {value}"))
}

struct Client {
    replica: Replica<SqliteStorage>,
    server: Box<dyn Server>,
}

impl Client {
    async fn open(folder: &Path, port: u64) -> Result<Self> {
        let storage = SqliteStorage::new(folder, AccessMode::ReadWrite, true).await?;
        let server = ServerConfig::Remote {
            url: format!("http://127.0.0.1:{port}"),
            client_id: CLIENT_ID,
            encryption_secret: b"not a secret".to_vec(),
        };
        Ok(Self { replica: Replica::new(storage), server: server.into_server().await? })
    }

    async fn add(&mut self, first: u64, count: u64) -> Result<Value> {
        const BATCH: usize = 1_000;
        let mut numbers = (first..first + count).peekable();
        while numbers.peek().is_some() {
            let mut operations = Operations::new();
            for n in numbers.by_ref().take(BATCH) {
                let item = Item::make(n);
                let mut task = TaskData::create(item.id.parse()?, &mut operations);
                for (property, value) in item.properties() {
                    task.update(property, Some(value), &mut operations);
                }
            }
            self.replica.commit_operations(operations).await?;
        }
        Ok(Value::Null)
    }

    async fn change(&mut self, numbers: &[Value]) -> Result<Value> {
        let mut operations = Operations::new();
        for n in numbers {
            let item = Item::make(number(n)?).changed();
            let found = self.replica.get_task_data(item.id.parse()?).await?;
            let mut task = found.with_context(|| format!("there is no {}", item.id))?;
            for (property, value) in item.properties() {
                // As an application does: a property that stays the same is no operation.
                if task.get(property) != Some(value.as_str()) {
                    task.update(property, Some(value), &mut operations);
                }
            }
        }
        self.replica.commit_operations(operations).await?;
        Ok(Value::Null)
    }

    async fn sync(&mut self) -> Result<Value> {
        let start = Instant::now();
        self.replica.sync(&mut self.server, false).await?;
        Ok(json!(start.elapsed().as_secs_f64()))
    }

    async fn digest(&mut self) -> Result<Value> {
        let mut digest = Digest::default();
        for (id, task) in self.replica.all_task_data().await? {
            digest.add(&Item::of(id.to_string(), |property| task.get(property).map(str::to_owned))?);
        }
        Ok(json!({ "count": digest.count, "sum": digest.sum }))
    }
}
