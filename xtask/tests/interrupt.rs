//! A run that is interrupted leaves nothing behind: no server, no child, no child of a child, no folder.
#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "it waits for real processes, and says what it skips"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the watcher may take to clear up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says the numbers of its processes: its own, that of a child, and that of one which moved to a session of its own.
const FAMILY: &str = "echo process $$; sleep 600 & echo process $!; \
                      setsid sh -c 'echo process $$; exec sleep 600' & wait";

/// A run that keeps a server while a command lives.
struct Run {
    program: Child,
    processes: Vec<PathBuf>,
}

/// Starts a run, and waits until its command has said this many processes.
fn start(server: &str, command: &str, expected: usize) -> Run {
    let mut program = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["serve", "--no-install", server, "--", "sh", "-c", command])
        // That is a server of the run which this test is a part of.
        .env_remove("FASTSYNC_MYSQL_URL")
        .env_remove("FASTSYNC_MYSQL_PID_FILE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.filter_map(|line| line.strip_prefix("process ").map(|id| Path::new("/proc").join(id)));
    let processes: Vec<_> = said.take(expected).collect();
    assert_eq!(processes.len(), expected, "the command did not come up");
    assert!(processes.iter().all(|process| process.exists()));
    Run { program, processes }
}

impl Run {
    /// Sends the program, and it alone, a signal; then nothing of the run is left.
    fn interrupt(mut self, signal: &str) {
        let id = self.program.id();
        assert!(Command::new("kill").args(["-s", signal, &id.to_string()]).status().unwrap().success());
        self.program.wait().unwrap();
        let folders = || {
            let prefix = format!("fastsync-{id}-");
            let all = std::fs::read_dir(std::env::temp_dir()).unwrap();
            let ours = all
                .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(&prefix));
            ours.count()
        };
        let begin = Instant::now();
        while self.processes.iter().any(|process| process.exists()) || folders() > 0 {
            assert!(
                begin.elapsed() < PATIENCE,
                "left after {signal}: {:?}, {} folders",
                self.processes,
                folders()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Fails if the watcher does not look for the mark, or if only the program's own group is killed.
#[test]
fn an_interrupted_run_leaves_no_process() {
    for signal in ["INT", "TERM", "KILL"] {
        start("sqlite", FAMILY, 3).interrupt(signal);
    }
}

#[test]
fn an_interrupted_run_leaves_no_server() {
    if !std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|path| path.join("mariadbd").is_file())
    {
        let is_required = std::env::var("FASTSYNC_REQUIRE").is_ok_and(|names| names.contains("mysql"));
        assert!(!is_required, "mysql is required, and mariadbd is not installed");
        eprintln!("SKIPPED an_interrupted_run_leaves_no_server: mariadbd is not installed");
        return;
    }
    let command = format!("echo process $(cat $FASTSYNC_MYSQL_PID_FILE); {FAMILY}");
    for signal in ["TERM", "KILL"] {
        start("mysql", &command, 4).interrupt(signal);
    }
}
