//! A guest's files: a directory of its own, in memory, which begins with nothing but `/tmp` and ends with its attempt.
//!
//! No path of a guest ever reaches the host's file system. What its files take is part of its memory: a write beyond
//! `limits.memory` fails as on a full disk. There are no links. A file that is removed while it is open goes on until it is closed.

mod content;
mod host;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use wasmtime_wasi::p2::bindings::sync::filesystem::types::{DescriptorType, ErrorCode};

pub(crate) use self::content::Content;
use self::content::{Times, now};
pub(crate) use self::host::FilesView;
use crate::limits::Memory;

/// What a file or directory takes beside its content, in bytes: its name, twice, and its places in tables, rounded up.
const NODE_COST: usize = 1 << 10;
/// The longest name, in bytes, as everywhere.
const MAX_NAME: usize = 255;
/// The longest path, in bytes, as everywhere.
const MAX_PATH: usize = 4 << 10;

/// What a file or directory is known by inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u64);

impl Id {
    pub(crate) const ROOT: Self = Self(0);
}

/// The files of one attempt.
pub(crate) struct Files {
    memory: Arc<Memory>,
    nodes: HashMap<Id, Node>,
    next: u64,
}

struct Node {
    /// The directory that it is in; the root is in itself.
    parent: Id,
    /// Whether it is in a directory still.
    linked: bool,
    /// The descriptors that refer to it.
    opens: usize,
    kind: Kind,
}

enum Kind {
    File(Arc<Content>),
    Directory { entries: BTreeMap<Box<str>, Id>, times: Times },
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) kind: DescriptorType,
    pub(super) size: u64,
    pub(super) times: Times,
}

/// How to open a path, as WASI's flags say.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub(crate) struct Opening {
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) directory: bool,
    pub(crate) truncate: bool,
    /// For writing.
    pub(crate) write: bool,
}

type Result<T> = std::result::Result<T, ErrorCode>;

