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

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::adapt;
use crate::engine::EngineKey;

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

    /// The compiled code of a component, if it is there and sound.
    ///
    /// # Errors
    /// The code is sound, but the engine does not take it: it does not fit a slot of the engine's pool.
    pub(crate) fn load(&self, engine: &Engine, key: EngineKey, digest: Digest) -> Result<Option<Component>, Failure> {
        let path = self.path(engine, digest, CODE);
        let reason = match self.read(engine, &path) {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(component))) => return Ok(Some(component)),
            Ok(Some(Err(error))) if key.pooled => return Err(not_taken(&error)),
            Ok(Some(Err(error))) => format!("{error:#}"),
            Err(error) => error.to_string(),
        };
        tracing::warn!(%digest, reason, "compiled code is unsound: the component is compiled anew");
        let _ = fs::remove_file(&path);
        Ok(None)
    }

    /// What an engine makes of a file, if there is one that is complete.
    fn read(&self, engine: &Engine, path: &Path) -> io::Result<Option<wasmtime::Result<Component>>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let expected = fs::read(path.with_extension(CHECK))?;
        if expected != digest_of(&file)?.as_bytes() {
            return Err(io::Error::other("its check sum differs"));
        }
        #[expect(unsafe_code, reason = "the file is what this process's user wrote here, see above")]
        // SAFETY: only this process's user writes to the directory, and the check sum shows that the file is complete.
        let component = unsafe { Component::deserialize_file(engine, path) };
        // For the order in which code is removed; not a reason to fail.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(component))
    }

    /// Keeps compiled code, and loads it.
    ///
    /// # Errors
    /// The engine does not take it.
    pub(crate) fn keep(&self, engine: &Engine, key: EngineKey, digest: Digest, code: &[u8]) -> Result<Component, Failure> {
        match self.write(engine, digest, code) {
            // From the file: the system needs no memory of its own for that.
            Ok(()) => {
                if let Some(component) = self.load(engine, key, digest)? {
                    return Ok(component);
                }
            }
            Err(error) => tracing::warn!(%digest, %error, "compiled code is not kept on disk"),
        }
        deserialize(engine, code)
    }

    fn write(&self, engine: &Engine, digest: Digest, code: &[u8]) -> io::Result<()> {
        self.make_room(code.len() as u64)?;
        // The check sum last: code without one is unsound.
        let check = Digest::from_bytes(Sha256::digest(code).into()).hex();
        self.replace(&self.path(engine, digest, CODE), code)?;
        self.replace(&self.path(engine, digest, CHECK), check.as_bytes())
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

/// Compiled code, in memory.
///
/// # Errors
/// The engine does not take it.
pub(crate) fn deserialize(engine: &Engine, code: &[u8]) -> Result<Component, Failure> {
    #[expect(unsafe_code, reason = "the code comes from this program's own compiler")]
    // SAFETY: whoever calls this has it from `Engine::precompile_component`, in this process or in one of the same program.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| not_taken(&error))
}

fn not_taken(error: &wasmtime::Error) -> Failure {
    Failure::new(Cause::InvalidPlugin, format!("it does not load: {error:#}"))
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
