//! Files and artifacts: what runs are started with, what their tasks left, what a step came to.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bulkhead_api::model::{Artifact, File};
use bulkhead_core::artifact::FileName;
use bulkhead_core::id::{Digest, RunId};
use bulkhead_engine::files::{ArtifactPlace, ArtifactRecord, MAX_PIECE_LEN};
use bulkhead_engine::store::{Store, StoreError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::runs::{run_path, segment};
use crate::args::{ArtifactsArgs, ArtifactsCommand, FileArgs, OutputsArgs, OutputsFormat};
use crate::client::Client;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// Artifacts that are copied from one page.
const PAGE: usize = 1_000;

/// The files of a call, each with its name.
fn named(args: &FileArgs) -> CliResult<BTreeMap<FileName, PathBuf>> {
    let mut files = BTreeMap::new();
    for (name, path) in &args.named {
        let name: FileName = name.parse().map_err(|error| CliError::usage(format!("`--file {name}=…`: {error}")))?;
        if files.insert(name.clone(), PathBuf::from(path)).is_some() {
            return Err(CliError::usage(format!("`--file {name}=…` is given twice")));
        }
    }
    Ok(files)
}

/// Uploads the files of a call; their digests by name.
pub(crate) async fn upload_all(client: &Client, args: &FileArgs) -> CliResult<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for (name, path) in named(args)? {
        let file = tokio::fs::File::open(&path).await.map_err(CliError::read(&path))?;
        let size = file.metadata().await.map_err(CliError::read(&path))?.len();
        let uploaded: File = client.upload_file("/files", file, size).await?;
        digests.insert(name.into(), uploaded.digest);
    }
    Ok(digests)
}

/// Brings the files of a call into a store of this process; their digests by name.
pub(crate) async fn store_all(store: &dyn Store, args: &FileArgs) -> CliResult<BTreeMap<FileName, Digest>> {
    let mut digests = BTreeMap::new();
    for (name, path) in named(args)? {
        let mut file = tokio::fs::File::open(&path).await.map_err(CliError::read(&path))?;
        let mut writer = store.begin_content().await?;
        loop {
            let mut piece = bytes::BytesMut::with_capacity(MAX_PIECE_LEN);
            if file.read_buf(&mut piece).await.map_err(CliError::read(&path))? == 0 {
                break;
            }
            writer.append(piece.freeze()).await?;
        }
        digests.insert(name, store.put_file(writer.finish().await?).await?.digest);
    }
    Ok(digests)
}

/// Copies all artifacts of a run into a directory: as `STEP/NAME`, or `STEP/TASK/NAME` where several tasks have one of that name.
pub(crate) async fn copy_all(store: &dyn Store, run: RunId, dir: &Path) -> CliResult<()> {
    let plan = store.run(run).await?.plan;
    let mut found: Vec<ArtifactRecord> = Vec::new();
    loop {
        let after = found.last().map(|last| ArtifactPlace { step: last.step, name: last.name.clone(), task: last.task });
        let page = store.artifacts(run, None, after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let mut namesakes: HashMap<_, usize> = HashMap::new();
    for artifact in &found {
        *namesakes.entry((artifact.step, artifact.name.clone())).or_default() += 1;
    }
    for artifact in &found {
        let mut path = dir.join(plan.step(artifact.step).name.as_str());
        if namesakes.get(&(artifact.step, artifact.name.clone())).is_some_and(|count| *count > 1) {
            path.push(artifact.task.to_string());
        }
        tokio::fs::create_dir_all(&path).await.map_err(CliError::write(&path))?;
        path.push(artifact.name.as_str());
        let mut file = tokio::fs::File::create(&path).await.map_err(CliError::write(&path))?;
        let mut offset = 0;
        while offset < artifact.size {
            let piece = store.read_content(artifact.digest, offset, MAX_PIECE_LEN).await?;
            if piece.is_empty() {
                return Err(StoreError::Corrupt(format!("content {} ends too early", artifact.digest)).into());
            }
            file.write_all(&piece).await.map_err(CliError::write(&path))?;
            offset += piece.len() as u64;
        }
        file.flush().await.map_err(CliError::write(&path))?;
    }
    Ok(())
}

/// Lists artifacts, or downloads one.
pub(crate) async fn artifacts(args: ArtifactsArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    if let Some(ArtifactsCommand::Get { run, step, name, task, output: to }) = args.command {
        let path = format!("{}/artifacts/{}/{}", run_path(&run), segment(&step), segment(&name));
        let query: Vec<_> = task.map(|task| ("task", task.to_string())).into_iter().collect();
        // The name becomes a path here: only one that can't lead elsewhere.
        let to = match to {
            Some(to) => to,
            None => name.parse::<FileName>().map_err(|error| CliError::usage(error.to_string()))?.as_str().into(),
        };
        save(&client, &path, &query, &to).await?;
        return Ok(exit_codes::SUCCEEDED);
    }
    let Some(run) = args.run else { return Err(CliError::usage("name a run")) };
    let query: Vec<_> = args.step.map(|step| ("step", step)).into_iter().collect();
    let artifacts: Vec<Artifact> = client.list(&format!("{}/artifacts", run_path(&run)), &query, args.limit).await?;
    output.result(&artifacts, |artifacts| {
        let mut table = Table::new(&["step", ">task", "name", ">size", "type"]);
        for artifact in artifacts {
            table.row(vec![
                Cell::text(&artifact.step),
                Cell::number(artifact.task.to_string()),
                Cell::text(&artifact.name),
                Cell::number(format::bytes(artifact.size)),
                Cell::text(&artifact.content_type),
            ]);
        }
        if table.is_empty() { "no artifacts".to_owned() } else { table.render(output.paint()) }
    })?;
    Ok(exit_codes::SUCCEEDED)
}

/// Prints or saves what a step's tasks came to.
pub(crate) async fn outputs(args: OutputsArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let path = format!("{}/steps/{}/outputs", run_path(&args.run), segment(&args.step));
    let format = match args.format {
        OutputsFormat::Ndjson => "ndjson",
        OutputsFormat::Csv => "csv",
    };
    output.flush()?;
    save(&client, &path, &[("format", format.to_owned())], args.output.as_deref().unwrap_or(Path::new("-"))).await?;
    Ok(exit_codes::SUCCEEDED)
}

/// Downloads to a file, which appears when it is whole; or to standard output, as `-`.
async fn save(client: &Client, path: &str, query: &[(&str, String)], to: &Path) -> CliResult<()> {
    if to == Path::new("-") {
        let mut stdout = std::io::stdout();
        let write = async |piece: &[u8]| stdout.write_all(piece).map_err(CliError::write("standard output"));
        client.download(path, &query, write).await?;
        return std::io::stdout().flush().map_err(CliError::write("standard output"));
    }
    let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(folder).map_err(CliError::write(to))?;
    client.download(path, &query, async |piece: &[u8]| part.write_all(piece).map_err(CliError::write(to))).await?;
    part.persist(to).map(drop).map_err(|error| CliError::write(to)(error.error))
}
