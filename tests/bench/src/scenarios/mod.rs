//! What is measured.

mod batch;
mod drain;
mod footprint;
mod health;
mod log;
mod rest;

use std::future::Future;
use std::pin::Pin;

use crate::Options;
use crate::report::Report;

type Scenario = for<'a> fn(&'a Options, &'a mut Report) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Every scenario by its name.
pub(crate) const ALL: [(&str, Scenario); 6] = [
    ("batch", |options, report| Box::pin(batch::measure(options, report))),
    ("drain", |options, report| Box::pin(drain::measure(options, report))),
    ("rest", |options, report| Box::pin(rest::measure(options, report))),
    ("log", |options, report| Box::pin(log::measure(options, report))),
    ("health", |options, report| Box::pin(health::measure(options, report))),
    ("footprint", |options, report| Box::pin(footprint::measure(options, report))),
];
