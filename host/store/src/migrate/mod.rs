//! The store's format and its history: one file per migration, run in order when a store opens.
//!
//! A file that a newer program wrote is refused, never guessed at. A migration is one transaction together with the new
//! format number, so a crash in its middle leaves the old format whole.

mod m0001_first;
mod m0002_hooks;
mod m0003_letters;
mod m0004_analysis;
#[cfg(test)]
mod stored;

use crate::keys;
use crate::kv::{Backend, KvWrite, Tx, Verdict, snapshot};
use crate::record;

/// One step from a format to the next.
type Migration = fn(&mut dyn KvWrite) -> Tx<()>;

/// `MIGRATIONS[n]` brings format `n` to `n + 1`. Format 0 is an empty store.
const MIGRATIONS: &[Migration] = &[m0001_first::migrate, m0002_hooks::migrate, m0003_letters::migrate, m0004_analysis::migrate];

/// Why a store's format can't be brought to this program's.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program wrote it.
    #[error("its format is {found}, this program knows formats up to {known}: use a newer bulkhead")]
    Newer {
        /// The stored format.
        found: u32,
        /// The latest that this program knows.
        known: u32,
    },
    /// A step failed; the store is as it was.
    #[error("bringing it from format {from} to the next failed: {reason}")]
    Failed {
        /// The stored format.
        from: u32,
        /// What happened.
        reason: String,
    },
}

/// Brings a store to the latest format.
pub(crate) fn run(backend: &dyn Backend) -> Result<(), MigrateError> {
    run_all(backend, MIGRATIONS)
}

fn run_all(backend: &dyn Backend, migrations: &[Migration]) -> Result<(), MigrateError> {
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let failed = |from, reason: String| MigrateError::Failed { from, reason };
    let stored = snapshot(backend, |kv| record::load::<u32>(kv, &keys::format()));
    let found = stored.map_err(|fault| failed(0, format!("{fault:?}")))?.unwrap_or(0);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for (from, migrate) in (found..).zip(&migrations[found as usize..]) {
        let mut result = Ok(());
        let committed = backend.write(&mut |kv| {
            result = migrate(kv).and_then(|()| {
                let mut value = Vec::new();
                record::encode(&(from + 1), &mut value)?;
                kv.put(&keys::format(), &value)
            });
            if result.is_ok() { Verdict::Commit } else { Verdict::Abort }
        });
        result.map_err(|fault| failed(from, format!("{fault:?}")))?;
        committed.map_err(|fault| failed(from, fault.reason))?;
        tracing::info!(format = from + 1, "the store has a new format");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Key;
    use crate::kv::{Fault, MemoryBackend, Tree, bytes};

    fn mark() -> Key {
        Key::from_bytes(Tree::Meta, b"mark")
    }

    fn marks(kv: &mut dyn KvWrite) -> Tx<()> {
        kv.put(&mark(), b"2")
    }

    fn breaks(kv: &mut dyn KvWrite) -> Tx<()> {
        kv.put(&mark(), b"broken")?;
        Err(Fault::Corrupt("no".into()))
    }

    fn format(backend: &MemoryBackend) -> Option<u32> {
        snapshot(backend, |kv| record::load(kv, &keys::format())).unwrap()
    }

    #[test]
    fn each_migration_runs_once() {
        let backend = MemoryBackend::default();
        run_all(&backend, &MIGRATIONS[..1]).unwrap();
        assert_eq!(format(&backend), Some(1));
        run_all(&backend, &[breaks, marks]).unwrap();
        assert_eq!(format(&backend), Some(2));
        assert_eq!(snapshot(&backend, |kv| bytes(kv, &mark())).unwrap(), Some(b"2".to_vec()));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_format_whole() {
        let backend = MemoryBackend::default();
        run_all(&backend, &MIGRATIONS[..1]).unwrap();
        let error = run_all(&backend, &[marks, breaks]).unwrap_err();
        assert!(matches!(error, MigrateError::Failed { from: 1, .. }), "{error}");
        assert_eq!(format(&backend), Some(1));
        assert_eq!(snapshot(&backend, |kv| bytes(kv, &mark())).unwrap(), None);
    }

    #[test]
    fn a_newer_format_is_refused() {
        let backend = MemoryBackend::default();
        run_all(&backend, &[marks, marks]).unwrap();
        assert!(matches!(run_all(&backend, &[marks]), Err(MigrateError::Newer { found: 2, known: 1 })));
    }
}
