//! Every import and export of `bulkhead:plugin@0.1.0`, called the way a plugin of that time calls them: every later host runs this
//! unchanged. Built against `wit/0.1.0` and nothing newer; what it sees and does not expect, it fails with.
//!
//! `tests/e2e/tests/it/contract.rs` has the definition, with the steps `write`, whose tasks leave things behind, `read`, which depends on it,
//! and `wait`, which ends when it is told to.

mod bindings {
    #![allow(missing_docs, unreachable_pub, unsafe_code, clippy::too_many_arguments, reason = "generated")]
    use super::Contract;
    wit_bindgen::generate!({ path: "../../../wit/0.1.0", world: "plugin" });
    export!(Contract with_types_in self);
}

use std::thread::sleep;
use std::time::Duration;

use bindings::bulkhead::plugin::artifacts::{self, ArtifactError, Place, Source, StepTask};
use bindings::bulkhead::plugin::outputs::{self, Outcome, OutputError};
use bindings::bulkhead::plugin::tasks::{self, SpawnError, TaskSpec};
use bindings::bulkhead::plugin::types::{Description, Failure, StepContext, Task};
use bindings::bulkhead::plugin::{checkpoint, log, status};

struct Contract;

/// What the file of the run has in it.
const FILE: &[u8] = b"what the run was started with";

/// Fails the task where something is not as the contract says, with what it is instead.
macro_rules! expect {
    ($value:expr, $pattern:pat $(if $guard:expr)?) => {{
        let value = $value;
        if !matches!(&value, $pattern $(if $guard)?) {
            return Err(wrong(format!("{} is {value:?}", stringify!($value))));
        }
    }};
}

impl bindings::Guest for Contract {
    fn describe() -> Description {
        Description {
            name: "contract-0-1-0".into(),
            version: "0.1.0".into(),
            summary: "Every import and export of the contract 0.1.0.".into(),
            config_schema: r#"{"type": "object", "properties": {"part": {"enum": ["write", "read", "wait"]}}}"#.into(),
        }
    }

