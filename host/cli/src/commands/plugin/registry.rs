//! `bulkhead plugin push` and `pull`: plugins in registries, as OCI artifacts that the ecosystem's tools read and write, too.

use std::path::{Path, PathBuf};

use bulkhead_core::oci::OciReference;
use bulkhead_core::plugin::PluginForm;
use bulkhead_engine::registry::{Registry as _, RegistryError, digest};
use bulkhead_registry::Description;
use bulkhead_sandbox::adapt::adapt;
use bytes::Bytes;
use serde::Serialize;

use crate::args::{PullArgs, PushArgs};
use crate::embedded::plugins::{MANIFEST, SIGNATURE, beside, papers};
use crate::embedded::{egress, registry};
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::{Output, format};

/// What was pushed or pulled.
#[derive(Debug, Serialize)]
struct Moved {
    /// Pinned: what a definition says.
    reference: String,
    /// The component's own digest.
    digest: String,
    size_bytes: u64,
    file: String,
    signed: bool,
}

/// Pushes a file, and tells the reference that it is pinned by.
pub(crate) async fn push(args: PushArgs, output: &Output) -> CliResult<u8> {
    let PushArgs { file, reference, signature, egress: way_out } = args;
    if reference.digest.is_some() {
        return Err(CliError::usage_help(
            format!("`{reference}` says which digest it has"),
            "leave out `@sha256:…`: pushing tells it",
        ));
    }
    let component = Bytes::from(std::fs::read(&file).map_err(CliError::read(&file))?);
    // Also: what no server would take is not pushed.
    let adapted = adapt(&component).map_err(|error| CliError::usage(format!("{}: {error}", file.display())))?;
    let interfaces = match adapted.form {
        PluginForm::Component => {
            Some(adapted.interfaces().map_err(|error| CliError::usage(format!("{}: {error}", file.display())))?)
        }
        PluginForm::TypedModule | PluginForm::Module => None,
    };
    let signature = papers(&file, signature.as_deref())?.signature;
    let signed = signature.is_some();
    let title = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let description = Description { title, created: created()?, interfaces, signature };
    let client = registry::client(egress::open(&way_out)?);
    let pushed = client.push(&reference, component.clone(), description).await.map_err(refused)?;
    tell(output, &file, &reference.pinned(pushed), &component, signed)
}

/// When an artifact was made, as it says: what SOURCE_DATE_EPOCH says, or else always the same. So the same file has the same digest
/// however often it is pushed, and what is pinned to it stays pinned to the newest manifest of its tag.
fn created() -> CliResult<String> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok("1970-01-01T00:00:00Z".to_owned()) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let time = time.ok_or_else(|| CliError::usage("SOURCE_DATE_EPOCH is no number of seconds since 1970"))?;
    Ok(time.to_string())
}

/// Pulls an artifact into a file, with what proves it beside.
pub(crate) async fn pull(args: PullArgs, output: &Output) -> CliResult<u8> {
    let PullArgs { reference, output: file, egress: way_out } = args;
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{}.wasm", reference.title())));
    let client = registry::client(egress::open(&way_out)?);
    let artifact = client.pull(reference.clone()).await.map_err(refused)?;
    let write = |path: PathBuf, content: &[u8]| std::fs::write(&path, content).map_err(CliError::write(path));
    let signature = artifact.signature();
    write(file.clone(), &artifact.component)?;
    write(beside(&file, MANIFEST), &artifact.manifest)?;
    match &signature {
        Some(text) => write(beside(&file, SIGNATURE), text.as_bytes())?,
        // One of an earlier pull says nothing of this file.
        None => match std::fs::remove_file(beside(&file, SIGNATURE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CliError::write(beside(&file, SIGNATURE))(error));
            }
            _ => {}
        },
    }
    tell(output, &file, &reference.pinned(artifact.digest()), &artifact.component, signature.is_some())
}

/// Prints the pinned reference, and what else there is to know for a person or a program.
fn tell(output: &Output, file: &Path, pinned: &OciReference, component: &Bytes, signed: bool) -> CliResult<u8> {
    let moved = Moved {
        reference: pinned.to_string(),
        digest: digest(component).to_string(),
        size_bytes: component.len() as u64,
        file: file.display().to_string(),
        signed,
    };
    let size = format::bytes(moved.size_bytes);
    output.note(&format!("{}, {size}{}", moved.file, if signed { ", signed" } else { "" }));
    output.result(&moved, |moved| moved.reference.clone())?;
    Ok(exit_codes::SUCCEEDED)
}

fn refused(error: RegistryError) -> CliError {
    CliError::Refused { message: error.to_string(), help: None }
}
