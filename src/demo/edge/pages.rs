//! What the edge answers by itself: its state, its metrics, and what went wrong.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tokio::time::Instant;

use super::proxy::Proxy;
use crate::demo::metrics::{self, Exposition};

/// The edge's own state; whether the backends are healthy does not change its status.
pub(super) fn state(proxy: &Proxy) -> Response<Full<Bytes>> {
    let now = Instant::now();
    let upstreams = proxy.balance.upstreams().iter().map(|upstream| {
        let healthy = upstream.health().is_open(now);
        json!({ "address": upstream.address, "healthy": healthy, "active": upstream.active() })
    });
    json_answer(
        StatusCode::OK,
        &json!({ "status": "alive", "upstreams": upstreams.collect::<Vec<_>>() }),
    )
}

/// The edge's own metrics.
pub(super) fn metrics(proxy: &Proxy) -> Response<Full<Bytes>> {
    let now = Instant::now();
    let mut text = Exposition::default();
    proxy.traffic.render(&mut text);
    let upstreams = proxy.balance.upstreams();
    text.family(
        "upstream_requests_total",
        "counter",
        "Requests sent to a backend, by how they ended.",
    );
    for upstream in upstreams {
        let (answered, failed) = upstream.counts();
        for (outcome, count) in [("answered", answered), ("failed", failed)] {
            text.sample(
                "upstream_requests_total",
                &[("upstream", &upstream.address), ("outcome", outcome)],
                count,
            );
        }
    }
    text.family(
        "upstream_up",
        "gauge",
        "1 while a backend is given requests.",
    );
    for upstream in upstreams {
        let up = u8::from(upstream.health().is_open(now));
        text.sample("upstream_up", &[("upstream", &upstream.address)], up);
    }
    text.family(
        "upstream_active",
        "gauge",
        "Requests being answered by a backend.",
    );
    for upstream in upstreams {
        text.sample(
            "upstream_active",
            &[("upstream", &upstream.address)],
            upstream.active(),
        );
    }
    let mut response = Response::new(Full::from(text.into_text()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(metrics::CONTENT_TYPE),
    );
    response
}

/// An answer that says what went wrong.
pub(super) fn problem(status: StatusCode, what: &str) -> Response<Full<Bytes>> {
    json_answer(status, &json!({ "error": what }))
}

fn json_answer(status: StatusCode, value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
