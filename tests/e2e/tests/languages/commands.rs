//! WASI programs that others wrote and built, unmodified, as steps: an SMT solver in C++, and a simplifier of SVG files in Rust.

use std::fs;

use bulkhead_e2e::{bulkhead, json_lines};
use serde_json::Value;
use tempfile::tempdir;

/// Runs a definition with the programs; the exit code and what `--json` printed.
fn run(definition: &str, args: &[&str]) -> Option<(Option<i32>, Vec<Value>)> {
    let programs = crate::built("commands", "boolector")?;
    let dir = tempdir().expect("a temporary directory");
    let file = dir.path().join("job.toml");
    fs::write(&file, definition).expect("a definition");
    let mut command = bulkhead(&["run", "--json", "--plugins"]);
    let output = command.arg(programs.parent().expect("a folder")).args(args).arg(&file).output().expect("the binary starts");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    Some((output.status.code(), json_lines(&output.stdout)))
}

fn messages<'a>(records: &'a [Value], step: &str) -> Vec<(&'a str, &'a str)> {
    let lines = records.iter().filter(|record| record["type"] == "log").map(|record| &record["line"]);
    let text = |line: &'a Value, name: &str| line[name].as_str().unwrap_or_default();
    lines.filter(|line| line["step"] == step).map(|line| (text(line, "source"), text(line, "message"))).collect()
}

/// Satisfiable is status 10, unsatisfiable 20: both are answers.
const SOLVE: &str = r#"
id = "solve"
name = "Solve"
[step.solve]
plugin = "boolector"
args = ["--smt2", "--model-gen=${parameters.models}"]
success = [10, 20]
concurrency = 1
items = [
  "(set-logic QF_BV)(declare-fun x () (_ BitVec 8))(assert (= (bvmul x #x03) #x1b))(check-sat)(get-value (x))",
  "(set-logic QF_BV)(declare-fun x () (_ BitVec 8))(assert (bvult x #x00))(check-sat)",
]
"#;

#[test]
fn a_solver_reads_its_input_and_its_exit_status_is_an_answer() {
    let Some((code, records)) = run(SOLVE, &["--param", "models=1"]) else { return };
    let lines = messages(&records, "solve");
    assert_eq!(code, Some(0), "{lines:#?}");
    for line in ["sat", "((x #b00001001))", "unsat"] {
        assert!(lines.contains(&("stdout", line)), "{line}: {lines:#?}");
    }
}

#[test]
fn another_exit_status_fails_the_task_with_its_words() {
    let broken = SOLVE.replace("[10, 20]", "[10]").replace("(check-sat)(get-value (x))", "(check-sat");
    let Some((code, records)) = run(&broken, &["--param", "models=1"]) else { return };
    assert_eq!(code, Some(1));
    let failures: Vec<_> = messages(&records, "solve").into_iter().filter(|(source, _)| *source == "host").collect();
    assert!(failures.iter().any(|(_, text)| text.contains("exit status 20")), "{failures:#?}");
    assert!(
        failures.iter().any(|(_, text)| text.contains("exit status 1; its last words: boolector: <stdin>:")),
        "{failures:#?}"
    );
}

const DRAW: &str = r#"
id = "draw"
name = "Draw"
[step.simplify]
plugin = "usvg"
args = ["-", "-c"]
stdin = { file = "drawing" }
stdout = { artifact = "simple.svg" }
[step.again]
plugin = "usvg"
depends = "simplify"
args = ["-", "-c"]
stdin = { step = "simplify", artifact = "simple.svg" }
output = "text"
"#;

#[test]
fn a_filter_reads_a_file_and_writes_an_artifact_that_the_next_step_reads() {
    let dir = tempdir().expect("a temporary directory");
    let (drawing, out) = (dir.path().join("drawing.svg"), dir.path().join("out"));
    let circles = "<circle cx='5' cy='5' r='4'/>".repeat(20_000);
    fs::write(&drawing, format!("<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'>{circles}</svg>"))
        .expect("a file");
    let file = format!("drawing={}", drawing.display());
    let args = ["--file", &file, "--artifacts", &out.display().to_string()];
    let Some((code, records)) = run(&DRAW.replace("[step.again]", "[step.again]\nlimits = { output_bytes = \"8MiB\" }"), &args)
    else {
        return;
    };
    assert_eq!(code, Some(0), "{:#?}", messages(&records, "simplify"));
    let simple = fs::read_to_string(out.join("simplify/simple.svg")).expect("an artifact");
    assert_eq!(simple.matches("<path").count(), 20_000, "circles became paths: {}", &simple[..200]);
}
