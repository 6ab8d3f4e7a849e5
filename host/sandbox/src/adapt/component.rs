//! Components: taken as they are, once their exports are known.

use bytes::Bytes;
use wasmparser::{Parser, Payload};

use super::{AdaptError, Adapted, Form, Labels, check_contract, contract_version, kind_of};

/// How a component names WASI's entry of programs, in any version that the host runs.
pub(crate) const RUN: &str = "wasi:cli/run@0.2.";

pub(super) fn adapt(bytes: &Bytes) -> Result<Adapted, AdaptError> {
    let (mut exports, mut contract, mut labels) = (Vec::new(), None, Labels::default());
    // What is nested has exports of its own.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| AdaptError::Damaged(error.to_string()))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import.map_err(|error| AdaptError::Damaged(error.to_string()))?;
                    if let Some(version) = contract_version(import.name.name) {
                        check_contract(version)?;
                        contract = Some(version.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export.map_err(|error| AdaptError::Damaged(error.to_string()))?.name.name);
                }
            }
            Payload::CustomSection(section) if depth == 1 => labels.read(section.name(), section.data()),
            _ => {}
        }
    }
    let kind = kind_of(exports.iter().copied(), |name| name.starts_with(RUN))?;
    Ok(Adapted { component: bytes.clone(), kind, form: Form::Component, contract, labels })
}
