//! Timetables and records.

mod dst;
mod property;
mod records;
mod world;
