//! What a plugin may import, and what it must export.
//!
//! Offered: the contract, and of WASI 0.2 `io`, `clocks`, `random`, `cli`, `filesystem` over [files of the attempt's own](crate::files),
//! and of `http` what sends requests, each of which the step's definition has to grant. Any other interface of WASI can be imported
//! (language runtimes import sockets that a plugin never uses), but calling it ends the attempt as [`Denied`](bulkhead_core::failure::Cause::Denied).

use bulkhead_core::failure::{Cause, Failure};
use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component, HasData, HasSelf, InstancePre, Linker, ResourceTable, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::sync::filesystem::types as filesystem;
use wasmtime_wasi::p2::bindings::{cli, clocks, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types as http_types};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::adapt::RUN;
use crate::bindings::Plugin;
use crate::components::Entry;
use crate::files::FilesView;
use crate::outcome::Stop;
use crate::state::State;

/// The interfaces of WASI that are offered.
const OFFERED: [&str; 7] = [
    "wasi:io/",
    "wasi:clocks/",
    "wasi:random/",
    "wasi:cli/",
    "wasi:filesystem/",
    "wasi:http/types@",
    "wasi:http/outgoing-handler@",
];

/// The linker with all that is offered.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    Plugin::add_to_linker::<State, HasSelf<State>>(l, |state| state)?;
    io::error::add_to_linker::<State, Resources>(l, |state| state.ctx().table)?;
    io::poll::add_to_linker::<State, Resources>(l, |state| state.ctx().table)?;
    io::streams::add_to_linker::<State, Resources>(l, |state| state.ctx().table)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    random::random::add_to_linker::<State, WasiRandom>(l, State::random)?;
    random::insecure::add_to_linker::<State, WasiRandom>(l, State::random)?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(l, State::random)?;
    preopens::add_to_linker::<State, FilesView<'static>>(l, State::files_view)?;
    filesystem::add_to_linker::<State, FilesView<'static>>(l, State::files_view)?;
    outgoing_handler::add_to_linker::<State, WasiHttp>(l, State::http)?;
    http_types::add_to_linker::<State, WasiHttp>(l, &http_types::LinkOptions::default(), State::http)?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    Ok(linker)
}

struct Resources;

impl HasData for Resources {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links a component once, for all its attempts.
pub(crate) fn instantiate_pre(linker: &Linker<State>, component: &Component) -> Result<InstancePre<State>, Failure> {
    let invalid = |error: wasmtime::Error| {
        let message = format!(
            "it does not fit the contract `bulkhead:plugin@0.1.0`: {error:#}; build it against wit/0.1.0, and import nothing \
             but its interfaces and WASI 0.2"
        );
        Failure::new(Cause::InvalidPlugin, message)
    };
    let component_type = component.component_type();
    if !component_type.imports(linker.engine()).any(|(name, _)| is_denied(name)) {
        return linker.instantiate_pre(component).map_err(invalid);
    }
    let mut linker = linker.clone();
    deny(&mut linker, &component_type).map_err(invalid)?;
    linker.instantiate_pre(component).map_err(invalid)
}

/// Whether this is an interface of WASI that is not offered.
fn is_denied(name: &str) -> bool {
    name.starts_with("wasi:") && !OFFERED.iter().any(|offered| name.starts_with(offered))
}

/// Defines what a component imports and is not offered: functions that end the attempt.
fn deny(linker: &mut Linker<State>, component: &types::Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    // An interface lists the resources of others that it uses, too. Those come from where they are defined.
    let mut defined: Vec<ResourceType> = Vec::new();
    for (name, import) in component.imports(&engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        for (item, export) in interface.exports(&engine) {
            match export.ty {
                ComponentItem::Resource(resource) if !defined.contains(&resource) => {
                    defined.push(resource);
                    if is_denied(name) {
                        linker.instance(name)?.resource(item, ResourceType::host::<Resources>(), |_, _| Ok(()))?;
                    }
                }
                ComponentItem::ComponentFunc(_) if is_denied(name) => {
                    let function = format!("{name}#{item}");
                    let end = move || Stop::Denied { function: function.clone() };
                    linker.instance(name)?.func_new(item, move |_, _, _, _| Err(end().into()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// What the host calls of a component.
pub(crate) fn entry(component: &Component) -> Result<Entry, Failure> {
    if let (Some(plan), Some(run)) = (component.get_export_index(None, "plan"), component.get_export_index(None, "run")) {
        return Ok(Entry::Plugin { plan, run });
    }
    let program = component.component_type();
    let program = program.exports(component.engine()).map(|(name, _)| name).find(|name| name.starts_with(RUN));
    let run = program
        .and_then(|name| component.get_export_index(None, name))
        .and_then(|interface| component.get_export_index(Some(&interface), "run"));
    run.map(Entry::Command).ok_or_else(|| Failure::new(Cause::InvalidPlugin, "it exports neither a plugin nor a program"))
}
