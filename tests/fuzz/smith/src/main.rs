//! Random WebAssembly for the fuzzer: each line `KIND SEED` on stdin is answered on stdout with the length of a binary (four bytes,
//! the least first) and the binary. The same line gives the same binary. A length of 0 says that nothing came of that seed.
//!
//! | kind | what it is |
//! |---|---|
//! | `module` | any core module, of any proposal |
//! | `component` | any component |
//! | `command` | a core module with `_start` that imports from WASI: a program that a server takes |
//! | `plugin` | a core module that describes itself and spawns tasks as the contract wants (`plugin`), and is random beyond that |

mod plugin;

use std::io::{self, BufRead as _, Write as _};
use std::panic;

use arbitrary::{Arbitrary as _, Unstructured};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use wasm_smith::{Component, Config, Module};

/// The bytes that a binary is made from.
const ENTROPY: std::ops::Range<usize> = 256..8192;
/// Rounds of loops and calls of functions that a module has before it traps, where it is made to end.
const ROUNDS: u32 = 100_000;

/// What of the older WASI a program may import: with signatures as they are, and arguments as chance has it.
const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
"#;

fn main() -> io::Result<()> {
    // A panic of a generator is an empty answer, and nothing to read.
    panic::set_hook(Box::new(|_| {}));
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let order = line.split_once(' ').and_then(|(kind, seed)| Some((kind, seed.parse().ok()?)));
        let Some((kind, seed)) = order else {
            return Err(io::Error::other(format!("`{line}` is not KIND SEED")));
        };
        let binary = panic::catch_unwind(|| make(kind, seed)).ok().flatten().unwrap_or_default();
        out.write_all(&(binary.len() as u32).to_le_bytes())?;
        out.write_all(&binary)?;
        out.flush()?;
    }
    Ok(())
}

/// A binary of a kind.
fn make(kind: &str, seed: u64) -> Option<Vec<u8>> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut entropy = vec![0; dice.random_range(ENTROPY)];
    dice.fill_bytes(&mut entropy);
    let mut entropy = Unstructured::new(&entropy);
    match kind {
        "module" => Some(module(Config::arbitrary(&mut entropy).ok()?, &mut entropy, &mut dice)?.to_bytes()),
        "component" => Some(Component::new(Config::arbitrary(&mut entropy).ok()?, &mut entropy).ok()?.to_bytes()),
        "command" => {
            let exports = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
            Some(module(runnable(exports, WASI, &mut dice)?, &mut entropy, &mut dice)?.to_bytes())
        }
        "plugin" => {
            let imports = format!("{WASI}{}", plugin::IMPORTS);
            let module = module(runnable(plugin::EXPORTS, &imports, &mut dice)?, &mut entropy, &mut dice)?;
            plugin::complete(&module.to_bytes(), &mut dice)
        }
        _ => None,
    }
}

/// A module that ends by itself, most of the time.
fn module(config: Config, entropy: &mut Unstructured<'_>, dice: &mut StdRng) -> Option<Module> {
    let mut module = Module::new(config, entropy).ok()?;
    if dice.random_ratio(7, 8) {
        // Fails for functions of noise, which end at the door.
        let _ = module.ensure_termination(ROUNDS);
    }
    Some(module)
}

/// What a module has to be like that a server takes: with certain exports, with imports among what is there, and of the proposals
/// that the host knows; now and then of all.
fn runnable(exports: &str, imports: &str, dice: &mut StdRng) -> Option<Config> {
    let unknown = dice.random_ratio(1, 16);
    Some(Config {
        exports: Some(wat::parse_str(exports).ok()?),
        available_imports: Some(wat::parse_str(format!("(module {imports})")).ok()?),
        disallow_traps: dice.random(),
        allow_start_export: dice.random_ratio(1, 4),
        max_instructions: dice.random_range(20..400),
        max_funcs: 20,
        max_data_segments: 4,
        max_memory32_bytes: 64 << 20,
        max_memories: usize::from(unknown),
        memory64_enabled: unknown,
        threads_enabled: unknown,
        gc_enabled: unknown,
        reference_types_enabled: unknown,
        exceptions_enabled: unknown,
        ..Config::default()
    })
}
