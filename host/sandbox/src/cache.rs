//! Compiled code on disk, so that a component is compiled once and not at each start.
//!
//! Two files per component and engine: the code, and the SHA-256 of the code. Both are written under another name and renamed.
//! Whatever is not as it should be is removed and compiled anew; the cache is never a reason to fail.
//!
//! Loading compiled code means running it: whoever can write to the directory can run code as this process. So the directory
//! must belong to this process's user, and no one else may write to it.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bulkhead_core::id::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::adapt;

const CODE: &str = "cwasm";
const CHECK: &str = "sha256";

/// A directory of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    max_bytes: u64,
}

impl Cache {
    /// Opens a directory and makes it if need be. The code takes at most `max_bytes` there, but for the latest.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        make_private(dir)?;
        Ok(Self { dir: dir.to_owned(), max_bytes })
    }

    /// The compiled code of a component for an engine, if it is there and sound.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(engine, digest, CODE);
        match self.read(engine, &path) {
            Ok(component) => component,
            Err(reason) => {
                tracing::warn!(%digest, reason, "compiled code is unsound: the component is compiled anew");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    fn read(&self, engine: &Engine, path: &Path) -> Result<Option<Component>, String> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let expected = fs::read(path.with_extension(CHECK)).map_err(|error| format!("its check sum: {error}"))?;
        if expected != digest_of(&file).map_err(|error| error.to_string())?.as_bytes() {
            return Err("its check sum differs".into());
        }
        #[expect(unsafe_code, reason = "the file is what this process's user wrote here with `Component::serialize`, see above")]
        // SAFETY: only this process's user writes to the directory, and the check sum shows that the file is complete.
        let component = unsafe { Component::deserialize_file(engine, path) };
        // For the order in which code is removed; not a reason to fail.
        let _ = file.set_modified(SystemTime::now());
        component.map(Some).map_err(|error| format!("{error:#}"))
    }

    /// Keeps a component's compiled code.
    pub(crate) fn keep(&self, engine: &Engine, digest: Digest, component: &Component) {
        if let Err(error) = self.write(engine, digest, component) {
            tracing::warn!(%digest, error, "compiled code is not kept on disk");
        }
    }

    fn write(&self, engine: &Engine, digest: Digest, component: &Component) -> Result<(), String> {
        let code = component.serialize().map_err(|error| format!("{error:#}"))?;
        let write = || {
            self.make_room(code.len() as u64)?;
            // The check sum last: code without one is unsound.
            let check = Digest::from_bytes(Sha256::digest(&code).into()).hex();
            self.replace(&self.path(engine, digest, CODE), &code)?;
            self.replace(&self.path(engine, digest, CHECK), check.as_bytes())
        };
        write().map_err(|error| error.to_string())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".{}-{number}.tmp", std::process::id()));
        let mut file = File::create(&temporary)?;
        file.write_all(content).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }

    /// Removes the code that was not used for longest until so much more fits, and what was left behind half-written.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            if let Ok(metadata) = entry.metadata() {
                let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let abandoned = modified.elapsed().is_ok_and(|age| age.as_secs() > 3_600);
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some(CODE) => files.push((modified, metadata.len(), path)),
                    Some("tmp") if abandoned => fs::remove_file(path)?,
                    _ => {}
                }
            }
        }
        files.sort();
        let mut total = files.iter().map(|(_, size, _)| size).sum::<u64>() + bytes;
        for (_, size, path) in files {
            if total <= self.max_bytes {
                break;
            }
            fs::remove_file(path.with_extension(CHECK)).or_else(absent)?;
            fs::remove_file(path).or_else(absent)?;
            total -= size;
        }
        Ok(())
    }

    /// Named after the component and all that decides whether an engine can run the code.
    fn path(&self, engine: &Engine, digest: Digest, extension: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // A component that is derived from what was uploaded changes with the way it is derived.
        adapt::VERSION.hash(&mut hasher);
        self.dir.join(format!("{}-{:016x}.{extension}", digest.hex(), hasher.finish()))
    }
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn digest_of(mut file: &File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hasher.finalize().into()).hex());
        }
        hasher.update(&buffer[..read]);
    }
}

/// Makes a directory that only this process's user may write, or makes sure that it is one.
#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let metadata = fs::metadata(dir)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others may write to it: compiled code there could be anybody's"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}
