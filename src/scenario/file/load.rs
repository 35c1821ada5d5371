//! `load:` as written.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::exactly_one;
use crate::scenario::plan::{Driver, Pacing, RetryMethods};
use crate::scenario::shape::{At, Named};
use crate::scenario::units::{ArrivalRate, Percentage, Period, Text};

/// Open-loop load: arrivals at a rate that nothing the system does can move.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = journeys_or_request)]
pub(in crate::scenario) struct Load {
    /// What relative addresses are relative to.
    pub(in crate::scenario) base_url: Option<At<String>>,
    /// Before the stages, at the first stage's rate: 10s unless set.
    pub(in crate::scenario) warmup: Option<At<Period>>,
    /// Stretches of load, one after the other.
    #[schemars(required, length(min = 1))]
    pub(in crate::scenario) stages: Option<At<Vec<At<Stage>>>>,
    /// Limit on a request, from its due time: 5s unless set.
    pub(in crate::scenario) timeout: Option<At<Period>>,
    /// Driver `reqwest`: most redirects of a request that are followed, 10 unless set. One more is the answer (`http_3xx`).
    pub(in crate::scenario) redirects: Option<At<u32>>,
    /// Driver `reqwest`: the proxy that is asked, as in `http://10.0.0.9:3128`, or `environment` for the one that HTTP_PROXY,
    /// HTTPS_PROXY, ALL_PROXY and NO_PROXY name. None unless set, whatever the environment says.
    pub(in crate::scenario) proxy: Option<At<String>>,
    /// How requests are tried again that end badly: never unless set.
    pub(in crate::scenario) retry: Option<At<Retry>>,
    /// The connections.
    pub(in crate::scenario) connections: Option<Connections>,
    /// When arrivals come: evenly unless set.
    pub(in crate::scenario) arrivals: Option<Arrivals>,
    /// TLS, where an address is https.
    pub(in crate::scenario) tls: Option<At<Tls>>,
    /// How names are looked up.
    pub(in crate::scenario) dns: Option<Dns>,
    /// How the load is generated.
    pub(in crate::scenario) engine: Option<Engine>,
    /// Most requests unanswered at once: peak rate × timeout + connections unless set.
    pub(in crate::scenario) in_flight: Option<At<u64>>,
    /// Response headers that say who answered.
    pub(in crate::scenario) served_by: Option<At<ServedBy>>,
    /// Headers of every request.
    pub(in crate::scenario) headers: Option<Named<At<Text>>>,
    /// Simulated users.
    pub(in crate::scenario) users: Option<Users>,
    /// Rows for `${row.COLUMN}`.
    pub(in crate::scenario) data: Option<Data>,
    /// What arrivals do; one journey is chosen for each arrival by weight.
    pub(in crate::scenario) journeys: Option<At<Named<Journey>>>,
    /// The one request of a load without journeys.
    pub(in crate::scenario) request: Option<At<Request>>,
}

/// A stretch of load: `rate`, or `ramp_to` from where the stage before ended.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = rate_or_ramp)]
pub(in crate::scenario) struct Stage {
    /// A constant rate.
    pub(in crate::scenario) rate: Option<At<ArrivalRate>>,
    /// The rate at the stage's end.
    pub(in crate::scenario) ramp_to: Option<At<ArrivalRate>>,
    /// How long it lasts.
    pub(in crate::scenario) r#for: At<Period>,
}

/// When arrivals come.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::scenario) enum Arrivals {
    /// Evenly spaced at the stage's rate.
    Even,
    /// At random times at the stage's rate: a Poisson process, drawn by the seed.
    Poisson,
}

