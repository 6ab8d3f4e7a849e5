use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path as HostPath;

use proptest::prelude::*;

use super::*;

fn files() -> (Arc<Memory>, Files) {
    let memory = Arc::new(Memory::new(1 << 20));
    (Arc::clone(&memory), Files::new(memory))
}

#[derive(Clone, Debug)]
enum Change {
    CreateDirectory(String),
    Write(String, bool),
    RemoveFile(String),
    RemoveDirectory(String),
    Rename(String, String),
}

/// Paths of few names, so that they meet.
fn path() -> impl Strategy<Value = String> {
    ("[ab](/[abc]){0,3}", prop_oneof![8 => Just(""), 1 => Just("/"), 1 => Just("/."), 1 => Just("/../a")])
        .prop_map(|(path, end)| path + end)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => path().prop_map(Change::CreateDirectory),
        4 => (path(), any::<bool>()).prop_map(|(path, exclusive)| Change::Write(path, exclusive)),
        1 => path().prop_map(Change::RemoveFile),
        1 => path().prop_map(Change::RemoveDirectory),
        3 => (path(), path()).prop_map(|(old, new)| Change::Rename(old, new)),
    ]
}

impl Change {
    /// Whether several things may be wrong with it at once: which of them is told differs between systems.
    fn is_odd(&self) -> bool {
        match self {
            Self::CreateDirectory(path) | Self::Write(path, _) | Self::RemoveFile(path) | Self::RemoveDirectory(path) => {
                path.ends_with(['/', '.']) || path.contains("..")
            }
            Self::Rename(..) => true,
        }
    }

    fn here(&self, files: &mut Files) -> Result<()> {
        match self {
            Self::CreateDirectory(path) => files.create_directory(Id::ROOT, path),
            Self::Write(path, exclusive) => {
                let how = Opening { create: true, exclusive: *exclusive, write: true, truncate: true, ..Opening::default() };
                let id = files.open(Id::ROOT, path, how)?;
                files.content(id)?.append_all(path.as_bytes())?;
                files.close(id);
                Ok(())
            }
            Self::RemoveFile(path) => files.remove_file(Id::ROOT, path),
            Self::RemoveDirectory(path) => files.remove_directory(Id::ROOT, path),
            Self::Rename(old, new) => files.rename(Id::ROOT, old, Id::ROOT, new),
        }
    }

    fn there(&self, root: &HostPath) -> io::Result<()> {
        match self {
            Self::CreateDirectory(path) => fs::create_dir(root.join(path)),
            Self::Write(path, exclusive) => {
                let mut how = fs::OpenOptions::new();
                how.write(true).create(true).create_new(*exclusive).truncate(true);
                io::Write::write_all(&mut how.open(root.join(path))?, path.as_bytes())
            }
            Self::RemoveFile(path) => fs::remove_file(root.join(path)),
            Self::RemoveDirectory(path) => fs::remove_dir(root.join(path)),
            Self::Rename(old, new) => fs::rename(root.join(old), root.join(new)),
        }
    }
}

