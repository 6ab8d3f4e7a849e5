//! Loading plugins from a directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_engine::jobs::{GivenPapers, JobError, Jobs};
use bulkhead_engine::store::Store;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::error::{CliError, CliResult};

/// What the file with a plugin's manifest adds to the plugin's name: `plugin pull` writes it.
pub(crate) const MANIFEST: &str = ".oci.json";
/// What the file with a plugin's signature adds to the plugin's name: minisign writes it.
pub(crate) const SIGNATURE: &str = ".minisig";

/// A file beside another one, with more of a name.
pub(crate) fn beside(file: &Path, more: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// The content of a file beside another one, where it is there.
pub(crate) fn read_beside(file: &Path, more: &str) -> CliResult<Option<Vec<u8>>> {
    let path = beside(file, more);
    match std::fs::read(&path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::read(path)(error)),
    }
}

/// What proves a plugin, in files beside its own; or with a signature that is elsewhere.
pub(crate) fn papers(file: &Path, signature: Option<&Path>) -> CliResult<GivenPapers> {
    let signature = match signature {
        Some(file) => Some(std::fs::read(file).map_err(CliError::read(file))?),
        None => read_beside(file, SIGNATURE)?,
    };
    let signature = signature.map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(GivenPapers { manifest: read_beside(file, MANIFEST)?.map(Bytes::from), signature })
}

/// What loading a directory did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Plugins that were new or had changed.
    pub(crate) uploaded: usize,
    /// Plugins that the store had already.
    pub(crate) unchanged: usize,
    /// Files that are no plugins, and why not.
    pub(crate) refused: Vec<(PathBuf, String)>,
}

/// The components of a directory, in the order of their names.
pub(crate) fn components(dir: &Path) -> CliResult<Vec<PathBuf>> {
    with_extension(dir, "wasm")
}

/// The files of a directory with this extension, in the order of their names; hidden ones are left out.
pub(crate) fn with_extension(dir: &Path, extension: &str) -> CliResult<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(CliError::read(dir))? {
        let path = entry.map_err(CliError::read(dir))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|found| found == extension) && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Loads all components of a directory. A file that is no plugin is no reason to leave out the others.
pub(crate) async fn load_all(store: &dyn Store, jobs: &Jobs, dir: &Path) -> CliResult<Loaded> {
    let mut loaded = Loaded::default();
    for file in components(dir)? {
        load(store, jobs, &file, &mut loaded).await?;
    }
    Ok(loaded)
}

/// Loads what a definition needs: the files that are called like the plugins that it names; if that does not give all of them,
/// every other file, too, because a plugin's name is what it calls itself.
pub(crate) async fn load_for(store: &dyn Store, jobs: &Jobs, dir: &Path, definition: &str) -> CliResult<Loaded> {
    let wanted = named_plugins(definition);
    let is_wanted = |file: &PathBuf| file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| wanted.contains(stem));
    let (first, rest): (Vec<_>, Vec<_>) = components(dir)?.into_iter().partition(is_wanted);
    let mut loaded = Loaded::default();
    for file in first {
        load(store, jobs, &file, &mut loaded).await?;
    }
    let known: BTreeSet<_> = store.plugins().await?.into_iter().map(|plugin| plugin.name.to_string()).collect();
    if wanted.is_subset(&known) {
        return Ok(loaded);
    }
    for file in rest {
        load(store, jobs, &file, &mut loaded).await?;
    }
    Ok(loaded)
}

async fn load(store: &dyn Store, jobs: &Jobs, file: &Path, loaded: &mut Loaded) -> CliResult<()> {
    let component = Bytes::from(std::fs::read(file).map_err(CliError::read(file))?);
    let digest = Digest::from_bytes(Sha256::digest(&component).into());
    let same = store.plugins().await?.into_iter().filter(|plugin| plugin.digest == digest).map(|plugin| plugin.name);
    let (same, name): (Vec<_>, _) = (same.collect(), name_of_file(file));
    let papers = papers(file, None)?;
    let loading = if name.as_ref().is_some_and(|name| same.contains(name)) {
        jobs.prove(&component, papers).await.map(|()| None)
    } else {
        jobs.upload(component, name, papers).await.map(Some)
    };
    match loading {
        Ok(Some(plugin)) if !same.contains(&plugin.name) => {
            tracing::info!(plugin = %plugin.name, digest = %plugin.digest, "plugin loaded");
            loaded.uploaded += 1;
        }
        Ok(_) => loaded.unchanged += 1,
        Err(JobError::Store(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "no plugin");
            loaded.refused.push((file.to_owned(), error.to_string()));
        }
    }
    Ok(())
}

/// The name that a file gives to a WASI command: its own without the extension, in lower case, with `-` for what no name has.
pub(crate) fn name_of_file(file: &Path) -> Option<Name> {
    let stem = file.file_stem()?.to_str()?.to_ascii_lowercase();
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '_' { char } else { '-' };
    stem.chars().map(plain).collect::<String>().trim_matches('-').parse().ok()
}

/// The plugins that a definition names, as far as its text can be read.
fn named_plugins(definition: &str) -> BTreeSet<String> {
    let Ok(definition) = definition.parse::<toml::Table>() else {
        return BTreeSet::new();
    };
    let steps = definition.get("step").and_then(toml::Value::as_table);
    let plugin = |step: &toml::Value| step.get("plugin").or_else(|| step.get("type"))?.as_str().map(str::to_owned);
    steps.into_iter().flat_map(toml::Table::values).filter_map(plugin).collect()
}

/// Where plugins are when nobody says: `target/plugins` of a checkout, `plugins`, this directory, or `plugins` beside the binary; the
/// first that has any.
pub(crate) fn default_dir() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    // target/release/bulkhead and target/plugins.
    let beside = binary.as_deref().and_then(Path::parent).map(|dir| dir.join("plugins"));
    let checkout = binary.as_deref().and_then(Path::parent).and_then(Path::parent).map(|target| target.join("plugins"));
    let here = ["target/plugins", "plugins", "."].map(PathBuf::from);
    let has_components = |dir: &PathBuf| components(dir).is_ok_and(|files| !files.is_empty());
    here.into_iter().chain(checkout).chain(beside).find(has_components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_of_a_definition_are_found_without_checking_it() {
        let names = named_plugins("id = 1\n[step.a]\nplugin = \"x\"\n[step.b]\ntype = \"y\"\n[step.c]\n");
        assert_eq!(names, ["x", "y"].map(str::to_owned).into());
        assert_eq!(named_plugins("[step"), BTreeSet::new());
    }

    #[test]
    fn a_files_name_is_made_a_name() {
        let name = |file: &str| name_of_file(Path::new(file)).map(|name| name.to_string());
        assert_eq!(name("/x/Cow Say.v2.wasm").unwrap(), "cow-say-v2");
        assert_eq!(name("word_count.wasm").unwrap(), "word_count");
        assert_eq!(name("-.wasm"), None);
    }

    #[test]
    fn hidden_and_other_files_are_no_components() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.wasm", "a.wasm", ".c.wasm", "d.txt"] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let found = components(dir.path()).unwrap();
        assert_eq!(found, ["a.wasm", "b.wasm"].map(|name| dir.path().join(name)));
    }
}
