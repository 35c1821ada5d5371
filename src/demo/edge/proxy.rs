//! One request at the edge: passed to a backend, to others if that is safe, and the answer passed back.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::balance::Balance;
use super::pages::{self, problem};
use super::relay::Relay;
use super::upstream::{ExchangeError, Lease, Patience, Sender};
use crate::demo::metrics::{InFlight, Traffic};
use crate::demo::serve::{Handler, Wire};

/// Largest request body taken, in bytes; it is held whole, so that it can be sent again.
const BODY_LIMIT: usize = 1 << 20;
/// Headers of one connection, not of the message (RFC 9110, 7.6.1), with two that practice added.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
const X_UPSTREAM: HeaderName = HeaderName::from_static("x-upstream");

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) balance: Balance,
    pub(super) patience: Patience,
    /// Other backends tried for one request.
    pub(super) retries: usize,
    pub(super) traffic: Arc<Traffic>,
}

type Answer = Response<Either<Full<Bytes>, Relay>>;

impl Handler for Arc<Proxy> {
    type Body = Either<Full<Bytes>, Relay>;

    async fn answer(self, request: Request<Incoming>, _: Wire) -> Answer {
        let began = Instant::now();
        let in_flight = Traffic::enter(&self.traffic);
        let (route, answer) = match request.uri().path() {
            "/edge-health" => ("/edge-health", pages::state(&self).map(Either::Left)),
            "/metrics" => ("/metrics", pages::metrics(&self).map(Either::Left)),
            _ => ("proxied", self.pass(request, in_flight).await),
        };
        self.traffic
            .answered(route, answer.status().as_u16(), began.elapsed());
        answer
    }
}

/// How the latest try ended, while another may follow.
enum Latest {
    Error(ExchangeError),
    /// A 502 or 503 of the backend's own.
    Refusal(Response<Incoming>, Sender, Lease),
}

impl Proxy {
    async fn pass(&self, request: Request<Incoming>, in_flight: InFlight) -> Answer {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
            let what = "the body did not come whole, or is over 1 MiB";
            return problem(StatusCode::PAYLOAD_TOO_LARGE, what).map(Either::Left);
        };
        let body = body.to_bytes();
        let mut tried = Vec::new();
        let latest = self.try_in_turn(&head, &body, &mut tried).await;
        let mut answer = match latest {
            Ok((response, sender, lease)) | Err(Some(Latest::Refusal(response, sender, lease))) => {
                let (mut head, body) = response.into_parts();
                strip_hop_by_hop(&mut head.headers);
                let relay = Relay::new(body, sender, lease, self.patience.read, in_flight);
                Response::from_parts(head, Either::Right(relay))
            }
            Err(Some(Latest::Error(error))) if error.is_timeout() => {
                problem(StatusCode::GATEWAY_TIMEOUT, &error.to_string()).map(Either::Left)
            }
            Err(Some(Latest::Error(error))) => {
                problem(StatusCode::BAD_GATEWAY, &error.to_string()).map(Either::Left)
            }
            Err(None) => {
                problem(StatusCode::SERVICE_UNAVAILABLE, "no backend is healthy").map(Either::Left)
            }
        };
        if !tried.is_empty() {
            let tried = HeaderValue::from_str(&tried.join(", "))
                .expect("backend addresses are checked at the start");
            answer.headers_mut().insert(X_UPSTREAM, tried);
        }
        answer
    }

    /// Tries backends until one answers. `tried` gets their addresses, in order.
    async fn try_in_turn(
        &self,
        head: &Parts,
        body: &Bytes,
        tried: &mut Vec<String>,
    ) -> Result<(Response<Incoming>, Sender, Lease), Option<Latest>> {
        let mut latest = None;
        while tried.len() <= self.retries
            && let Some(lease) = self.balance.pick(tried)
        {
            tried.push(lease.upstream().address.clone());
            let try_elsewhere = match lease
                .upstream()
                .exchange(outgoing(head, body), self.patience)
                .await
            {
                Ok((response, sender)) if !is_refusal(response.status()) => {
                    lease.answered();
                    return Ok((response, sender, lease));
                }
                Ok((response, sender)) => {
                    lease.failed();
                    latest = Some(Latest::Refusal(response, sender, lease));
                    head.method.is_idempotent()
                }
                Err(error) => {
                    lease.failed();
                    let safe = error.is_unsent() || head.method.is_idempotent();
                    latest = Some(Latest::Error(error));
                    safe
                }
            };
            if !try_elsewhere {
                break;
            }
        }
        Err(latest)
    }
}

/// An answer that says "not now", on which another backend may do better.
fn is_refusal(status: StatusCode) -> bool {
    status == StatusCode::BAD_GATEWAY || status == StatusCode::SERVICE_UNAVAILABLE
}

fn outgoing(head: &Parts, body: &Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = head.method.clone();
    *request.version_mut() = Version::HTTP_11;
    let target = head
        .uri
        .path_and_query()
        .map_or_else(Uri::default, |target| Uri::from(target.clone()));
    *request.uri_mut() = target;
    *request.headers_mut() = head.headers.clone();
    strip_hop_by_hop(request.headers_mut());
    request
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}
