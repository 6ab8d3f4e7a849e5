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

/// The programs' own way: a file in, a file out.
const RENDER: &str = r#"
id = "render"
name = "Render"
[step.simplify]
plugin = "usvg"
args = ["in/drawing.svg", "/out/simple.svg"]
files = { "in/drawing.svg" = { file = "drawing" }, "out/notes.txt" = "of ${key}" }
artifacts = ["out/"]
output = "none"
[step.render]
plugin = "resvg"
depends = "simplify"
args = ["--width", "64", "simple.svg", "picture.png"]
files = { "simple.svg" = { step = "simplify", artifact = "simple.svg" } }
artifacts = ["picture.png"]
"#;

fn drawing(dir: &std::path::Path) -> String {
    let file = dir.join("drawing.svg");
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='10' height='20'><rect width='10' height='20' fill='red'/></svg>";
    fs::write(&file, svg).expect("a file");
    format!("drawing={}", file.display())
}

#[test]
fn files_go_in_and_come_out_as_artifacts() {
    let dir = tempdir().expect("a temporary directory");
    let out = dir.path().join("out");
    let args = ["--file", &drawing(dir.path()), "--artifacts", &out.display().to_string()];
    let Some((code, records)) = run(RENDER, &args) else { return };
    assert_eq!(code, Some(0), "{:#?} {:#?}", messages(&records, "simplify"), messages(&records, "render"));
    assert!(fs::read_to_string(out.join("simplify/simple.svg")).expect("an artifact").contains("<path"));
    assert_eq!(fs::read_to_string(out.join("simplify/notes.txt")).expect("another"), "of item-1");
    let picture = fs::read(out.join("render/picture.png")).expect("a picture");
    assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");
    let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().expect("4 bytes"));
    assert_eq!((side(16), side(20)), (64, 128), "width and height, as its header has them");
}

#[test]
fn what_is_wrong_with_files_is_told() {
    let dir = tempdir().expect("a temporary directory");
    for (from, to, words) in [
        (r#"artifacts = ["out/"]"#, r#"artifacts = ["other.svg"]"#, "it left no `other.svg`; what it left: in/drawing.svg, out/"),
        (r#"output = "none""#, r#"output = { file = "out/notes.txt" }"#, "`out/notes.txt` holds no JSON document"),
        (r#""in/drawing.svg" = { file = "drawing" }"#, r#""../x" = "no""#, "there can be no file at `../x`"),
        (r#"{ file = "drawing" }"#, r#"{ file = "drawings" }"#, "`drawings` among those that the run was started with"),
        (r#"artifacts = ["out/"]"#, r#"artifacts = ["out/", "out/notes.txt"]"#, "two are called `notes.txt`"),
        ("args =", "limits = { memory = \"64KiB\" }\nargs =", "memory"),
    ] {
        let broken = RENDER.replacen(from, to, 1);
        assert_ne!(broken, RENDER, "{from}");
        let Some((code, records)) = run(&broken, &["--file", &drawing(dir.path())]) else { return };
        let lines = messages(&records, "simplify");
        assert!(
            code == Some(1) && lines.iter().any(|(source, line)| *source == "host" && line.contains(words)),
            "{words}: {lines:#?}"
        );
    }
}