/// How requests are tried again, as clients with a retry policy do. All of it happens before the request's deadline, which
/// counts from its due time. A request is one request, however often it is tried: it ends as its last try does, and objectives
/// judge that; the figures of first tries stand beside it as `raw`. Logins have their own way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Retry {
    /// Most tries in all, the first included, as gRPC and the AWS SDKs count: 3 unless set.
    #[schemars(range(min = 2, max = 100))]
    pub(in crate::scenario) attempts: Option<At<u32>>,
    /// Longest wait before the second try: 100ms unless set. It doubles with each further try, and how much of it is waited is
    /// drawn by the seed (full jitter, as in AWS SDKs and Envoy). A 429 or 503 with `Retry-After` is waited for as long as that
    /// says instead. Where the wait would end after the deadline, the request ends at once with what it has.
    pub(in crate::scenario) wait: Option<At<Period>>,
    /// Longest wait before any try: ten times `wait` unless set, as in Envoy.
    pub(in crate::scenario) max_wait: Option<At<Period>>,
    /// How a try ends that is followed by another: outcomes (`refused`, `reset`, `eof`, `connect_timeout`, `timeout`,
    /// `unreachable`, `dns`, `tls`, `protocol`, `http_4xx`, `http_5xx`) and statuses (`http_503`). Unless set: `refused`, `reset`,
    /// `eof`, `connect_timeout`, `http_429`, `http_502`, `http_503`, `http_504`.
    #[schemars(length(min = 1))]
    pub(in crate::scenario) on: Option<At<Vec<At<String>>>>,
    /// Requests of which methods: idempotent ones unless set.
    pub(in crate::scenario) methods: Option<RetryMethods>,
    /// Most retries, as a share of the requests of the last 10 s, so that they do not become the outage: 20% unless set, as in
    /// Finagle and Envoy. 10 in 10 s are always allowed; 100% is no limit.
    pub(in crate::scenario) budget: Option<At<Percentage>>,
    /// Limit on each try: the request's own is the only one unless set.
    pub(in crate::scenario) try_timeout: Option<At<Period>>,
}

/// The connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Connections {
    /// Most open at once: 256 unless set. Driver `reqwest` sends so many requests at a time, and may for a moment hold more
    /// connections than are in use.
    #[schemars(range(min = 1))]
    pub(in crate::scenario) max: Option<At<u32>>,
    /// Most that each thread of the generator makes at a time: 64 unless set. Beyond it, requests wait as for a connection.
    #[schemars(range(min = 1))]
    pub(in crate::scenario) connecting: Option<At<u32>>,
    /// Oldest that one may be to get another request: without it, keep-alive hides what DNS and load balancers do.
    pub(in crate::scenario) max_age: Option<At<Period>>,
    /// Send an idempotent request once more whose reused connection dies before any byte of an answer: false unless set.
    pub(in crate::scenario) stale_retry: Option<bool>,
    /// HTTP/2: most requests at a time on each: 100 unless set.
    #[schemars(range(min = 1))]
    pub(in crate::scenario) streams: Option<At<u32>>,
    /// Addresses of this machine that connections come from, each from the next: more ports, and more than one client to
    /// the other side. The system chooses unless set.
    #[schemars(length(min = 1))]
    pub(in crate::scenario) source: Option<At<Vec<At<String>>>>,
}

/// How names are looked up. Their addresses are kept for as long as their TTL says, and take turns.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Dns {
    /// DNS server that is asked, as in `10.0.0.2` or `127.0.0.1:5353`, in place of this machine's.
    pub(in crate::scenario) server: At<String>,
}

/// How TLS is spoken. Paths are relative to the scenario's folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Tls {
    /// Certificates that are trusted, in PEM form, in place of this machine's.
    pub(in crate::scenario) ca: Option<At<String>>,
    /// Client certificate, in PEM form.
    pub(in crate::scenario) cert: Option<At<String>>,
    /// Its private key, in PEM form.
    pub(in crate::scenario) key: Option<At<String>>,
    /// Trust whoever answers: false unless set.
    pub(in crate::scenario) insecure: Option<bool>,
}

/// How the load is generated.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Engine {
    /// What speaks: `hyper1` unless set.
    pub(in crate::scenario) driver: Option<Driver>,
    /// How closely arrivals keep to their times: precise up to 5,000/s a thread, by ticks of 1 ms above, unless set.
    pub(in crate::scenario) pacing: Option<Pacing>,
    /// Threads that send: one for each 20,000/s, on at most half of the cores, unless set.
    #[schemars(range(min = 1))]
    pub(in crate::scenario) shards: Option<At<u32>>,
}

