//! A build in three steps that pass artifacts: modules are compiled to object files, a task each; the object files are linked to one
//! program; the program is run, and its values are checked.

mod compiler;
mod linker;
mod machine;

use std::collections::BTreeMap;

use bulkhead_plugin::artifacts::{self, Source};
use bulkhead_plugin::json;
use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::linker::{Object, Program};

/// The artifact that holds the linked program.
const PROGRAM: &str = "program.json";
/// How the names of object files end.
const OBJECT: &str = ".object.json";

struct Build;

/// What a step does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// Compiles each of `modules` to an object file.
    Compile,
    /// Links the object files of the step `from` to a program.
    Link,
    /// Runs the program of the step `from`.
    Run,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What the step does.
    stage: Stage,
    /// compile: the source of each module by its name: an expression of whole numbers and names of modules.
    #[serde(default)]
    modules: BTreeMap<String, String>,
    /// link, run: the step that made what this one needs.
    #[serde(default)]
    from: Option<String>,
    /// run: the value that each of these modules must have.
    #[serde(default)]
    expect: BTreeMap<String, i64>,
}

/// A task's input.
#[derive(Serialize, Deserialize)]
enum Work {
    Compile { module: String, source: String },
    Link { from: String },
    Run { from: String },
}

/// What a task made.
#[derive(Serialize)]
#[serde(untagged)]
enum Made {
    Object { module: String, instructions: usize },
    Program { modules: usize },
    Values { values: BTreeMap<String, i64> },
}

impl Plugin for Build {
    const NAME: &'static str = "build";
    const SUMMARY: &'static str = "Compiles, links and runs small programs, in steps that pass artifacts";
    type Config = Config;
    type Input = Work;
    type Output = Made;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let Config { stage, modules, from, .. } = &step.config;
        let from = || from.clone().ok_or_else(|| Error::fatal("`from` is missing: name the step that made what this one needs"));
        match stage {
            Stage::Compile => spawn(
                modules
                    .iter()
                    .map(|(module, source)| (module.clone(), Work::Compile { module: module.clone(), source: source.clone() })),
            )?,
            Stage::Link => spawn([("program", Work::Link { from: from()? })])?,
            Stage::Run => spawn([("program", Work::Run { from: from()? })])?,
        };
        Ok(())
    }

    fn run(step: &Step<Config>, task: Task<Work>) -> Result<Made, Error> {
        match task.input {
            Work::Compile { module, source } => compile(module, &source),
            Work::Link { from } => link(from),
            Work::Run { from } => run(from, &step.config.expect),
        }
    }
}

fn compile(module: String, source: &str) -> Result<Made, Error> {
    let code = compiler::compile(source).context(format_args!("module `{module}`")).or_fatal()?;
    let instructions = code.len();
    let object = Object { name: module.clone(), code };
    artifacts::write(format!("{module}{OBJECT}"), &json::to_vec(&object)?)?;
    info!("{module} has {instructions} instructions");
    Ok(Made::Object { module, instructions })
}

fn link(from: String) -> Result<Made, Error> {
    let source = Source::Step(from);
    let mut objects = Vec::new();
    for entry in artifacts::list(&source) {
        let name = entry?.name;
        if name.ends_with(OBJECT) {
            objects.push(json::from_reader::<_, Object>(artifacts::open(source.clone(), name)?)?);
        }
    }
    let program = linker::link(objects).or_fatal()?;
    artifacts::write(PROGRAM, &json::to_vec(&program)?)?;
    info!("{} modules are linked", program.modules.len());
    Ok(Made::Program { modules: program.modules.len() })
}

fn run(from: String, expected: &BTreeMap<String, i64>) -> Result<Made, Error> {
    let program: Program = json::from_reader(artifacts::open(Source::Step(from), PROGRAM)?)?;
    let values = machine::run(&program).or_fatal()?;
    for (module, expected) in expected {
        match values.get(module) {
            Some(value) if value == expected => info!("{module} is {value}"),
            Some(value) => return Err(Error::fatal(format_args!("`{module}` is {value}, not {expected}"))),
            None => return Err(Error::fatal(format_args!("the program has no module `{module}`"))),
        }
    }
    Ok(Made::Values { values })
}

export_plugin!(Build);
