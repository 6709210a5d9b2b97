//! What a process did to files, read from the log of `strace -f -y -xx`.
//!
//! All text in it is in hexadecimal digits, so a quote, a bracket or a comma is never part of a name or of data.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// When it began and when it was over, by the lines of the log.
    pub(super) begin: usize,
    pub(super) end: usize,
    /// Whether it failed because it was told to.
    pub(super) is_injected: bool,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The file is there afterwards, empty if it was not before or if it is cut.
    Open {
        path: PathBuf,
        handle: u32,
        creates: bool,
        cuts: bool,
        appends: bool,
    },
    Seek {
        handle: u32,
        at: u64,
    },
    Read {
        handle: u32,
        length: u64,
    },
    /// At the handle's place if at none.
    Write {
        path: PathBuf,
        handle: u32,
        at: Option<u64>,
        data: Vec<u8>,
    },
    Cut {
        path: PathBuf,
        length: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    Folder {
        path: PathBuf,
    },
    /// Whether it worked.
    Sync {
        path: PathBuf,
        worked: bool,
    },
    /// Written through memory from now on.
    Map {
        path: PathBuf,
    },
    /// Printed.
    Print(String),
    /// What cannot be followed, if it is about this file (or anything).
    Strange {
        path: Option<PathBuf>,
        call: String,
    },
    /// A call that failed and changed nothing.
    Failed,
}

/// Reads the log; the calls are in the order in which they were over.
pub(super) fn read(log: &str) -> Result<Vec<Call>, String> {
    let mut calls = Vec::new();
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    for (line, text) in log.lines().enumerate() {
        let Some((thread, text)) = text.trim_start().split_once(' ') else { continue };
        let text = text.trim_start();
        let (begin, whole) = if let Some(call) = text.strip_suffix("<unfinished ...>") {
            begun.insert(thread, (line, call));
            continue;
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let Some((_, rest)) = rest.split_once(" resumed>") else { continue };
            let Some((begin, first)) = begun.remove(thread) else { continue };
            (begin, format!("{}{rest}", first.trim_end()))
        } else {
            (line, text.to_owned())
        };
        let Some(what) = parse(&whole).map_err(|problem| format!("{problem}: {}", short(&whole)))? else {
            continue;
        };
        let is_injected = whole.ends_with("(INJECTED)");
        calls.push(Call { begin, end: line, is_injected, what });
    }
    Ok(calls)
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

fn parse(text: &str) -> Result<Option<What>, String> {
    let Some((name, rest)) = text.split_once('(') else { return Ok(None) };
    // A thread that ended, or a call that the end of the process cut off.
    let Some((args, result)) = rest.rsplit_once(" = ") else { return Ok(None) };
    let args = args.trim_end().strip_suffix(')').unwrap_or(args);
    let args = Args { whole: args, parts: args.split(", ").collect() };
    let is_sync = matches!(name, "fsync" | "fdatasync");
    let Some(result) = number(result) else {
        return Ok(Some(if is_sync {
            args.file(0).map_or(What::Failed, |path| What::Sync { path, worked: false })
        } else {
            What::Failed
        }));
    };
    let handle = || u32::try_from(args.number(0).unwrap_or_default()).unwrap_or_default();
    let strange = |path| Some(What::Strange { path, call: short(text) });
    Ok(match name {
        "open" | "openat" | "creat" => {
            let (path, flags) = (text.rsplit_once(" = ").and_then(|(_, result)| opened(result)), args.whole);
            path.map(|path| What::Open {
                path,
                handle: u32::try_from(result).unwrap_or_default(),
                creates: name == "creat" || flags.contains("O_CREAT"),
                cuts: name == "creat" || flags.contains("O_TRUNC"),
                appends: flags.contains("O_APPEND"),
            })
        }
        "lseek" => Some(What::Seek { handle: handle(), at: result }),
        "read" | "readv" => Some(What::Read { handle: handle(), length: result }),
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => {
            let mut data = args.data()?;
            data.truncate(usize::try_from(result).map_err(|error| error.to_string())?);
            if handle() == 1 {
                return Ok(Some(What::Print(String::from_utf8_lossy(&data).into_owned())));
            }
            let at = match name {
                "pwrite64" | "pwritev" => args.parts.last(),
                "pwritev2" => args.parts.iter().rev().nth(1),
                _ => None,
            };
            let at = at.map(|at| number(at).ok_or("no place")).transpose()?;
            args.file(0).map(|path| What::Write { path, handle: handle(), at, data })
        }
        "ftruncate" => {
            args.file(0).map(|path| What::Cut { path, length: args.number(1).unwrap_or_default() })
        }
        "truncate" => strange(args.path(0)),
        "rename" => Some(What::Rename { from: args.named(0)?, to: args.named(1)? }),
        "renameat" => Some(What::Rename { from: args.named_at(0)?, to: args.named_at(2)? }),
        "renameat2" if args.parts.get(4) == Some(&"0") || args.whole.ends_with("RENAME_NOREPLACE") => {
            Some(What::Rename { from: args.named_at(0)?, to: args.named_at(2)? })
        }
        "renameat2" => strange(args.path(1)),
        "unlink" | "rmdir" => Some(What::Remove { path: args.named(0)? }),
        "unlinkat" => Some(What::Remove { path: args.named_at(0)? }),
        "mkdir" => Some(What::Folder { path: args.named(0)? }),
        "mkdirat" => Some(What::Folder { path: args.named_at(0)? }),
        "fsync" | "fdatasync" => args.file(0).map(|path| What::Sync { path, worked: true }),
        // It starts to write; it makes nothing durable.
        "sync_file_range" => None,
        "mmap" if args.whole.contains("MAP_SHARED") && args.whole.contains("PROT_WRITE") => {
            args.file(4).map(|path| What::Map { path })
        }
        "mmap" => None,
        "fcntl" if !args.whole.contains("F_DUPFD") => None,
        "fcntl" | "dup" | "dup2" | "dup3" | "fallocate" => args.file(0).and_then(|path| strange(Some(path))),
        "link" | "symlink" => strange(args.path(1)),
        "linkat" => strange(args.path(3)),
        "symlinkat" => strange(args.path(2)),
        "copy_file_range" => args.file(2).and_then(|path| strange(Some(path))),
        "sendfile" => args.file(0).and_then(|path| strange(Some(path))),
        "openat2" | "sync" | "syncfs" | "io_uring_setup" => strange(None),
        _ => None,
    })
}

struct Args<'a> {
    whole: &'a str,
    parts: Vec<&'a str>,
}

