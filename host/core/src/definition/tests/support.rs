//! Plugins that no test has to upload.

use crate::definition::{Definition, Diagnostics, KnownPlugin, RegistryPlugin, load};
use crate::id::Digest;

/// What a schema derived from the generator's configuration looks like.
const GENERATOR: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
  "properties": {
    "worker_count": { "type": "integer", "format": "uint32", "minimum": 0, "maximum": 1000000 },
    "log_count": { "type": "integer", "format": "uint32", "minimum": 0, "maximum": 10000000 },
    "log_delay_ms": { "type": "integer", "minimum": 0, "maximum": 3600000 },
    "failure_rate": { "type": "number", "minimum": 0.0, "maximum": 1.0 },
    "seed": { "type": "integer", "minimum": 0 }
  } }"#;

/// Everything that a schema may ask for.
const CRAWLER: &str = r##"{
  "type": "object", "additionalProperties": false, "required": ["start", "depth"],
  "properties": {
    "start": { "type": "array", "items": { "type": "string", "pattern": "^https?://" }, "minItems": 1, "uniqueItems": true },
    "depth": { "$ref": "#/$defs/Depth" },
    "order": { "oneOf": [ { "const": "breadth-first", "description": "…" }, { "const": "depth-first" } ] },
    "format": { "enum": ["text", "html"] },
    "agent": { "type": ["string", "null"], "minLength": 3, "maxLength": 8 },
    "proxy": { "anyOf": [ { "$ref": "#/$defs/Proxy" }, { "type": "null" } ] },
    "step_size": { "type": "integer", "multipleOf": 5, "exclusiveMinimum": 5 },
    "when": { "type": "string" },
    "match": { "oneOf": [
      { "type": "object", "properties": { "kind": { "const": "all" } }, "required": ["kind"], "additionalProperties": false },
      { "type": "object", "properties": { "kind": { "const": "prefix" }, "text": { "type": "string" } },
        "required": ["kind", "text"], "additionalProperties": false } ] }
  },
  "$defs": {
    "Depth": { "type": "integer", "minimum": 0, "maximum": 16 },
    "Proxy": { "type": "object", "required": ["host"], "additionalProperties": false,
      "properties": { "host": { "type": "string" }, "port": { "type": "integer", "minimum": 1, "maximum": 65535 } } }
  } }"##;

/// The plugins `generator`, `crawler`, `free` (any configuration), `bounded` (a key that sets a limit) and some with broken schemas.
pub(super) fn plugins() -> Vec<KnownPlugin> {
    let schemas = [
        ("generator", GENERATOR),
        ("crawler", CRAWLER),
        ("free", "true"),
        ("garbled", "{"),
        ("remote", r#"{ "$ref": "https://example.com/schema.json" }"#),
        (
            "bounded",
            r#"{ "type": "object", "properties": {
              "max_pages": { "type": "integer", "minimum": 1, "default": 500, "x-bulkhead-limit": "spawned_tasks" } } }"#,
        ),
        ("unbounded", r#"{ "properties": { "max_pages": { "x-bulkhead-limit": "pages" } } }"#),
        ("endless", r##"{ "$ref": "#" }"##),
    ];
    let plugin = |(at, (name, schema)): (u8, (&str, &str))| KnownPlugin {
        name: name.parse().unwrap(),
        digest: Digest::from_bytes([at; 32]),
        config_schema: schema.to_owned(),
    };
    (0..).zip(schemas).map(plugin).collect()
}

/// What [`registry`] has: a plugin under the generator's name with any configuration, one that can't be pulled, and one under a tag.
pub(super) fn referred() -> Vec<RegistryPlugin> {
    let plugin = KnownPlugin {
        name: "generator".parse().unwrap(),
        digest: Digest::from_bytes([99; 32]),
        config_schema: "true".to_owned(),
    };
    let pinned = |byte| Digest::from_bytes([byte; 32]);
    let at = |text: &str| text.parse::<crate::oci::OciReference>().unwrap();
    vec![
        RegistryPlugin { reference: at("oci://r.test/team/gen").pinned(pinned(1)), found: Ok(plugin) },
        RegistryPlugin {
            reference: at("oci://r.test/team/gen").pinned(pinned(2)),
            found: Err("`--registry r.test` allows it".to_owned()),
        },
        RegistryPlugin { reference: at("oci://r.test/team/gen:1"), found: Err("now it is sha256:…".to_owned()) },
    ]
}

/// Loads a text that has to be valid.
pub(super) fn valid(text: &str) -> Definition {
    load(text, &plugins(), &referred()).unwrap_or_else(|diagnostics| panic!("refused: {diagnostics}"))
}

/// What is wrong with a text, one line each.
pub(super) fn refused(text: &str) -> String {
    match load(text, &plugins(), &referred()) {
        Ok(definition) => panic!("accepted: {definition:?}"),
        Err(diagnostics) => {
            check_places(text, &diagnostics);
            diagnostics.to_string()
        }
    }
}

/// Spans lie in the text, in order, and agree with lines and columns.
pub(super) fn check_places(text: &str, Diagnostics(diagnostics): &Diagnostics) {
    assert!(!diagnostics.is_empty(), "refused without a reason");
    assert!(diagnostics.is_sorted_by_key(|diagnostic| diagnostic.span.start), "out of order");
    for diagnostic in diagnostics {
        let before = text.get(..diagnostic.span.start).expect("a span starts within the text");
        text.get(diagnostic.span.clone()).expect("a span lies within the text");
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].chars().filter(|&char| char != '\u{feff}').count() + 1;
        let line = before.matches('\n').count() + 1;
        assert_eq!((diagnostic.line, diagnostic.column), (line, column), "{diagnostic:?}");
        assert!(!diagnostic.message.is_empty() && !diagnostic.message.ends_with('.'), "{diagnostic:?}");
    }
}
