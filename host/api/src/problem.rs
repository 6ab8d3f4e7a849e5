//! Errors: one enum says which there are, and every one leaves the server as an RFC 9457 problem.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::machine::Rejected;
use bulkhead_engine::jobs::JobError;
use bulkhead_engine::store::StoreError;

use crate::model::{Diagnostic, Failure, InputProblem, Problem};

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $slug:literal, $status:ident, $title:literal;)*) => {
        /// Every error that the API knows. Its slug and its status never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $kind,)* }

        impl ProblemKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The last part of the problem's `type`, after `/problems/`.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// The problem's name for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }
        }
    };
}

kinds! {
    /// A parameter of the path, the query or a header has no valid value, or is not known.
    InvalidParameter = "invalid-parameter", BAD_REQUEST, "A parameter is not valid";
    /// The body is not what it says it is.
    MalformedBody = "malformed-body", BAD_REQUEST, "The body can't be read";
    /// The request makes no sense in a way that has no kind of its own.
    BadRequest = "bad-request", BAD_REQUEST, "The request can't be understood";
    /// There is no token, or it is not known.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A token is needed";
    /// The token's role may not do this.
    Forbidden = "forbidden", FORBIDDEN, "The token may not do this";
    /// A server without tokens was asked under a name that is not this machine's.
    UntrustedHost = "untrusted-host", FORBIDDEN, "The host's name is not trusted";
    /// A page of another site wants to change something.
    CrossOrigin = "cross-origin", FORBIDDEN, "Another site may not do this";
    /// What is named does not exist.
    NotFound = "not-found", NOT_FOUND, "It does not exist";
    /// The API has no such path.
    UnknownRoute = "unknown-route", NOT_FOUND, "There is no such path";
    /// The path has no such method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The path has no such method";
    /// Something else is there already, or is in use.
    Conflict = "conflict", CONFLICT, "It conflicts with what is there";
    /// The run or task is in a state in which this means nothing.
    WrongState = "wrong-state", CONFLICT, "Its state does not allow this";
    /// No task of the run waits that could be taken.
    NoWaitingTask = "no-waiting-task", CONFLICT, "No task waits";
    /// The definition says `enabled = false`.
    DefinitionDisabled = "definition-disabled", CONFLICT, "The definition is disabled";
    /// What was to be changed has changed in between.
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "It has changed in between";
    /// The body is larger than allowed.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The artifact has no bytes in the range.
    RangeNotSatisfiable = "range-not-satisfiable", RANGE_NOT_SATISFIABLE, "There is nothing in the range";
    /// The body's media type is not one that the path takes.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body's media type is not supported";
    /// The definition is wrong; `diagnostics` say where.
    InvalidDefinition = "invalid-definition", UNPROCESSABLE_ENTITY, "The definition is not valid";
    /// The definition's id is not the path's.
    DefinitionIdMismatch = "definition-id-mismatch", UNPROCESSABLE_ENTITY, "The definition has another id";
    /// The run's parameters are wrong.
    InvalidRunParameters = "invalid-run-parameters", UNPROCESSABLE_ENTITY, "The run's parameters are not valid";
    /// The run's files are named wrongly, or there are too many.
    InvalidRunFiles = "invalid-run-files", UNPROCESSABLE_ENTITY, "The run's files are not valid";
    /// A file that the run is to be started with was not uploaded, or has expired.
    FileMissing = "file-missing", UNPROCESSABLE_ENTITY, "A file of the run is not there";
    /// A step may use more memory than the server has for all.
    MemoryBudget = "memory-budget", UNPROCESSABLE_ENTITY, "A step may use more memory than there is";
    /// The component is no plugin; `failure` says why.
    InvalidPlugin = "invalid-plugin", UNPROCESSABLE_ENTITY, "The component is no valid plugin";
    /// The plugin is not signed by whom the server trusts, or what came with it is not its own.
    UntrustedPlugin = "untrusted-plugin", UNPROCESSABLE_ENTITY, "The plugin is not proven";
    /// The token must not be made or removed.
    InvalidToken = "invalid-token", UNPROCESSABLE_ENTITY, "The token is not possible";
    /// The hook's URL, events or secret are wrong.
    InvalidHook = "invalid-hook", UNPROCESSABLE_ENTITY, "The hook is not valid";
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request";
    /// The client asks too fast.
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests";
    /// The client has too many streams open.
    TooManyStreams = "too-many-streams", TOO_MANY_REQUESTS, "Too many open streams";
    /// The server failed in a way that it has no name for; its log has more.
    Internal = "internal", INTERNAL_SERVER_ERROR, "The server failed";
    /// What is stored can't be read.
    StoreDamaged = "store-damaged", INTERNAL_SERVER_ERROR, "The store is damaged";
    /// The server does not do its work now: it is starting, or it is about to end.
    NotReady = "not-ready", SERVICE_UNAVAILABLE, "The server is not ready";
    /// The store can't answer now.
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "The store is unavailable";
}

/// Seconds after which a client asks an unavailable store again.
const STORE_RETRY_SECONDS: u64 = 1;

