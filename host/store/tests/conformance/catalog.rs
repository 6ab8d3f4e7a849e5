//! Definitions, plugins and tokens.

use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use bulkhead_core::plugin::{Analysis, Interfaces, PluginForm, PluginKind};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{
    MAX_ENDED_UPLOADS, MAX_MANIFESTS, MAX_OLD_VERSIONS, MAX_UPLOAD_ATTEMPTS, MAX_WAITING_UPLOADS, Papers, PluginRecord, Role,
    StoreError, TokenRecord, UploadEnd, UploadState,
};
use bytes::Bytes;

use crate::fixture::{Fixture, name, plan};

pub(crate) async fn definitions_have_versions(f: &mut Fixture) {
    let store = f.store();
    assert_eq!(store.put_definition(name("a"), "one".into(), Some(0)).await.unwrap().version, 1);
    assert_eq!(store.put_definition(name("a"), "one".into(), None).await.unwrap().version, 1);
    assert_eq!(store.put_definition(name("a"), "two".into(), Some(1)).await.unwrap().version, 2);
    assert!(matches!(store.put_definition(name("a"), "three".into(), Some(1)).await, Err(StoreError::Conflict(_))));
    assert_eq!(&*store.definition(name("a")).await.unwrap().text, "two");
    store.put_definition(name("ab"), "x".into(), None).await.unwrap();
    store.put_definition(name("b"), "x".into(), None).await.unwrap();
    let ids =
        |list: Vec<bulkhead_engine::store::DefinitionRecord>| list.into_iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(store.definitions(None, 10).await.unwrap()), ["a", "ab", "b"]);
    assert_eq!(ids(store.definitions(Some(name("a")), 1).await.unwrap()), ["ab"]);
    store.delete_definition(name("a")).await.unwrap();
    assert!(matches!(store.delete_definition(name("a")).await, Err(StoreError::NotFound("definition"))));
    assert!(matches!(store.definition(name("a")).await, Err(StoreError::NotFound("definition"))));
}

pub(crate) async fn earlier_versions_of_a_definition_are_kept(f: &mut Fixture) {
    let store = f.store();
    for number in 1..=MAX_OLD_VERSIONS + 3 {
        f.clock.advance(Duration::from_secs(1));
        assert_eq!(store.put_definition(name("a"), format!("text {number}").into(), None).await.unwrap().version, number);
    }
    store.put_definition(name("ab"), "x".into(), None).await.unwrap();
    store.put_definition(name("ab"), "y".into(), None).await.unwrap();
    let last = MAX_OLD_VERSIONS + 3;
    let versions = async |id: &str, before: Option<u64>, limit: usize| {
        let found = store.definition_versions(name(id), before, limit).await.unwrap();
        found.iter().map(|one| (one.version, one.text.to_string())).collect::<Vec<_>>()
    };
    let newest = versions("a", None, 2).await;
    assert_eq!(newest, [(last, format!("text {last}")), (last - 1, format!("text {}", last - 1))]);
    assert_eq!(versions("a", Some(last), 1).await, newest[1..]);
    let all = versions("a", None, 1_000).await;
    assert_eq!((all.len() as u64, all.last().unwrap().0), (MAX_OLD_VERSIONS + 1, 3));
    assert_eq!(versions("ab", None, 10).await.len(), 2);
    let third = store.definition_version(name("a"), 3).await.unwrap();
    assert_eq!((&*third.text, third.updated_at), ("text 3", Timestamp::from_micros(1_000_000_000 + 3_000_000)));
    assert_eq!(&*store.definition_version(name("a"), last).await.unwrap().text, format!("text {last}"));
    let gone = store.definition_version(name("a"), 2).await;
    assert!(matches!(gone, Err(StoreError::NotFound("version of the definition"))), "{gone:?}");
    store.delete_definition(name("a")).await.unwrap();
    assert!(matches!(store.definition_version(name("a"), 3).await, Err(StoreError::NotFound("definition"))));
    store.put_definition(name("a"), "anew".into(), None).await.unwrap();
    assert_eq!(versions("a", None, 10).await, [(1, "anew".to_owned())]);
}

