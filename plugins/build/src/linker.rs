//! From object code to a program: modules in an order in which each comes after those that it uses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compiler::Instruction;

/// A compiled module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) code: Vec<Instruction>,
}

/// Modules, each after those that it uses.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) modules: Vec<Object>,
}

/// Why there is no program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    Missing { module: String, uses: String },
    Cycle(Vec<String>),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { module, uses } => write!(f, "module `{module}` uses `{uses}`, which is not there"),
            Self::Cycle(modules) => write!(f, "these modules use each other in a ring: {}", modules.join(", ")),
        }
    }
}

impl std::error::Error for LinkError {}

/// Orders the modules (Kahn, "Topological sorting of large networks", 1962); among equals the name decides.
pub(crate) fn link(objects: Vec<Object>) -> Result<Program, LinkError> {
    let entry = |object: Object| (object.name.clone(), (uses(&object), object));
    let mut waiting: BTreeMap<String, (BTreeSet<String>, Object)> = objects.into_iter().map(entry).collect();
    for (module, (uses, _)) in &waiting {
        if let Some(missing) = uses.iter().find(|name| !waiting.contains_key(*name)) {
            return Err(LinkError::Missing { module: module.clone(), uses: missing.clone() });
        }
    }
    let mut modules = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let Some(name) = waiting.iter().find(|(_, (uses, _))| uses.is_empty()).map(|(name, _)| name.clone()) else {
            return Err(LinkError::Cycle(waiting.into_keys().collect()));
        };
        modules.extend(waiting.remove(&name).map(|(_, object)| object));
        for (uses, _) in waiting.values_mut() {
            uses.remove(&name);
        }
    }
    Ok(Program { modules })
}

fn uses(object: &Object) -> BTreeSet<String> {
    let load = |instruction: &Instruction| match instruction {
        Instruction::Load(name) => Some(name.clone()),
        _ => None,
    };
    object.code.iter().filter_map(load).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiler::compile;

    fn objects(sources: &[(&str, &str)]) -> Vec<Object> {
        let object =
            |&(name, source): &(&str, &str)| Object { name: name.into(), code: compile(source).expect("a sound source") };
        sources.iter().map(object).collect()
    }

    #[test]
    fn a_module_comes_after_those_that_it_uses() {
        let program = link(objects(&[("a", "b + c"), ("b", "c * c"), ("c", "2")])).expect("no ring");
        let order: Vec<_> = program.modules.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(order, ["c", "b", "a"]);
    }

    #[test]
    fn what_is_missing_and_what_goes_round_is_named() {
        let missing = link(objects(&[("a", "b + 1")]));
        assert_eq!(missing, Err(LinkError::Missing { module: "a".into(), uses: "b".into() }));
        let ring = link(objects(&[("a", "b"), ("b", "a"), ("c", "1")]));
        assert_eq!(ring, Err(LinkError::Cycle(vec!["a".into(), "b".into()])));
    }
}
