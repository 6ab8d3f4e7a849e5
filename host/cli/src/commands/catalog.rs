//! The client commands about definitions, plugins and statistics.

use bulkhead_api::model::{
    Definition, DefinitionSummary, Page, Plugin, PluginAnalysis, PluginDetail, PluginUpload, Provenance, Statistics, Validation,
};
use reqwest::Method;
use serde_json::json;

use super::plugin;
use super::runs::segment;
use crate::args::{ClientArgs, DefinitionsArgs, DefinitionsCommand, PluginsArgs, PluginsCommand};
use crate::client::{Client, follow_upload};
use crate::embedded::plugins::{name_of_file, papers};
use crate::error::{CliError, CliResult, InvalidDefinition};
use crate::exit_codes;
use crate::output::progress::UploadBar;
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// More than any server lists.
const ALL: usize = 100_000;

/// Lists plugins, or what the subcommand says.
pub(crate) async fn plugins(args: PluginsArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    match args.command.unwrap_or(PluginsCommand::List { pinned: false }) {
        PluginsCommand::Push(args) => return plugin::registry::push(args, output).await,
        PluginsCommand::Pull(args) => return plugin::registry::pull(args, output).await,
        PluginsCommand::New(args) => return plugin::new::new(&args, output),
        PluginsCommand::Check(args) => return plugin::check::check(args, output).await,
        PluginsCommand::Inspect(args) => return plugin::check::inspect(args, output).await,
        PluginsCommand::Test(args) => return plugin::test::test(args, output).await,
        PluginsCommand::Bench(args) => return plugin::bench::bench(args, output).await,
        PluginsCommand::Profile(args) => return plugin::profile::profile(args, output).await,
        PluginsCommand::Dev(args) => return plugin::dev::dev(args, output).await,
        PluginsCommand::List { pinned: false } => {
            let plugins: Vec<Plugin> = client.list("/plugins", &[], ALL).await?;
            output.result(&plugins, |plugins| plugin_table(plugins, output))?;
        }
        PluginsCommand::List { pinned: true } => {
            let pinned: Page<Plugin> = client.get("/plugins", &[("pinned", "true")]).await?;
            output.result(&pinned.items, |plugins| pinned_table(plugins, output))?;
        }
        PluginsCommand::Upload { files, name, signature } => {
            if (name.is_some() || signature.is_some()) && files.len() > 1 {
                return Err(CliError::usage("`--name` and `--signature` are for one file: upload the others apart"));
            }
            let mut plugins: Vec<Plugin> = Vec::new();
            for file in files {
                let bytes = std::fs::read(&file).map_err(CliError::read(&file))?;
                let name = name.clone().or_else(|| name_of_file(&file).map(|name| name.to_string()));
                let query = name.map(|name| format!("?name={}", segment(&name))).unwrap_or_default();
                let papers = papers(&file, signature.as_deref())?;
                let upload = client.submit(&format!("/plugins{query}"), bytes, &papers).await?;
                let bar = UploadBar::new(output.bars(), &file.display().to_string());
                let ended = follow_upload(&client, upload, |upload| bar.update(upload)).await;
                bar.clear();
                let PluginUpload { plugin, failure, .. } = ended?;
                let Some(plugin) = plugin else {
                    let why = failure.map_or_else(String::new, |failure| failure.message);
                    let message = format!("{}: it is no valid plugin: {why}", file.display());
                    return Err(CliError::Refused { message, help: None });
                };
                plugins.push(client.get::<PluginDetail>(&format!("/plugins/{}", segment(&plugin)), &()).await?.plugin);
            }
            output.result(&plugins, |plugins| plugin_table(plugins, output))?;
        }
        PluginsCommand::Show { name } => {
            let plugin: PluginDetail = client.get(&format!("/plugins/{}", segment(&name)), &()).await?;
            output.result(&plugin, |detail| {
                let schema: serde_json::Value = serde_json::from_str(detail.config_schema.get()).unwrap_or_default();
                let Plugin { name, version, summary, digest, .. } = &detail.plugin;
                let list = |names: &[String]| names.iter().map(|name| format!("  {name}\n")).collect::<String>();
                let analysis = detail.analysis.as_ref().map_or_else(String::new, |analysis| {
                    let PluginAnalysis { kind, form, imports, exports, .. } = analysis;
                    format!("\n{kind}, from a {form}\n\nNeeds\n{}\nOffers\n{}", list(imports), list(exports))
                });
                let Provenance { source, manifests, signed_by } = &detail.provenance;
                let source = source.iter().map(|source| format!("\nfrom {source}"));
                let manifests = manifests.iter().map(|manifest| format!("\nmanifest {manifest}"));
                let signed = signed_by.iter().map(|who| format!("\nsigned by {who}"));
                let provenance: String = source.chain(manifests).chain(signed).collect();
                format!("{name} {version}: {summary}\n{digest}{provenance}{analysis}\n\nConfiguration\n{schema:#}")
            })?;
        }
        PluginsCommand::Remove { name } => client.delete(&format!("/plugins/{}", segment(&name))).await?,
    }
    Ok(exit_codes::SUCCEEDED)
}

