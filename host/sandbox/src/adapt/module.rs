//! Core modules: wrapped into a component with the type that they have, or that their exports mean.

use std::collections::HashSet;

use bulkhead_core::plugin::{PluginForm, PluginKind};
use bytes::Bytes;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ImportSection, Module, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;
use wit_parser::decoding::decode_world;

use super::{AdaptError, Adapted, CONTRACT, Labels, check_contract, contract_version, kind_of};

/// The contract's text.
const CONTRACT_WIT: &str = include_str!("../../../../wit/0.1.0/plugin.wit");

/// What a program imports beyond the older WASI once its exit goes there: that tells the status as a number, and not only
/// whether it is 0, as the adapter does.
const PROGRAM_WIT: &str = "
package bulkhead:program;
world program {
    import wasi:cli/exit@0.2.12;
}
package wasi:cli@0.2.12 {
    interface exit {
        exit: func(status: result);
        exit-with-code: func(status-code: u8);
    }
}
";
const EXIT: (&str, &str) = (PREVIEW1, "proc_exit");
const EXIT_WITH_CODE: (&str, &str) = ("wasi:cli/exit@0.2.12", "exit-with-code");

/// How the sections are called that hold a module's component type.
const COMPONENT_TYPE: &str = "component-type";
/// What such a section begins with in a format that no generator of the contract's time writes.
const OLD_TYPE: u8 = 3;

/// What matters of a module.
#[derive(Default)]
struct Facts<'a> {
    imports: Vec<(&'a str, &'a str)>,
    exports: Vec<&'a str>,
    typed: bool,
    labels: Labels,
}

pub(super) fn adapt(bytes: &Bytes) -> Result<Adapted, AdaptError> {
    let facts = Facts::of(bytes)?;
    let kind = kind_of(facts.exports.iter().copied(), |name| name == "_start")?;
    let contract = facts.check_imports()?;
    // Modules of `wit-bindgen`'s newer naming call it otherwise.
    if !facts.typed && !facts.exports.contains(&"memory") {
        return Err(AdaptError::NoMemory);
    }
    let mut module = bytes.to_vec();
    match kind {
        PluginKind::Plugin if facts.typed => {}
        PluginKind::Plugin => embed(&mut module, CONTRACT_WIT, "plugin")?,
        PluginKind::Command if facts.imports.contains(&EXIT) => {
            module = redirect_exit(bytes)?;
            embed(&mut module, PROGRAM_WIT, "program")?;
        }
        PluginKind::Command => {}
    }
    let adapter = match kind {
        PluginKind::Plugin => WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        PluginKind::Command => WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    };
    let component = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.adapter(PREVIEW1, adapter))
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| AdaptError::Module(format!("{error:#}")))?;
    let form = if facts.typed { PluginForm::TypedModule } else { PluginForm::Module };
    Ok(Adapted { component: component.into(), kind, form, contract, labels: facts.labels })
}

impl<'a> Facts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, AdaptError> {
        let damaged = |error: wasmparser::BinaryReaderError| AdaptError::Damaged(error.to_string());
        let mut facts = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(damaged)? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(damaged)?;
                        facts.imports.push((import.module, import.name));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        facts.exports.push(export.map_err(damaged)?.name);
                    }
                }
                Payload::CustomSection(section) => {
                    if section.name().starts_with(COMPONENT_TYPE) {
                        check_type(section.data())?;
                        facts.typed = true;
                    }
                    facts.labels.read(section.name(), section.data());
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Checks that everything can be had, and gives the version of the contract that is asked for. What a typed module imports is
    /// checked against its type when it is encoded.
    fn check_imports(&self) -> Result<Option<String>, AdaptError> {
        let mut contract = None;
        for &(module, name) in &self.imports {
            let known = if let Some(version) = contract_version(module) {
                check_contract(version)?;
                contract = Some(version.to_owned());
                self.typed || is_interface(module)
            } else {
                self.typed || module == PREVIEW1 || module.starts_with("wasi:")
            };
            if !known {
                return Err(AdaptError::Import { module: module.to_owned(), name: name.to_owned() });
            }
        }
        Ok(contract)
    }
}

/// Refuses a component type that the encoder can't be trusted with. It follows which package needs which without looking where it has
/// been, so packages that need each other would take all of its stack, and the host's process with it.
fn check_type(section: &[u8]) -> Result<(), AdaptError> {
    let unreadable = |reason: String| AdaptError::Module(format!("its type can't be read: {reason}"));
    if section.first() == Some(&OLD_TYPE) {
        return Err(unreadable("it has a format of 2023: build it with a current binding generator".to_owned()));
    }
    let (resolve, _) = decode_world(section).map_err(|error| unreadable(format!("{error:#}")))?;
    let mut left: HashSet<_> = resolve.packages.iter().map(|(id, _)| id).collect();
    while !left.is_empty() {
        let free: Vec<_> =
            left.iter().copied().filter(|&id| !resolve.package_direct_deps(id).any(|needed| left.contains(&needed))).collect();
        if free.is_empty() {
            return Err(unreadable("its packages need each other".to_owned()));
        }
        left.retain(|id| !free.contains(id));
    }
    Ok(())
}

/// Whether the contract has an interface of this name, given with package and version.
fn is_interface(import: &str) -> bool {
    let name = import.strip_prefix(CONTRACT).and_then(|rest| rest.strip_prefix('/')).and_then(|rest| rest.split('@').next());
    name.is_some_and(|name| CONTRACT_WIT.contains(&format!("\ninterface {name} {{")))
}

/// Says in a custom section what world a module belongs to.
fn embed(module: &mut Vec<u8>, wit: &str, world: &str) -> Result<(), AdaptError> {
    let mut resolve = Resolve::default();
    resolve
        .push_source("embedded.wit", wit)
        .and_then(|package| resolve.select_world(&[package], Some(world)))
        .and_then(|world| embed_component_metadata(module, &resolve, world, StringEncoding::UTF8))
        .map_err(|error| AdaptError::Module(format!("{error:#}")))
}

/// The module with its exit imported from where the status arrives whole.
fn redirect_exit(bytes: &[u8]) -> Result<Vec<u8>, AdaptError> {
    let damaged = |error: wasmparser::BinaryReaderError| AdaptError::Damaged(error.to_string());
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ImportSection(section) => {
                let mut imports = ImportSection::new();
                for import in section.into_imports() {
                    let import = import.map_err(damaged)?;
                    let ty = RoundtripReencoder.entity_type(import.ty).map_err(|error| AdaptError::Damaged(error.to_string()))?;
                    let from = (import.module, import.name);
                    let (from, name) = if from == EXIT { EXIT_WITH_CODE } else { from };
                    imports.import(from, name, ty);
                }
                module.section(&imports);
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    module.section(&RawSection { id, data: &bytes[range] });
                }
            }
        }
    }
    Ok(module.finish())
}
