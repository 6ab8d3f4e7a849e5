//! The languages. What differs between them is said here, and nowhere else.

use crate::scenarios;

/// What a language can't do like the others.
pub(crate) struct Language {
    pub(crate) name: &'static str,
    /// What the message of a panic names as its place; empty where only the backtrace tells.
    pub(crate) place: &'static str,
}

async fn check(name: &'static str, place: &'static str) {
    let Some(component) = crate::component(name) else { return };
    scenarios::all(&Language { name, place }, &component).await;
}

#[tokio::test]
async fn assemblyscript() {
    check("assemblyscript", "assembly/drill.ts:").await;
}

#[tokio::test]
async fn c() {
    check("c", "drill.c:").await;
}

#[tokio::test]
async fn go() {
    check("go", "drill.go:").await;
}

#[tokio::test]
async fn javascript() {
    check("javascript", "drill.js:").await;
}

#[tokio::test]
async fn python() {
    check("python", "drill.py:").await;
}

#[tokio::test]
async fn rust() {
    check("rust", "drill.rs:").await;
}

#[tokio::test]
async fn typescript() {
    check("typescript", "drill.js:").await;
}

#[tokio::test]
async fn zig() {
    check("zig", "drill.zig:").await;
}
