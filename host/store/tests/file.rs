//! The redb store's file: who may open it, and what is refused.

use std::os::unix::fs::PermissionsExt;

use bulkhead_store::{FILE_NAME, OpenError, RedbOptions, RedbStore};

#[test]
fn a_directory_is_used_by_one_store_at_a_time_and_read_by_nobody_else() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    let store = RedbStore::open(&directory, RedbOptions::default()).unwrap();
    let mode = std::fs::metadata(directory.join(FILE_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = RedbStore::open(&directory, RedbOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(store);
    RedbStore::open(&directory, RedbOptions::default()).unwrap();
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE_NAME);
    let content = "this is no database, and far too short".repeat(100);
    std::fs::write(&file, &content).unwrap();
    let error = RedbStore::open(directory.path(), RedbOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Io { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
}

#[test]
fn a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(RedbStore::open(directory.path(), RedbOptions::default()).unwrap());
    let database = redb::Database::open(directory.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
    transaction.open_table(meta).unwrap().insert(&b"format"[..], &[1u8, 99][..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbStore::open(directory.path(), RedbOptions::default()).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(matches!(error, OpenError::Format { .. }) && source.contains("format is 99"), "{error:?}");
}
