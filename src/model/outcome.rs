//! How a request ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a request ended: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// 2xx or 304, and what `expect` asks for.
    Ok = 0,
    /// A redirect that `expect` did not ask for.
    #[serde(rename = "http_3xx")]
    Http3xx = 1,
    /// A client error other than 429.
    #[serde(rename = "http_4xx")]
    Http4xx = 2,
    /// Too Many Requests.
    #[serde(rename = "http_429")]
    Http429 = 3,
    /// A server error.
    #[serde(rename = "http_5xx")]
    Http5xx = 4,
    /// The connection was refused.
    Refused = 5,
    /// The connection was reset (RST).
    Reset = 6,
    /// No route to the host or network.
    Unreachable = 7,
    /// The connection was not established by the deadline.
    ConnectTimeout = 8,
    /// Not complete at the due time plus the limit, queueing included.
    Timeout = 9,
    /// Closed (FIN) before the end of the answer.
    Eof = 10,
    /// The host's name could not be resolved.
    Dns = 11,
    /// The TLS handshake failed.
    Tls = 12,
    /// The answer was not HTTP.
    Protocol = 13,
    /// A check on the body or the status failed.
    Assertion = 14,
    /// Not sent because too many were unanswered while the generator was on time: the system's fault.
    Shed = 15,
    /// Not sent because the generator was late: the harness's fault, neither good nor bad.
    Dropped = 16,
    /// In flight when the run was aborted: neither good nor bad.
    Cut = 17,
}

impl Outcome {
    /// Every outcome, in the order of its number.
    pub const ALL: [Self; 18] = [
        Self::Ok,
        Self::Http3xx,
        Self::Http4xx,
        Self::Http429,
        Self::Http5xx,
        Self::Refused,
        Self::Reset,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::Timeout,
        Self::Eof,
        Self::Dns,
        Self::Tls,
        Self::Protocol,
        Self::Assertion,
        Self::Shed,
        Self::Dropped,
        Self::Cut,
    ];

    /// The outcome with this number, as written in a recording.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Http3xx => "http_3xx",
            Self::Http4xx => "http_4xx",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Timeout => "timeout",
            Self::Eof => "eof",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Assertion => "assertion",
            Self::Shed => "shed",
            Self::Dropped => "dropped",
            Self::Cut => "cut",
        }
    }

    /// Whether it counts at all: `dropped` and `cut` are neither good nor bad.
    #[must_use]
    pub fn counts(self) -> bool {
        !matches!(self, Self::Dropped | Self::Cut)
    }

    /// Whether the request was on the wire, so that its times say something of the system.
    #[must_use]
    pub fn timed(self) -> bool {
        self.counts() && self != Self::Shed
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|o| o.name() == text)
            .ok_or_else(|| format!("`{text}` is no outcome"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_one_to_one() {
        for (code, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, code);
            assert_eq!(
                Outcome::from_code(u8::try_from(code).unwrap()),
                Some(outcome)
            );
            assert_eq!(outcome.name().parse(), Ok(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
        assert_eq!(Outcome::from_code(18), None);
    }
}