fn pinned_table(plugins: &[Plugin], output: &Output) -> String {
    let mut table = Table::new(&["plugin", "version", ">size", "reference"]);
    for plugin in plugins {
        table.row(vec![
            Cell::text(&plugin.name),
            Cell::text(&plugin.version),
            Cell::number(format::bytes(plugin.size_bytes)),
            Cell::text(plugin.source.as_deref().unwrap_or("uploaded")),
        ]);
    }
    if table.is_empty() { "no plugins".to_owned() } else { table.render(output.paint()) }
}

fn plugin_table(plugins: &[Plugin], output: &Output) -> String {
    let mut table = Table::new(&["plugin", "version", ">size", "digest", "summary"]);
    for plugin in plugins {
        table.row(vec![
            Cell::text(&plugin.name),
            Cell::text(&plugin.version),
            Cell::number(format::bytes(plugin.size_bytes)),
            Cell::text(plugin.digest.chars().take(19).collect::<String>()),
            Cell::text(&plugin.summary),
        ]);
    }
    if table.is_empty() { "no plugins".to_owned() } else { table.render(output.paint()) }
}

/// Lists definitions, or what the subcommand says.
pub(crate) async fn definitions(args: DefinitionsArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    match args.command.unwrap_or(DefinitionsCommand::List) {
        DefinitionsCommand::List => {
            let definitions: Vec<DefinitionSummary> = client.list("/definitions", &[], ALL).await?;
            output.result(&definitions, |definitions| {
                let definitions: Vec<_> = definitions.iter().collect();
                definition_table(&definitions, output)
            })?;
        }
        DefinitionsCommand::Put { files } => {
            let mut stored: Vec<Definition> = Vec::new();
            for file in files {
                let (name, text) = read(&file)?;
                stored.push(put(&client, &name, &text).await?);
            }
            output.result(&stored, |stored| {
                let definitions: Vec<_> = stored.iter().map(|definition| &definition.summary).collect();
                definition_table(&definitions, output)
            })?;
        }
        DefinitionsCommand::Validate { files } => return validate(&client, &files, output).await,
        DefinitionsCommand::Show { id } => {
            let definition: Definition = client.get(&format!("/definitions/{}", segment(&id)), &()).await?;
            output.result(&definition, |definition| definition.text.clone())?;
        }
        DefinitionsCommand::Delete { id } => client.delete(&format!("/definitions/{}", segment(&id))).await?,
    }
    Ok(exit_codes::SUCCEEDED)
}