impl Files {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        let root = Node { parent: Id::ROOT, linked: true, opens: 0, kind: Kind::directory() };
        let mut files = Self { memory, nodes: HashMap::from([(Id::ROOT, root)]), next: 1 };
        // Where there is no room even for this the first write says so.
        let _ = files.create_directory(Id::ROOT, "tmp");
        files
    }

    /// The file or directory at a path.
    pub(crate) fn find(&self, from: Id, path: &str) -> Result<Id> {
        let path = Path::parse(path)?;
        let id = self.walk(from, &path.parts)?;
        if path.of_directory {
            self.entries(id)?;
        }
        Ok(id)
    }

    /// Opens what is at a path, and counts it as open.
    pub(crate) fn open(&mut self, from: Id, path: &str, how: Opening) -> Result<Id> {
        let parsed = Path::parse(path)?;
        if how.create && how.directory {
            return Err(ErrorCode::Invalid);
        }
        if how.create && parsed.of_directory {
            return Err(ErrorCode::IsDirectory);
        }
        let id = match self.find(from, path) {
            Ok(_) if how.create && how.exclusive => return Err(ErrorCode::Exist),
            Ok(id) => id,
            Err(ErrorCode::NoEntry) if how.create => {
                let (directory, name) = self.place(from, &parsed)?;
                let content = Content::new(Arc::clone(&self.memory));
                self.add(directory, name, Kind::File(Arc::new(content)))?
            }
            Err(error) => return Err(error),
        };
        match &self.node(id)?.kind {
            Kind::File(_) if how.directory => return Err(ErrorCode::NotDirectory),
            Kind::File(content) if how.truncate => content.set_size(0)?,
            Kind::Directory { .. } if how.write || how.truncate => return Err(ErrorCode::IsDirectory),
            _ => {}
        }
        self.reopen(id)?;
        Ok(id)
    }

    /// Counts one more descriptor of what there is.
    fn reopen(&mut self, id: Id) -> Result<()> {
        self.node_mut(id)?.opens += 1;
        Ok(())
    }

    /// Counts one descriptor less. What is removed and open no more is gone.
    fn close(&mut self, id: Id) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.opens = node.opens.saturating_sub(1);
            self.forget(id);
        }
    }

    fn create_directory(&mut self, from: Id, path: &str) -> Result<()> {
        let path = Path::parse(path)?;
        let (directory, name) = match self.place(from, &path) {
            // What ends in `.` or `..` is there, if anything is.
            Err(ErrorCode::Invalid) => return Err(self.walk(from, &path.parts).err().unwrap_or(ErrorCode::Exist)),
            place => place?,
        };
        self.add(directory, name, Kind::directory()).map(drop)
    }

    fn remove_file(&mut self, from: Id, path: &str) -> Result<()> {
        let path = Path::parse(path)?;
        let (directory, name) = self.place(from, &path)?;
        match &self.node(self.entry(directory, name)?)?.kind {
            Kind::Directory { .. } => Err(ErrorCode::IsDirectory),
            Kind::File(_) if path.of_directory => Err(ErrorCode::NotDirectory),
            Kind::File(_) => self.unlink(directory, name),
        }
    }

    fn remove_directory(&mut self, from: Id, path: &str) -> Result<()> {
        let (directory, name) = self.place(from, &Path::parse(path)?)?;
        if !self.entries(self.entry(directory, name)?)?.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        self.unlink(directory, name)
    }

    /// Moves a file or directory. A file replaces a file, and a directory an empty directory.
    fn rename(&mut self, from: Id, old: &str, to: Id, new: &str) -> Result<()> {
        let moved = self.find(from, old)?;
        let is_directory = matches!(self.node(moved)?.kind, Kind::Directory { .. });
        let (old, new) = (Path::parse(old)?, Path::parse(new)?);
        if new.of_directory && !is_directory {
            return Err(ErrorCode::NotDirectory);
        }
        let (source, old_name) = self.place(from, &old)?;
        let (target, new_name) = self.place(to, &new)?;
        if is_directory && self.is_within(target, moved)? {
            return Err(ErrorCode::Invalid);
        }
        let replaced = self.entries(target)?.get(new_name).copied();
        if let Some(replaced) = replaced {
            if replaced == moved {
                return Ok(());
            }
            match (&self.node(replaced)?.kind, is_directory) {
                (Kind::File(_), true) => return Err(ErrorCode::NotDirectory),
                (Kind::Directory { .. }, false) => return Err(ErrorCode::IsDirectory),
                (Kind::Directory { entries, .. }, true) if !entries.is_empty() => return Err(ErrorCode::NotEmpty),
                _ => {}
            }
        }
        if !self.node(target)?.linked {
            return Err(ErrorCode::NoEntry);
        }
        self.entries_mut(source)?.remove(old_name);
        self.entries_mut(target)?.insert(new_name.into(), moved);
        self.node_mut(moved)?.parent = target;
        if let Some(replaced) = replaced {
            self.node_mut(replaced)?.linked = false;
            self.forget(replaced);
        }
        Ok(())
    }

    /// The entry of a directory after a name, in the order of names.
    fn entry_after(&self, directory: Id, name: Option<&str>) -> Result<Option<(&str, DescriptorType)>> {
        let after = name.map_or(Bound::Unbounded, Bound::Excluded);
        let Some((name, &id)) = self.entries(directory)?.range::<str, _>((after, Bound::Unbounded)).next() else {
            return Ok(None);
        };
        Ok(Some((name, self.node(id)?.kind.kind())))
    }

    fn stat(&self, id: Id) -> Result<Stat> {
        Ok(match &self.node(id)?.kind {
            Kind::File(content) => Stat { kind: DescriptorType::RegularFile, size: content.size(), times: content.times() },
            Kind::Directory { times, .. } => Stat { kind: DescriptorType::Directory, size: 0, times: *times },
        })
    }

    fn set_times(&mut self, id: Id, times: Times) -> Result<()> {
        match &mut self.node_mut(id)?.kind {
            Kind::File(content) => content.set_times(times),
            Kind::Directory { times: own, .. } => *own = times,
        }
        Ok(())
    }

    /// The content of a file.
    pub(crate) fn content(&self, id: Id) -> Result<&Arc<Content>> {
        match &self.node(id)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Directory { .. } => Err(ErrorCode::IsDirectory),
        }
    }

    /// An empty file at a path of the host's choice, with the directories that it takes.
    pub(crate) fn put(&mut self, path: &str) -> Result<Arc<Content>> {
        for (at, _) in path.match_indices('/') {
            match self.create_directory(Id::ROOT, &path[..at]) {
                Ok(()) | Err(ErrorCode::Exist) => {}
                Err(error) => return Err(error),
            }
        }
        let id = self.open(Id::ROOT, path, Opening { create: true, write: true, truncate: true, ..Opening::default() })?;
        self.close(id);
        self.content(id).cloned()
    }

    /// The paths of all files in a directory and below it, in order.
    pub(crate) fn below(&self, directory: &str) -> Result<Vec<(String, Arc<Content>)>> {
        let mut found = Vec::new();
        let mut open = vec![(directory.trim_end_matches('/').to_owned(), self.find(Id::ROOT, directory)?)];
        while let Some((path, id)) = open.pop() {
            match &self.node(id)?.kind {
                Kind::File(content) => found.push((path, Arc::clone(content))),
                Kind::Directory { entries, .. } => {
                    open.extend(entries.iter().rev().map(|(name, &id)| (format!("{path}/{name}"), id)));
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, directory: Id, name: &str, kind: Kind) -> Result<Id> {
        if !self.node(directory)?.linked {
            return Err(ErrorCode::NoEntry);
        }
        if self.entries(directory)?.contains_key(name) {
            return Err(ErrorCode::Exist);
        }
        if !self.memory.take_for_files(NODE_COST) {
            return Err(ErrorCode::InsufficientSpace);
        }
        let id = Id(self.next);
        self.next += 1;
        self.nodes.insert(id, Node { parent: directory, linked: true, opens: 0, kind });
        self.entries_mut(directory)?.insert(name.into(), id);
        Ok(id)
    }

    fn unlink(&mut self, directory: Id, name: &str) -> Result<()> {
        let id = self.entries_mut(directory)?.remove(name).ok_or(ErrorCode::NoEntry)?;
        self.node_mut(id)?.linked = false;
        self.forget(id);
        Ok(())
    }

    /// Lets go of what is in no directory and open nowhere.
    fn forget(&mut self, id: Id) {
        if self.nodes.get(&id).is_some_and(|node| !node.linked && node.opens == 0) {
            self.nodes.remove(&id);
            self.memory.give_back(NODE_COST);
        }
    }

    /// Whether a directory is another, or somewhere below it.
    fn is_within(&self, mut directory: Id, other: Id) -> Result<bool> {
        while directory != other {
            if directory == Id::ROOT {
                return Ok(false);
            }
            directory = self.node(directory)?.parent;
        }
        Ok(true)
    }

    /// The directory that a path's last name is in, and that name.
    fn place<'a>(&self, from: Id, path: &Path<'a>) -> Result<(Id, &'a str)> {
        match path.parts.split_last() {
            Some((&name, parents)) if name != ".." && !path.is_dot => Ok((self.walk(from, parents)?, name)),
            _ => Err(ErrorCode::Invalid),
        }
    }

    /// Follows names from a directory, never above it.
    fn walk(&self, from: Id, parts: &[&str]) -> Result<Id> {
        let (mut id, mut depth) = (from, 0_usize);
        self.entries(from)?;
        for &part in parts {
            if part == ".." {
                depth = depth.checked_sub(1).ok_or(ErrorCode::NotPermitted)?;
                self.entries(id)?;
                id = self.node(id)?.parent;
            } else {
                depth += 1;
                id = self.entry(id, part)?;
            }
        }
        Ok(id)
    }

    fn entry(&self, directory: Id, name: &str) -> Result<Id> {
        self.entries(directory)?.get(name).copied().ok_or(ErrorCode::NoEntry)
    }

    fn node(&self, id: Id) -> Result<&Node> {
        self.nodes.get(&id).ok_or(ErrorCode::BadDescriptor)
    }

    fn node_mut(&mut self, id: Id) -> Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or(ErrorCode::BadDescriptor)
    }

    fn entries(&self, id: Id) -> Result<&BTreeMap<Box<str>, Id>> {
        match &self.node(id)?.kind {
            Kind::Directory { entries, .. } => Ok(entries),
            Kind::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    /// The entries of a directory, to be changed.
    fn entries_mut(&mut self, id: Id) -> Result<&mut BTreeMap<Box<str>, Id>> {
        match &mut self.node_mut(id)?.kind {
            Kind::Directory { entries, times } => {
                times.modified = now();
                Ok(entries)
            }
            Kind::File(_) => Err(ErrorCode::NotDirectory),
        }
    }
}

impl Kind {
    fn directory() -> Self {
        Self::Directory { entries: BTreeMap::new(), times: Times::now() }
    }

    const fn kind(&self) -> DescriptorType {
        match self {
            Self::File(_) => DescriptorType::RegularFile,
            Self::Directory { .. } => DescriptorType::Directory,
        }
    }
}

/// A path relative to a directory, taken apart.
struct Path<'a> {
    /// Its names and `..`.
    parts: Vec<&'a str>,
    /// It ends in a way that only a directory may.
    of_directory: bool,
    /// It ends in `.`.
    is_dot: bool,
}

impl<'a> Path<'a> {
    fn parse(path: &'a str) -> Result<Self> {
        if path.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        if path.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        if path.contains('\0') {
            return Err(ErrorCode::Invalid);
        }
        if path.len() > MAX_PATH || path.split('/').any(|name| name.len() > MAX_NAME) {
            return Err(ErrorCode::NameTooLong);
        }
        let parts: Vec<_> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        Ok(Self { parts, of_directory: path.ends_with('/') || matches!(last, "." | ".."), is_dot: last == "." })
    }
}
