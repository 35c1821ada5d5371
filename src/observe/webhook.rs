//! firedrill's own receiver of Alertmanager's webhooks: an alert counts as notified when it arrives here.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::error::ObserveError;
use super::observer::{CollectOrder, Observer};
use super::prometheus::RuleClock;
use super::sightings::{Delivery, Sightings};
use super::silence::Silence;
use super::wall;
use crate::timeline::Recorder;
use crate::timeline::event::{Event, Level};

/// Its name in the recording.
const SOURCE: &str = "webhook";
/// The largest delivery that is read; Alertmanager's are some KiB.
const BODY_LIMIT: usize = 8 << 20;
/// How long a delivery may take to come in.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`, as when file descriptors have run out: the error comes back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(5);

/// The receiver, listening since it was made.
pub(super) struct Webhook {
    listener: TcpListener,
    receiver: Receiver,
}

/// What every connection needs.
#[derive(Clone)]
struct Receiver {
    recorder: Recorder,
    rule_clock: RuleClock,
    sightings: Arc<Sightings>,
}

impl Webhook {
    /// Listens on `host:port`.
    ///
    /// # Errors
    /// [`ObserveError::Listen`].
    pub(super) async fn bind(
        address: String,
        recorder: Recorder,
        rule_clock: RuleClock,
        sightings: Arc<Sightings>,
    ) -> Result<Self, ObserveError> {
        let bound = TcpListener::bind(&address).await;
        Ok(Self {
            listener: bound.map_err(|source| ObserveError::Listen { address, source })?,
            receiver: Receiver {
                recorder,
                rule_clock,
                sightings,
            },
        })
    }
}

#[async_trait]
impl Observer for Webhook {
    async fn watch(&self, over: CancellationToken) {
        let recorder = &self.receiver.recorder;
        let mut silence = Silence::since(SOURCE, recorder.clock().now_us());
        // Dropped with this future, and every connection with it.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = over.cancelled() => break,
                Some(_ended) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        silence.broken(recorder);
                        connections.spawn(serve(stream, self.receiver.clone()));
                    }
                    Err(error) => {
                        silence.goes_on(error);
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        silence.broken(recorder);
    }

    /// Every delivery is recorded when it comes.
    async fn collect(&self, _order: &CollectOrder) {}
}

