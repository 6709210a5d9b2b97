//! Power cuts and failing disks: a recorded run, and what its disk holds at moments of it.

use tokio::runtime::{Builder, Runtime};

use super::child::{Job, Process, Said};
use super::disk::{Disk, Image};
use super::recording::{self, Call, What};
use super::strace::{self, Fault};
use super::verify::verify;
use super::workload::{Plan, Rounds, STREAMS};
use super::{Checked, CrashHarness, Storage};

/// A power cut can come while several commits are under way.
const POWER_CUT: Plan = Plan { many: 500, last: 9, at_once: true };

/// Failures come to a commit at a time, so that it is known whose they are.
const FAILING_DISK: Plan = Plan { many: 60, last: 4, at_once: false };

/// At how many moments the power is cut, and at how many of them the images are built that hold something unsynced.
const MOMENTS: usize = 40;
const PARTIAL_MOMENTS: usize = 8;

/// What fails, and whether an answer depends on it: then it is an error.
const FAULTS: [(Fault, bool); 9] = [
    // While the storage is opened.
    (sync("EIO", "1"), true),
    (sync("EIO", "2"), true),
    // Among the commits, and at one that was staged.
    (sync("EIO", "5"), true),
    (sync("EIO", "10"), true),
    (sync("EIO", "4+"), true),
    (write("ENOSPC", "6"), true),
    (write("EIO", "3+"), true),
    (write("EIO", "12+"), true),
    // What is renamed is a copy of what is there.
    (Fault { calls: "rename,renameat,renameat2", error: "EIO", when: "1+" }, false),
];

const fn sync(error: &'static str, when: &'static str) -> Fault {
    Fault { calls: "fsync,fdatasync", error, when }
}

const fn write(error: &'static str, when: &'static str) -> Fault {
    Fault { calls: "pwrite64,pwritev,pwritev2", error, when }
}

pub(super) fn power_cut(test: &str, harness: &impl CrashHarness) -> Result<Checked, String> {
    let Some(run) = Run::record(test, harness, POWER_CUT, None)? else { return skipped() };
    if run.failures != [] as [String; 0] || run.acknowledged != [POWER_CUT.last; STREAMS] {
        return Err(format!("the process fails by itself: {:?}, {:?}", run.acknowledged, run.failures));
    }
    let images = run.cut(harness, MOMENTS, PARTIAL_MOMENTS)?;
    Ok(Checked::Survived(format!("{images} power cuts within {} calls", run.calls.len())))
}

pub(super) fn failing_disk(test: &str, harness: &impl CrashHarness) -> Result<Checked, String> {
    let (mut seen, mut total) = (Vec::new(), 0);
    for (fault, is_answered) in FAULTS {
        let problem = |problem| format!("{fault:?}: {problem}");
        let Some(run) = Run::record(test, harness, FAILING_DISK, Some(fault)).map_err(problem)? else {
            return skipped();
        };
        let failed = run.calls.iter().filter(|call| call.is_injected).count();
        if run.failures.is_empty() && !run.has_ended() {
            return Err(problem("the process died of it".to_owned()));
        }
        if is_answered && failed > 0 && run.failures.is_empty() {
            return Err(problem(format!("{failed} calls failed, and everything was acknowledged")));
        }
        // As the next process finds it, and as it is when the power goes too.
        let place = &run.storage.place;
        run.runtime.block_on(verify(harness, place, run.plan, &run.acknowledged)).map_err(problem)?;
        run.cut(harness, 8, 0).map_err(problem)?;
        total += failed;
        let Fault { calls, error, when } = fault;
        seen.push(format!("{failed} of {calls} ({error} {when})"));
    }
    if total == 0 {
        return Err("no call failed: how the storage writes cannot be seen".to_owned());
    }
    Ok(Checked::Survived(seen.join(", ")))
}

fn skipped() -> Result<Checked, String> {
    Ok(Checked::Skipped(strace::missing()?.unwrap_or_default()))
}

/// What a process did.
struct Run {
    storage: Storage,
    plan: Plan,
    calls: Vec<Call>,
    acknowledged: Rounds,
    failures: Vec<String>,
    runtime: Runtime,
}

