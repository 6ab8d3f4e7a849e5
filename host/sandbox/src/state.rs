//! What a store holds of one attempt.

use std::sync::Arc;

use bulkhead_core::plan::{Limits, StepPlan};
use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::egress::Egress;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::command::Program;
use crate::files::{Files, FilesView};
use crate::http::{Http, Traffic};
use crate::limits::{MAX_RANDOM_BYTES, MAX_RESOURCES, Meter};
use crate::outcome::Stop;
use crate::profile::Profiler;
use crate::random::Seed;
use crate::stdio::{Kept, Stdin, Stdio};

/// One attempt, or one `describe`.
pub(crate) struct State {
    /// The attempt's side of the host; absent while a plugin describes itself.
    pub(crate) host: Option<AttemptHost>,
    pub(crate) meter: Meter,
    pub(crate) spawn_refusals: u32,
    /// Takes samples of the guest's stack, where that is wanted.
    pub(crate) profiler: Option<Box<Profiler>>,
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
    /// The way out, where the host has one.
    egress: Option<Arc<dyn Egress>>,
    limits: Limits,
    http: Option<Box<Http>>,
    /// Made with `http`, at a plugin's first call of it.
    traffic: Option<Arc<Traffic>>,
}

struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    files: Files,
}

impl State {
    pub(crate) fn new(host: Option<AttemptHost>, limits: &Limits, seed: Option<Seed>, egress: Option<Arc<dyn Egress>>) -> Self {
        Self {
            host,
            meter: Meter::new(limits.memory),
            spawn_refusals: 0,
            profiler: None,
            instantiated: false,
            calls_passed: false,
            calls_left: limits.host_calls,
            seed,
            wasi: None,
            stdio: None,
            egress,
            limits: *limits,
            http: None,
            traffic: None,
        }
    }

    /// Gives a command what it is started with, before it is instantiated.
    pub(crate) fn begin(&mut self, program: Program) -> Arc<Stdio> {
        self.make_wasi(Some(program))
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

    /// Refuses to go on where a quota was passed that nothing else stops at.
    pub(crate) fn check_quotas(&self) -> Result<(), Stop> {
        if self.calls_passed {
            return Err(Stop::HostCalls);
        }
        self.stdio.as_ref().map_or(Ok(()), |stdio| stdio.check())?;
        self.traffic.as_ref().map_or(Ok(()), |traffic| traffic.check())
    }

    /// Its files, as its calls of `wasi:filesystem` see them.
    pub(crate) fn files_view(&mut self) -> FilesView<'_> {
        self.count_wasi_call();
        let wasi = self.wasi();
        FilesView { files: &mut wasi.files, table: &mut wasi.table }
    }

    /// The files that it has made, if it asked WASI for anything.
    pub(crate) fn files(&self) -> Option<&Files> {
        self.wasi.as_ref().map(|wasi| &wasi.files)
    }

    /// What the guest sent over HTTP, if it used that.
    pub(crate) fn traffic(&self) -> Option<&Arc<Traffic>> {
        self.traffic.as_ref()
    }

    /// What the guest wrote to its standard streams, if it did.
    pub(crate) fn stdio(&self) -> Option<&Arc<Stdio>> {
        self.stdio.as_ref()
    }

    fn step(&self) -> Option<&StepPlan> {
        self.host.as_ref().map(AttemptHost::step)
    }

    fn make_http(&mut self) {
        let traffic = Traffic::new(self.host.clone(), self.limits);
        let patterns = self.step().map_or(&[][..], |step| &step.allow.http);
        self.http = Some(Box::new(Http::new(Arc::clone(&traffic), self.egress.clone(), patterns)));
        self.traffic = Some(traffic);
    }

    fn wasi(&mut self) -> &mut Wasi {
        if self.wasi.is_none() {
            self.make_wasi(None);
        }
        self.wasi.as_mut().expect("it was made just now")
    }

    fn make_wasi(&mut self, program: Option<Program>) -> Arc<Stdio> {
        let mut builder = WasiCtx::builder();
        let (stdout, files) = match program {
            Some(Program { args, env, stdin, stdout, files }) => {
                builder.args(&args).envs(&env).stdin(Stdin::new(self.host.clone(), stdin));
                (stdout, files)
            }
            None => (Kept::Nothing, Files::new(Arc::clone(self.meter.memory()))),
        };
        let stdio = Stdio::new(self.host.clone(), stdout);
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
        self.wasi = Some(Box::new(Wasi { ctx: builder.build(), table, files }));
        self.stdio = Some(Arc::clone(&stdio));
        stdio
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.count_wasi_call();
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.count_wasi_call();
        self.wasi();
        if self.http.is_none() {
            self.make_http();
        }
        let wasi = self.wasi.as_mut().expect("it was made just now");
        let http = self.http.as_mut().expect("it was made just now");
        WasiHttpCtxView { hooks: &mut http.hooks, table: &mut wasi.table, ctx: &mut http.ctx }
    }
}