/// An error on its way out. The outermost layer gives it the request's id and writes it.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    kind: ProblemKind,
    detail: String,
    diagnostics: Vec<Diagnostic>,
    inputs: Vec<InputProblem>,
    failure: Option<Failure>,
    retry_after: Option<u64>,
    allow: Option<HeaderValue>,
}

/// What handlers return.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error of a kind; `detail` says what happened and what to do.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts {
            kind,
            detail,
            diagnostics: Vec::new(),
            inputs: Vec::new(),
            failure: None,
            retry_after: None,
            allow: None,
        }))
    }

    /// The same error that says when to try again, in whole seconds.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds.max(1));
        self
    }

    /// The same error that names the path's methods.
    #[must_use]
    pub(crate) fn allow(mut self, methods: &str) -> Self {
        self.0.allow = HeaderValue::from_str(methods).ok();
        self
    }

    /// Which error.
    pub fn kind(&self) -> ProblemKind {
        self.0.kind
    }

    /// The error of a status that something below the handlers answered with.
    pub(crate) fn of_status(status: StatusCode, detail: String) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => ProblemKind::UnknownRoute,
            StatusCode::METHOD_NOT_ALLOWED => ProblemKind::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemKind::UnsupportedMediaType,
            status if status.is_client_error() => ProblemKind::BadRequest,
            _ => ProblemKind::Internal,
        };
        Self::new(kind, if detail.is_empty() { kind.title().to_owned() } else { detail })
    }

    /// What goes over the wire.
    pub(crate) fn to_problem(&self, request_id: &str) -> Problem {
        let Parts { kind, detail, diagnostics, inputs, failure, retry_after, allow: _ } = &*self.0;
        Problem {
            kind: format!("/problems/{}", kind.slug()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: detail.clone(),
            instance: Some(format!("urn:bulkhead:request:{request_id}")),
            diagnostics: diagnostics.clone(),
            inputs: inputs.clone(),
            failure: failure.clone(),
            retry_after: *retry_after,
        }
    }
}

impl IntoResponse for ApiError {
    /// A response without a body, which carries the error to the outermost layer.
    fn into_response(self) -> Response {
        let mut response = self.0.kind.status().into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = &self.0.allow {
            headers.insert(header::ALLOW, allow.clone());
        }
        if self.0.kind == ProblemKind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bulkhead\""));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::new(ProblemKind::NotFound, format!("there is no such {what}")),
            StoreError::Conflict(detail) => Self::new(ProblemKind::Conflict, detail),
            StoreError::Rejected(rejected) => rejected.into(),
            StoreError::Unavailable { .. } => {
                let detail = format!("{error}; try again, with the same Idempotency-Key where the request had one");
                Self::new(ProblemKind::StoreUnavailable, detail).retry_after(STORE_RETRY_SECONDS)
            }
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "the store is damaged");
                Self::new(ProblemKind::StoreDamaged, format!("{error}; run `bulkhead doctor` on the server"))
            }
        }
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        let kind = match rejected {
            Rejected::NothingWaits => ProblemKind::NoWaitingTask,
            _ => ProblemKind::WrongState,
        };
        Self::new(kind, rejected.to_string())
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Invalid(diagnostics) => {
                let mut refusal =
                    Self::new(ProblemKind::InvalidDefinition, format!("the definition is not valid:\n{diagnostics}"));
                refusal.0.diagnostics = diagnostics.0.iter().map(Into::into).collect();
                refusal
            }
            JobError::Disabled(_) => Self::new(ProblemKind::DefinitionDisabled, error.to_string()),
            JobError::MemoryBudget { .. } => Self::new(ProblemKind::MemoryBudget, error.to_string()),
            JobError::File { .. } => Self::new(ProblemKind::FileMissing, error.to_string()),
            JobError::Files(_) => Self::new(ProblemKind::InvalidRunFiles, error.to_string()),
            JobError::Parameters(_) => Self::new(ProblemKind::InvalidRunParameters, error.to_string()),
            JobError::Inputs(ref wrong) => {
                let parameters = wrong.iter().any(|wrong| wrong.input.starts_with("parameters."));
                let kind = if parameters { ProblemKind::InvalidRunParameters } else { ProblemKind::InvalidRunFiles };
                let mut refusal = Self::new(kind, error.to_string());
                refusal.0.inputs = wrong.iter().map(Into::into).collect();
                refusal
            }
            JobError::Signature(_) | JobError::Manifest(_) | JobError::Registry(_) => {
                Self::new(ProblemKind::UntrustedPlugin, error.to_string())
            }
            JobError::Plugin(failure) => {
                let mut refusal = Self::new(ProblemKind::InvalidPlugin, failure.to_string());
                refusal.0.failure = Some((&failure).into());
                refusal
            }
            JobError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_slug_of_its_own() {
        let slugs: HashSet<_> = ProblemKind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
        assert!(ProblemKind::ALL.iter().all(|kind| kind.status().as_u16() >= 400));
    }
}
