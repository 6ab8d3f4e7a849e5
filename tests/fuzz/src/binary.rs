//! What is uploaded: made by the smith, or from a plugin that works.

use bulkhead_e2e::{plugins, workspace};
use bulkhead_torture::Dice;
use tokio::sync::Mutex;

use crate::mutate;
use crate::smith::Smith;

/// How a binary comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Any core module.
    Module,
    /// Any component.
    Component,
    /// A random program.
    Command,
    /// A random plugin.
    Plugin,
    /// A working plugin with bytes changed, cut off, doubled or left out.
    Noise,
    /// A working plugin with sections swapped, doubled, cut or left out.
    Sections,
    /// A working plugin with other instructions and constants: still a plugin, but a wrong one.
    Instructions,
}

impl Kind {
    /// Drawn so that most binaries run: what is refused at the door tests the door only.
    fn drawn(dice: &mut Dice) -> Self {
        match dice.below(16) {
            0 => Self::Module,
            1 => Self::Component,
            2..=4 => Self::Command,
            5..=8 => Self::Plugin,
            9 => Self::Noise,
            10..=11 => Self::Sections,
            _ => Self::Instructions,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Module => "random module",
            Self::Component => "random component",
            Self::Command => "random program",
            Self::Plugin => "random plugin",
            Self::Noise => "plugin with noise",
            Self::Sections => "plugin, sections moved",
            Self::Instructions => "plugin, instructions changed",
        }
    }
}

/// A binary, and what is known of it.
pub(crate) struct Binary {
    pub(crate) kind: Kind,
    /// Of one of the plugins that take seconds to compile.
    pub(crate) large: bool,
    pub(crate) bytes: Vec<u8>,
    /// Keys of a step that uses it; of a program, none.
    pub(crate) keys: &'static str,
    /// Binaries of one family may have the same name: one of them is at work at a time.
    pub(crate) family: usize,
}

/// What binaries are made with.
pub(crate) struct Makers {
    smith: Smith,
    sound: Vec<Sound>,
    large: Vec<Sound>,
    /// One for each family.
    pub(crate) turns: Vec<Mutex<()>>,
}

/// A plugin that works.
struct Sound {
    bytes: Vec<u8>,
    keys: &'static str,
}

/// Plugins that are mutated, with the keys of a step.
const SOUND: [(&str, &str); 9] = [
    ("noop", "tasks = 2\nlines = 3"),
    ("hello", "names = [\"Ada\", \"Grace\"]"),
    ("primes", "limit = 20000\nsegment = 10000"),
    ("misbehave", "modes = [\"panic\", \"log-flood-suppressed\"]\nflood_lines = 50"),
    ("stress", ""),
    ("languages/c", "pieces = 2"),
    ("languages/zig", "pieces = 2"),
    ("languages/assemblyscript", "pieces = 2"),
    ("commands/boolector", ""),
];

/// Likewise those with an interpreter or a runtime inside, which take seconds to compile: a lane of their own.
const LARGE: [(&str, &str); 4] = [
    ("languages/go", "pieces = 2"),
    ("languages/javascript", "pieces = 2"),
    ("languages/python", "pieces = 2"),
    ("languages/typescript", "pieces = 2"),
];

impl Makers {
    /// With all plugins that there are.
    pub(crate) fn new() -> Self {
        let ci = std::env::var_os("CI").is_some();
        let read = |&(name, keys): &(&str, &'static str)| {
            let file = plugins().join(name).with_extension("wasm");
            let bytes = std::fs::read(&file);
            assert!(bytes.is_ok() || !ci, "{} is missing: run `make plugins languages`", file.display());
            bytes.ok().map(|bytes| Sound { bytes, keys })
        };
        let sound: Vec<_> = SOUND.iter().filter_map(read).collect();
        let large: Vec<_> = LARGE.iter().filter_map(read).collect();
        let turns = (0..=sound.len() + large.len()).map(|_| Mutex::default()).collect();
        Self { smith: Smith::start(&workspace()), sound, large, turns }
    }

    /// Whether there are large plugins.
    pub(crate) const fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// A binary.
    pub(crate) fn make(&self, dice: &mut Dice) -> Binary {
        let kind = Kind::drawn(dice);
        let random = |order: &str, dice: &mut Dice| Binary {
            kind,
            large: false,
            bytes: self.smith.make(order, dice.below(u64::MAX)),
            keys: "",
            family: self.sound.len() + self.large.len(),
        };
        match kind {
            Kind::Module => random("module", dice),
            Kind::Component => random("component", dice),
            Kind::Command => random("command", dice),
            Kind::Plugin => random("plugin", dice),
            Kind::Noise => self.mutated(kind, mutate::noise, dice),
            Kind::Sections => self.mutated(kind, mutate::sections, dice),
            Kind::Instructions => self.mutated(kind, mutate::instructions, dice),
        }
    }

    fn mutated(&self, kind: Kind, mutate: fn(&[u8], &mut Dice) -> Vec<u8>, dice: &mut Dice) -> Binary {
        let family = dice.below(self.sound.len() as u64) as usize;
        let Sound { bytes, keys } = &self.sound[family];
        Binary { kind, large: false, bytes: mutate(bytes, dice), keys, family }
    }

    /// A mutated plugin of those that are large.
    pub(crate) fn make_large(&self, dice: &mut Dice) -> Binary {
        let drawn = dice.below(4);
        let number = dice.below(self.large.len() as u64) as usize;
        let Sound { bytes, keys } = &self.large[number];
        let (kind, bytes) = match drawn {
            0 => (Kind::Noise, mutate::noise(bytes, dice)),
            1 => (Kind::Sections, mutate::sections(bytes, dice)),
            _ => (Kind::Instructions, mutate::instructions(bytes, dice)),
        };
        Binary { kind, large: true, bytes, keys, family: self.sound.len() + number }
    }
}
