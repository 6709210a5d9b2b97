//! The program as a person runs it, against a real server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fastsync_transport_http::{ServeConfig, serve};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

/// A server on a free port, until it is dropped.
struct TestServer {
    _runtime: Runtime,
    address: SocketAddr,
}

impl TestServer {
    fn start(folder: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let tokens =
            HashMap::from([("token-ada".to_owned(), "ada".to_owned()), ("token-bob".into(), "bob".into())]);
        let (listener, app) = runtime.block_on(async {
            let engine = axum_server::open(&folder.join("server.db")).await.unwrap();
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), axum_server::app(engine, tokens))
        });
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, app, ServeConfig::default(), std::future::pending()));
        Self { _runtime: runtime, address }
    }
}

/// A person with a list of their own.
struct Person {
    db: PathBuf,
    server: String,
    token: &'static str,
}

impl Person {
    fn new(folder: &TempDir, server: &TestServer, name: &str, token: &'static str) -> Self {
        let db = folder.path().join(format!("{name}.db"));
        Self { db, server: format!("http://{}/sync", server.address), token }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_todo"))
            .env("TODO_DB", &self.db)
            .env("TODO_SERVER", &self.server)
            .env("TODO_TOKEN", self.token)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What a successful run prints.
    fn todo(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// What a failed run says.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The id that the list shows before a text.
    fn id(&self, text: &str) -> String {
        let list = self.todo(&["list"]);
        let line = list.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {list}"));
        line.trim_start_matches(['*', ' ']).split(' ').next().unwrap().to_owned()
    }
}

fn household() -> (TempDir, TestServer, Person, Person) {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(folder.path());
    let ada = Person::new(&folder, &server, "ada", "token-ada");
    let bob = Person::new(&folder, &server, "bob", "token-bob");
    (folder, server, ada, bob)
}

#[test]
fn a_list_is_edited_offline_and_shared_by_a_sync() {
    let (_folder, _server, ada, bob) = household();
    assert_eq!(ada.todo(&["list"]), "Nothing to do. `todo add TEXT` adds a task.\n");
    assert_eq!(ada.todo(&["status"]), "Everything is sent.\nNever synchronised.\n");

    assert!(ada.todo(&["add", "buy", "milk"]).starts_with("added  "));
    ada.todo(&["add", "call Bob"]);
    assert_eq!(
        ada.todo(&["status"]),
        "2 edits wait to be sent: `todo sync` sends them.\nNever synchronised.\n"
    );
    assert!(ada.todo(&["list"]).contains("* is not on the server yet"));

    assert_eq!(ada.todo(&["sync"]), "Sent 2 edits, received 0 changes.\n");
    assert_eq!(ada.todo(&["sync"]), "Nothing to send, nothing new.\n");
    assert_eq!(ada.todo(&["status"]), "Everything is sent.\nLast synchronised just now.\n");
    assert!(!ada.todo(&["list"]).contains('*'));

    assert_eq!(bob.todo(&["sync"]), "Sent 0 edits, received 2 changes.\n");
    assert_eq!(bob.todo(&["list"]), ada.todo(&["list"]));

    assert!(bob.todo(&["done", &bob.id("milk")]).contains("buy milk"));
    assert_eq!(bob.todo(&["rm", &bob.id("call Bob")]), "removed  call Bob\n");
    assert_eq!(bob.todo(&["sync"]), "Sent 2 edits, received 0 changes.\n");
    assert_eq!(ada.todo(&["sync"]), "Sent 0 edits, received 2 changes.\n");
    let list = ada.todo(&["list"]);
    assert!(list.contains("[x] buy milk") && !list.contains("call Bob"), "{list}");
}

#[test]
fn the_later_of_two_edits_wins_and_the_loser_is_told() {
    let (_folder, _server, ada, bob) = household();
    ada.todo(&["add", "buy milk"]);
    ada.todo(&["add", "feed the cat"]);
    ada.todo(&["sync"]);
    bob.todo(&["sync"]);

    // Bob edits first and synchronises last: his edits arrive later, but Ada's were made later.
    bob.todo(&["edit", &bob.id("milk"), "buy oat milk"]);
    bob.todo(&["done", &bob.id("cat")]);
    ada.todo(&["edit", &ada.id("milk"), "buy soy milk"]);
    ada.todo(&["rm", &ada.id("cat")]);
    ada.todo(&["sync"]);
    let said = bob.todo(&["sync"]);
    assert!(
        said.contains("Conflict on “buy oat milk”: someone else edited it later than you, so theirs stays: “buy soy milk”."),
        "{said}"
    );
    assert!(
        said.contains("Conflict on “feed the cat”: someone else removed it, so your edit is dropped."),
        "{said}"
    );
    ada.todo(&["sync"]);
    assert_eq!(ada.todo(&["list"]), bob.todo(&["list"]));
    assert!(bob.todo(&["list"]).contains("buy soy milk"));
}

#[test]
fn a_refused_edit_is_kept_and_the_reason_is_shown_until_it_is_dealt_with() {
    let (_folder, _server, ada, _bob) = household();
    ada.todo(&["add", &"long ".repeat(60)]);
    let said = ada.todo(&["sync"]);
    assert!(said.contains("The server refused 1 edit:"), "{said}");
    assert!(said.contains("a task has between 1 and 200 letters"), "{said}");
    let status = ada.todo(&["status"]);
    assert!(
        status.contains("Everything is sent.") && status.contains("The server refused 1 edit:"),
        "{status}"
    );

    ada.todo(&["edit", &ada.id("long"), "short"]);
    assert_eq!(ada.todo(&["sync"]), "Sent 1 edit, received 0 changes.\n");
    assert_eq!(ada.todo(&["status"]), "Everything is sent.\nLast synchronised just now.\n");
}

#[test]
fn mistakes_are_explained() {
    let (folder, server, ada, _bob) = household();
    assert!(ada.fails(&["done", "zz"]).contains("No task has an id that begins with `zz`"));
    assert!(ada.fails(&["add", " "]).contains("A task needs a text."));
    for n in 0..17 {
        ada.todo(&["add", &format!("task {n}")]);
    }
    // Of 17 ids two begin with the same digit.
    let ambiguous = "0123456789abcdef".chars().map(|digit| ada.run(&["done", &digit.to_string()]));
    assert!(ambiguous.into_iter().any(|run| String::from_utf8_lossy(&run.stderr).contains("Several tasks")));

    let mut stranger = Person::new(&folder, &server, "stranger", "wrong");
    stranger.todo(&["add", "mine"]);
    let said = stranger.fails(&["sync"]);
    assert!(said.contains("does not know this token. Your edits are safe"), "{said}");
    stranger.server = format!("http://{}/elsewhere", server.address);
    assert!(stranger.fails(&["sync"]).contains("There is no to-do server at"));
    stranger.server = "ftp://example.com".to_owned();
    assert!(stranger.fails(&["sync"]).contains("cannot be used"));
}

#[test]
fn without_the_server_everything_but_sync_works() {
    let (_folder, server, ada, _bob) = household();
    ada.todo(&["add", "buy milk"]);
    ada.todo(&["sync"]);
    drop(server);
    ada.todo(&["done", &ada.id("milk")]);
    ada.todo(&["add", "repair the router"]);
    let said = ada.fails(&["sync"]);
    assert!(
        said.contains("cannot be reached. Your edits are safe and wait here; try `todo sync` again later."),
        "{said}"
    );
    let status = ada.todo(&["status"]);
    assert!(status.starts_with("2 edits wait to be sent"), "{status}");
    assert!(ada.todo(&["list"]).contains("[x] buy milk"));
}
