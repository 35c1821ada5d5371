//! One request at the backend: its fate under the outages, its answer, its line in the truth log.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use tokio::time::Instant;

use super::routes::{Route, Shop, problem};
use crate::demo::metrics::{InFlight, Traffic};
use crate::demo::outage::{Origin, Outage};
use crate::demo::script::Fate;
use crate::demo::serve::{Ending, Handler, Wire};
use crate::demo::truth::wall_nanos;

/// Largest request body taken, in bytes.
const BODY_LIMIT: usize = 1 << 20;
/// What a `cut` answer promises and what it brings, in bytes.
const CUT_PROMISED: usize = 100;
const CUT_BROUGHT: &[u8] = b"half";

type Answer = Response<Either<Full<Bytes>, CutBody>>;

impl Handler for Arc<Shop> {
    type Body = Either<Full<Bytes>, CutBody>;

    fn answer(self, request: Request<Incoming>, wire: Wire) -> impl Future<Output = Answer> + Send {
        answer(self, request, wire)
    }
}

/// Answers one request, or does to it what a lasting outage demands.
async fn answer(shop: Arc<Shop>, request: Request<Incoming>, wire: Wire) -> Answer {
    let mut visit = Visit::enter(Arc::clone(&shop), request.uri().path());
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return visit.answer(problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body did not come whole, or is over 1 MiB",
            ));
        }
    };
    if visit.route == Route::Outage {
        return visit.answer(outage(&shop, &head));
    }
    match shop.script.fate() {
        None => {}
        Some(Fate::Reset) => {
            visit.log("reset");
            match wire.reset().await {}
        }
        Some(Fate::Hang) => {
            visit.log("hang");
            match wire.hang().await {}
        }
        Some(Fate::Stall(over)) => {
            visit.log("stall");
            over.cancelled().await;
        }
        Some(Fate::Slow(by)) => {
            visit.log("slow");
            tokio::time::sleep(by).await;
        }
        Some(Fate::Status(status)) => {
            visit.log("5xx");
            let status =
                StatusCode::from_u16(status).expect("an outage's status is from 500 to 599");
            return visit.answer(problem(status, "scripted outage"));
        }
        Some(Fate::Cut) => {
            visit.log("cut");
            return visit.cut(wire);
        }
    }
    let response = shop.respond(visit.route, &head, &body, &wire).await;
    visit.answer(response)
}

/// `POST /_outage?mode=5xx&for=2s&share=0.3&delay=8s` starts an outage, `POST /_outage/end` ends all of them.
fn outage(shop: &Shop, head: &http::request::Parts) -> Response<Full<Bytes>> {
    if head.method != Method::POST {
        return problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "outages are started and ended by POST",
        );
    }
    if head.uri.path() == "/_outage/end" {
        shop.script.end_all();
        return Shop::json(StatusCode::OK, &serde_json::json!({ "ended": "all" }));
    }
    let words = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|word| !word.is_empty());
    match Outage::from_words(words, Origin::Trigger) {
        Ok(outage) => {
            let reply = serde_json::json!({ "mode": outage.mode.name() });
            shop.script.play(outage, Instant::now());
            Shop::json(StatusCode::OK, &reply)
        }
        Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// One request on its way through the backend. Dropped before it is logged, its connection ended under it: `lost`.
struct Visit {
    shop: Arc<Shop>,
    route: Route,
    path: String,
    began: Instant,
    arrived_nanos: u64,
    logged: bool,
    _in_flight: InFlight,
}

impl Visit {
    fn enter(shop: Arc<Shop>, path: &str) -> Self {
        Self {
            _in_flight: Traffic::enter(&shop.traffic),
            shop,
            route: Route::of(path),
            path: path.to_owned(),
            began: Instant::now(),
            arrived_nanos: wall_nanos(),
            logged: false,
        }
    }

    fn log(&mut self, did: &str) {
        self.logged = true;
        self.shop.truth.request(self.arrived_nanos, &self.path, did);
    }

    fn answer(mut self, response: Response<Full<Bytes>>) -> Answer {
        let status = response.status();
        if !self.logged {
            match status.is_client_error() || status.is_server_error() {
                true => self.log(status.as_str()),
                false => self.log("ok"),
            }
        }
        self.signed(response.map(Either::Left))
    }

    fn cut(self, wire: Wire) -> Answer {
        let body = CutBody {
            brought: false,
            wire,
        };
        let mut response = Response::new(Either::Right(body));
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(CUT_PROMISED));
        self.signed(response)
    }

    fn signed(&self, mut response: Answer) -> Answer {
        self.shop.traffic.answered(
            self.route.label(),
            response.status().as_u16(),
            self.began.elapsed(),
        );
        for (name, value) in [
            ("x-backend", &self.shop.instance),
            ("x-version", &self.shop.version),
        ] {
            // A name that no header can carry is left out; the metrics still show it.
            if let Ok(value) = HeaderValue::from_str(value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.logged {
            self.log("lost");
        }
    }
}

/// Brings less than was promised, waits until that is flushed, then has the connection ended.
#[derive(Debug)]
pub(super) struct CutBody {
    brought: bool,
    wire: Wire,
}

impl Body for CutBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.brought {
            self.wire.end(Ending::Fin);
            return Poll::Pending;
        }
        self.brought = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(CUT_BROUGHT)))))
    }
}
