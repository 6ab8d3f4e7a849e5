//! The raw cost of the parts, without Bulkhead: what its own figures are to be compared with.

use std::io::Write as _;
use std::time::{Duration, Instant};

use redb::{Database, TableDefinition};
use wasmtime::component::{Component, ComponentType, Lift, Linker, Lower, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::Options;
use crate::report::{Report, micros_each, rate};

/// How long each part is measured.
const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// Measures every part.
pub(crate) fn measure(options: &Options, report: &mut Report) {
    fdatasync(report);
    redb_commits(report);
    pooled_calls(options, report);
}

/// Repeats something for a while: how often, and how long it took.
fn repeat(mut what: impl FnMut()) -> (u64, Duration) {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < LONG_ENOUGH {
        what();
        count += 1;
    }
    (count, start.elapsed())
}

/// An appended record of 200 bytes, made durable.
fn fdatasync(report: &mut Report) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let (count, elapsed) = repeat(|| {
        file.write_all(&[7; 200]).and_then(|()| file.sync_data()).expect("a written file");
    });
    report.add("raw", "fdatasync of 200 bytes", micros_each(count, elapsed));
}

/// Durable commits of a task-sized row in random order, 256 at a time and one at a time.
fn redb_commits(report: &mut Report) {
    const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = Database::create(folder.path().join("raw.redb")).expect("a database");
    for batch in [1_u64, 256] {
        let mut key = 0_u64;
        let (count, elapsed) = repeat(|| {
            let transaction = database.begin_write().expect("a transaction");
            let mut table = transaction.open_table(TABLE).expect("a table");
            for _ in 0..batch {
                key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                table.insert(key, [7; 160].as_slice()).expect("a row");
            }
            drop(table);
            transaction.commit().expect("a commit");
        });
        report.add("raw", format!("redb: durable commit of {batch} rows of 160 bytes"), micros_each(count, elapsed));
        report.add("raw", format!("redb: rows, {batch} a commit"), rate(count * batch, elapsed, "rows"));
    }
}

#[derive(ComponentType, Lower, Lift)]
#[component(record)]
struct StepContext {
    run: String,
    step: String,
    attempt: u32,
    config: String,
    parameters: String,
}

#[derive(ComponentType, Lower, Lift)]
#[component(record)]
struct Task {
    id: String,
    key: String,
    input: String,
}

#[derive(ComponentType, Lower, Lift, Debug)]
#[component(record)]
struct Failure {
    message: String,
    retryable: bool,
}

struct Context {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A fresh pooled instance of the no-op plugin and one call of `run`, on one thread.
fn pooled_calls(options: &Options, report: &mut Report) {
    let mut pool = PoolingAllocationConfig::default();
    pool.linear_memory_keep_resident(1 << 20).table_keep_resident(1 << 16);
    let mut config = Config::new();
    config.epoch_interruption(true).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).expect("an engine");
    let file = options.plugins.join("noop.wasm");
    let component =
        Component::from_file(&engine, &file).unwrap_or_else(|error| panic!("{}: {error:?}; run `make plugins`", file.display()));
    let mut linker: Linker<Context> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("WASI");
    linker.define_unknown_imports_as_traps(&component).expect("the contract's imports");
    let prepared = linker.instantiate_pre(&component).expect("a linked component");
    let (count, elapsed) = repeat(|| {
        let context = Context { table: ResourceTable::new(), wasi: WasiCtx::builder().build() };
        let mut store = Store::new(&engine, context);
        store.set_epoch_deadline(1);
        let instance = prepared.instantiate(&mut store).expect("an instance");
        let run = instance
            .get_typed_func::<(StepContext, Task), (Result<String, Failure>,)>(&mut store, "run")
            .expect("the contract's `run`");
        let step = StepContext {
            run: "run_0".into(),
            step: "noop".into(),
            attempt: 1,
            config: r#"{"tasks":1}"#.into(),
            parameters: "{}".into(),
        };
        let task = Task { id: "task_0".into(), key: "1".into(), input: "null".into() };
        let (result,) = run.call(&mut store, (step, task)).expect("a call");
        result.expect("an output");
    });
    report.add("raw", "wasmtime: pooled instantiate, call `run` of noop, drop", micros_each(count, elapsed));
    report.add("raw", "wasmtime: the same, one thread", rate(count, elapsed, "calls"));
}