    fn plan(step: StepContext) -> Result<(), Failure> {
        expect!(&*step.run, run if run.starts_with("run_"));
        expect!(&*step.parameters, &r#"{"ship":"Ada"}"#);
        expect!((step.attempt, &*step.config), (1, r#"{"part":"write"}"# | r#"{"part":"read"}"# | r#"{"part":"wait"}"#));
        let specs = |keys: &[&str]| -> Vec<TaskSpec> {
            keys.iter().map(|key| TaskSpec { key: (*key).into(), input: format!("\"{key}\"") }).collect()
        };
        expect!(tasks::spawn(&specs(&[""])), Err(SpawnError::Invalid(_)));
        if step.step == "write" {
            expect!(tasks::spawn(&specs(&["leave", "fail"])), Ok(spawned) if (spawned.created, spawned.existing) == (2, 0));
            expect!(tasks::spawn(&specs(&["fail", "retry"])), Ok(spawned) if (spawned.created, spawned.existing) == (1, 1));
        } else {
            expect!(tasks::spawn(&specs(&[&step.step])), Ok(spawned) if spawned.created == 1);
        }
        Ok(())
    }

    fn run(step: StepContext, task: Task) -> Result<String, Failure> {
        expect!(&*task.id, id if id.starts_with("task_"));
        expect!(&*task.input, input if **input == format!("\"{}\"", task.key));
        expect!(u8::from(status::cancelled()), 0);
        match &*task.key {
            "leave" => leave(),
            "fail" => Err(Failure { message: "as it should".into(), retryable: false }),
            "retry" => retry(step.attempt),
            "wait" => wait(),
            _ => read(),
        }
    }
}

/// Log lines of each level, and artifacts.
fn leave() -> Result<String, Failure> {
    log::write(log::Level::Debug, "one", "");
    log::write(log::Level::Info, "two", r#"{"number": 2}"#);
    log::write(log::Level::Warn, "three", "{}");
    log::write(log::Level::Error, "four", "");
    expect!(artifacts::create("of-a-type", "text/x-log"), Ok(()));
    expect!(artifacts::write("of-a-type", b"one, "), Ok(()));
    expect!(artifacts::write("of-a-type", b"two"), Ok(()));
    expect!(artifacts::write("plain.json", b"{}"), Ok(()));
    expect!(artifacts::create(".hidden", "text/plain"), Err(ArtifactError::Invalid(_)));
    expect!(artifacts::write("too-large", &vec![0; (1 << 20) + 1]), Err(ArtifactError::TooLarge(1_048_576)));
    Ok(r#"{"left": 2}"#.into())
}

/// Says where it is until it is told to end.
fn wait() -> Result<String, Failure> {
    status::progress(1, None);
    status::progress(3, Some(4));
    status::message("waiting to be told");
    while !status::cancelled() {
        sleep(Duration::from_millis(10));
    }
    log::write(log::Level::Info, "told to end", "");
    Err(wrong("it was cancelled".into()))
}

/// A checkpoint of the first attempt is there at the second.
fn retry(attempt: u32) -> Result<String, Failure> {
    if attempt == 1 {
        expect!(checkpoint::load(), Ok(None));
        expect!(checkpoint::save(b"half of it"), Ok(()));
        return Err(Failure { message: "once more".into(), retryable: true });
    }
    expect!(checkpoint::load(), Ok(Some(bytes)) if bytes == b"half of it");
    Ok(attempt.to_string())
}

/// What the run was started with, and what the step `write` left and came to.
fn read() -> Result<String, Failure> {
    let step = || Source::Step("write".into());
    let task = |task| Source::Task(StepTask { step: "write".into(), task });
    expect!(artifacts::read(&Source::File, "file", 0, 1_000), Ok(bytes) if bytes == FILE);
    expect!(artifacts::read(&Source::File, "file", 5, 3), Ok(bytes) if bytes == b"the");
    expect!(artifacts::read(&Source::File, "file", 1_000, 3), Ok(bytes) if bytes.is_empty());
    expect!(
        artifacts::find(&step(), "of-a-type"),
        Ok(info) if (&*info.name, info.task, info.size, &*info.content_type) == ("of-a-type", 1, 8, "text/x-log")
    );
    expect!(artifacts::read(&task(1), "of-a-type", 0, 100), Ok(bytes) if bytes == b"one, two");
    expect!(artifacts::find(&task(2), "of-a-type"), Err(ArtifactError::NotFound(_)));
    expect!(artifacts::find(&Source::Step("read".into()), "x"), Err(ArtifactError::NotADependency(_)));
    let names =
        |after| artifacts::entries(&step(), after, 10).map(|infos| infos.into_iter().map(|info| info.name).collect::<Vec<_>>());
    expect!(names(None), Ok(names) if *names == ["of-a-type", "plain.json"]);
    expect!(names(Some(&Place { name: "of-a-type".into(), task: 1 })), Ok(names) if *names == ["plain.json"]);

    let outputs = outputs::read("write", None, 10).map_err(|error| wrong(format!("the outputs: {error:?}")))?;
    let keys: Vec<_> = outputs.iter().map(|output| (output.task, &*output.key)).collect();
    expect!(&*keys, [(1, "leave"), (2, "fail"), (3, "retry")]);
    expect!(&outputs[0].outcome, Outcome::Succeeded(json) if json.contains("\"left\""));
    expect!(&outputs[1].outcome, Outcome::Failed(failure) if failure.cause == "plugin-error" && failure.message == "as it should");
    expect!(outputs::read("write", Some(2), 10), Ok(outputs) if outputs.len() == 1);
    expect!(outputs::read("elsewhere", None, 10), Err(OutputError::NotFound(_)));
    expect!(outputs::read("read", None, 10), Err(OutputError::NotADependency(_)));
    Ok("\"all as the contract says\"".into())
}

/// A failure that says what broke the contract.
fn wrong(message: String) -> Failure {
    Failure { message, retryable: false }
}
