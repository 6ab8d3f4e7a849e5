//! The router and its OpenAPI description, from the same list of handlers.

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, PathItem, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::table::{self, Access};
use crate::gate::gate;
use crate::model::{EventGap, Problem, Statistics, StreamEnd};
use crate::problem::{PROBLEM_JSON, ProblemKind};
use crate::routes::{
    bulk, definitions, events, files, hooks, letters, logs, orders, outputs, plugins, runs, schedules, system, tasks, timeline,
    tokens, trigger, watch,
};
use crate::state::ApiState;

/// What no handler says.
#[derive(OpenApi)]
#[openapi(
    info(title = "Bulkhead", description = "Runs jobs whose steps are sandboxed WebAssembly components."),
    components(schemas(Problem, StreamEnd, EventGap, Statistics)),
    tags(
        (name = "runs", description = "Start, watch and command runs"),
        (name = "tasks", description = "What a run is made of"),
        (name = "logs", description = "What plugins say"),
        (name = "files", description = "What runs are started with, and what they leave"),
        (name = "events", description = "What changes, as it changes"),
        (name = "definitions", description = "Jobs as their authors write them"),
        (name = "schedules", description = "When definitions run by themselves"),
        (name = "hooks", description = "Who is told when runs end"),
        (name = "plugins", description = "WebAssembly components"),
        (name = "tokens", description = "Who may do what"),
        (name = "system", description = "The server itself"),
    )
)]
struct Base;

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// All handlers.
fn handlers() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(runs::list, trigger::text))
        .routes(routes!(bulk::act))
        .routes(routes!(runs::get, runs::delete))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::pause))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::retry))
        .routes(routes!(trigger::stored))
        .routes(routes!(timeline::get))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::get))
        .routes(routes!(orders::retry))
        .routes(routes!(orders::skip))
        .routes(routes!(orders::cancel))
        .routes(routes!(orders::edit))
        .routes(routes!(orders::process_next))
        .routes(routes!(letters::list))
        .routes(routes!(letters::get))
        .routes(routes!(letters::retry))
        .routes(routes!(letters::skip))
        .routes(routes!(logs::page))
        .routes(routes!(logs::download))
        .routes(routes!(logs::follow))
        .routes(routes!(files::upload))
        .routes(routes!(files::of_run))
        .routes(routes!(files::download_file))
        .routes(routes!(files::latest))
        .routes(routes!(files::artifacts))
        .routes(routes!(files::download))
        .routes(routes!(outputs::download))
        .routes(routes!(events::follow))
        .routes(routes!(watch::follow))
        .routes(routes!(definitions::list))
        .routes(routes!(definitions::validate))
        .routes(routes!(definitions::get, definitions::put, definitions::delete))
        .routes(routes!(definitions::versions))
        .routes(routes!(definitions::version))
        .routes(routes!(plugins::list, plugins::upload))
        .routes(routes!(plugins::get, plugins::delete))
        .routes(routes!(plugins::uploads))
        .routes(routes!(plugins::upload_state))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::preview))
        .routes(routes!(schedules::get))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(schedules::run_now))
        .routes(routes!(hooks::list))
        .routes(routes!(hooks::get, hooks::put, hooks::delete))
        .routes(routes!(hooks::deliveries))
        .routes(routes!(hooks::test))
        .routes(routes!(hooks::redeliver))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::delete))
        .routes(routes!(system::health))
        .routes(routes!(system::ready))
        .routes(routes!(system::metrics))
        .routes(routes!(system::statistics))
        .routes(routes!(system::history))
        .routes(routes!(system::settings))
        .routes(routes!(system::session))
        .routes(routes!(system::openapi))
}

/// Everything under one roof: the routes, and the layer that every request passes.
pub fn router(state: ApiState) -> Router {
    let (router, _) = handlers().split_for_parts();
    router.merge(crate::console::routes()).layer(from_fn_with_state(state.clone(), gate)).with_state(state)
}

/// The description of the API.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = handlers().into_openapi();
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("A token. A server on loopback may need none.".to_owned());
    api.components.get_or_insert_default().security_schemes.insert(BEARER.to_owned(), SecurityScheme::Http(bearer).into());
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            complete(operation, table::find(method, path).map(|(_, route)| route.access));
        }
    }
    api
}

/// The operations of a path, with their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, .. } = item;
    let all = [("GET", get), ("PUT", put), ("POST", post), ("DELETE", delete)];
    all.into_iter().filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// Says of an operation what is true of all: who may use it, and what its errors look like.
fn complete(operation: &mut Operation, access: Option<Access>) {
    let who = match access {
        Some(Access::Open) => "Needs no token.".to_owned(),
        Some(Access::Role(role)) => format!("Needs the role `{}`.", role.name()),
        None => "Nobody may use it.".to_owned(),
    };
    let description = operation.description.get_or_insert_default();
    if !description.is_empty() {
        description.push_str("\n\n");
    }
    description.push_str(&who);
    if matches!(access, Some(Access::Role(_))) {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
    }
    let slugs: Vec<_> = ProblemKind::ALL.iter().map(|kind| format!("`/problems/{}`", kind.slug())).collect();
    let problem = ResponseBuilder::new()
        .description(format!("Any error. Its `type` is one of {}.", slugs.join(", ")))
        .content(PROBLEM_JSON, ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build())
        .build();
    operation.responses.responses.insert("default".to_owned(), problem.into());
}
