//! What is uploaded may be anything. Whatever it is, it becomes a component that is sound, or is refused: without a panic, in bounded
//! time, memory and stack.

mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bulkhead_sandbox::adapt::{AdaptError, Adapted, adapt};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::component::{module, plugin};
use support::program;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// How many are tried of each.
const CASES: u32 = 5_000;
/// How long one may take. It takes some milliseconds, on a machine that compiles something else meanwhile some more.
const TIME: Duration = Duration::from_secs(2);
/// The address space of all that the test does: an allocation beyond it ends the test.
const MEMORY: u64 = 2 << 30;
/// The stack of the threads that do it, which is that of the sandbox's.
const STACK: usize = 2 << 20;

/// What is real: a component, core modules with a type and without, and programs.
static REAL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let plain = module(r#"(import "bulkhead:plugin/log@0.1.0" "write" (func (param i32 i32 i32 i32 i32)))"#, "(i32.const 16)");
    let mut typed = module("", "(i32.const 16)").to_vec();
    let mut resolve = Resolve::default();
    let contract = resolve.push_source("plugin.wit", include_str!("../../../wit/0.1.0/plugin.wit")).expect("the contract");
    let world = resolve.select_world(&[contract], Some("plugin")).expect("its world");
    embed_component_metadata(&mut typed, &resolve, world, StringEncoding::UTF8).expect("a module with its type");
    let wrapped = adapt(&program::copy(0)).expect("a program").component;
    let real = [plugin("", "(i32.const 16)"), plain, typed.into(), program::copy(0), program::arguments(), wrapped];
    real.into_iter().map(|bytes| bytes.to_vec()).collect()
});

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    /// A number of more bytes than there are.
    Inflate(Index),
    Remove(Index, u8),
    Repeat(Index, u8),
    Insert(Index, Vec<u8>),
    Truncate(Index),
    /// A part of something else that is real.
    Splice(Index, Index, Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => any::<Index>().prop_map(Change::Inflate),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, len)| Change::Remove(at, len)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, len)| Change::Repeat(at, len)),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..16)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => any::<Index>().prop_map(Change::Truncate),
        1 => any::<(Index, Index, Index, u8)>().prop_map(|(at, which, from, len)| Change::Splice(at, which, from, len)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let place = |index: &Index, len: usize| if len == 0 { 0 } else { index.index(len) };
    let range = |index: &Index, more: u8, len: usize| place(index, len)..len.min(place(index, len) + usize::from(more));
    let len = bytes.len();
    match change {
        Change::Set(at, byte) => bytes.iter_mut().skip(place(at, len)).take(1).for_each(|old| *old = *byte),
        Change::Inflate(at) => {
            bytes.splice(range(at, 1, len), [0xff, 0xff, 0xff, 0xff, 0x0f]);
        }
        Change::Remove(at, more) => {
            bytes.drain(range(at, *more, len));
        }
        Change::Repeat(at, more) => {
            let part = bytes[range(at, *more, len)].to_vec();
            let at = place(at, len);
            bytes.splice(at..at, part);
        }
        Change::Insert(at, part) => {
            let at = place(at, len);
            bytes.splice(at..at, part.iter().copied());
        }
        Change::Truncate(at) => bytes.truncate(place(at, len)),
        Change::Splice(at, which, from, more) => {
            let other = which.get(&REAL);
            let part = other[range(from, *more, other.len())].to_vec();
            let at = place(at, len);
            bytes.splice(at..at, part);
        }
    }
}

/// Adapts some bytes within the bounds.
fn bounded(bytes: Vec<u8>) -> Result<Result<Adapted, AdaptError>, TestCaseError> {
    let start = Instant::now();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let adapted = adapt(&Bytes::from(bytes))?;
        // What was not refused can be read, and adapting it again changes nothing.
        adapted.interfaces()?;
        assert_eq!(adapt(&adapted.component)?.component, adapted.component);
        Ok(adapted)
    });
    let adapted = thread.expect("a thread").join().map_err(|_| TestCaseError::fail("it panicked"))?;
    prop_assert!(start.elapsed() < TIME, "it took {:?}", start.elapsed());
    Ok(adapted)
}

fn check(strategy: impl Strategy<Value = Vec<u8>>) {
    let limit = Rlimit { current: Some(MEMORY), ..getrlimit(Resource::As) };
    setrlimit(Resource::As, limit).expect("less can always be had");
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&strategy, |bytes| bounded(bytes).map(drop));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_is_real_is_taken() {
    for bytes in &*REAL {
        bounded(bytes.clone()).expect("within the bounds").expect("it is a plugin or a program");
    }
}

#[test]
fn bytes_of_any_kind_are_refused_or_sound() {
    let beginning = prop::sample::select(vec![&b"\0asm\x0d\0\x01\0"[..], b"\0asm\x01\0\0\0", b"\0asm", b""]);
    let bytes = (beginning, prop::collection::vec(any::<u8>(), 0..2_000));
    check(bytes.prop_map(|(beginning, rest)| [beginning, &rest].concat()));
}

#[test]
fn what_is_real_and_changed_is_refused_or_sound() {
    let changed = (any::<Index>(), prop::collection::vec(change(), 1..6));
    check(changed.prop_map(|(which, changes)| {
        let mut bytes = which.get(&REAL).clone();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        bytes
    }));
}

/// wit-component 0.254 takes all of its stack for them. Each interface of the contract's is moved to another package, of the same length.
#[test]
fn packages_that_need_each_other_are_refused() {
    let typed = REAL[2].clone();
    let mut cycles = 0;
    for interface in ["types", "log", "status", "tasks", "checkpoint", "inputs", "artifacts"] {
        let (from, to) = (format!("bulkhead:plugin/{interface}@"), format!("bulkhead:plutin/{interface}@"));
        let mut changed = typed.clone();
        for at in 0..typed.len().saturating_sub(from.len()) {
            if typed[at..].starts_with(from.as_bytes()) {
                changed[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
        }
        if let Err(error) = bounded(changed).expect("within the bounds") {
            cycles += usize::from(error.to_string().contains("its packages need each other"));
        }
    }
    assert!(cycles > 0, "none of the interfaces uses another");
}

/// A section of a binary: its kind, its length, its content.
fn section(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut section = vec![kind];
    let mut length = content.len();
    while length >= 0x80 {
        section.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    section.push(length as u8);
    section.extend_from_slice(content);
    section
}

/// What nests and what refers to what refers: a few bytes that cost much where nobody counts.
#[test]
fn what_grows_from_little_is_refused_in_bounded_time() {
    let refused = |bytes: Vec<u8>| assert!(bounded(bytes).expect("within the bounds").is_err());
    // Components in components.
    let mut nested = plugin("", "(i32.const 16)").to_vec();
    for _ in 0..2_000 {
        nested = [&b"\0asm\x0d\0\x01\0"[..], &section(4, &nested)].concat();
    }
    refused(nested);
    // Types that double with each line: 2^60 fields.
    let mut text = String::from("(component (type $t0 (tuple u8 u8))");
    for level in 1..60 {
        text += &format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1);
    }
    let doubling = wat::parse_str(text + r#"(import "f" (func (param "x" $t59))))"#).expect("a component");
    refused(doubling.clone());
    // The same as the type that a core module says it has.
    let mut typed = module("", "(i32.const 16)").to_vec();
    let name = b"component-type:x";
    typed.extend(section(0, &[&[name.len() as u8], &name[..], &doubling].concat()));
    refused(typed);
}
