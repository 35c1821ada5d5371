//! Active health checks of one backend.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::health::Active;
use super::upstream::{Upstream, connect};

/// Checks one backend for ever. Each check takes a connection of its own: an idle one says nothing of who may come in.
pub(super) async fn keep_checking(upstream: Arc<Upstream>, rules: Active) {
    let mut ticks = interval(rules.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(rules.timeout, status(&upstream.address, &rules)).await {
            Ok(Some(status)) if status.is_success() => upstream.health().check_passed(&rules),
            Ok(_) | Err(_) => upstream.health().check_failed(&rules),
        }
    }
}

/// The status answered to one check; none where there was no answer.
async fn status(address: &str, rules: &Active) -> Option<StatusCode> {
    let mut sender = connect(address, rules.timeout).await.ok()?;
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = rules.path.parse().ok()?;
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(address).ok()?);
    Some(sender.send_request(request).await.ok()?.status())
}
