//! The check at upload: what is uploaded must become a component that compiles, links and fits the contract, and describe itself.

use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::plan::Limits;
use bulkhead_core::plugin::{Analysis, PluginKind};
use bulkhead_engine::executor::{CompileListener, Inspected};
use bytes::Bytes;

use crate::adapt::{Findings, Labels};
use crate::attempt::new_store;
use crate::bindings::{self, PluginPre};
use crate::command;
use crate::components::{Components, Loaded, digest_of};
use crate::engine::EngineKey;
use crate::json;
use crate::outcome::classify;
use crate::stack::StackClass;
use crate::state::State;

/// How long `describe` may take, with starting the plugin.
pub(crate) const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The host calls that `describe` may make.
const DESCRIBE_HOST_CALLS: u64 = 100_000;
/// The longest version, in bytes.
const MAX_VERSION_LEN: usize = 64;
/// The longest summary, in bytes.
const MAX_SUMMARY_LEN: usize = 1 << 10;
/// The longest schema, in bytes.
const MAX_SCHEMA_LEN: usize = 256 << 10;

/// Something that was uploaded, compiled and linked, and what it says of itself without being asked.
pub(crate) struct Prepared {
    digest: Digest,
    analysis: Analysis,
    labels: Labels,
    loaded: Loaded,
}

/// Makes a component of what was uploaded, compiles it and links it.
pub(crate) async fn prepare(components: &Components, bytes: Bytes, told: Option<CompileListener>) -> Result<Prepared, Failure> {
    let digest = digest_of(&bytes);
    let Findings { kind, form, contract, labels, interfaces } = components.look(bytes.clone()).await?;
    let limits = limits();
    let key = EngineKey { metered: false, stack: StackClass::holding(limits.stack), pooled: components.engines().pooling() };
    let loaded = components.prepare(digest, bytes, key, told).await?;
    let analysis = Analysis { kind, form, contract, interfaces, compile_time: loaded.compile_time };
    Ok(Prepared { digest, analysis, labels, loaded })
}

/// Describes a command: it can't do so itself. Its name is the one that it is uploaded under.
pub(crate) fn describe_command(prepared: Prepared, name: Option<Name>) -> Result<Inspected, Failure> {
    let Labels { version, description } = prepared.labels;
    let name = name.ok_or_else(|| {
        invalid("it is a WASI command, which can't say its own name: upload it with one (`?name=NAME`, `--name NAME`)")
    })?;
    let summary = description.filter(|text| text.len() <= MAX_SUMMARY_LEN && !text.contains('\n'));
    Ok(Inspected {
        digest: prepared.digest,
        version: version.filter(|version| is_version(version)).unwrap_or_else(|| "0.0.0".to_owned()),
        summary: summary.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("The WASI command {name}.")),
        name,
        config_schema: command::config::SCHEMA.to_owned(),
        analysis: prepared.analysis,
    })
}

impl Prepared {
    /// Whether it is a command.
    pub(crate) fn is_command(&self) -> bool {
        self.analysis.kind == PluginKind::Command
    }
}

/// Asks a component to describe itself, in an instance of its own. Takes as long as the plugin does: bound it from outside.
pub(crate) async fn describe(prepared: Prepared) -> Result<Inspected, Failure> {
    let Prepared { digest, analysis, loaded, .. } = prepared;
    let limits = limits();
    let mut store = new_store(loaded.pre.engine(), State::new(None, &limits, None, None), &limits);
    let description = ask(&mut store, loaded).await.map_err(|error| {
        let failure = classify(&error, store.data(), None);
        Failure { message: format!("its `describe` failed: {}", failure.message), ..failure }
    })?;
    check(description, digest, analysis)
}

async fn ask(store: &mut wasmtime::Store<State>, loaded: Loaded) -> wasmtime::Result<bindings::Description> {
    // This checks the types of all exports, also of those that are not called here.
    let plugin = PluginPre::new(loaded.pre)?.instantiate_async(&mut *store).await?;
    store.data_mut().instantiated = true;
    plugin.call_describe(store).await
}

fn limits() -> Limits {
    Limits { host_calls: DESCRIBE_HOST_CALLS, output_bytes: MAX_SCHEMA_LEN as u64 * 2, ..Limits::default() }
}

fn check(description: bindings::Description, digest: Digest, analysis: Analysis) -> Result<Inspected, Failure> {
    let bindings::Description { name, version, summary, config_schema } = description;
    let name = name.parse::<Name>().map_err(|error| invalid(&format!("the name that it describes itself by: {error}")))?;
    if !is_version(&version) {
        let shown: String = version.chars().take(MAX_VERSION_LEN).collect();
        return Err(invalid(&format!("its version `{shown}` is not MAJOR.MINOR.PATCH")));
    }
    if summary.len() > MAX_SUMMARY_LEN || summary.contains('\n') {
        return Err(invalid(&format!("its summary is longer than one line of {MAX_SUMMARY_LEN} bytes")));
    }
    if config_schema.len() > MAX_SCHEMA_LEN {
        return Err(invalid(&format!("its `config-schema` has {} bytes; {MAX_SCHEMA_LEN} are the most", config_schema.len())));
    }
    json::check_object(&config_schema).map_err(|error| invalid(&format!("its `config-schema` is no JSON object: {error}")))?;
    Ok(Inspected { digest, name, version, summary, config_schema, analysis })
}

/// `MAJOR.MINOR.PATCH`, then perhaps `-` or `+` and more, as in semantic versioning.
fn is_version(text: &str) -> bool {
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= MAX_VERSION_LEN
        && numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && rest.len() != 1
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte))
}

fn invalid(message: &str) -> Failure {
    Failure::new(Cause::InvalidPlugin, message)
}

#[cfg(test)]
mod tests {
    use bulkhead_core::plugin::{Interfaces, PluginForm};

    use super::*;

    fn description() -> bindings::Description {
        bindings::Description {
            name: "boiler".into(),
            version: "1.2.3".into(),
            summary: "Boils.".into(),
            config_schema: "{}".into(),
        }
    }

    fn check(description: bindings::Description) -> Result<Inspected, Failure> {
        let interfaces = Interfaces::default();
        let (kind, form) = (PluginKind::Plugin, PluginForm::Component);
        super::check(description, digest_of(b""), Analysis { kind, form, contract: None, interfaces, compile_time: None })
    }

    #[test]
    fn a_good_description_passes() {
        let inspected = check(description()).unwrap();
        assert_eq!((inspected.name.as_str(), &*inspected.version), ("boiler", "1.2.3"));
    }

    #[test]
    fn each_fault_of_a_description_is_named() {
        type Fault = (&'static str, fn(&mut bindings::Description));
        let faults: [Fault; 5] = [
            ("name", |description| description.name = "The Boiler".into()),
            ("version", |description| description.version = "1.2".into()),
            ("summary", |description| description.summary = "a\nb".into()),
            ("config-schema", |description| description.config_schema = "[]".into()),
            ("config-schema", |description| description.config_schema = "x".repeat(MAX_SCHEMA_LEN + 1)),
        ];
        for (what, spoil) in faults {
            let mut description = description();
            spoil(&mut description);
            let failure = check(description).unwrap_err();
            assert_eq!(failure.cause, Cause::InvalidPlugin);
            assert!(failure.message.contains(what), "{}", failure.message);
        }
    }

    #[test]
    fn versions_are_semantic() {
        for good in ["0.1.0", "1.2.3-rc.1", "1.2.3+debug"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.2", "1.2.x", "1.2.3-", "1.2.3 ", "1..3", "1.2.3.4"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
