//! Generates the SDK's bindings from the plugin contract.
//!
//! The bindings are checked in, so that building a plugin compiles neither a WIT parser nor a code generator. Usage:
//! `bulkhead-bindgen WIT-DIRECTORY OUTPUT-FILE`. `gen-bindings.sh` calls it.

use std::error::Error;
use std::path::PathBuf;

use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};

const HEADER: &str = "// Generated from wit/ by plugins/toolchain/gen-bindings.sh. Do not edit: run `make bindings`.\n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(wit), Some(output), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: bulkhead-bindgen WIT-DIRECTORY OUTPUT-FILE".into());
    };

    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(&wit)?;
    let world = resolve.select_world(&[package], Some("plugin"))?;

    let options = wit_bindgen_rust::Opts {
        format: true,
        pub_export_macro: true,
        default_bindings_module: Some("bulkhead_plugin::bindings".into()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;

    let (_, code) = files.iter().next().ok_or("the generator wrote no file")?;
    std::fs::write(&output, [HEADER.as_bytes(), code].concat())?;
    Ok(())
}
