//! Random modules made plugins: what a server asks of every plugin is added, and what happens in it stays random.
//!
//! A module comes with `random-plan` and `random-run`. It gets a `describe` and a `cabi_realloc` that are right, a `plan` that calls
//! the random one and spawns tasks, and a `run` that calls the random one; chance says whether what these two return is the random
//! result, an address as good as any, or a success. All of it writes to pages of its own, as far as the memory still grows.

use rand::RngExt as _;
use rand::rngs::StdRng;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstructionSink, MemArg,
    Module, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, ExportSectionReader, FunctionSectionReader, ImportSectionReader, Parser, Payload, TypeRef,
    TypeSectionReader,
};

/// What a random module must have before it is completed.
pub(crate) const EXPORTS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "random-plan") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
    (func (export "random-run") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#;

/// The contract, as `wit/0.1.0/abi.md` tells how a core module sees it.
pub(crate) const IMPORTS: &str = r#"
    (import "bulkhead:plugin/log@0.1.0" "write" (func (param i32 i32 i32 i32 i32)))
    (import "bulkhead:plugin/status@0.1.0" "progress" (func (param i64 i32 i64)))
    (import "bulkhead:plugin/status@0.1.0" "message" (func (param i32 i32)))
    (import "bulkhead:plugin/status@0.1.0" "cancelled" (func (result i32)))
    (import "bulkhead:plugin/tasks@0.1.0" "spawn" (func (param i32 i32 i32)))
    (import "bulkhead:plugin/checkpoint@0.1.0" "save" (func (param i32 i32 i32)))
    (import "bulkhead:plugin/checkpoint@0.1.0" "load" (func (param i32)))
    (import "bulkhead:plugin/artifacts@0.1.0" "create" (func (param i32 i32 i32 i32 i32)))
    (import "bulkhead:plugin/artifacts@0.1.0" "write" (func (param i32 i32 i32 i32 i32)))
    (import "bulkhead:plugin/artifacts@0.1.0" "find" (func (param i32 i32 i32 i32 i32 i32 i32)))
    (import "bulkhead:plugin/artifacts@0.1.0" "read" (func (param i32 i32 i32 i32 i32 i32 i64 i32 i32)))
    (import "bulkhead:plugin/artifacts@0.1.0" "entries" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "bulkhead:plugin/outputs@0.1.0" "read" (func (param i32 i32 i32 i32 i32 i32)))
"#;

const SPAWN: (&str, &str) = ("bulkhead:plugin/tasks@0.1.0", "spawn");
const CONTEXT: u32 = 9;
const TASK: u32 = 6;
/// The most tasks that a plan spawns.
const MOST_TASKS: u32 = 3;
/// Where in its page a function has the strings that its result names.
const STRINGS: u32 = 128;

/// Completes a module that has [`EXPORTS`].
pub(crate) fn complete(module: &[u8], dice: &mut StdRng) -> Option<Vec<u8>> {
    let mut completion = Completion::of(module, dice)?;
    let mut completed = Module::new();
    completion.parse_core_module(&mut completed, Parser::new(0), module).ok()?;
    Some(completed.finish())
}

/// What has to be known of a module to add to it. Everything is added last in its section, but for the import of `spawn`, which
/// comes last among the imports and moves the module's own functions by one.
struct Completion<'a> {
    dice: &'a mut StdRng,
    types: u32,
    imported: u32,
    defined: u32,
    random_plan: u32,
    random_run: u32,
    memory: u32,
}

