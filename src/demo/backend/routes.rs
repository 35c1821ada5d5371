//! What the backend serves when no outage interferes.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /` | who answers |
//! | `GET /work?ms=20` | the same, after that time |
//! | `GET /health`, `GET /ready` | 200; `/ready` is 503 while stopping |
//! | `GET /metrics` | exposition text |
//! | `POST /items`, `GET /items` | keeps what was posted, lists the newest |
//! | `POST /login?ttl=1h` | `{"user":{"token":…}}` for `{"user":{"email":…}}` |
//! | `GET /private` | who is logged in, for `Authorization: Token …`; else 401 |

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::login;
use crate::demo::metrics::{self, Exposition, Traffic};
use crate::demo::script::Script;
use crate::demo::serve::Wire;
use crate::demo::truth::Truth;

/// How many items are kept and listed; older ones are forgotten, so that hours of load take no memory.
const ITEMS_KEPT: usize = 20;
/// Longest `/work?ms=`, so that a typo does not hold a connection for a day.
const WORK_LIMIT_MS: u64 = 60_000;

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) version: String,
    pub(super) instance: String,
    pub(super) service_time: Duration,
    pub(super) traffic: Arc<Traffic>,
    pub(super) script: Arc<Script>,
    pub(super) truth: Arc<Truth>,
    pub(super) items: Mutex<Items>,
}

/// The newest items, and how many there ever were.
#[derive(Debug)]
pub(super) struct Items {
    newest: VecDeque<Value>,
    count: u64,
}

/// The routes, as the metrics name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Home,
    Work,
    Health,
    Ready,
    Metrics,
    Items,
    Login,
    Private,
    Outage,
    Unknown,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/" => Self::Home,
            "/work" => Self::Work,
            "/health" => Self::Health,
            "/ready" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/items" => Self::Items,
            "/login" => Self::Login,
            "/private" => Self::Private,
            "/_outage" | "/_outage/end" => Self::Outage,
            _ => Self::Unknown,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Home => "/",
            Self::Work => "/work",
            Self::Health => "/health",
            Self::Ready => "/ready",
            Self::Metrics => "/metrics",
            Self::Items => "/items",
            Self::Login => "/login",
            Self::Private => "/private",
            Self::Outage => "/_outage",
            Self::Unknown => "other",
        }
    }
}

impl Shop {
    pub(super) fn no_items() -> Mutex<Items> {
        Mutex::new(Items {
            newest: VecDeque::new(),
            count: 0,
        })
    }

    /// The answer to a request that no outage keeps from one.
    pub(super) async fn respond(
        &self,
        route: Route,
        head: &Parts,
        body: &Bytes,
        wire: &Wire,
    ) -> Response<Full<Bytes>> {
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        let posts = head.method == Method::POST;
        match route {
            Route::Health if reads => Self::json(StatusCode::OK, &json!({ "status": "alive" })),
            Route::Ready if reads && wire.is_draining() => {
                problem(StatusCode::SERVICE_UNAVAILABLE, "stopping")
            }
            Route::Ready if reads => Self::json(StatusCode::OK, &json!({ "status": "ready" })),
            Route::Metrics if reads => self.metrics(),
            Route::Home if reads => self.work(self.service_time).await,
            Route::Work if reads => match query(head, "ms").map(str::parse) {
                None => self.work(self.service_time).await,
                Some(Ok(ms @ 0..=WORK_LIMIT_MS)) => self.work(Duration::from_millis(ms)).await,
                Some(_) => problem(
                    StatusCode::BAD_REQUEST,
                    "ms is whole milliseconds, at most 60000",
                ),
            },
            Route::Items if reads => {
                self.take_time(self.service_time).await;
                self.list_items()
            }
            Route::Items if posts => {
                self.take_time(self.service_time).await;
                self.add_item(body)
            }
            Route::Login if posts => {
                self.take_time(self.service_time).await;
                login::login(head, body)
            }
            Route::Private if reads => {
                self.take_time(self.service_time).await;
                login::private(head)
            }
            Route::Unknown => problem(StatusCode::NOT_FOUND, "no such path"),
            Route::Home
            | Route::Work
            | Route::Health
            | Route::Ready
            | Route::Metrics
            | Route::Items
            | Route::Login
            | Route::Private
            | Route::Outage => problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not take that method",
            ),
        }
    }

    async fn take_time(&self, time: Duration) {
        // Even a sleep of nothing would wait for the timer's next tick.
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }

    async fn work(&self, time: Duration) -> Response<Full<Bytes>> {
        self.take_time(time).await;
        let reply = json!({ "instance": self.instance, "version": self.version });
        Self::json(StatusCode::OK, &reply)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut text = Exposition::default();
        self.traffic.render(&mut text);
        text.family("build_info", "gauge", "Always 1; the labels say what runs.");
        text.sample(
            "build_info",
            &[("version", &self.version), ("instance", &self.instance)],
            1,
        );
        let mut response = Response::new(Full::from(text.into_text()));
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static(metrics::CONTENT_TYPE),
        );
        response
    }

    fn add_item(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let posted = serde_json::from_slice::<Value>(body);
        let Ok(Value::Object(mut posted)) = posted else {
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "an item is a JSON object");
        };
        // Either `{"item": {…}}` or the fields alone.
        let mut item = match posted.remove("item") {
            Some(Value::Object(item)) => item,
            Some(_) => {
                return problem(StatusCode::UNPROCESSABLE_ENTITY, "an item is a JSON object");
            }
            None => posted,
        };
        let mut items = self
            .items
            .lock()
            .expect("nobody panics while holding the items");
        items.count += 1;
        item.insert("id".to_owned(), json!(items.count));
        items.newest.push_front(Value::Object(item.clone()));
        items.newest.truncate(ITEMS_KEPT);
        Self::json(StatusCode::CREATED, &json!({ "item": item }))
    }

    fn list_items(&self) -> Response<Full<Bytes>> {
        let items = self
            .items
            .lock()
            .expect("nobody panics while holding the items");
        Self::json(
            StatusCode::OK,
            &json!({ "items": items.newest, "count": items.count }),
        )
    }

    pub(super) fn json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(value.to_string()));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// An answer that says what is wrong.
pub(super) fn problem(status: StatusCode, what: &str) -> Response<Full<Bytes>> {
    Shop::json(status, &json!({ "error": what }))
}

pub(super) fn query<'a>(head: &'a Parts, key: &str) -> Option<&'a str> {
    let pairs = head
        .uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .next()
}
