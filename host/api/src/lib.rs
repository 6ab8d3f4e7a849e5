//! The REST API: routes, streams of server-sent events, OpenAPI and authorization.

pub mod model;
