//! What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Drill {
    None,
    Panic,
    Error,
    Memory,
    Loop,
    Recursion,
    Sleep,
    Cancel,
    Retry,
}

impl Drill {
    /// Goes wrong as it says. `None` and `Retry` do nothing here.
    pub(crate) fn go(self) -> Result<(), Error> {
        match self {
            Drill::None | Drill::Retry => {}
            Drill::Panic => panic!("the drill: the boiler burst"),
            Drill::Error => return Err(Error::fatal("the drill: there is no pump")),
            Drill::Memory => {
                let mut kept = Vec::new();
                loop {
                    kept.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            Drill::Loop => loop {
                std::hint::spin_loop();
            },
            Drill::Recursion => drop(deeper(black_box(0))),
            Drill::Sleep => thread::sleep(Duration::from_millis(300)),
            Drill::Cancel => {
                while sleep(Duration::from_millis(10)).is_ok() {}
                warn!("cancelled: ending in order");
                return Err(Cancelled.into());
            }
        }
        Ok(())
    }
}

/// Calls itself without end.
#[expect(unconditional_recursion, reason = "the drill")]
fn deeper(level: u64) -> u64 {
    let mut here = [level; 16];
    black_box(&mut here);
    deeper(here[3] + 1) + here[5]
}