impl Run {
    /// Lets a process work to its end; `None` if nothing can be recorded here.
    fn record(
        test: &str,
        harness: &impl CrashHarness,
        plan: Plan,
        fault: Option<Fault>,
    ) -> Result<Option<Self>, String> {
        if strace::missing()?.is_some() {
            return Ok(None);
        }
        let text = |error: std::io::Error| error.to_string();
        let storage = harness.storage();
        let log = tempfile::NamedTempFile::new().map_err(text)?;
        let job = Job { place: storage.place.clone(), plan, first: [1; STREAMS] };
        let mut process = Process::start(test, &job, Some(strace::command(log.path(), fault)))?;
        process.finish()?;
        let (acknowledged, failures) = (process.acknowledged, std::mem::take(&mut process.failures));
        drop(process);
        let calls = recording::read(&std::fs::read_to_string(log.path()).map_err(text)?)?;
        let runtime = Builder::new_multi_thread().enable_all().build().map_err(text)?;
        Ok(Some(Self { storage, plan, calls, acknowledged, failures, runtime }))
    }

    /// Whether the process came to its end, or died before.
    fn has_ended(&self) -> bool {
        self.calls.iter().any(|call| call.said().contains(&Said::End))
    }

    /// Cuts the power at moments of the run: before a sync is over, and after an acknowledgement. Gives how many images
    /// were looked at.
    fn cut(&self, harness: &impl CrashHarness, moments: usize, partial: usize) -> Result<usize, String> {
        let folder = self.storage.folder.as_deref().ok_or("a storage in a folder")?;
        let is_scratch = |name: &str| harness.is_scratch(name);
        let mut disk = Disk::new(folder, &is_scratch);
        let ready = self.calls.iter().position(|call| call.said().contains(&Said::Ready));
        let candidates = ready.unwrap_or(self.calls.len())..self.calls.len();
        let candidates: Vec<_> = candidates.filter(|n| is_moment(&self.calls[*n], folder)).collect();
        let (full, partial) = (some_of(&candidates, moments), some_of(&candidates, partial));
        let (mut acknowledged, mut count) = ([0; STREAMS], 0);
        for (n, call) in self.calls.iter().enumerate() {
            let is_sync = matches!(call.what, What::Sync { .. });
            if !is_sync {
                disk.follow(call)?;
            }
            for said in call.said() {
                if let Said::Done(stream, round) = said {
                    acknowledged[stream] = round;
                }
            }
            let mut images = Vec::new();
            if full.contains(&n) {
                images.push(Image::Synced);
            }
            if partial.contains(&n) {
                images.extend(disk.partial());
            }
            for image in images {
                self.look(harness, &disk, image, &acknowledged).map_err(|problem| {
                    format!(
                        "power cut at call {n} of {}, {}: {problem}",
                        self.calls.len(),
                        disk.describe(image)
                    )
                })?;
                count += 1;
            }
            if is_sync {
                disk.follow(call)?;
            }
        }
        Ok(count)
    }

    fn look(
        &self,
        harness: &impl CrashHarness,
        disk: &Disk<'_>,
        image: Image,
        acknowledged: &Rounds,
    ) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        disk.build(image, folder.path()).map_err(|error| error.to_string())?;
        let place = Storage::place_in(folder.path());
        self.runtime.block_on(verify(harness, &place, self.plan, acknowledged)).map(|_| ())
    }
}

fn is_moment(call: &Call, folder: &std::path::Path) -> bool {
    let is_sync = matches!(call.what, What::Sync { .. }) && call.what.is_within(folder);
    is_sync || call.said().iter().any(|said| matches!(said, Said::Done(..)))
}

impl Call {
    /// What the process said by it.
    fn said(&self) -> Vec<Said> {
        match &self.what {
            What::Print(text) => text.lines().filter_map(Said::parse).collect(),
            _ => Vec::new(),
        }
    }
}

/// So many of them, evenly, and always the last.
fn some_of(candidates: &[usize], count: usize) -> Vec<usize> {
    let step = candidates.len().div_ceil(count.max(1)).max(1);
    let of_end = candidates.iter().rev().step_by(step).copied();
    if count == 0 { Vec::new() } else { of_end.collect() }
}
