//! What an answer must be, and what is taken from it.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::arrival::Arrival;
use super::client::Body;
use super::data::Rows;
use super::text::Text;
use crate::model::Outcome;

/// The largest body that checks and extracts are made on.
const BODY_LIMIT: usize = 8 << 20;

/// Checks and extracts of one request.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Exactly this status; without it, 2xx or 304.
    pub(super) status: Option<u16>,
    /// Latency within which it is good.
    pub(super) within: Option<Duration>,
    /// Text in the body.
    pub(super) contains: Option<Text>,
    /// Values in the JSON body.
    pub(super) json: Vec<(JsonPath, Value)>,
    /// Name numbers and what becomes their value.
    pub(super) extract: Vec<(usize, JsonPath)>,
}

impl Checks {
    /// Bytes of the body that are needed.
    pub(super) fn keep(&self) -> usize {
        if self.contains.is_some() || self.reads_json() {
            BODY_LIMIT
        } else {
            0
        }
    }

    fn reads_json(&self) -> bool {
        !self.json.is_empty() || !self.extract.is_empty()
    }

    /// Judges a whole answer, and gives `arrival` what it extracts.
    pub(super) fn judge(
        &self,
        status: u16,
        body: &Body,
        arrival: &mut Arrival,
        rows: &Rows,
    ) -> Outcome {
        match self.of_status(status) {
            Outcome::Ok if self.body_holds(body, arrival, rows) => Outcome::Ok,
            Outcome::Ok => Outcome::Assertion,
            bad => bad,
        }
    }

    /// A status that says what went wrong is that class, also where another one was expected.
    fn of_status(&self, status: u16) -> Outcome {
        if self.status == Some(status) {
            return Outcome::Ok;
        }
        match status {
            200..=299 | 304 if self.status.is_none() => Outcome::Ok,
            200..=299 | 304 => Outcome::Assertion,
            300..=399 => Outcome::Http3xx,
            429 => Outcome::Http429,
            400..=499 => Outcome::Http4xx,
            500..=599 => Outcome::Http5xx,
            _ => Outcome::Protocol,
        }
    }

    /// Everything that reads the body. One too large to keep whole cannot be checked, and what cannot be checked
    /// does not hold.
    fn body_holds(&self, body: &Body, arrival: &mut Arrival, rows: &Rows) -> bool {
        if self.keep() == 0 {
            return true;
        }
        if !body.whole {
            return false;
        }
        if let Some(text) = &self.contains
            && !contains(&body.kept, text.of(arrival, rows).as_bytes())
        {
            return false;
        }
        !self.reads_json() || self.json_holds(body, arrival)
    }

    fn json_holds(&self, body: &Body, arrival: &mut Arrival) -> bool {
        let Ok(value) = serde_json::from_slice::<Value>(&body.kept) else {
            return false;
        };
        let holds = self.json.iter().all(|(path, want)| {
            let found = path.query(&value);
            !found.is_empty() && found.iter().all(|got| same(got, want))
        });
        holds
            && self
                .extract
                .iter()
                .all(|(name, path)| match path.query(&value).first() {
                    None | Some(Value::Null) => false,
                    Some(Value::String(text)) => {
                        arrival.set(*name, text);
                        true
                    }
                    Some(other) => {
                        arrival.set(*name, &other.to_string());
                        true
                    }
                })
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// Equal, with `1` equal to `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        _ => a == b,
    }
}

/// Whether a user must log in again.
pub(super) fn wants_login(status: u16) -> bool {
    status == StatusCode::UNAUTHORIZED.as_u16()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::load::arrival::Unique;

    fn judge(checks: &Checks, status: u16, body: &'static str) -> (Outcome, Option<String>) {
        let mut arrival = Arrival {
            n: 0,
            user: 0,
            unique: Unique::default(),
            login: Arc::default(),
            named: Vec::new(),
        };
        let body = Body {
            kept: Bytes::from_static(body.as_bytes()),
            whole: true,
        };
        let outcome = checks.judge(status, &body, &mut arrival, &Rows::default());
        (outcome, arrival.value(0).map(str::to_owned))
    }

    #[test]
    fn statuses_are_classes() {
        let expecting = |status| Checks {
            status,
            ..Checks::default()
        };
        for (expected, status, outcome) in [
            (None, 200, Outcome::Ok),
            (None, 304, Outcome::Ok),
            (None, 302, Outcome::Http3xx),
            (None, 404, Outcome::Http4xx),
            (None, 429, Outcome::Http429),
            (None, 503, Outcome::Http5xx),
            (None, 101, Outcome::Protocol),
            (None, 799, Outcome::Protocol),
            (Some(201), 201, Outcome::Ok),
            (Some(201), 200, Outcome::Assertion),
            (Some(201), 503, Outcome::Http5xx),
            (Some(302), 302, Outcome::Ok),
            (Some(404), 404, Outcome::Ok),
            (Some(302), 304, Outcome::Assertion),
        ] {
            assert_eq!(
                judge(&expecting(expected), status, "").0,
                outcome,
                "{status}, expected {expected:?}"
            );
        }
    }

    #[test]
    fn bodies_are_checked_and_read() {
        let path = |p| JsonPath::parse(p).unwrap();
        let checks = Checks {
            contains: Some(Text::literal("ann")),
            json: vec![(path("$.user.id"), json!(1.0))],
            extract: vec![(0, path("$.token"))],
            ..Checks::default()
        };
        let ok = r#"{"user": {"id": 1, "name": "ann"}, "token": "t"}"#;
        assert_eq!(judge(&checks, 200, ok), (Outcome::Ok, Some("t".to_owned())));
        for bad in [
            "",
            "ann",
            r#"{"user": {"id": 2, "name": "ann"}, "token": "t"}"#,
            r#"{"user": {"id": 1, "name": "bob"}, "token": "t"}"#,
            r#"{"user": {"id": 1, "name": "ann"}}"#,
            r#"{"user": {"id": 1, "name": "ann"}, "token": null}"#,
        ] {
            assert_eq!(judge(&checks, 200, bad).0, Outcome::Assertion, "{bad}");
        }
        let number = Checks {
            extract: vec![(0, path("$.n"))],
            ..Checks::default()
        };
        assert_eq!(judge(&number, 200, r#"{"n": 5}"#).1, Some("5".to_owned()));
    }

    #[test]
    fn a_body_too_large_to_check_does_not_hold() {
        let checks = Checks {
            contains: Some(Text::literal("a")),
            ..Checks::default()
        };
        let body = Body {
            kept: Bytes::from_static(b"a"),
            whole: false,
        };
        assert!(!checks.body_holds(
            &body,
            &mut Arrival {
                n: 0,
                user: 0,
                unique: Unique::default(),
                login: Arc::default(),
                named: Vec::new(),
            },
            &Rows::default()
        ));
    }
}
