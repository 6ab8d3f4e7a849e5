//! Components: taken as they are, once their exports are known.

use bulkhead_core::plugin::{Interfaces, PluginForm};
use bytes::Bytes;
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload};

use super::{AdaptError, Adapted, Labels, check_contract, contract_version, kind_of};

/// How a component names WASI's entry of programs, in any version that the host runs.
pub(crate) const RUN: &str = "wasi:cli/run@0.2.";

/// What is on the outside of a component.
#[derive(Default)]
struct Outline<'a> {
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
    labels: Labels,
}

pub(super) fn adapt(bytes: &Bytes) -> Result<Adapted, AdaptError> {
    let Outline { imports, exports, labels } = outline(bytes)?;
    let mut contract = None;
    for version in imports.into_iter().filter_map(contract_version) {
        check_contract(version)?;
        contract = Some(version.to_owned());
    }
    let kind = kind_of(exports.iter().copied(), |name| name.starts_with(RUN))?;
    Ok(Adapted { component: bytes.clone(), kind, form: PluginForm::Component, contract, labels })
}

pub(super) fn interfaces(component: &[u8]) -> Result<Interfaces, AdaptError> {
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let Outline { imports, exports, .. } = outline(component)?;
    Ok(Interfaces { imports: names(imports), exports: names(exports) })
}

fn outline(bytes: &[u8]) -> Result<Outline<'_>, AdaptError> {
    let damaged = |error: wasmparser::BinaryReaderError| AdaptError::Damaged(error.to_string());
    let mut outline = Outline::default();
    // What is nested has an outside of its own.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import.map_err(damaged)?;
                    // A type that is named is nothing to have or to lack.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        outline.imports.push(import.name.name);
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    let export = export.map_err(damaged)?;
                    if export.kind != ComponentExternalKind::Type {
                        outline.exports.push(export.name.name);
                    }
                }
            }
            Payload::CustomSection(section) if depth == 1 => outline.labels.read(section.name(), section.data()),
            _ => {}
        }
    }
    Ok(outline)
}
