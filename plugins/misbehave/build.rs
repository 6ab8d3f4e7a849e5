//! Writes the object file with the instructions that Rust cannot be made to emit: `i32.div_s` without a check in front of it, and
//! `table.grow`. They are linked into the plugin as two functions.

use std::path::PathBuf;
use std::{env, fs};

use wasm_encoder::{CodeSection, Function, FunctionSection, HeapType, LinkingSection, Module, SymbolTable, TypeSection, ValType};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("wasm32") {
        return;
    }
    let object = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("instructions.o");
    fs::write(&object, instructions()).expect("OUT_DIR is writable");
    println!("cargo::rustc-link-arg-cdylib={}", object.display());
    // The linker gives the function table a maximum otherwise, and growing it fails without the host being asked.
    println!("cargo::rustc-link-arg-cdylib=--growable-table");
}

fn instructions() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32], [ValType::I32]);

    let mut functions = FunctionSection::new();
    functions.function(0).function(1);

    // fn misbehave_divide(dividend: i32, divisor: i32) -> i32
    let mut divide = Function::new([]);
    divide.instructions().local_get(0).local_get(1).i32_div_s().end();
    // fn misbehave_grow_table(elements: u32) -> i32, the old size or -1; table 0 is the one that the linker makes for Rust.
    let mut grow_table = Function::new([]);
    grow_table.instructions().ref_null(HeapType::FUNC).local_get(0).table_grow(0).end();
    let mut code = CodeSection::new();
    code.function(&divide).function(&grow_table);

    let mut symbols = SymbolTable::new();
    symbols.function(0, 0, Some("misbehave_divide"));
    symbols.function(0, 1, Some("misbehave_grow_table"));
    let mut linking = LinkingSection::new();
    linking.symbol_table(&symbols);

    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code).section(&linking);
    module.finish()
}
