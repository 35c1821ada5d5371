//! HTTP servers that answer as a test tells them to, and a Prometheus that answers from the samples it is given.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use firedrill::timeline::clock::Clock;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What a server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers so.
    Says(u16, String),
    /// Never answers.
    Silent,
}

impl Reply {
    pub(crate) fn json(value: &Value) -> Self {
        Self::Says(200, value.to_string())
    }

    /// As Prometheus wraps what it says.
    pub(crate) fn data(data: &Value) -> Self {
        Self::json(&json!({"status": "success", "data": data}))
    }
}

/// A request.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) query: BTreeMap<String, String>,
}

/// A server on a port of its own; gone when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    _accepting: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                let service = service_fn(move |request| reply(request, Arc::clone(&answer)));
                connections.spawn(async move {
                    // Its end is the caller's business.
                    let _ended = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            url,
            _accepting: accepting,
        }
    }

    /// The same answer to everything.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }
}

async fn reply(
    request: Request<Incoming>,
    answer: Arc<impl Fn(Asked) -> Reply>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let url = Url::parse(&format!("http://fake{}", request.uri())).unwrap();
    let method = request.method().to_string();
    let body = request.into_body().collect().await;
    let body = body.map(|b| String::from_utf8_lossy(&b.to_bytes()).into_owned());
    let asked = Asked {
        method,
        path: url.path().to_owned(),
        body: body.unwrap_or_default(),
        query: url.query_pairs().into_owned().collect(),
    };
    match answer(asked) {
        Reply::Says(status, body) => {
            let response = Response::builder().status(status);
            // hyper adds no `Date` of its own here.
            let date = jiff::fmt::rfc2822::to_string(
                &jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC),
            );
            let date = date.unwrap().replace("+0000", "GMT");
            Ok(response
                .header("date", date)
                .body(Full::from(body))
                .unwrap())
        }
        Reply::Silent => pending().await,
    }
}

/// A series as Prometheus stores it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    /// Offsets in the run, in ms, of its samples of value 1.
    pub(crate) samples_ms: Vec<i64>,
    /// Offsets of its stale markers.
    pub(crate) ended_ms: Vec<i64>,
}

/// A Prometheus with a clock of its own. Queries are selectors by name alone.
#[derive(Clone)]
pub(crate) struct Tsdb {
    pub(crate) clock: Clock,
    /// Its clock less the run's.
    pub(crate) ahead_ms: i64,
    pub(crate) series: Vec<Stored>,
    /// The rule groups of `/api/v1/rules`.
    pub(crate) groups: Value,
    /// The alerts of `/api/v1/alerts`, which a test may change.
    pub(crate) alerts: Arc<Mutex<Value>>,
    /// The texts of `/metrics`, the last of which stays.
    pub(crate) metrics: Arc<Mutex<Vec<&'static str>>>,
}

impl Tsdb {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            ahead_ms: 0,
            series: Vec::new(),
            groups: json!([]),
            alerts: Arc::new(Mutex::new(json!([]))),
            metrics: Arc::new(Mutex::new(vec!["# EOF\n"])),
        }
    }

    pub(crate) async fn serve(&self) -> Server {
        let tsdb = self.clone();
        Server::start(move |asked| tsdb.answer(&asked)).await
    }

    /// Seconds since 1970, by its clock.
    pub(crate) fn seconds(&self, offset_ms: i64) -> f64 {
        let ms = self.clock.zero_wall_ns() / 1_000_000 + offset_ms + self.ahead_ms;
        ms as f64 / 1e3
    }

    fn offset_ms(&self, seconds: &str) -> i64 {
        ((seconds.parse::<f64>().unwrap() - self.seconds(0)) * 1e3).round() as i64
    }

    pub(crate) fn answer(&self, asked: &Asked) -> Reply {
        let parameter = |name: &str| asked.query[name].as_str();
        match asked.path.as_str() {
            "/api/v1/query" if parameter("query") == "time()" => {
                // Rounded down once, as the real one does.
                let ms = self.clock.wall_ns(self.clock.now_us()) / 1_000_000 + self.ahead_ms;
                let now = ms as f64 / 1e3;
                Reply::data(&json!({"resultType": "scalar", "result": [now, now.to_string()]}))
            }
            "/api/v1/query" => {
                let (name, range) = parameter("query").split_once('[').unwrap();
                let length: i64 = range.strip_suffix("ms]").unwrap().parse().unwrap();
                let to = self.offset_ms(parameter("time"));
                self.matrix(name, |series| {
                    let within = |at: &&i64| (to - length..=to).contains(*at);
                    series.samples_ms.iter().filter(within).copied().collect()
                })
            }
            "/api/v1/query_range" if parameter("query").ends_with('(') => {
                let error =
                    json!({"status": "error", "errorType": "bad_data", "error": "parse error"});
                Reply::Says(400, error.to_string())
            }
            "/api/v1/query_range" => {
                let (from, to) = (parameter("start"), parameter("end"));
                let step = (parameter("step").parse::<f64>().unwrap() * 1e3) as usize;
                let grid = (self.offset_ms(from)..=self.offset_ms(to)).step_by(step);
                self.matrix(parameter("query"), |series| {
                    grid.clone().filter(|at| series.is_shown(*at)).collect()
                })
            }
            "/api/v1/rules" => Reply::data(&json!({"groups": self.groups})),
            "/api/v1/alerts" => Reply::data(&json!({"alerts": *self.alerts.lock().unwrap()})),
            "/api/v1/targets" => Reply::data(
                &json!({"activeTargets": [{"scrapeInterval": "5s"}, {"scrapeInterval": "1m0s"}]}),
            ),
            "/metrics" => {
                let mut metrics = self.metrics.lock().unwrap();
                let text = metrics[0];
                if metrics.len() > 1 {
                    metrics.remove(0);
                }
                Reply::Says(200, text.to_owned())
            }
            other => Reply::Says(404, format!("no {other} here")),
        }
    }

    fn matrix(&self, name: &str, times: impl Fn(&Stored) -> Vec<i64>) -> Reply {
        let of_name = |s: &&Stored| s.labels.contains(&("__name__", name));
        let series = self.series.iter().filter(of_name).filter_map(|stored| {
            let times = times(stored);
            let values = times.iter().map(|at| json!([self.seconds(*at), "1"]));
            let values: Vec<Value> = values.collect();
            let metric: BTreeMap<_, _> = stored.labels.iter().copied().collect();
            (!values.is_empty()).then(|| json!({"metric": metric, "values": values}))
        });
        let result: Vec<Value> = series.collect();
        Reply::data(&json!({"resultType": "matrix", "result": result}))
    }
}

impl Stored {
    /// Whether a query at this offset finds it: its last sample is at most 5 min old, and no marker came after it.
    fn is_shown(&self, at_ms: i64) -> bool {
        let last = |times: &[i64]| times.iter().copied().filter(|t| *t <= at_ms).max();
        last(&self.samples_ms).is_some_and(|sample| {
            sample > at_ms - 300_000 && last(&self.ended_ms).is_none_or(|end| end < sample)
        })
    }
}