/// Checks files; all that is wrong with all of them is shown.
async fn validate(client: &Client, files: &[std::path::PathBuf], output: &Output) -> CliResult<u8> {
    let mut results = Vec::new();
    let mut code = exit_codes::SUCCEEDED;
    for file in files {
        let (name, text) = read(file)?;
        let found: Validation = client.send_definition(Method::POST, "/definitions/validate", &name, &text).await?;
        if !found.valid {
            code = exit_codes::USAGE;
            if !output.is_json() {
                output.error(InvalidDefinition::from_wire(&name, &text, found.diagnostics.clone()).into());
            }
        }
        results.push(json!({ "file": name, "valid": found.valid, "id": found.id, "diagnostics": found.diagnostics }));
    }
    output.result(&results, |results| {
        let valid = results.iter().filter(|result| result["valid"] == true).count();
        format!("{valid} of {} valid", results.len())
    })?;
    Ok(code)
}

/// Stores a definition under the id that its text says.
async fn put(client: &Client, name: &str, text: &str) -> CliResult<Definition> {
    let id = text.parse::<toml::Table>().ok().and_then(|table| table.get("id")?.as_str().map(str::to_owned));
    let Some(id) = id else {
        // A text without an id has at least that mistake; the server tells them all.
        let found: Validation = client.send_definition(Method::POST, "/definitions/validate", name, text).await?;
        return Err(InvalidDefinition::from_wire(name, text, found.diagnostics).into());
    };
    client.send_definition(Method::PUT, &format!("/definitions/{}", segment(&id)), name, text).await
}

fn read(file: &std::path::Path) -> CliResult<(String, String)> {
    let text = std::fs::read_to_string(file).map_err(CliError::read(file))?;
    Ok((file.display().to_string(), text))
}

fn definition_table(definitions: &[&DefinitionSummary], output: &Output) -> String {
    let mut table = Table::new(&["definition", ">version", "state", ">steps", "updated", "name"]);
    for definition in definitions {
        let state = match (definition.valid, definition.enabled) {
            (false, _) => "invalid",
            (true, false) => "disabled",
            (true, true) => "enabled",
        };
        table.row(vec![
            Cell::text(&definition.id),
            Cell::number(definition.version.to_string()),
            Cell::text(state),
            Cell::number(definition.steps.len().to_string()),
            Cell::text(format::date(definition.updated_at)),
            Cell::text(&definition.name),
        ]);
    }
    if table.is_empty() { "no definitions".to_owned() } else { table.render(output.paint()) }
}

/// Prints a server's counters.
pub(crate) async fn stats(args: ClientArgs, output: &Output) -> CliResult<u8> {
    let statistics: Statistics = Client::new(&args)?.get("/statistics", &()).await?;
    output.result(&statistics, |statistics| {
        let Statistics { runs, tasks, load, .. } = statistics;
        let mut table = Table::new(&["", ">all", ">queued", ">running", ">waiting", ">succeeded", ">failed", ">cancelled"]);
        let row = |name: &str, counts: [u64; 7]| {
            let counts = counts.map(|count| Cell::number(format::count(count)));
            std::iter::once(Cell::text(name)).chain(counts).collect()
        };
        let of = runs;
        table.row(row("runs", [of.total, of.queued, of.running, of.paused, of.succeeded, of.failed, of.cancelled]));
        let of = tasks;
        table.row(row("tasks", [of.total, of.queued, of.running, of.retrying, of.succeeded, of.failed, of.cancelled]));
        format!(
            "{}\nattempts {}, retries {}, lost leases {}, log lines {}, fuel {}\nworker: {} of {} slots, {} of {} of memory{}",
            table.render(output.paint()),
            format::count(statistics.attempts),
            format::count(statistics.retries),
            format::count(statistics.lost_leases),
            format::count(statistics.lines),
            format::count(statistics.fuel),
            load.running,
            load.slots,
            format::bytes(load.reserved_bytes),
            format::bytes(load.memory_bytes),
            if load.draining { ", draining" } else { "" },
        )
    })?;
    Ok(exit_codes::SUCCEEDED)
}