impl<'a> Completion<'a> {
    fn of(module: &[u8], dice: &'a mut StdRng) -> Option<Self> {
        let mut found = Self { dice, types: 0, imported: 0, defined: 0, random_plan: 0, random_run: 0, memory: 0 };
        for payload in Parser::new(0).parse_all(module) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for group in section {
                        found.types += group.ok()?.types().len() as u32;
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        found.imported += u32::from(matches!(import.ok()?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => found.defined = section.count(),
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.ok()?;
                        match export.name {
                            "random-plan" => found.random_plan = export.index + 1,
                            "random-run" => found.random_run = export.index + 1,
                            "memory" => found.memory = export.index,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Some(found)
    }

    /// The function of this number among those that are added.
    fn added(&self, number: u32) -> u32 {
        self.imported + 1 + self.defined + number
    }

    /// The numbers of what is added: `page`, `cabi_realloc`, `describe`, `plan`, `run`.
    const PAGE: u32 = 0;

    fn describe(&self) -> Function {
        let strings = [&b"random"[..], b"0.1.0", b"What chance has made.", b"{}"];
        let mut function = Function::new([(1, ValType::I32)]);
        let mut code = function.instructions();
        code.call(self.added(Self::PAGE)).local_set(0);
        poke_strings(&mut code, self.memory, 0, &strings);
        code.local_get(0).end();
        function
    }

    /// Calls the random plan before or after it spawns; and returns what it returns, or success.
    fn plan(&mut self) -> Function {
        let page = CONTEXT;
        let mut function = Function::new([(2, ValType::I32)]);
        let result = page + 1;
        let (first, random_result) = (self.dice.random_ratio(1, 2), self.dice.random_ratio(1, 8));
        let tasks = self.dice.random_range(0..=MOST_TASKS);
        let inputs: Vec<String> = (0..tasks).flat_map(|task| [format!("task-{task}"), self.input()]).collect();
        let strings: Vec<&[u8]> = inputs.iter().map(String::as_bytes).collect();
        let (random_plan, spawn, new_page, memory) = (self.random_plan, self.imported, self.added(Self::PAGE), self.memory);
        let mut code = function.instructions();
        let call_random = |code: &mut InstructionSink<'_>| {
            (0..CONTEXT).for_each(|parameter| {
                code.local_get(parameter);
            });
            code.call(random_plan).local_set(result);
        };
        if first {
            call_random(&mut code);
        }
        code.call(new_page).local_set(page);
        poke_strings(&mut code, memory, page, &strings);
        code.local_get(page).i32_const(tasks as i32).local_get(page).i32_const(96).i32_add().call(spawn);
        if !first {
            call_random(&mut code);
        }
        if !random_result {
            // A fresh page is all zeros, which is a success.
            code.call(new_page).local_set(result);
        }
        code.local_get(result).end();
        function
    }

    /// Calls the random run, and returns what it returns or an output.
    fn run(&mut self) -> Function {
        let mut function = Function::new([(1, ValType::I32)]);
        let result = CONTEXT + TASK;
        let (output, random_result) = (self.input(), self.dice.random_ratio(1, 4));
        let mut code = function.instructions();
        (0..CONTEXT + TASK).for_each(|parameter| {
            code.local_get(parameter);
        });
        code.call(self.random_run).local_set(result);
        if !random_result {
            code.call(self.added(Self::PAGE)).local_set(result);
            // The string begins at 4, after the case.
            code.local_get(result).i32_const(4).i32_add().local_set(result);
            poke_strings(&mut code, self.memory, result, &[output.as_bytes()]);
            code.local_get(result).i32_const(4).i32_sub().local_set(result);
        }
        code.local_get(result).end();
        function
    }

    /// JSON, or something like it.
    fn input(&mut self) -> String {
        let texts = ["null", "0", "{}", "[1, 2, 3]", "\"\u{1f6a2}\"", "{\"a\": {\"b\": []}}", "{\"a\":", "", "NaN", "1e999"];
        texts[self.dice.random_range(0..texts.len())].to_owned()
    }
}

/// Writes pairs of address and length to where a local points, and the strings that they name behind them.
fn poke_strings(code: &mut InstructionSink<'_>, memory: u32, page: u32, strings: &[&[u8]]) {
    let mut at = STRINGS;
    for (number, string) in strings.iter().enumerate() {
        let pair = number as u64 * 8;
        code.local_get(page).local_get(page).i32_const(at as i32).i32_add().i32_store(place(memory, pair));
        code.local_get(page).i32_const(string.len() as i32).i32_store(place(memory, pair + 4));
        for &byte in *string {
            code.local_get(page).i32_const(i32::from(byte)).i32_store8(MemArg { align: 0, ..place(memory, u64::from(at)) });
            at += 1;
        }
    }
}

fn place(memory: u32, offset: u64) -> MemArg {
    MemArg { offset, align: 2, memory_index: memory }
}

/// A new page of memory, or a trap.
fn page(memory: u32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.i32_const(1).memory_grow(memory).local_tee(0).i32_const(-1).i32_eq();
    code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
    code.local_get(0).i32_const(16).i32_shl().end();
    function
}

/// As many new pages as a string needs, or a trap.
fn realloc(memory: u32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(3).i32_const(16).i32_shr_u().i32_const(1).i32_add().memory_grow(memory).local_tee(4).i32_const(-1).i32_eq();
    code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
    code.local_get(4).i32_const(16).i32_shl().end();
    function
}

type Done = Result<(), reencode::Error>;

impl Reencode for Completion<'_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, reencode::Error> {
        Ok(index + u32::from(index >= self.imported))
    }

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Done {
        utils::parse_type_section(self, types, section)?;
        for (parameters, results) in [(3, 0), (0, 1), (4, 1), (CONTEXT, 1), (CONTEXT + TASK, 1)] {
            types.ty().function((0..parameters).map(|_| ValType::I32), (0..results).map(|_| ValType::I32));
        }
        Ok(())
    }

    fn parse_import_section(&mut self, imports: &mut ImportSection, section: ImportSectionReader<'_>) -> Done {
        utils::parse_import_section(self, imports, section)?;
        imports.import(SPAWN.0, SPAWN.1, EntityType::Function(self.types));
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<wasm_encoder::SectionId>,
        before: Option<wasm_encoder::SectionId>,
    ) -> Done {
        use wasm_encoder::SectionId::{Import, Type};
        // A module without imports has no section of them.
        if after == Some(Type) && before != Some(Import) {
            let mut imports = ImportSection::new();
            imports.import(SPAWN.0, SPAWN.1, EntityType::Function(self.types));
            module.section(&imports);
        }
        Ok(())
    }

    fn parse_function_section(&mut self, functions: &mut FunctionSection, section: FunctionSectionReader<'_>) -> Done {
        utils::parse_function_section(self, functions, section)?;
        // `page` and `describe` have the same type, the second that was added.
        for ty in [1, 2, 1, 3, 4] {
            functions.function(self.types + ty);
        }
        Ok(())
    }

    fn parse_export_section(&mut self, exports: &mut ExportSection, section: ExportSectionReader<'_>) -> Done {
        utils::parse_export_section(self, exports, section)?;
        for (number, name) in (1..).zip(["cabi_realloc", "describe", "plan", "run"]) {
            exports.export(name, ExportKind::Func, self.added(number));
        }
        Ok(())
    }

    fn parse_code_section(&mut self, codes: &mut CodeSection, section: CodeSectionReader<'_>) -> Done {
        utils::parse_code_section(self, codes, section)?;
        for function in [page(self.memory), realloc(self.memory), self.describe(), self.plan(), self.run()] {
            codes.function(&function);
        }
        Ok(())
    }
}
