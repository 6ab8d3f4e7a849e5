//! A web server on this machine that remembers what it was asked for.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_http::services::ServeDir;

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its path and query.
    pub target: String,
    /// When it came.
    pub at: SystemTime,
    /// What its sender calls itself.
    pub user_agent: String,
}

type Requests = Arc<Mutex<Vec<Request>>>;

/// A web server. Dropping it ends it.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    requests: Requests,
    server: JoinHandle<()>,
}

impl Site {
    /// Serves a folder's files: a folder is its `index.html`, and one without the slash at its end redirects.
    pub async fn of_folder(root: &Path, listen: &str) -> Self {
        Self::of(Router::new().fallback_service(ServeDir::new(root)), listen).await
    }

    /// Serves what a router answers.
    ///
    /// # Panics
    /// Where it can't listen.
    pub async fn of(router: Router, listen: &str) -> Self {
        let requests = Requests::default();
        let router = router.layer(from_fn_with_state(requests.clone(), note));
        let listener =
            TcpListener::bind(listen).await.unwrap_or_else(|error| panic!("the site can't listen on {listen}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the site serves");
        });
        Self { address, requests, server }
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked for, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn note(State(requests): State<Requests>, request: HttpRequest, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or_else(|| request.uri().to_string(), ToString::to_string);
    let user_agent = request.headers().get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let noted = Request { target, at: SystemTime::now(), user_agent };
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(noted);
    next.run(request).await
}
