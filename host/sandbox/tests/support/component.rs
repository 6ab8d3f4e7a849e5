//! Small components, written by hand: what no compiler would make.

use bytes::Bytes;

/// A component of the contract whose `run` does what `body` says. `items` are further items of its core module.
///
/// `body` leaves the address of a `result<string, failure>` on the stack; `i32.const 16` is one: `ok("null")`.
pub(crate) fn plugin(items: &str, body: &str) -> Bytes {
    assemble(&text("(memory (export \"memory\") 1)", items, body, "", ""))
}

/// Likewise with another memory.
pub(crate) fn plugin_with_memory(memory: &str, items: &str, body: &str) -> Bytes {
    assemble(&text(memory, items, body, "", ""))
}

/// Likewise with imports: `imports` in the component, `with` the core instances of them.
pub(crate) fn plugin_with_imports(imports: &str, with: &str, items: &str, body: &str) -> Bytes {
    assemble(&text("(memory (export \"memory\") 1)", items, body, imports, with))
}

/// The binary form.
pub(crate) fn assemble(text: &str) -> Bytes {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")).into()
}

/// The text form.
pub(crate) fn text(memory: &str, items: &str, body: &str, imports: &str, with: &str) -> String {
    let module = core("core module $m", memory, items, body);
    let lift = r#"(memory $main "memory") (realloc (func $main "cabi_realloc"))"#;
    format!(
        r#"(component
  (type $failure' (record (field "message" string) (field "retryable" bool)))
  (export $failure "failure" (type $failure'))
  (type $description' (record (field "name" string) (field "version" string) (field "summary" string) (field "config-schema" string)))
  (export $description "description" (type $description'))
  (type $context' (record (field "run" string) (field "step" string) (field "attempt" u32) (field "config" string) (field "parameters" string)))
  (export $context "step-context" (type $context'))
  (type $task' (record (field "id" string) (field "key" string) (field "input" string)))
  (export $task "task" (type $task'))
  {imports}
  {module}
  (core instance $main (instantiate $m {with}))
  (func (export "describe") (result $description) (canon lift (core func $main "describe") {lift}))
  (func (export "plan") (param "step" $context) (result (result (error $failure))) (canon lift (core func $main "plan") {lift}))
  (func (export "run") (param "step" $context) (param "task" $task) (result (result string (error $failure)))
    (canon lift (core func $main "run") {lift})))"#
    )
}

/// A core module that is a plugin without any WIT: the contract's exports, as wit/0.1.0/abi.md tells them.
pub(crate) fn module(items: &str, body: &str) -> Bytes {
    assemble(&core("module", "(memory (export \"memory\") 1)", items, body))
}

/// Its text form, beginning with `keyword`.
fn core(keyword: &str, memory: &str, items: &str, body: &str) -> String {
    let context = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32)";
    let task = "(param i32 i32 i32 i32 i32 i32)";
    format!(
        r#"({keyword}
    {items}
    {memory}
    (data (i32.const 16) "\00\00\00\00\28\00\00\00\04\00\00\00")
    (data (i32.const 40) "null")
    (data (i32.const 64) "\60\00\00\00\08\00\00\00\70\00\00\00\05\00\00\00\78\00\00\00\01\00\00\00\80\00\00\00\02\00\00\00")
    (data (i32.const 96) "handmade")
    (data (i32.const 112) "1.0.0")
    (data (i32.const 120) "x")
    (data (i32.const 128) "{{}}")
    (global $free (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8))))
    (func (export "describe") (result i32) (i32.const 64))
    (func (export "plan") {context} (result i32) (i32.const 16))
    (func (export "run") {context} {task} (result i32) {body}))"#
    )
}
