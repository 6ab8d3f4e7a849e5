//! wasmtime's configuration: one engine per combination of fuel metering, stack size and allocator, made when first needed.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::config::SandboxConfig;
use crate::limits::{MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES};
use crate::link;
use crate::stack::StackClass;
use crate::state::State;
use crate::ticker::Ticker;

/// Slots beside those for attempts, for plugins that describe themselves at upload.
pub(crate) const DESCRIBE_SLOTS: usize = 2;

/// Frames of a backtrace. Enough to see that a function calls itself.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

/// Core instances per slot on average; they are counted only, so this costs nothing.
const CORE_INSTANCES_PER_SLOT: usize = 32;
/// Tables per slot on average: a Rust guest has 2. Each reserves address space for [`MAX_TABLE_ELEMENTS`].
const TABLES_PER_SLOT: usize = 4;
/// Bytes of a table that stay resident: 2,000 functions.
const TABLE_KEEP_RESIDENT: usize = 16 << 10;

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EngineKey {
    /// Count fuel. Code that counts is 1.2 to 1.4 times slower, so it is compiled only where a step has a fuel limit.
    pub(crate) metered: bool,
    /// The size of the stack.
    pub(crate) stack: StackClass,
    /// Take memory from the pool.
    pub(crate) pooled: bool,
}

impl EngineKey {
    const COUNT: usize = 4 * StackClass::COUNT;

    const fn index(self) -> usize {
        self.stack.index() * 4 + self.metered as usize * 2 + self.pooled as usize
    }
}

/// An engine and what plugins on it may import.
pub(crate) struct Runner {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    /// Why it is not pooled, where it should be.
    pub(crate) unpooled_because: Option<String>,
}

/// All engines.
pub(crate) struct Engines {
    config: SandboxConfig,
    ticker: Arc<Ticker>,
    runners: [OnceLock<Arc<Runner>>; EngineKey::COUNT],
}

impl Engines {
    pub(crate) fn new(config: SandboxConfig, ticker: Arc<Ticker>) -> Self {
        Self { config, ticker, runners: [const { OnceLock::new() }; EngineKey::COUNT] }
    }

    /// Whether engines are pooled where nothing is in the way.
    pub(crate) const fn pooling(&self) -> bool {
        self.config.pooling
    }

    /// The engine of this configuration. Where room for the pool can't be reserved, it allocates on demand.
    pub(crate) fn get(&self, key: EngineKey) -> wasmtime::Result<Arc<Runner>> {
        let cell = &self.runners[key.index()];
        if let Some(runner) = cell.get() {
            return Ok(Arc::clone(runner));
        }
        let runner = Arc::new(self.make(key)?);
        // Two may make it at once; one is kept.
        let kept = cell.get_or_init(|| Arc::clone(&runner));
        if Arc::ptr_eq(kept, &runner) {
            self.ticker.add(&kept.engine);
        }
        Ok(Arc::clone(kept))
    }

    fn make(&self, key: EngineKey) -> wasmtime::Result<Runner> {
        let mut config = base_config(key);
        let (engine, unpooled_because) = if key.pooled {
            config.allocation_strategy(pool(&self.config));
            match Engine::new(&config) {
                Ok(engine) => (engine, None),
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::warn!(reason, "no room for a pool of guests: memory is allocated on demand");
                    (Engine::new(&base_config(key))?, Some(reason))
                }
            }
        } else {
            (Engine::new(&config)?, None)
        };
        let linker = link::linker(&engine)?;
        Ok(Runner { engine, linker, unpooled_because })
    }
}

/// What compiled code depends on; the allocator is not among it.
pub(crate) fn base_config(key: EngineKey) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(key.metered)
        .max_wasm_stack(key.stack.guest_size())
        .async_stack_size(key.stack.full_size())
        .concurrency_support(false)
        .wasm_memory64(false)
        // The same result on every machine: fuel then counts the same there, too.
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(key.metered)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        // A plugin's DWARF is not the host's to parse; names come from the name section.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

fn pool(config: &SandboxConfig) -> PoolingAllocationConfig {
    let slots = config.slots.get() + DESCRIBE_SLOTS;
    let count = |each: usize| u32::try_from(slots.saturating_mul(each)).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count(1))
        .total_core_instances(count(CORE_INSTANCES_PER_SLOT))
        .total_memories(count(1))
        .total_tables(count(TABLES_PER_SLOT))
        .total_stacks(count(1))
        .max_memories_per_component(u32::try_from(MAX_MEMORIES).unwrap_or(u32::MAX))
        .max_tables_per_component(u32::try_from(MAX_TABLES).unwrap_or(u32::MAX))
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        .table_elements(MAX_TABLE_ELEMENTS)
        .table_keep_resident(TABLE_KEEP_RESIDENT)
        .linear_memory_keep_resident(config.keep_resident)
        // A page that was swapped out may reach the next guest through it (open upstream).
        .pagemap_scan(Enabled::No);
    pool
}