impl Args<'_> {
    fn number(&self, at: usize) -> Option<u64> {
        number(self.parts.get(at)?)
    }

    /// The file of a handle; none if it was removed or is no file.
    fn file(&self, at: usize) -> Option<PathBuf> {
        opened(self.parts.get(at)?)
    }

    /// A path that is given as text.
    fn path(&self, at: usize) -> Option<PathBuf> {
        let text = self.parts.get(at)?.strip_prefix('"')?.strip_suffix('"')?;
        Some(to_path(unhex(text)?))
    }

    fn named(&self, at: usize) -> Result<PathBuf, String> {
        self.path(at)
            .filter(|path| path.is_absolute())
            .ok_or_else(|| "a path that is not absolute".to_owned())
    }

    /// A path that is given relative to the folder before it.
    fn named_at(&self, at: usize) -> Result<PathBuf, String> {
        let path = self.path(at + 1).ok_or("no path")?;
        let folder = self.file(at).unwrap_or_default();
        Some(folder.join(path)).filter(|path| path.is_absolute()).ok_or_else(|| "no absolute path".to_owned())
    }

    /// Everything that stands in quotes.
    fn data(&self) -> Result<Vec<u8>, String> {
        let mut data = Vec::new();
        for (n, text) in self.whole.split('"').enumerate() {
            if n % 2 == 1 {
                data.extend(unhex(text).ok_or("data that are not hexadecimal")?);
            } else if text.starts_with("...") {
                return Err("a write that is longer than what is recorded".to_owned());
            }
        }
        Ok(data)
    }
}

/// The digits that a text begins with.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.get(..digits)?.parse().ok()
}

