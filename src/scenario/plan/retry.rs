//! How requests are tried again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Outcome, Ratio};

/// Most tries that can be asked for.
pub const MOST_ATTEMPTS: u32 = 100;

/// When a request is tried again, and after how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPlan {
    /// Most tries in all, the first included.
    pub attempts: u32,
    /// Longest wait before the second try; it doubles with each further one.
    pub wait: Duration,
    /// Longest wait before any.
    pub max_wait: Duration,
    /// How a try ends that is followed by another.
    pub on: Vec<RetryOn>,
    /// Requests of which methods.
    pub methods: RetryMethods,
    /// Most retries, as a share of the requests of the last 10 s.
    pub budget: Ratio,
    /// Limit on each try; a request's own is the only one unless set.
    pub try_timeout: Option<Duration>,
}

impl Default for RetryPlan {
    fn default() -> Self {
        let wait = Duration::from_millis(100);
        Self {
            attempts: 3,
            wait,
            max_wait: Self::longest(wait),
            on: [
                RetryOn::Outcome(Outcome::Refused),
                RetryOn::Outcome(Outcome::Reset),
                RetryOn::Outcome(Outcome::Eof),
                RetryOn::Outcome(Outcome::ConnectTimeout),
                RetryOn::Status(429),
                RetryOn::Status(502),
                RetryOn::Status(503),
                RetryOn::Status(504),
            ]
            .into(),
            methods: RetryMethods::default(),
            budget: Ratio::new(0.2).expect("a fifth is a share"),
            try_timeout: None,
        }
    }
}

impl RetryPlan {
    /// The longest wait unless it is set: ten times the first, as Envoy has it.
    #[must_use]
    pub fn longest(wait: Duration) -> Duration {
        wait * 10
    }

    /// Whether a try that ended so is followed by another.
    #[must_use]
    pub fn is_on(&self, outcome: Outcome, status: u16) -> bool {
        let answered = matches!(
            outcome,
            Outcome::Http4xx | Outcome::Http429 | Outcome::Http5xx
        );
        self.on.iter().any(|on| match on {
            RetryOn::Outcome(on) => *on == outcome,
            RetryOn::Status(on) => answered && *on == status,
        })
    }

    /// Whether it waits for tries to end by a limit that they do not have.
    #[must_use]
    pub fn lacks_try_timeout(&self) -> bool {
        self.try_timeout.is_none() && self.on.contains(&RetryOn::Outcome(Outcome::Timeout))
    }
}

/// `at most 3 tries on refused, http_503; idempotent methods; 20 % of the requests of 10 s`.
impl fmt::Display for RetryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on: Vec<String> = self.on.iter().map(ToString::to_string).collect();
        let methods = match self.methods {
            RetryMethods::Idempotent => "idempotent methods",
            RetryMethods::Any => "any method",
        };
        write!(
            f,
            "at most {} tries on {}; {methods}; waits of up to {} that double up to {}; budget {}",
            self.attempts,
            on.join(", "),
            humantime::format_duration(self.wait),
            humantime::format_duration(self.max_wait),
            self.budget,
        )?;
        match self.try_timeout {
            None => Ok(()),
            Some(limit) => write!(f, "; {} for each try", humantime::format_duration(limit)),
        }
    }
}

/// Which requests are tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryMethods {
    /// Those whose repetition changes nothing (GET, HEAD, PUT, DELETE, …; RFC 9110, section 9.2.2), and any other of which
    /// not a byte had left.
    #[default]
    Idempotent,
    /// All: the system tells repetitions apart.
    Any,
}

/// How a try ends that is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RetryOn {
    /// This outcome.
    Outcome(Outcome),
    /// An answer with this status.
    Status(u16),
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(outcome) => outcome.fmt(f),
            Self::Status(status) => write!(f, "http_{status}"),
        }
    }
}

impl From<RetryOn> for String {
    fn from(on: RetryOn) -> Self {
        on.to_string()
    }
}

impl TryFrom<String> for RetryOn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for RetryOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let status = text.strip_prefix("http_").and_then(|n| n.parse().ok());
        if let Some(status) = status.filter(|status| (400..600).contains(status)) {
            return Ok(Self::Status(status));
        }
        match text.parse() {
            Ok(
                outcome @ (Outcome::Http4xx
                | Outcome::Http5xx
                | Outcome::Refused
                | Outcome::Reset
                | Outcome::Unreachable
                | Outcome::ConnectTimeout
                | Outcome::Timeout
                | Outcome::Eof
                | Outcome::Dns
                | Outcome::Tls
                | Outcome::Protocol),
            ) => Ok(Self::Outcome(outcome)),
            Ok(
                Outcome::Ok
                | Outcome::Http3xx
                | Outcome::Http429
                | Outcome::Assertion
                | Outcome::Shed
                | Outcome::Dropped
                | Outcome::Cut,
            )
            | Err(_) => Err(format!(
                "`{text}` is nothing that a request is tried again on"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again_is_read_as_it_is_written() {
        for text in ["refused", "http_429", "http_503", "http_5xx", "timeout"] {
            assert_eq!(text.parse::<RetryOn>().unwrap().to_string(), text);
        }
        for text in ["ok", "shed", "cut", "http_302", "http_600", "http_", "503"] {
            assert!(text.parse::<RetryOn>().is_err(), "{text}");
        }
    }

    #[test]
    fn statuses_are_of_answers_that_came_whole() {
        let plan = RetryPlan::default();
        assert!(plan.is_on(Outcome::Http5xx, 503) && plan.is_on(Outcome::Http429, 429));
        assert!(!plan.is_on(Outcome::Http5xx, 500) && !plan.is_on(Outcome::Ok, 503));
        assert!(plan.is_on(Outcome::Eof, 200) && !plan.is_on(Outcome::Timeout, 503));
        let any = RetryPlan {
            on: vec![RetryOn::Outcome(Outcome::Http5xx)],
            ..plan
        };
        assert!(any.is_on(Outcome::Http5xx, 500) && !any.is_on(Outcome::Http4xx, 404));
    }
}
