//! What a server understands, as far as it has told.

use std::sync::atomic::{AtomicBool, Ordering};

use fastsync_codec::{Coding, Format};

/// How requests are written: what was asked for, less what the server has refused. Every server knows JSON and gzip.
#[derive(Debug)]
pub(super) struct Dialect {
    format: Format,
    only_gzip: AtomicBool,
    only_json: AtomicBool,
}

/// How one request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Writing {
    pub(super) format: Format,
    pub(super) coding: Coding,
}

impl Dialect {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, only_gzip: AtomicBool::new(false), only_json: AtomicBool::new(false) }
    }

    pub(super) fn writing(&self) -> Writing {
        Writing {
            format: if self.only_json.load(Ordering::Relaxed) { Format::Json } else { self.format },
            coding: if self.only_gzip.load(Ordering::Relaxed) { Coding::Gzip } else { Coding::BEST },
        }
    }

    /// Takes note that a request with this format, and this coding if it was compressed, was refused as unknown. Says
    /// whether there is another way to write it.
    pub(super) fn refused(&self, format: Format, coding: Option<Coding>) -> bool {
        // The server does not say which of the two it was. A refused one is refused once; then it is known.
        if coding.is_some_and(|coding| coding != Coding::Gzip) {
            self.only_gzip.store(true, Ordering::Relaxed);
        } else if format != Format::Json {
            self.only_json.store(true, Ordering::Relaxed);
        } else {
            return false;
        }
        true
    }
}
