//! What a person sees: a heading per step, a bar while something takes time, and a line with its figures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The screen. A cheap handle.
#[derive(Clone)]
pub(crate) struct Screen {
    inner: Arc<Inner>,
}

struct Inner {
    bars: bool,
    started: Instant,
    bar: Mutex<Option<ProgressBar>>,
    measured: Mutex<Vec<Measured>>,
}

/// A line of the table at the end.
#[derive(Debug, Clone)]
struct Measured {
    what: String,
    records: u64,
    time: Duration,
}

impl Measured {
    fn rate(&self) -> String {
        // One digit too many is no information, and a rate of a moment is none either.
        if self.records < 1_000 {
            return String::new();
        }
        let rate = self.records as f64 / self.time.as_secs_f64();
        HumanCount((rate / 100.0).round() as u64 * 100).to_string()
    }
}

impl Screen {
    /// With `bars` (and on a terminal) it shows progress bars.
    pub(crate) fn new(bars: bool) -> Self {
        let bars = bars && !ProgressDrawTarget::stderr().is_hidden();
        let inner =
            Inner { bars, started: Instant::now(), bar: Mutex::default(), measured: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn heading(&self, text: &str) {
        println!("\n{text}");
    }

    pub(crate) fn say(&self, text: impl AsRef<str>) {
        match &*self.bar() {
            Some(bar) => bar.suspend(|| println!("   {}", text.as_ref())),
            None => println!("   {}", text.as_ref()),
        }
    }

    /// Starts to measure something that may take a while.
    pub(crate) fn begin(&self, what: &str) -> Measuring<'_> {
        let bar = self.inner.bars.then(|| {
            let style =
                ProgressStyle::with_template("   {msg:34} {bar:40} {human_pos:>8} / {human_len} {eta:>4}");
            let bar = ProgressBar::no_length().with_message(what.to_owned());
            style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
        });
        *self.bar() = bar;
        Measuring { screen: self, what: what.to_owned(), started: Instant::now() }
    }

    /// How far it is.
    pub(crate) fn progress(&self, done: u64, total: Option<u64>) {
        if let Some(bar) = &*self.bar() {
            if let Some(total) = total {
                bar.set_length(total.max(done));
            }
            bar.set_position(done);
        }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.inner.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The times and rates of everything that was measured.
    pub(crate) fn print_times(&self) {
        let measured = self.inner.measured.lock().unwrap_or_else(PoisonError::into_inner);
        println!("   {:<44} {:>10} {:>9} {:>12}", "", "records", "time", "records/s");
        for line in &*measured {
            let records = HumanCount(line.records).to_string();
            println!("   {:<44} {records:>10} {:>9} {:>12}", line.what, seconds(line.time), line.rate());
        }
        println!("   {:<44} {:>10} {:>9}", "altogether", "", seconds(self.inner.started.elapsed()));
    }
}

/// Something that is being measured.
#[must_use]
pub(crate) struct Measuring<'a> {
    screen: &'a Screen,
    what: String,
    started: Instant,
}

impl Measuring<'_> {
    /// It is done.
    pub(crate) fn end(self, records: u64) {
        let time = self.started.elapsed();
        if let Some(bar) = self.screen.bar().take() {
            bar.finish_and_clear();
        }
        let measured = Measured { what: self.what, records, time };
        let rate = Some(measured.rate()).filter(|rate| !rate.is_empty());
        let rate = rate.map(|rate| format!(", {rate}/s")).unwrap_or_default();
        self.screen.say(format!(
            "{}: {} records in {}{rate}",
            measured.what,
            HumanCount(records),
            seconds(time)
        ));
        self.screen.inner.measured.lock().unwrap_or_else(PoisonError::into_inner).push(measured);
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
