//! The plugins in registries that a definition refers to.

use toml::de::DeTable;

use super::{MAX_STEPS, MAX_TEXT_LEN};
use crate::oci::{OciReference, SCHEME};

/// The references to registries in a definition's text, each once, in the order of the steps. Nothing else of the text is looked at;
/// what can't be read is left out.
pub fn references(text: &str) -> Vec<OciReference> {
    // Most definitions have none, and need no parser to say so.
    if text.len() > MAX_TEXT_LEN || !text.contains(SCHEME) {
        return Vec::new();
    }
    let (root, _) = DeTable::parse_recoverable(text);
    let steps = root.get_ref().get("step").and_then(|steps| steps.get_ref().as_table());
    let mut found = Vec::new();
    for step in steps.into_iter().flat_map(DeTable::values).take(MAX_STEPS) {
        let plugin = ["plugin", "type"].into_iter().find_map(|key| step.get_ref().get(key)?.get_ref().as_str());
        if let Some(reference) = plugin.and_then(|text| text.parse().ok())
            && !found.contains(&reference)
        {
            found.push(reference);
        }
    }
    found
}
