//! Why something could not be observed.

use crate::model::TemplateError;

/// Why observation could not begin. Nothing of the system under test leads to one of these.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// An address of the scenario has no value.
    #[error("observe.{key}: {source}")]
    Template {
        /// Key under `observe`.
        key: &'static str,
        /// What is missing.
        source: TemplateError,
    },
    /// An address that nothing can be asked at.
    #[error("observe.{key}: `{url}` is not the address of an HTTP server: {why}")]
    Url {
        /// Key under `observe`.
        key: &'static str,
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The webhook receiver cannot listen.
    #[error(
        "observe.webhook: cannot listen on {address}: {source}; end what holds the port, or let `${{free_port}}` draw one"
    )]
    Listen {
        /// `host:port`.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no way to send requests.
    #[error("no HTTP client can be made: {why}; are the system's CA certificates installed?")]
    Client {
        /// What its library says.
        why: String,
    },
}

/// Why a server was asked in vain. Addresses in it bear no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AskError {
    /// No answer, or not all of it.
    #[error("{url} does not answer: {why}")]
    NoAnswer { url: String, why: String },
    /// An answer that is none.
    #[error("{url} answered {status}: {said}")]
    Status {
        url: String,
        status: u16,
        said: String,
    },
    /// The query itself is wrong: asking again will not help.
    #[error("{url} refuses the query: {said}")]
    Refused { url: String, said: String },
    /// An answer of another kind than its address promises.
    #[error("{url} answered what cannot be read: {why}")]
    Unreadable { url: String, why: String },
}