fn listing_there(root: &HostPath, path: &str, found: &mut Vec<(String, Option<Vec<u8>>)>) {
    let mut names: Vec<_> =
        fs::read_dir(root.join(path)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in names {
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        if root.join(&path).is_dir() {
            found.push((path.clone(), None));
            listing_there(root, &path, found);
        } else {
            let content = fs::read(root.join(&path)).unwrap();
            found.push((path, Some(content)));
        }
    }
}

fn listing_here(files: &Files, id: Id, path: &str, found: &mut Vec<(String, Option<Vec<u8>>)>) {
    let mut last: Option<String> = None;
    while let Some((name, _)) = files.entry_after(id, last.as_deref()).unwrap() {
        let entry = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let id = files.find(Id::ROOT, &entry).unwrap();
        if let Ok(content) = files.content(id) {
            found.push((entry, Some(content.read(0, usize::MAX))));
        } else {
            found.push((entry.clone(), None));
            listing_here(files, id, &entry, found);
        }
        last = Some(name.to_owned());
    }
}

fn kind(code: ErrorCode) -> ErrorKind {
    match code {
        ErrorCode::NoEntry => ErrorKind::NotFound,
        ErrorCode::Exist => ErrorKind::AlreadyExists,
        ErrorCode::NotDirectory => ErrorKind::NotADirectory,
        ErrorCode::IsDirectory => ErrorKind::IsADirectory,
        ErrorCode::NotEmpty => ErrorKind::DirectoryNotEmpty,
        ErrorCode::Invalid => ErrorKind::InvalidInput,
        other => panic!("{other:?} is not expected"),
    }
}

proptest! {
    /// A change succeeds where it does in a real directory, fails as there, and leaves the same behind.
    #[test]
    fn it_is_as_a_real_directory(changes in proptest::collection::vec(change(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let (memory, mut files) = files();
        files.remove_directory(Id::ROOT, "tmp").unwrap();
        for change in &changes {
            match (change.here(&mut files), change.there(dir.path())) {
                (Ok(()), Ok(())) => {}
                (Err(code), Err(error)) => prop_assert!(
                    change.is_odd() || kind(code) == error.kind(),
                    "{change:?}: {code:?}, but {error}"
                ),
                (here, there) => prop_assert!(false, "{change:?}: {here:?}, but {there:?}"),
            }
            let (mut here, mut there) = (Vec::new(), Vec::new());
            listing_here(&files, Id::ROOT, "", &mut here);
            listing_there(dir.path(), "", &mut there);
            prop_assert_eq!(&here, &there, "after {:?}", change);
        }
        drop(files);
        prop_assert!(memory.used() <= NODE_COST * changes.len(), "contents are given back");
    }
}

#[test]
fn nothing_leads_out() {
    let (_, mut files) = files();
    for path in ["..", "../etc", "tmp/../..", "tmp/../../tmp", "a/../.."] {
        assert!(matches!(files.find(Id::ROOT, path), Err(ErrorCode::NotPermitted | ErrorCode::NoEntry)), "{path}");
    }
    let tmp = files.find(Id::ROOT, "tmp/../tmp/.").unwrap();
    assert_eq!(files.find(tmp, ".."), Err(ErrorCode::NotPermitted), "a descriptor leads to what is below it");
    assert_eq!(files.find(tmp, "/tmp"), Err(ErrorCode::NotPermitted));
    assert_eq!(files.create_directory(tmp, "../other"), Err(ErrorCode::NotPermitted));
}

#[test]
fn what_is_open_stays_until_it_is_closed() {
    let (memory, mut files) = files();
    let before = memory.used();
    let how = Opening { create: true, write: true, ..Opening::default() };
    let id = files.open(Id::ROOT, "a", how).unwrap();
    files.content(id).unwrap().append_all(b"some").unwrap();
    files.remove_file(Id::ROOT, "a").unwrap();
    assert_eq!(files.find(Id::ROOT, "a"), Err(ErrorCode::NoEntry));
    assert_eq!(files.content(id).unwrap().read(0, 10), b"some");
    let stream = Arc::clone(files.content(id).unwrap());
    files.close(id);
    assert!(files.content(id).is_err() && memory.used() > before, "a stream still holds it");
    assert_eq!(stream.read(0, 10), b"some");
    drop(stream);
    assert_eq!(memory.used(), before);
    let directory = files.open(Id::ROOT, "tmp", Opening { directory: true, ..Opening::default() }).unwrap();
    files.remove_directory(Id::ROOT, "tmp").unwrap();
    assert_eq!(files.open(directory, "new", how), Err(ErrorCode::NoEntry), "nothing is born in what is gone");
    files.close(directory);
}

#[test]
fn names_have_limits_and_files_take_room() {
    let (memory, mut files) = files();
    assert_eq!(files.create_directory(Id::ROOT, &"x".repeat(MAX_NAME + 1)), Err(ErrorCode::NameTooLong));
    assert_eq!(files.create_directory(Id::ROOT, &"x/".repeat(MAX_PATH)), Err(ErrorCode::NameTooLong));
    assert_eq!(files.create_directory(Id::ROOT, ""), Err(ErrorCode::NoEntry));
    assert_eq!(files.create_directory(Id::ROOT, "a\0b"), Err(ErrorCode::Invalid));
    let made = (0..).take_while(|number| files.create_directory(Id::ROOT, &format!("{number}")).is_ok()).count();
    assert_eq!(made, (1 << 20) / NODE_COST - 1, "`tmp` was there");
    assert_eq!(files.create_directory(Id::ROOT, "more"), Err(ErrorCode::InsufficientSpace));
    assert!(memory.used() <= 1 << 20);
}

#[test]
fn the_host_puts_files_anywhere_and_finds_them_again() {
    let (_, mut files) = files();
    files.put("in/deep/b.txt").unwrap().append_all(b"b").unwrap();
    files.put("in/a.txt").unwrap();
    assert_eq!(files.put("in/a.txt/below").err(), Some(ErrorCode::NotDirectory));
    assert_eq!(files.put("in").err(), Some(ErrorCode::IsDirectory));
    assert_eq!(files.put("../out").err(), Some(ErrorCode::NotPermitted));
    let found: Vec<_> = files.below("in/").unwrap().into_iter().map(|(path, content)| (path, content.size())).collect();
    assert_eq!(found, [("in/a.txt".to_owned(), 0), ("in/deep/b.txt".to_owned(), 1)]);
    assert_eq!(files.below("out/").err(), Some(ErrorCode::NoEntry));
}
