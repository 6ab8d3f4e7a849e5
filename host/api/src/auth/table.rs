//! Who may do what: the one table. A method of a path that is not here is refused, whatever the router knows.

use bulkhead_engine::store::Role;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: it tells nobody anything.
    Open,
    /// A token of at least this role.
    Role(Role),
}

/// A method of a path and what it asks.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As the router writes it.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
}

const OPEN: Access = Access::Open;
const VIEWER: Access = Access::Role(Role::Viewer);
const OPERATOR: Access = Access::Role(Role::Operator);
const ADMIN: Access = Access::Role(Role::Admin);

const fn route(method: &'static str, path: &'static str, access: Access) -> Route {
    Route { method, path, access }
}

/// Every route.
pub(crate) const ROUTES: &[Route] = &[
    route("GET", "/health", OPEN),
    route("GET", "/ready", OPEN),
    route("GET", "/api/v1/openapi.json", OPEN),
    route("GET", "/metrics", VIEWER),
    route("GET", "/api/v1/session", VIEWER),
    route("GET", "/api/v1/settings", VIEWER),
    route("GET", "/api/v1/statistics", VIEWER),
    route("GET", "/api/v1/statistics/history", VIEWER),
    route("GET", "/api/v1/events", VIEWER),
    route("POST", "/api/v1/watch", VIEWER),
    route("GET", "/api/v1/plugins", VIEWER),
    route("POST", "/api/v1/plugins", ADMIN),
    route("GET", "/api/v1/plugins/{name}", VIEWER),
    route("DELETE", "/api/v1/plugins/{name}", ADMIN),
    route("GET", "/api/v1/plugin-uploads", VIEWER),
    route("GET", "/api/v1/plugin-uploads/{digest}", VIEWER),
    route("GET", "/api/v1/definitions", VIEWER),
    route("POST", "/api/v1/definitions/validate", VIEWER),
    route("GET", "/api/v1/definitions/{id}", VIEWER),
    route("PUT", "/api/v1/definitions/{id}", ADMIN),
    route("DELETE", "/api/v1/definitions/{id}", ADMIN),
    route("GET", "/api/v1/definitions/{id}/versions", VIEWER),
    route("GET", "/api/v1/definitions/{id}/versions/{version}", VIEWER),
    route("POST", "/api/v1/definitions/{id}/runs", OPERATOR),
    route("GET", "/api/v1/runs", VIEWER),
    // A definition's text decides what a plugin is granted, so running any text is as much as storing one.
    route("POST", "/api/v1/runs", ADMIN),
    route("POST", "/api/v1/runs/bulk", OPERATOR),
    route("GET", "/api/v1/runs/{id}", VIEWER),
    route("DELETE", "/api/v1/runs/{id}", OPERATOR),
    route("POST", "/api/v1/runs/{id}/cancel", OPERATOR),
    route("POST", "/api/v1/runs/{id}/pause", OPERATOR),
    route("POST", "/api/v1/runs/{id}/resume", OPERATOR),
    route("POST", "/api/v1/runs/{id}/retry", OPERATOR),
    route("POST", "/api/v1/runs/{id}/process-next", OPERATOR),
    route("GET", "/api/v1/runs/{id}/timeline", VIEWER),
    route("GET", "/api/v1/runs/{id}/tasks", VIEWER),
    route("GET", "/api/v1/tasks/{id}", VIEWER),
    route("POST", "/api/v1/tasks/{id}/retry", OPERATOR),
    route("POST", "/api/v1/tasks/{id}/skip", OPERATOR),
    route("POST", "/api/v1/tasks/{id}/cancel", OPERATOR),
    route("PUT", "/api/v1/tasks/{id}/input", OPERATOR),
    route("GET", "/api/v1/dead-letters", VIEWER),
    route("GET", "/api/v1/dead-letters/{id}", VIEWER),
    route("POST", "/api/v1/dead-letters/{id}/retry", OPERATOR),
    route("POST", "/api/v1/dead-letters/{id}/skip", OPERATOR),
    route("GET", "/api/v1/runs/{id}/logs", VIEWER),
    route("GET", "/api/v1/runs/{id}/logs/download", VIEWER),
    route("GET", "/api/v1/runs/{id}/logs/stream", VIEWER),
    route("GET", "/api/v1/schedules", VIEWER),
    route("GET", "/api/v1/schedule-preview", VIEWER),
    route("GET", "/api/v1/schedules/{id}", VIEWER),
    route("POST", "/api/v1/schedules/{id}/pause", OPERATOR),
    route("POST", "/api/v1/schedules/{id}/resume", OPERATOR),
    route("POST", "/api/v1/schedules/{id}/run-now", OPERATOR),
    route("POST", "/api/v1/files", OPERATOR),
    route("GET", "/api/v1/runs/{id}/files", VIEWER),
    route("GET", "/api/v1/runs/{id}/files/{name}", VIEWER),
    route("GET", "/api/v1/artifacts", VIEWER),
    route("GET", "/api/v1/runs/{id}/artifacts", VIEWER),
    route("GET", "/api/v1/runs/{id}/artifacts/{step}/{name}", VIEWER),
    route("GET", "/api/v1/runs/{id}/steps/{step}/outputs", VIEWER),
    route("GET", "/api/v1/hooks", VIEWER),
    route("GET", "/api/v1/hooks/{name}", VIEWER),
    // A hook sends what runs say of themselves to wherever its URL leads.
    route("PUT", "/api/v1/hooks/{name}", ADMIN),
    route("DELETE", "/api/v1/hooks/{name}", ADMIN),
    route("GET", "/api/v1/hooks/{name}/deliveries", VIEWER),
    route("POST", "/api/v1/hooks/{name}/test", OPERATOR),
    route("POST", "/api/v1/hooks/{name}/redeliver", OPERATOR),
    route("GET", "/api/v1/tokens", ADMIN),
    route("POST", "/api/v1/tokens", ADMIN),
    route("DELETE", "/api/v1/tokens/{name}", ADMIN),
    // The console's page at each of its addresses, and its files.
    route("GET", "/", OPEN),
    route("GET", "/runs", OPEN),
    route("GET", "/runs/{id}", OPEN),
    route("GET", "/definitions", OPEN),
    route("GET", "/definitions/{id}", OPEN),
    route("GET", "/plugins", OPEN),
    route("GET", "/plugins/{name}", OPEN),
    route("GET", "/schedules", OPEN),
    route("GET", "/schedules/{id}", OPEN),
    route("GET", "/dead-letters", OPEN),
    route("GET", "/dead-letters/{id}", OPEN),
    route("GET", "/hooks", OPEN),
    route("GET", "/hooks/{name}", OPEN),
    route("GET", "/artifacts", OPEN),
    route("GET", "/settings", OPEN),
    route("GET", "/console/{*file}", OPEN),
];

/// The route of a method and a path as the router writes it, with its position in [`ROUTES`]. `HEAD` asks what `GET` asks.
pub(crate) fn find(method: &str, path: &str) -> Option<(usize, &'static Route)> {
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES.iter().enumerate().find(|(_, route)| route.path == path && route.method == method)
}

/// The methods of a path, for the header `Allow`; empty where the table does not have the path.
pub(crate) fn methods(path: &str) -> String {
    let methods: Vec<_> = ROUTES.iter().filter(|route| route.path == path).map(|route| route.method).collect();
    methods.join(", ")
}
