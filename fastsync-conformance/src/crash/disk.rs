//! A folder as a disk holds it that loses what was not synced.
//!
//! A write is durable when a sync of its file that began after it is over; a name when a sync of its folder is. A sync
//! that failed has dropped what it was to write: the system takes it for written from then on, as Linux does.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::recording::{Call, What};

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    /// As programs see it.
    cached: Vec<u8>,
    /// What is not synced, with the line that it was over at.
    pending: Vec<(usize, Change)>,
}

impl File {
    fn change(&mut self, end: usize, change: Change) -> Result<(), String> {
        make(&mut self.cached, &change)?;
        self.pending.push((end, change));
        Ok(())
    }
}

fn make(bytes: &mut Vec<u8>, change: &Change) -> Result<(), String> {
    let place = |at: u64| usize::try_from(at).map_err(|error| error.to_string());
    match change {
        Change::Cut(length) => bytes.resize(place(*length)?, 0),
        Change::Write(at, data) => {
            let (from, to) = (place(*at)?, place(*at)? + data.len());
            if bytes.len() < to {
                bytes.resize(to, 0);
            }
            bytes[from..to].copy_from_slice(data);
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

type Names = BTreeMap<PathBuf, Node>;

/// A name that comes (or goes).
#[derive(Debug)]
struct Naming {
    end: usize,
    path: PathBuf,
    node: Option<Node>,
}

/// What of the unsynced is there all the same: a disk writes in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    /// Nothing.
    Synced,
    /// All of it, as after the process was killed.
    All,
    /// The names, without the contents.
    Names,
    /// The content of one file.
    File(usize),
}

/// A folder, empty at first.
pub(super) struct Disk<'a> {
    root: PathBuf,
    files: Vec<File>,
    live: Names,
    durable: Names,
    namings: Vec<Naming>,
    /// Where handles stand; `None` is always the end.
    places: HashMap<u32, Option<u64>>,
    is_scratch: &'a dyn Fn(&str) -> bool,
}

impl<'a> Disk<'a> {
    pub(super) fn new(root: &Path, is_scratch: &'a dyn Fn(&str) -> bool) -> Self {
        let live = Names::from([(root.to_owned(), Node::Folder)]);
        Self {
            root: root.to_owned(),
            files: Vec::new(),
            durable: live.clone(),
            live,
            namings: Vec::new(),
            places: HashMap::new(),
            is_scratch,
        }
    }

    /// Follows a call.
    pub(super) fn follow(&mut self, call: &Call) -> Result<(), String> {
        if !call.what.is_within(&self.root) {
            // Its handle may have been one of ours.
            if let What::Open { handle, .. } = call.what {
                self.places.remove(&handle);
            }
            return Ok(());
        }
        let end = call.end;
        match &call.what {
            What::Open { path, handle, creates, cuts, appends } => {
                if *creates && !self.live.contains_key(path) {
                    self.files.push(File::default());
                    self.name(end, path, Some(Node::File(self.files.len() - 1)));
                }
                self.places.insert(*handle, (!appends).then_some(0));
                if *cuts {
                    self.change(end, path, Change::Cut(0))?;
                }
            }
            What::Seek { handle, at } => {
                if let Some(Some(place)) = self.places.get_mut(handle) {
                    *place = *at;
                }
            }
            What::Read { handle, length } => self.advance(*handle, *length),
            What::Write { path, handle, at: None, data } => {
                let place = self.places.get(handle).ok_or("a write to a handle that nobody opened")?;
                let at = place.unwrap_or_else(|| self.length(path));
                self.change(end, path, Change::Write(at, data.clone()))?;
                self.advance(*handle, data.len() as u64);
            }
            What::Write { path, at: Some(at), data, .. } => {
                self.change(end, path, Change::Write(*at, data.clone()))?;
            }
            What::Cut { path, length } => self.change(end, path, Change::Cut(*length))?,
            What::Rename { from, to } => match self.live.get(from).copied() {
                Some(node @ Node::File(_)) => {
                    self.name(end, from, None);
                    self.name(end, to, Some(node));
                }
                _ => return Err(format!("{} is renamed, which cannot be followed", from.display())),
            },
            What::Remove { path } => self.name(end, path, None),
            What::Folder { path } => self.name(end, path, Some(Node::Folder)),
            What::Sync { path, worked } => self.sync(call.begin, path, *worked)?,
            What::Map { path } if !self.is_scratch(path) => {
                return Err(format!(
                    "{} is written through memory, which cannot be followed",
                    path.display()
                ));
            }
            What::Strange { call, .. } => return Err(format!("what this does cannot be followed: {call}")),
            What::Map { .. } | What::Print(_) | What::Failed => {}
        }
        Ok(())
    }

    fn is_scratch(&self, path: &Path) -> bool {
        path.file_name().and_then(|name| name.to_str()).is_some_and(self.is_scratch)
    }

    fn name(&mut self, end: usize, path: &Path, node: Option<Node>) {
        match node {
            Some(node) => self.live.insert(path.to_owned(), node),
            None => self.live.remove(path),
        };
        self.namings.push(Naming { end, path: path.to_owned(), node });
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        match self.live.get(path) {
            Some(Node::File(n)) => self.files.get_mut(*n),
            _ => None,
        }
    }

    fn length(&mut self, path: &Path) -> u64 {
        self.file(path).map_or(0, |file| file.cached.len() as u64)
    }

    fn advance(&mut self, handle: u32, length: u64) {
        if let Some(Some(place)) = self.places.get_mut(&handle) {
            *place += length;
        }
    }

    fn change(&mut self, end: usize, path: &Path, change: Change) -> Result<(), String> {
        if self.is_scratch(path) {
            return Ok(());
        }
        let file = self.file(path).ok_or_else(|| format!("{} was never made", path.display()))?;
        file.change(end, change)
    }

    /// What was over before the sync began is durable, or never will be.
    fn sync(&mut self, begin: usize, path: &Path, worked: bool) -> Result<(), String> {
        if let Some(file) = self.file(path) {
            let (over, pending) =
                std::mem::take(&mut file.pending).into_iter().partition(|(end, _)| *end < begin);
            file.pending = pending;
            let over: Vec<(usize, Change)> = over;
            if worked {
                for (_, change) in over {
                    make(&mut file.durable, &change)?;
                }
            }
        } else if worked {
            let (over, pending): (Vec<_>, Vec<_>) = std::mem::take(&mut self.namings)
                .into_iter()
                .partition(|naming| naming.end < begin && naming.path.parent() == Some(path));
            self.namings = pending;
            for Naming { path, node, .. } in over {
                match node {
                    Some(node) => self.durable.insert(path, node),
                    None => self.durable.remove(&path),
                };
            }
        }
        Ok(())
    }

    /// The images in which something unsynced is there.
    pub(super) fn partial(&self) -> Vec<Image> {
        let files = (0..self.files.len()).filter(|n| !self.files[*n].pending.is_empty());
        [Image::All, Image::Names].into_iter().chain(files.map(Image::File)).collect()
    }

    /// Says which file an image is about.
    pub(super) fn describe(&self, image: Image) -> String {
        let Image::File(n) = image else { return format!("{image:?}") };
        let path = self.live.iter().find(|(_, node)| **node == Node::File(n)).map(|(path, _)| path);
        let path = path.and_then(|path| path.strip_prefix(&self.root).ok()).unwrap_or(Path::new("removed"));
        format!("only {} and what is synced", path.display())
    }

    /// Makes the folder anew in an empty one.
    pub(super) fn build(&self, image: Image, to: &Path) -> io::Result<()> {
        let names = if matches!(image, Image::All | Image::Names) { &self.live } else { &self.durable };
        for (path, node) in names {
            let Ok(place) = path.strip_prefix(&self.root) else { continue };
            // A folder comes before what is in it. If its own name is lost, so is that.
            let is_there = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
            if place.as_os_str().is_empty()
                || self.is_scratch(path)
                || !is_there.into_iter().all(|above| names.get(above) == Some(&Node::Folder))
            {
                continue;
            }
            match node {
                Node::Folder => fs::create_dir(to.join(place))?,
                Node::File(n) => {
                    let Some(file) = self.files.get(*n) else { continue };
                    let is_cached = image == Image::All || image == Image::File(*n);
                    fs::write(to.join(place), if is_cached { &file.cached } else { &file.durable })?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that are over one after the other.
    fn follow(disk: &mut Disk<'_>, whats: Vec<What>) {
        for (n, what) in whats.into_iter().enumerate() {
            disk.follow(&Call { begin: n, end: n, is_injected: false, what }).unwrap();
        }
    }

    fn open(path: &str, handle: u32) -> What {
        What::Open { path: path.into(), handle, creates: true, cuts: false, appends: false }
    }

    fn write(path: &str, handle: u32, data: &str) -> What {
        What::Write { path: path.into(), handle, at: None, data: data.into() }
    }

    fn sync(path: &str, worked: bool) -> What {
        What::Sync { path: path.into(), worked }
    }

    fn shown(disk: &Disk<'_>, image: Image) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        disk.build(image, folder.path()).unwrap();
        let mut files: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let content = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), content)
            })
            .collect();
        files.sort();
        files
    }

    fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
    }

    #[test]
    fn what_is_not_synced_is_lost_in_every_combination() {
        let mut disk = Disk::new(Path::new("/d"), &|_| false);
        follow(
            &mut disk,
            vec![
                open("/d/a", 3),
                open("/d/b", 4),
                write("/d/a", 3, "one"),
                sync("/d/a", true),
                sync("/d", true),
                write("/d/a", 3, " two"),
                write("/d/b", 4, "bee"),
                What::Seek { handle: 3, at: 0 },
                write("/d/a", 3, "O"),
                What::Rename { from: "/d/b".into(), to: "/d/c".into() },
            ],
        );
        assert_eq!(shown(&disk, Image::Synced), files(&[("a", "one"), ("b", "")]));
        assert_eq!(shown(&disk, Image::All), files(&[("a", "One two"), ("c", "bee")]));
        assert_eq!(shown(&disk, Image::Names), files(&[("a", "one"), ("c", "")]));
        assert_eq!(disk.partial(), [Image::All, Image::Names, Image::File(0), Image::File(1)]);
        assert_eq!(shown(&disk, Image::File(0)), files(&[("a", "One two"), ("b", "")]));
    }

    #[test]
    fn a_failed_sync_loses_what_it_was_to_write() {
        let mut disk = Disk::new(Path::new("/d"), &|_| false);
        follow(
            &mut disk,
            vec![
                open("/d/a", 3),
                sync("/d", true),
                write("/d/a", 3, "lost"),
                sync("/d/a", false),
                write("/d/a", 3, "kept"),
                sync("/d/a", true),
            ],
        );
        assert_eq!(shown(&disk, Image::Synced), files(&[("a", "\0\0\0\0kept")]));
    }

    #[test]
    fn a_sync_covers_what_was_over_when_it_began() {
        let mut disk = Disk::new(Path::new("/d"), &|_| false);
        follow(&mut disk, vec![open("/d/a", 3), sync("/d", true)]);
        let calls = [(2, 5, write("/d/a", 3, "late")), (4, 6, sync("/d/a", true))];
        for (begin, end, what) in calls {
            disk.follow(&Call { begin, end, is_injected: false, what }).unwrap();
        }
        assert_eq!(shown(&disk, Image::Synced), files(&[("a", "")]));
    }
}
