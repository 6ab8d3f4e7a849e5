//! Files: too many, too large, too deep, and those of others.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

use bulkhead_plugin::json::{Value, json};
use bulkhead_plugin::prelude::*;

/// Writes one file until there is no more room.
pub(crate) fn one_for_ever() -> ! {
    let mut file = File::create("flood.bin").expect("a file");
    let piece = vec![7; 64 << 10];
    loop {
        file.write_all(&piece).expect("no end of the file");
    }
}

/// Creates empty files and directories until there is no more room.
pub(crate) fn many_for_ever() -> ! {
    let mut number: u64 = 0;
    loop {
        number += 1;
        fs::create_dir(format!("/tmp/{number}")).expect("no end of directories");
        File::create(format!("/tmp/{number}/file")).expect("no end of files");
    }
}

/// What is not its own must not be there; what is its own must behave as files do.
pub(crate) fn own_and_others() -> Result<Value, Error> {
    let others =
        ["/etc/passwd", "/proc/self/environ", "../../../../etc/passwd", "/tmp/../../etc/passwd", "bulkhead-data/store.redb"];
    for path in others {
        if File::open(path).is_ok() || fs::metadata(path).is_ok() {
            return Err(Error::fatal(format_args!("it found {path}")));
        }
    }
    let names = |path: &str| -> Result<Vec<String>, Error> {
        let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = entries.collect::<Result<Vec<_>, std::io::Error>>()?;
        names.sort();
        Ok(names)
    };
    check("the root holds /tmp and nothing else", names("/")? == ["tmp"])?;

    fs::create_dir_all("log/deep")?;
    fs::write("log/deep/a", "one\n")?;
    OpenOptions::new().append(true).open("log/deep/a")?.write_all(b"two\n")?;
    check("what is appended is at the end", fs::read_to_string("/log/deep/a")? == "one\ntwo\n")?;

    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open("log/b")?;
    file.seek(SeekFrom::Start(1 << 40))?;
    file.write_all(b"end")?;
    check("a hole takes no room", file.metadata()?.len() == (1 << 40) + 3)?;
    file.seek(SeekFrom::Start((1 << 40) - 2))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    check("a hole reads as zeros", end == b"\0\0end")?;
    file.set_len(2)?;
    check("a file can be cut off", fs::read("log/b")? == [0, 0])?;

    fs::rename("log/deep/a", "log/b")?;
    check("a file replaces another", names("log")? == ["b", "deep"] && fs::read("log/b")? == b"one\ntwo\n")?;
    check("its old name is gone", !fs::exists("log/deep/a")?)?;
    check("a directory with files stays", fs::remove_dir("log").is_err())?;
    check("no directory goes into itself", fs::rename("log", "log/deep/log").is_err())?;
    let mut open = File::open("log/b")?;
    fs::remove_dir_all("log")?;
    let mut text = String::new();
    open.read_to_string(&mut text)?;
    check("what is open can be read after its end", text == "one\ntwo\n")?;

    let mut path = String::new();
    while fs::create_dir(format!("{path}/d")).is_ok() {
        path.push_str("/d");
    }
    let depth = path.len() / 2;
    check("directories nest as deep as a path is long", depth > 2_000)?;
    while !path.is_empty() {
        fs::remove_dir(&path)?;
        path.truncate(path.len() - 2);
    }
    let opened = (0..10_000).map_while(|number| File::create(format!("/tmp/{number}")).ok()).collect::<Vec<_>>().len();
    check("no more files are open than the host allows", (100..10_000).contains(&opened))?;
    fs::remove_dir_all("/tmp")?;
    check("nothing is left", names("/")?.is_empty())?;
    Ok(json!({ "others": 0, "depth": depth, "opened": opened }))
}

fn check(what: &str, holds: bool) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::fatal(format_args!("not so: {what}"))) }
}