/// The path that stands behind a handle, as in `3<\x2f>`.
fn opened(text: &str) -> Option<PathBuf> {
    let (_, rest) = text.split_once('<')?;
    let (path, after) = rest.split_once('>')?;
    let path = unhex(path)?;
    let is_removed = after.contains("(deleted)") || path.ends_with(b" (deleted)");
    Some(to_path(path)).filter(|path| !is_removed && path.is_absolute())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len() / 4);
    for byte in text.as_bytes().chunks(4) {
        let [b'\\', b'x', high, low] = byte else { return None };
        bytes.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(bytes)
}

#[cfg(unix)]
fn to_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn to_path(bytes: Vec<u8>) -> PathBuf {
    OsString::from(String::from_utf8_lossy(&bytes).into_owned()).into()
}

impl What {
    /// Whether it is about something in this folder, or about no file that is known.
    pub(super) fn is_within(&self, folder: &Path) -> bool {
        match self {
            Self::Open { path, .. }
            | Self::Write { path, .. }
            | Self::Cut { path, .. }
            | Self::Remove { path }
            | Self::Folder { path }
            | Self::Sync { path, .. }
            | Self::Map { path } => path.starts_with(folder),
            Self::Strange { path, .. } => path.as_ref().is_none_or(|path| path.starts_with(folder)),
            Self::Rename { from, to } => from.starts_with(folder) || to.starts_with(folder),
            Self::Seek { .. } | Self::Read { .. } | Self::Print(_) | Self::Failed => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    #[test]
    fn calls_of_several_threads_are_put_together() {
        let (file, new) = (hex("/d/a, \"b"), hex("/d/new"));
        let log = format!(
            "7  openat(AT_FDCWD<{cwd}>, \"{file}\", O_RDWR|O_CREAT|O_CLOEXEC, 0666) = 3<{file}>\n\
             7  pwrite64(3<{file}>, \"{ab}\", 2, 4096 <unfinished ...>\n\
             8  fdatasync(3<{file}> <unfinished ...>\n\
             7  <... pwrite64 resumed>)            = 2\n\
             8  <... fdatasync resumed>)           = -1 EIO (Input/output error) (INJECTED)\n\
             7  writev(3<{file}>, [{{iov_base=\"{ab}\", iov_len=2}}, {{iov_base=\"{ab}\", iov_len=2}}], 2) = 3\n\
             7  rename(\"{file}\", \"{new}\") = 0\n\
             7  unlink(\"{new}\") = -1 ENOENT (No such file or directory)\n\
             7  pwrite64(3<{new}>(deleted), \"{ab}\", 2, 0) = 2\n\
             7  +++ exited with 0 +++\n",
            cwd = hex("/"),
            ab = hex("ab"),
        );
        let calls = read(&log).unwrap();
        let (path, to) = (PathBuf::from("/d/a, \"b"), PathBuf::from("/d/new"));
        let write = |at, data: &[u8]| What::Write { path: path.clone(), handle: 3, at, data: data.to_vec() };
        let open = What::Open { path: path.clone(), handle: 3, creates: true, cuts: false, appends: false };
        let whats: Vec<_> = calls.iter().map(|call| call.what.clone()).collect();
        let sync = What::Sync { path: path.clone(), worked: false };
        let rename = What::Rename { from: path.clone(), to };
        assert_eq!(whats, [open, write(Some(4096), b"ab"), sync, write(None, b"aba"), rename, What::Failed]);
        assert_eq!((calls[1].begin, calls[1].end), (1, 3));
        assert_eq!(calls.iter().filter(|call| call.is_injected).count(), 1);
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let path = hex("/d/a");
        let strange = |line: String| read(&line).map(|calls| calls.into_iter().map(|call| call.what).next());
        for line in [format!("1 syncfs(3<{path}>) = 0"), format!("1 link(\"{path}\", \"{path}\") = 0")] {
            assert!(matches!(strange(line), Ok(Some(What::Strange { .. }))));
        }
        assert!(strange(format!("1 write(3<{path}>, \"{path}\"..., 70) = 70")).is_err());
    }
}
