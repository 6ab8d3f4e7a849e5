//! The plugins in registries that a definition refers to.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{MAX_STEPS, MAX_TEXT_LEN};
use crate::oci::{OciReference, SCHEME};

/// The references to registries in a definition's text, each with the step that has it, in the order of the steps. Nothing else of the
/// text is looked at; what can't be read is left out.
pub fn references(text: &str) -> Vec<(String, OciReference)> {
    // Most definitions have none, and need no parser to say so.
    if text.len() > MAX_TEXT_LEN || !text.contains(SCHEME) {
        return Vec::new();
    }
    let (root, _) = DeTable::parse_recoverable(text);
    let steps = root.get_ref().get("step").and_then(|steps| steps.get_ref().as_table());
    let steps = steps.into_iter().flatten().take(MAX_STEPS);
    let reference = |(name, step): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        let plugin = ["plugin", "type"].into_iter().find_map(|key| step.get_ref().get(key)?.get_ref().as_str());
        Some((name.get_ref().to_string(), plugin?.parse().ok()?))
    };
    steps.filter_map(reference).collect()
}