fn plugin(text: &str, digest: u8) -> PluginRecord {
    PluginRecord {
        name: name(text),
        version: "1.0.0".into(),
        summary: "Does nothing.".into(),
        config_schema: "{}".into(),
        digest: Digest::from_bytes([digest; 32]),
        size: 3,
        uploaded_at: Timestamp::from_micros(5),
        analysis: None,
    }
}

pub(crate) async fn a_plugin_name_means_the_latest_upload(f: &mut Fixture) {
    let store = f.store();
    let first = store.put_plugin(plugin("p", 1), Bytes::from_static(b"one")).await.unwrap();
    store.put_plugin(plugin("p", 2), Bytes::from_static(b"two")).await.unwrap();
    store.put_plugin(plugin("p2", 1), Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(store.plugin(name("p")).await.unwrap().digest, Digest::from_bytes([2; 32]));
    assert_eq!(store.plugins().await.unwrap().len(), 2);
    let again = PluginRecord { uploaded_at: Timestamp::from_micros(9), ..plugin("p", 1) };
    assert_eq!(store.put_plugin(again, Bytes::from_static(b"one")).await.unwrap(), first);
    assert_eq!(store.plugin(name("p")).await.unwrap(), first);
    store.delete_plugin(name("p")).await.unwrap();
    assert!(matches!(store.plugin(name("p")).await, Err(StoreError::NotFound("plugin"))));
    assert!(matches!(store.component(Digest::from_bytes([2; 32])).await, Err(StoreError::NotFound("component"))));
    assert_eq!(store.component(Digest::from_bytes([1; 32])).await.unwrap(), Bytes::from_static(b"one"));
    store.delete_plugin(name("p2")).await.unwrap();
    assert!(matches!(store.component(Digest::from_bytes([1; 32])).await, Err(StoreError::NotFound("component"))));
}

fn digest(digest: u8) -> Digest {
    Digest::from_bytes([digest; 32])
}

fn refused() -> UploadEnd {
    UploadEnd::Refused(Failure::new(Cause::InvalidPlugin, "it is none"))
}

pub(crate) async fn an_upload_waits_until_its_check_has_ended(f: &mut Fixture) {
    let component = Bytes::from_static(b"one");
    let first = f.store().submit_plugin(digest(1), None, component.clone()).await.unwrap();
    assert_eq!((first.size, first.begun, &first.state), (3, 0, &UploadState::Waiting));
    f.clock.advance(Duration::from_secs(1));
    f.store().submit_plugin(digest(2), Some(name("tool")), Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(f.store().submit_plugin(digest(1), None, component.clone()).await.unwrap(), first, "it waits already");
    let other = f.store().submit_plugin(digest(1), Some(name("other")), component).await;
    assert!(matches!(other, Err(StoreError::Conflict(_))), "{other:?}");
    f.reopen();
    assert_eq!(f.store().begin_upload(digest(1), 0).await.unwrap().begun, 1);
    assert_eq!(f.store().begin_upload(digest(1), 0).await.unwrap().begun, 1, "the same check, asked for again");
    let uploads = f.store().plugin_uploads().await.unwrap();
    assert_eq!(uploads.iter().map(|upload| upload.digest).collect::<Vec<_>>(), [digest(1), digest(2)]);
    let record = plugin("p", 1);
    let ended = f.store().end_upload(digest(1), UploadEnd::Accepted(Box::new(record.clone()))).await.unwrap();
    assert_eq!(ended.state, UploadState::Accepted { at: f.clock.now(), plugin: name("p") });
    assert_eq!(f.store().plugin(name("p")).await.unwrap(), record);
    assert_eq!(f.store().component(digest(1)).await.unwrap(), Bytes::from_static(b"one"));
    assert_eq!(f.store().end_upload(digest(1), refused()).await.unwrap(), ended, "it has ended");
    assert_eq!(f.store().begin_upload(digest(1), 1).await.unwrap(), ended);
    assert!(matches!(f.store().end_upload(digest(2), refused()).await.unwrap().state, UploadState::Refused { .. }));
    assert!(matches!(f.store().component(digest(2)).await, Err(StoreError::NotFound("component"))));
    assert!(matches!(f.store().plugin_upload(digest(3)).await, Err(StoreError::NotFound("upload"))));
    let again = f.store().submit_plugin(digest(2), None, Bytes::from_static(b"two")).await.unwrap();
    assert_eq!((again.state, again.name), (UploadState::Waiting, None));
}

pub(crate) async fn a_component_stays_while_an_upload_of_it_waits(f: &mut Fixture) {
    f.store().put_plugin(plugin("p", 1), Bytes::from_static(b"one")).await.unwrap();
    f.store().submit_plugin(digest(1), None, Bytes::from_static(b"one")).await.unwrap();
    f.store().delete_plugin(name("p")).await.unwrap();
    assert_eq!(f.store().component(digest(1)).await.unwrap(), Bytes::from_static(b"one"));
    f.store().put_plugin(plugin("p", 1), Bytes::from_static(b"one")).await.unwrap();
    f.store().end_upload(digest(1), refused()).await.unwrap();
    assert_eq!(f.store().component(digest(1)).await.unwrap(), Bytes::from_static(b"one"));
}

pub(crate) async fn an_upload_that_ends_its_server_is_refused(f: &mut Fixture) {
    f.store().submit_plugin(digest(1), None, Bytes::from_static(b"one")).await.unwrap();
    for _ in 0..2 * MAX_UPLOAD_ATTEMPTS {
        f.store().begin_upload(digest(1), 0).await.unwrap();
        f.store().end_upload(digest(1), UploadEnd::Released).await.unwrap();
    }
    for begun in 1..=MAX_UPLOAD_ATTEMPTS {
        assert_eq!(f.store().begin_upload(digest(1), begun - 1).await.unwrap().begun, begun);
        f.reopen();
    }
    let UploadState::Refused { failure, .. } = f.store().begin_upload(digest(1), MAX_UPLOAD_ATTEMPTS).await.unwrap().state else {
        panic!("it goes on")
    };
    assert_eq!(failure.cause, Cause::HostLost);
}

pub(crate) async fn uploads_are_bounded(f: &mut Fixture) {
    let many = u8::try_from(MAX_WAITING_UPLOADS + 1).unwrap();
    for number in 0..many - 1 {
        f.store().submit_plugin(digest(number), None, Bytes::from_static(b"one")).await.unwrap();
    }
    let more = f.store().submit_plugin(digest(many), None, Bytes::from_static(b"one")).await;
    assert!(matches!(more, Err(StoreError::Conflict(_))), "{more:?}");
    for number in 0..many - 1 {
        f.clock.advance(Duration::from_secs(1));
        f.store().end_upload(digest(number), refused()).await.unwrap();
    }
    f.store().submit_plugin(digest(many), None, Bytes::from_static(b"one")).await.unwrap();
    f.store().end_upload(digest(many), refused()).await.unwrap();
    let uploads = f.store().plugin_uploads().await.unwrap();
    assert_eq!((uploads.len(), uploads[0].digest), (MAX_ENDED_UPLOADS, digest(1)));
}

pub(crate) async fn another_upload_says_what_was_not_recorded(f: &mut Fixture) {
    f.store().put_plugin(plugin("p", 1), Bytes::from_static(b"one")).await.unwrap();
    let interfaces = Interfaces::default();
    let (kind, form) = (PluginKind::Plugin, PluginForm::Component);
    let analysis = Analysis { kind, form, contract: None, interfaces, compile_time: None };
    let later = PluginRecord { uploaded_at: Timestamp::from_micros(9), analysis: Some(analysis.clone()), ..plugin("p", 1) };
    f.store().put_plugin(later, Bytes::from_static(b"one")).await.unwrap();
    let known = f.store().plugin(name("p")).await.unwrap();
    assert_eq!((known.uploaded_at, known.analysis), (Timestamp::from_micros(5), Some(analysis)));
}

pub(crate) async fn a_pinned_plugin_takes_no_name_and_goes_with_its_papers(f: &mut Fixture) {
    let store = f.store();
    let manifests = |bytes: &[u8]| Papers { manifests: bytes.iter().map(|&byte| digest(byte)).collect(), ..Papers::default() };
    // Papers may come before what they are of.
    store.put_papers(digest(1), Papers { signature: Some("signed".into()), ..manifests(&[101]) }).await.unwrap();
    assert!(matches!(store.pinned_plugin(digest(101)).await, Err(StoreError::NotFound("plugin"))));
    store.put_plugin(plugin("p", 2), Bytes::from_static(b"two")).await.unwrap();
    store.pin_plugin(plugin("p", 1), Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(store.plugin(name("p")).await.unwrap(), plugin("p", 2));
    assert_eq!(store.pinned_plugin(digest(101)).await.unwrap(), plugin("p", 1));
    assert_eq!(store.component(digest(1)).await.unwrap(), Bytes::from_static(b"one"));
    let pinned = store.pinned_plugins().await.unwrap();
    assert_eq!(pinned.iter().map(|(plugin, _)| plugin.clone()).collect::<Vec<_>>(), [plugin("p", 1)]);
    // What is said later adds to it.
    store.put_papers(digest(1), Papers { source: Some("oci://r/p".into()), ..manifests(&[101, 102]) }).await.unwrap();
    let papers = store.papers(digest(1)).await.unwrap();
    assert_eq!((papers.signature.as_deref(), papers.source.as_deref()), (Some("signed"), Some("oci://r/p")));
    assert_eq!(papers.manifests, [digest(101), digest(102)]);
    // Uploaded under another name it is both.
    store.put_plugin(plugin("q", 1), Bytes::from_static(b"one")).await.unwrap();
    store.delete_plugin(name("p")).await.unwrap();
    assert_eq!(store.pinned_plugins().await.unwrap(), []);
    assert_eq!(store.pinned_plugin(digest(102)).await.unwrap(), plugin("q", 1));
    store.delete_plugin(name("q")).await.unwrap();
    assert!(matches!(store.pinned_plugin(digest(102)).await, Err(StoreError::NotFound("plugin"))));
    assert_eq!(store.papers(digest(1)).await.unwrap(), Papers::default());
    // A plugin that no name means is removed by its own.
    store.pin_plugin(plugin("p", 1), Bytes::from_static(b"one")).await.unwrap();
    store.delete_plugin(name("p")).await.unwrap();
    assert!(matches!(store.component(digest(1)).await, Err(StoreError::NotFound("component"))));
    // There is a bound; the first go first.
    for byte in 0..=u8::try_from(MAX_MANIFESTS).unwrap() {
        store.put_papers(digest(9), manifests(&[byte])).await.unwrap();
    }
    let papers = store.papers(digest(9)).await.unwrap();
    assert_eq!((papers.manifests.len(), papers.manifests[0]), (MAX_MANIFESTS, digest(1)));
}

pub(crate) async fn a_plugin_in_use_is_not_removed(f: &mut Fixture) {
    f.store().put_plugin(plugin("noop", 7), Bytes::from_static(b"one")).await.unwrap();
    f.store().put_plugin(plugin("noop", 8), Bytes::from_static(b"two")).await.unwrap();
    f.create(plan(&["one", "two"])).await;
    assert!(matches!(f.store().delete_plugin(name("noop")).await, Err(StoreError::Conflict(_))));
    for task in f.claim(2).await {
        f.succeed(&task).await;
    }
    f.store().delete_plugin(name("noop")).await.unwrap();
}

pub(crate) async fn tokens_are_found_by_their_secret(f: &mut Fixture) {
    let token = |text: &str, secret| TokenRecord {
        name: name(text),
        role: Role::Operator,
        secret: Digest::from_bytes([secret; 32]),
        created_at: Timestamp::from_micros(1),
    };
    let store = f.store();
    store.put_token(token("a", 1)).await.unwrap();
    store.put_token(token("b", 2)).await.unwrap();
    assert!(matches!(store.put_token(token("a", 3)).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.token(Digest::from_bytes([2; 32])).await.unwrap(), token("b", 2));
    assert_eq!(store.tokens().await.unwrap().len(), 2);
    store.delete_token(name("a")).await.unwrap();
    assert!(matches!(store.token(Digest::from_bytes([1; 32])).await, Err(StoreError::NotFound("token"))));
    assert!(matches!(store.delete_token(name("a")).await, Err(StoreError::NotFound("token"))));
}
