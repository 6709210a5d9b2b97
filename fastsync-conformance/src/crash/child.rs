//! The process that is stopped: this program again, working on the storage and saying line by line what it has done.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use fastsync_core::SyncableDataSource;
use tokio::runtime::Builder;

use super::workload::{self, Plan, Rounds, STREAMS};
use super::{CrashHarness, workload::write};

/// Tells a process that it is one, and what to do.
const JOB: &str = "FASTSYNC_CRASH_JOB";

/// What a line of it begins with. The test program says things of its own.
const MARK: &str = "#crash ";

/// How long a process may be silent.
const PATIENCE: Duration = Duration::from_secs(100);

/// How often a commit that failed is tried.
const ATTEMPTS: u32 = 3;

#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) place: String,
    pub(super) plan: Plan,
    /// The rounds to begin with.
    pub(super) first: Rounds,
}

impl Job {
    fn encode(&self) -> String {
        let Plan { many, last, at_once } = self.plan;
        let [a, b, c] = self.first;
        format!("{many} {last} {at_once} {a} {b} {c} {}", self.place)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.splitn(7, ' ');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (many, last) = (number()?, number()?);
        let at_once = parts.next()? == "true";
        let mut number = || parts.next()?.parse::<u64>().ok();
        let first = [number()?, number()?, number()?];
        Some(Self { plan: Plan { many, last, at_once }, first, place: parts.next()?.to_owned() })
    }
}

/// A line of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// The storage is open and prepared.
    Ready,
    /// The round of the stream is acknowledged.
    Done(usize, u64),
    /// Something failed; so it was answered.
    Failed(String),
    /// Everything that was to be done was tried.
    End,
}

impl Said {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (_, said) = line.split_once(MARK)?;
        let (verb, rest) = said.split_once(' ').unwrap_or((said, ""));
        match verb {
            "ready" => Some(Self::Ready),
            "done" => {
                let (stream, round) = rest.split_once(' ')?;
                let stream = stream.parse().ok().filter(|stream| *stream < STREAMS)?;
                Some(Self::Done(stream, round.trim().parse().ok()?))
            }
            "failed" => Some(Self::Failed(rest.to_owned())),
            "end" => Some(Self::End),
            _ => None,
        }
    }
}

fn say(line: &str) {
    let line = format!("\n{MARK}{}\n", line.replace('\n', " "));
    let mut out = std::io::stdout().lock();
    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
        // Whoever started this is gone, and with it the reason to go on.
        std::process::exit(1);
    }
}

/// If this is that process, works and ends here.
pub(super) fn work_if_asked(harness: &impl CrashHarness) {
    let Ok(job) = std::env::var(JOB) else { return };
    let Some(job) = Job::decode(&job) else { panic!("{JOB} says {job}") };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let source = match harness.open(&job.place).await {
            Ok(source) => source,
            Err(error) => return say(&format!("failed open: {error}")),
        };
        if let Err(error) = workload::prepare(&*source).await {
            return say(&format!("failed prepare: {error}"));
        }
        say("ready");
        if job.plan.at_once {
            let of = |n| stream(&*source, &job, n);
            futures_util::future::join3(of(0), of(1), of(2)).await;
        } else {
            in_turn(&*source, &job).await;
        }
        say("end");
        // Nothing is closed: the process ends as if it were killed.
        std::process::exit(0);
    });
    std::process::exit(0);
}

async fn stream(source: &dyn SyncableDataSource, job: &Job, stream: usize) {
    for round in job.first[stream]..=job.plan.last {
        if !attempt(source, job, stream, round).await {
            return;
        }
    }
}

async fn in_turn(source: &dyn SyncableDataSource, job: &Job) {
    let mut goes_on = [true; STREAMS];
    for round in 1..=job.plan.last {
        for (stream, goes_on) in goes_on.iter_mut().enumerate() {
            if *goes_on && round >= job.first[stream] {
                *goes_on = attempt(source, job, stream, round).await;
            }
        }
    }
}

/// Tries a round until it is acknowledged, as a program would.
async fn attempt(source: &dyn SyncableDataSource, job: &Job, stream: usize, round: u64) -> bool {
    let mut staged = 0;
    for _ in 0..ATTEMPTS {
        match write(source, job.plan, stream, round, &mut staged).await {
            Ok(()) => {
                say(&format!("done {stream} {round}"));
                return true;
            }
            Err(problem) => say(&format!("failed {stream} {round}: {problem}")),
        }
    }
    false
}

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// What it has acknowledged so far.
    pub(super) acknowledged: Rounds,
    pub(super) failures: Vec<String>,
}

impl Process {
    /// Starts it, by way of another program if there is one.
    pub(super) fn start(test: &str, job: &Job, by: Option<Command>) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = match by {
            Some(mut by) => {
                by.arg(program);
                by
            }
            None => Command::new(program),
        };
        // libtest knows a test by its path without the crate.
        let name = test.split_once("::").map_or(test, |(_, name)| name);
        let mut child = command
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(JOB, job.encode())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let out = child.stdout.take().ok_or("a process without output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let acknowledged = job.first.map(|first| first.saturating_sub(1));
        Ok(Self { child, lines, acknowledged, failures: Vec::new() })
    }

    /// The next line of it; `None` when it has ended.
    pub(super) fn next(&mut self) -> Result<Option<Said>, String> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let Some(said) = Said::parse(&line) else { continue };
                    match &said {
                        Said::Done(stream, round) => self.acknowledged[*stream] = *round,
                        Said::Failed(what) => self.failures.push(what.clone()),
                        Said::Ready | Said::End => {}
                    }
                    return Ok(Some(said));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the process says nothing for {PATIENCE:?}"));
                }
            }
        }
    }

    /// Kills it, and takes what it had said by then.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.finish()
    }

    /// Waits for its end.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        while self.next()?.is_some() {}
        self.child.wait().map(|_| ()).map_err(|error| error.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
