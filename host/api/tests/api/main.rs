//! The API as a client sees it: a router on a memory store, with an engine whose executor is a stub.

mod auth;
mod bulk;
mod console;
mod definitions;
mod errors;
mod hooks;
mod limits;
mod openapi;
mod orders;
mod runs;
mod schedules;
mod streams;
mod support;
mod uploads;
