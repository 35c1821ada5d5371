//! Why a load could not be prepared or started.

use super::client::TlsError;
use crate::model::{Outcome, TemplateError};

/// Why a load could not be prepared or started. What the system under test does is never one of these: it is a
/// record.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A template has no value, or one that cannot be known here.
    #[error("{place}: {source}")]
    Template {
        place: String,
        source: TemplateError,
    },
    /// An address that no request can be sent to.
    #[error("{place}: `{url}` is not an address to send requests to: {why}")]
    Url {
        place: String,
        url: String,
        why: String,
    },
    /// A relative address without a base.
    #[error("{place}: `{url}` is relative, and neither the load nor the journey has a `base_url`")]
    NoBase { place: String, url: String },
    /// TLS cannot be spoken as asked.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// A driver that cannot do what the load asks of it.
    #[error("driver `raw1` speaks plain HTTP alone; take `hyper1` for https")]
    RawTls,
    /// Another thing that the driver cannot do.
    #[error("`{option}` is not supported by driver {driver}; leave it out, or take another driver")]
    Unsupported {
        option: &'static str,
        driver: &'static str,
    },
    /// The client could not be made.
    #[error("driver `reqwest` cannot be made ready: {why}; is the proxy's address right?")]
    Client { why: String },
    /// Connections cannot come from there.
    #[error(
        "source address {address}: {why}; connections can come from the addresses of this machine alone"
    )]
    Source {
        address: std::net::IpAddr,
        why: String,
    },
    /// A method or header that HTTP does not allow.
    #[error("{place}: {what} is not allowed in HTTP: {why}")]
    Http {
        place: String,
        what: String,
        why: String,
    },
    /// An `extract` or a check with a JSONPath that cannot be read.
    #[error("{place}: `{path}` is not a JSONPath: {why}")]
    JsonPath {
        place: String,
        path: String,
        why: String,
    },
    /// The data file cannot be used.
    #[error("data file {path}: {why}")]
    Data { path: String, why: String },
    /// The file of a body cannot be read.
    #[error("body file {path}: {why}")]
    BodyFile { path: String, why: String },
    /// No journey to choose.
    #[error("the load has no journey with a weight above 0")]
    NoJourney,
    /// A user's login did not work.
    #[error(
        "login of user {user} failed at {request}: {got}; fix the login or the system before the load is started"
    )]
    Login {
        user: u32,
        request: String,
        got: LoginFailure,
    },
    /// The users were not logged in.
    #[error("the load's users are not logged in; log them in before the load is started")]
    NotLoggedIn,
    /// The engine's thread could not be started.
    #[error("the load engine's {thread} thread could not be started: {source}")]
    Thread {
        thread: &'static str,
        source: std::io::Error,
    },
}

/// What a login request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginFailure {
    /// It ended so.
    #[error("it ended as {outcome}{}", with_status(*status))]
    Ended { outcome: Outcome, status: u16 },
    /// It was told to wait too often.
    #[error("it was answered 429 {times} times in a row")]
    TooMany { times: u32 },
}

fn with_status(status: u16) -> String {
    match status {
        0 => String::new(),
        status => format!(" (status {status})"),
    }
}
