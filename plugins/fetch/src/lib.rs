//! Fetches what it is told to, and says what came: the smallest use of HTTP in a plugin, and what the host's tests are done with.

use std::time::Duration;

use bulkhead_plugin::http::{HttpError, Request, Response};
use bulkhead_plugin::json::{Value, json};
use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Fetch;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What is fetched, a task each.
    #[schemars(length(min = 1, max = 10_000))]
    requests: Vec<Order>,
}

/// A request, and what is done with its answer.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The URL.
    url: String,
    /// The method.
    #[serde(default = "get")]
    method: String,
    /// Headers.
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The body that is sent.
    #[serde(default)]
    body: String,
    /// Send the body so many times over, in one body.
    #[serde(default = "one")]
    body_times: usize,
    /// Send the request so many times, one after the other.
    #[serde(default = "one")]
    times: usize,
    /// Redirects that are followed.
    #[serde(default)]
    follow: u32,
    /// Read so many bytes of the answer's body, then no more. All of it where absent.
    #[serde(default)]
    read: Option<usize>,
    /// Succeed whatever comes of it, with the error in the output.
    #[serde(default)]
    forgive: bool,
    /// How long each part may take, in milliseconds.
    #[serde(default)]
    timeout_ms: Option<u64>,
}

fn get() -> String {
    "GET".to_owned()
}

const fn one() -> usize {
    1
}

/// Characters of an answer's body that are in the output.
const SHOWN: usize = 1_000;

impl Plugin for Fetch {
    const NAME: &'static str = "fetch";
    const SUMMARY: &'static str = "Fetches what it is told to over HTTP, and says what came";
    type Config = Config;
    type Input = Order;
    type Output = Value;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let orders = step.config.requests.iter().cloned().enumerate();
        spawn(orders.map(|(number, order)| (format!("{number}-{}", &order.url[..order.url.floor_char_boundary(400)]), order)))?;
        Ok(())
    }

    fn run(_step: &Step<Config>, task: Task<Order>) -> Result<Value, Error> {
        let order = task.input;
        let mut last = Value::Null;
        for _ in 0..order.times {
            last = match fetch(&order) {
                Err(error) if order.forgive => json!({ "error": error.to_string() }),
                result => result?,
            };
        }
        Ok(last)
    }
}

fn fetch(order: &Order) -> Result<Value, HttpError> {
    let mut url = order.url.clone();
    let mut followed = 0;
    loop {
        let answer = request(order, &url).send()?;
        match answer.header("location") {
            Some(location) if (300..400).contains(&answer.status()) && followed < order.follow => {
                url = location.to_owned();
                followed += 1;
            }
            _ => return read(order, answer, followed),
        }
    }
}

fn request(order: &Order, url: &str) -> Request {
    let mut request = Request::new(&order.method, url).body(order.body.repeat(order.body_times));
    for (name, value) in &order.headers {
        request = request.header(name, value);
    }
    if let Some(timeout) = order.timeout_ms.map(Duration::from_millis) {
        request = request.connect_timeout(timeout).first_byte_timeout(timeout).between_bytes_timeout(timeout);
    }
    request
}

fn read(order: &Order, answer: Response, followed: u32) -> Result<Value, HttpError> {
    let (status, headers) = (answer.status(), answer.headers().len());
    let mut body = answer.into_body();
    let (mut bytes, mut shown) = (0, Vec::new());
    while order.read.is_none_or(|most| bytes < most) {
        let Some(piece) = body.piece(16 << 10)? else { break };
        bytes += piece.len();
        shown.extend_from_slice(&piece[..piece.len().min(SHOWN - shown.len())]);
    }
    let text = String::from_utf8_lossy(&shown);
    Ok(json!({ "status": status, "headers": headers, "followed": followed, "bytes": bytes, "text": text }))
}

export_plugin!(Fetch);