async fn serve(stream: TcpStream, receiver: Receiver) {
    let service = service_fn(async |request| {
        let status = receiver.receive(request).await;
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    // An error is the sender's: gone, or not speaking HTTP. It tries again.
    let _ended = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Receiver {
    /// Takes one request in and says what to answer. Any path will do.
    async fn receive(&self, request: Request<Incoming>) -> StatusCode {
        if request.method() != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED;
        }
        let body = Limited::new(request.into_body(), BODY_LIMIT).collect();
        let read = match tokio::time::timeout(PATIENCE, body).await {
            Ok(Ok(body)) => {
                // The moment of the notification: all of it is here.
                let at_us = self.recorder.clock().now_us();
                read(&body.to_bytes()).map(|delivery| self.deliver(at_us, delivery))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it took over {} s", PATIENCE.as_secs())),
        };
        match read {
            Ok(()) => StatusCode::OK,
            Err(why) => {
                self.warn(format!(
                    "a delivery to the webhook receiver cannot be read: {why}"
                ));
                StatusCode::BAD_REQUEST
            }
        }
    }

    fn deliver(&self, at_us: i64, delivery: Read) {
        let clock = self.recorder.clock();
        for alert in delivery.alerts {
            let delivery = Delivery {
                alert: alert.name,
                labels: alert.labels,
                starts_us: clock.wall_us(alert.starts_ns, self.rule_clock.skew_ns()),
                resolved: alert.resolved,
            };
            self.recorder.record_at(
                at_us,
                Event::Notified {
                    alert: delivery.alert.clone(),
                    labels: delivery.labels.clone(),
                    resolved: delivery.resolved,
                    starts_us: delivery.starts_us,
                },
            );
            self.sightings.delivered(delivery);
        }
        if delivery.truncated > 0 {
            self.warn(format!(
                "Alertmanager left {} alerts out of a delivery (its `max_alerts`): they count as not notified",
                delivery.truncated
            ));
        }
    }

    fn warn(&self, text: String) {
        let level = Level::Warning;
        self.recorder.record(Event::Note { level, text });
    }
}

/// A delivery, read.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    alerts: Vec<ReadAlert>,
    truncated: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct ReadAlert {
    name: String,
    /// All labels but `alertname`.
    labels: BTreeMap<String, String>,
    resolved: bool,
    starts_ns: i64,
}

/// Version 4 of Alertmanager's webhook
/// (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).
#[derive(Deserialize)]
struct Message {
    alerts: Vec<MessageAlert>,
    #[serde(rename = "truncatedAlerts", default)]
    truncated: u64,
}

#[derive(Deserialize)]
struct MessageAlert {
    status: Status,
    labels: BTreeMap<String, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

fn read(body: &[u8]) -> Result<Read, String> {
    let message: Message = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let alert = |alert: MessageAlert| {
        let mut labels = alert.labels;
        let starts_ns = wall::of_rfc3339(&alert.starts_at);
        Ok(ReadAlert {
            name: labels
                .remove("alertname")
                .ok_or("an alert without `alertname`")?,
            labels,
            resolved: alert.status == Status::Resolved,
            starts_ns: starts_ns
                .ok_or_else(|| format!("`{}` is not a `startsAt`", alert.starts_at))?,
        })
    };
    let alerts: Result<Vec<_>, String> = message.alerts.into_iter().map(alert).collect();
    Ok(Read {
        alerts: alerts?,
        truncated: message.truncated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Alertmanager 0.28 sends it, shortened.
    const DELIVERY: &str = r#"{"receiver":"hook","status":"firing","alerts":[
        {"status":"firing","labels":{"alertname":"BackendDown","instance":"a"},"annotations":{},
         "startsAt":"2026-11-21T10:07:58.453Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"7fe8"},
        {"status":"resolved","labels":{"alertname":"BackendDown","instance":"b"},"annotations":{},
         "startsAt":"2026-11-21T10:07:58.453Z","endsAt":"2026-11-21T10:08:03.453Z","fingerprint":"7fe9"}],
        "groupLabels":{"alertname":"BackendDown"},"commonLabels":{},"commonAnnotations":{},
        "externalURL":"http://vm:39093","version":"4","groupKey":"{}:{}","truncatedAlerts":3}"#;

    #[test]
    fn every_alert_has_a_status_of_its_own() {
        let read = read(DELIVERY.as_bytes()).unwrap();
        let alert = |instance: &str, resolved| ReadAlert {
            name: "BackendDown".to_owned(),
            labels: BTreeMap::from([("instance".to_owned(), instance.to_owned())]),
            resolved,
            starts_ns: 1_795_255_678_453_000_000,
        };
        assert_eq!(read.alerts, [alert("a", false), alert("b", true)]);
        assert_eq!(read.truncated, 3);
    }

    #[test]
    fn half_a_delivery_is_none() {
        for (bad, why) in [
            ("", "EOF while parsing"),
            ("<html>", "expected value"),
            ("{}", "missing field `alerts`"),
            (&DELIVERY[..300], "EOF while parsing"),
            (
                r#"{"alerts":[{"status":"maybe","labels":{},"startsAt":""}]}"#,
                "unknown variant `maybe`",
            ),
            (
                r#"{"alerts":[{"status":"firing","labels":{},"startsAt":"2026-11-21T10:07:58Z"}]}"#,
                "an alert without `alertname`",
            ),
            (
                r#"{"alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"0001-01-01T00:00:00Z"}]}"#,
                "`0001-01-01T00:00:00Z` is not a `startsAt`",
            ),
        ] {
            let error = read(bad.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
