//! Replacing values of a definition from outside.
use super::Diagnostics;

/// Stub.
pub fn with_overrides(text: &str, overrides: &[(String, String)]) -> Result<String, Diagnostics> {
    let _ = overrides;
    Ok(text.to_owned())
}