/// Response headers that say who answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ServedBy {
    /// Header with the instance: its name, host name, container id or address.
    pub(in crate::scenario) instance: Option<At<String>>,
    /// Header with the version.
    pub(in crate::scenario) version: Option<At<String>>,
}

/// Simulated users: arrival n draws user n mod `count`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Users {
    /// How many.
    #[schemars(range(min = 1))]
    pub(in crate::scenario) count: At<u32>,
    /// What each does once before the warm-up, and again on a 401.
    pub(in crate::scenario) login: Option<Vec<At<Request>>>,
    /// Each keeps the cookies that answers set, logins' too, and sends them where domain, path and `Secure` say so
    /// (RFC 6265): false unless set. All of his arrivals share them, as the tabs of a browser do. The host is that of the
    /// `Host` header. A `Cookie` header of the scenario's own is sent with them, and its value of a name wins.
    pub(in crate::scenario) cookies: Option<bool>,
}

/// A CSV file with a header line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Data {
    /// The file, relative to the scenario's folder.
    pub(in crate::scenario) rows: At<String>,
}

/// What one arrival does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Journey {
    /// Its share of arrivals, against the other journeys' weights: 1 unless set.
    #[schemars(range(min = 1))]
    pub(in crate::scenario) weight: Option<At<u32>>,
    /// In place of the load's.
    pub(in crate::scenario) base_url: Option<At<String>>,
    /// Requests and waits, in order.
    pub(in crate::scenario) requests: At<Vec<At<Request>>>,
}

/// A request, or a wait (`think`) before the next.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = method_or_think)]
pub(in crate::scenario) struct Request {
    /// Address, relative to the base URL.
    pub(in crate::scenario) get: Option<At<String>>,
    /// Address, relative to the base URL.
    pub(in crate::scenario) head: Option<At<String>>,
    /// Address, relative to the base URL.
    pub(in crate::scenario) post: Option<At<String>>,
    /// Address, relative to the base URL.
    pub(in crate::scenario) put: Option<At<String>>,
    /// Address, relative to the base URL.
    pub(in crate::scenario) patch: Option<At<String>>,
    /// Address, relative to the base URL.
    pub(in crate::scenario) delete: Option<At<String>>,
    /// A wait before the next request.
    pub(in crate::scenario) think: Option<At<Period>>,
    /// Its own headers.
    pub(in crate::scenario) headers: Option<Named<At<Text>>>,
    /// A JSON body.
    pub(in crate::scenario) json: Option<At<serde_json::Value>>,
    /// A text body.
    pub(in crate::scenario) body: Option<At<String>>,
    /// A file that is the body, byte for byte, relative to the scenario's folder; `application/octet-stream` unless
    /// `headers` say otherwise.
    pub(in crate::scenario) body_file: Option<At<String>>,
    /// What makes the answer `ok`, and good.
    pub(in crate::scenario) expect: Option<Expect>,
    /// Name to JSONPath into the answer, for `${name}` later in the journey.
    pub(in crate::scenario) extract: Option<Named<At<String>>>,
}

/// What an answer must be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Expect {
    /// Exactly this status; without one, 2xx or 304.
    pub(in crate::scenario) status: Option<At<u16>>,
    /// Latency within which it is good.
    pub(in crate::scenario) within: Option<At<Period>>,
    /// Text in the body.
    pub(in crate::scenario) contains: Option<At<Text>>,
    /// JSONPath to the value it must have.
    pub(in crate::scenario) json: Option<Named<At<serde_json::Value>>>,
}

fn journeys_or_request(schema: &mut Schema) {
    exactly_one(schema, &["journeys", "request"]);
}

fn rate_or_ramp(schema: &mut Schema) {
    exactly_one(schema, &["rate", "ramp_to"]);
}

fn method_or_think(schema: &mut Schema) {
    exactly_one(
        schema,
        &["get", "head", "post", "put", "patch", "delete", "think"],
    );
}
