//! What a store holds of one attempt.

use std::sync::Arc;

use bulkhead_core::plan::{Limits, StepPlan};
use bulkhead_engine::attempt::AttemptHost;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::limits::{MAX_RANDOM_BYTES, MAX_RESOURCES, Meter};
use crate::outcome::Stop;
use crate::random::Seed;
use crate::stdio::Stdio;

/// One attempt, or one `describe`.
pub(crate) struct State {
    /// The attempt's side of the host; absent while a plugin describes itself.
    pub(crate) host: Option<AttemptHost>,
    pub(crate) meter: Meter,
    pub(crate) spawn_refusals: u32,
    /// Whether the guest got as far as being called.
    pub(crate) instantiated: bool,
    calls_left: u64,
    /// A call of WASI passed the quota.
    calls_passed: bool,
    /// Where randomness starts from that is the same each time; absent where it is random.
    seed: Option<Seed>,
    wasi: Option<Box<Wasi>>,
    /// Made with `wasi`; a plugin that never asks for WASI never pays for it.
    stdio: Option<Arc<Stdio>>,
}

struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl State {
    pub(crate) fn new(host: Option<AttemptHost>, limits: &Limits, seed: Option<Seed>) -> Self {
        Self {
            host,
            meter: Meter::new(limits.memory),
            spawn_refusals: 0,
            instantiated: false,
            calls_passed: false,
            calls_left: limits.host_calls,
            seed,
            wasi: None,
            stdio: None,
        }
    }

    /// Counts a host call.
    pub(crate) fn count_call(&mut self) -> Result<(), Stop> {
        self.calls_left = self.calls_left.checked_sub(1).ok_or(Stop::HostCalls)?;
        Ok(())
    }

    /// Counts a call of WASI, where there is no way to refuse: the next epoch tick does.
    fn count_wasi_call(&mut self) {
        self.calls_passed |= self.calls_left == 0;
        self.calls_left = self.calls_left.saturating_sub(1);
    }

    /// Refuses to go on where the quota of host calls was passed.
    pub(crate) fn check_calls(&self) -> Result<(), Stop> {
        if self.calls_passed { Err(Stop::HostCalls) } else { Ok(()) }
    }

    /// What the guest wrote to its standard streams, if it did.
    pub(crate) fn stdio(&self) -> Option<&Arc<Stdio>> {
        self.stdio.as_ref()
    }

    fn step(&self) -> Option<&StepPlan> {
        self.host.as_ref().map(AttemptHost::step)
    }

    fn make_wasi(&mut self) {
        let stdio = Stdio::new(self.host.clone());
        let mut builder = WasiCtx::builder();
        builder
            .stdout(stdio.stdout())
            .stderr(stdio.stderr())
            .max_random_size(MAX_RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        if let Some(seed) = &self.seed {
            builder
                .secure_random(seed.stream("secure"))
                .insecure_random(seed.stream("insecure"))
                .insecure_random_seed(seed.number("insecure-seed"));
        }
        for name in self.step().map_or(&[][..], |step| &step.allow.env) {
            if let Ok(value) = std::env::var(name) {
                builder.env(name, value);
            }
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        self.wasi = Some(Box::new(Wasi { ctx: builder.build(), table }));
        self.stdio = Some(stdio);
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.count_wasi_call();
        if self.wasi.is_none() {
            self.make_wasi();
        }
        let wasi = self.wasi.as_mut().expect("it was made just now");
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}
