//! The list itself: everything here works offline.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{
    Client, ObjectId, Repository, Selection, Store, SyncManager, SyncableObject, SyncableRepositoryExt,
    TimestampOrdering,
};
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_transport_http::HttpTransport;
use todo::Task;

use crate::Place;

/// The local list, and the manager that keeps it in step with the server's.
pub(crate) struct TodoList {
    pub(crate) tasks: Repository<Task>,
    pub(crate) manager: SyncManager<Client>,
}

/// How many digits of an id are shown at least.
const SHORT_ID: usize = 4;

impl TodoList {
    /// Opens the local file. This does not touch the network: the transport connects when it is first used.
    pub(crate) async fn open(place: &Place) -> anyhow::Result<Self> {
        let source = SqliteDataSource::open(&place.db)
            .with_context(|| format!("The file {} cannot be opened", place.db.display()))?;
        // Where two people changed the same task, the later change wins.
        let store = Store::client(source).sync::<Task>(TimestampOrdering).open().await?;
        let mut transport = HttpTransport::builder(&place.server);
        if let Some(token) = &place.token {
            transport = transport.bearer_token(token);
        }
        let tasks = Repository::<Task>::new(&store);
        let manager = SyncManager::client(&store).transport(transport.build()?).build()?;
        Ok(Self { tasks, manager })
    }

    pub(crate) async fn add(&self, text: &str) -> anyhow::Result<()> {
        let task = Task::new(checked(text)?);
        self.tasks.add(&task).await?;
        self.print("added", &task).await
    }

    pub(crate) async fn edit(&self, id: &str, text: &str) -> anyhow::Result<()> {
        let task = Task { text: checked(text)?, ..self.find(id).await? };
        self.tasks.update(&task).await?;
        self.print("changed", &task).await
    }

    pub(crate) async fn done(&self, id: &str) -> anyhow::Result<()> {
        let task = Task { done: true, ..self.find(id).await? };
        self.tasks.update(&task).await?;
        self.print("done", &task).await
    }

    pub(crate) async fn remove(&self, id: &str) -> anyhow::Result<()> {
        let task = self.find(id).await?;
        self.tasks.remove(&task.id).await?;
        println!("removed  {}", task.text);
        Ok(())
    }

    pub(crate) async fn show(&self) -> anyhow::Result<()> {
        let tasks = self.tasks.query(Selection::all().order_by("created")?).await?;
        if tasks.is_empty() {
            println!("Nothing to do. `todo add TEXT` adds a task.");
            return Ok(());
        }
        let digits = digits_needed(&tasks);
        let waiting = self.waiting().await?;
        for task in &tasks {
            let mark = if waiting.contains(&task.id()?) { '*' } else { ' ' };
            let done = if task.done { 'x' } else { ' ' };
            println!("{mark} {}  [{done}] {}", short(task, digits), task.text);
        }
        if !waiting.is_empty() {
            println!("* is not on the server yet: `todo status` says more");
        }
        Ok(())
    }

    /// The tasks that have edits to be sent.
    async fn waiting(&self) -> anyhow::Result<BTreeSet<ObjectId>> {
        const MOST: usize = 10_000;
        let records = self.manager.store().source().pending_after(0, MOST).await?;
        Ok(records.into_iter().map(|record| record.key.id).collect())
    }

    /// The task whose id begins so.
    async fn find(&self, prefix: &str) -> anyhow::Result<Task> {
        let prefix = prefix.to_ascii_lowercase();
        ensure!(!prefix.is_empty(), "Which task? Give its id, or the beginning of it.");
        let tasks = self.tasks.get_all().await?;
        let mut found = tasks.into_iter().filter(|task| task.id.simple().to_string().starts_with(&prefix));
        match (found.next(), found.next()) {
            (Some(task), None) => Ok(task),
            (None, _) => bail!("No task has an id that begins with `{prefix}`. `todo list` shows them all."),
            (Some(first), Some(second)) => bail!(
                "Several tasks have an id that begins with `{prefix}`, for example “{}” and “{}”. Give more of it.",
                first.text,
                second.text
            ),
        }
    }

    async fn print(&self, what: &str, task: &Task) -> anyhow::Result<()> {
        let digits = digits_needed(&self.tasks.get_all().await?);
        println!("{what}  {}  {}", short(task, digits), task.text);
        Ok(())
    }
}

fn checked(text: &str) -> anyhow::Result<String> {
    let text = text.trim();
    ensure!(!text.is_empty(), "A task needs a text.");
    Ok(text.to_owned())
}

/// How many digits tell all ids apart.
fn digits_needed(tasks: &[Task]) -> usize {
    let mut ids: Vec<_> = tasks.iter().map(|task| task.id.simple().to_string()).collect();
    ids.sort();
    let shared = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let longest = ids.windows(2).map(|pair| shared(&pair[0], &pair[1])).max().unwrap_or(0);
    SHORT_ID.max(longest + 1)
}

fn short(task: &Task, digits: usize) -> String {
    let mut id = task.id.simple().to_string();
    id.truncate(digits);
    id
}
