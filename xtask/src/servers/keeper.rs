//! Keeps a server's process alive: one that is killed is started anew, so that a proof may kill it.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How often it is looked whether the process still runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that is started again whenever it ends. Dropping this ends it for good.
#[derive(Debug)]
pub(crate) struct Keeper {
    state: Arc<Mutex<State>>,
    watching: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    command: Command,
    child: Child,
    pid_file: PathBuf,
    is_over: bool,
}

impl State {
    fn spawn(command: &mut Command, pid_file: &PathBuf) -> Result<Child> {
        let child = command.spawn().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
        std::fs::write(pid_file, child.id().to_string())?;
        Ok(child)
    }
}

impl Keeper {
    /// Starts the command; the number of its process stands in the file, also after it was started anew.
    pub(super) fn start(mut command: Command, pid_file: PathBuf) -> Result<Self> {
        let child = State::spawn(&mut command, &pid_file)?;
        let state = Arc::new(Mutex::new(State { command, child, pid_file, is_over: false }));
        Ok(Self { state, watching: None })
    }

    fn state(state: &Mutex<State>) -> MutexGuard<'_, State> {
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error if the process has ended. Only before [`Self::watch`].
    pub(super) fn check(&self) -> Result<()> {
        match Self::state(&self.state).child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended ({status})"),
        }
    }

    /// From now on it is started anew when it ends. Before this, an end is a failure to start.
    pub(super) fn watch(&mut self) {
        let state = Arc::clone(&self.state);
        self.watching = Some(std::thread::spawn(move || {
            loop {
                std::thread::sleep(LOOK_EVERY);
                let mut state = Self::state(&state);
                if state.is_over {
                    return;
                }
                if let Ok(Some(_)) = state.child.try_wait() {
                    let State { command, pid_file, .. } = &mut *state;
                    println!("  {} has ended and is started anew", command.get_program().display());
                    // If it cannot be started now, it may be at the next look.
                    if let Ok(child) = State::spawn(command, pid_file) {
                        state.child = child;
                    }
                }
            }
        }));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        {
            let mut state = Self::state(&self.state);
            state.is_over = true;
            // Its data goes as well, so there is nothing to shut down in order; one that is gone already is fine.
            let _ = state.child.kill();
            let _ = state.child.wait();
        }
        if let Some(watching) = self.watching.take() {
            let _ = watching.join();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::workspace::succeeds;

    fn is_alive(process: &str) -> bool {
        succeeds(Command::new("kill").args(["-0", process]))
    }

    #[test]
    fn a_killed_process_is_started_anew_until_the_keeper_goes() {
        let folder = std::env::temp_dir().join(format!("fastsync-keeper-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pid_file = folder.join("pid");
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut keeper = Keeper::start(command, pid_file.clone()).unwrap();
        keeper.check().unwrap();
        keeper.watch();
        let first = std::fs::read_to_string(&pid_file).unwrap();
        assert!(succeeds(Command::new("kill").args(["-9", &first])));
        let begin = Instant::now();
        let second = loop {
            let now = std::fs::read_to_string(&pid_file).unwrap();
            if now != first && !now.is_empty() {
                break now;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "it was not started anew");
            std::thread::sleep(LOOK_EVERY);
        };
        assert!(is_alive(&second));
        drop(keeper);
        assert!(!is_alive(&second));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
