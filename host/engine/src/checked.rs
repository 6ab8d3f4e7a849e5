//! Definitions that were found valid, kept so that a trigger parses nothing.
//!
//! # Invariants
//! - What a text means depends on the text and on the components of the plugins that it names or pins, and on nothing else. So an entry
//!   holds as long as each of those names and pins still means the same digest, whoever changes a plugin, in whichever process.
//! - Only valid definitions are kept: what is wrong with a text may depend on the names of all plugins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_core::definition::Definition;
use bulkhead_core::id::Digest;

/// The most definitions that are kept; enough for those that run often.
const MAX_ENTRIES: usize = 256;

/// Valid definitions by their texts.
#[derive(Default)]
pub(crate) struct CheckedDefinitions(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_text: HashMap<Arc<str>, Entry>,
    /// Counts up with each use.
    uses: u64,
}

struct Entry {
    checked: Arc<Checked>,
    last_use: u64,
}

/// A valid definition, and how it finds its plugins.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The definition.
    pub(crate) definition: Arc<Definition>,
    /// What the steps pin their plugins to that refer to registries: manifests. All others name theirs.
    pub(crate) pins: HashMap<Box<str>, Digest>,
}

impl CheckedDefinitions {
    /// What this text meant when it was checked. Compare the digests of its plugins.
    pub(crate) fn get(&self, text: &str) -> Option<Arc<Checked>> {
        let mut entries = self.entries();
        entries.uses += 1;
        let uses = entries.uses;
        let entry = entries.by_text.get_mut(text)?;
        entry.last_use = uses;
        Some(entry.checked.clone())
    }

    /// Keeps what a text means, instead of what was not used for longest.
    pub(crate) fn insert(&self, text: &str, checked: Checked) {
        let mut entries = self.entries();
        entries.uses += 1;
        let entry = Entry { checked: Arc::new(checked), last_use: entries.uses };
        if entries.by_text.len() >= MAX_ENTRIES && !entries.by_text.contains_key(text) {
            let oldest = entries.by_text.iter().min_by_key(|(_, entry)| entry.last_use).map(|(text, _)| text.clone());
            oldest.map(|text| entries.by_text.remove(&text));
        }
        entries.by_text.insert(text.into(), entry);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_core::definition::Inputs;
    use bulkhead_core::plan::{ErrorTolerance, Plan, Priority};

    fn checked(id: &str) -> Checked {
        let plan = Plan {
            definition: id.parse().unwrap(),
            name: id.to_owned(),
            tags: vec![],
            priority: Priority::default(),
            timeout: None,
            tolerance: ErrorTolerance::default(),
            steps: vec![],
        };
        let id = plan.definition.clone();
        let definition = Definition {
            id,
            schedule: None,
            hooks: vec![],
            enabled: true,
            auto_start: false,
            inputs: Inputs::default(),
            plan: Arc::new(plan),
        };
        Checked { definition: Arc::new(definition), pins: HashMap::new() }
    }

    #[test]
    fn a_full_cache_forgets_what_was_not_used_for_longest() {
        let cache = CheckedDefinitions::default();
        for index in 0..MAX_ENTRIES {
            cache.insert(&format!("text {index}"), checked("x"));
        }
        assert!(cache.get("text 0").is_some());
        cache.insert("one more", checked("y"));
        assert!(cache.get("text 0").is_some());
        assert!(cache.get("text 1").is_none());
        assert_eq!(cache.get("one more").unwrap().definition.id.as_str(), "y");
    }
}
