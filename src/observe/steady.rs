//! Checks of the steady state.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::Value;
use serde_json_path::JsonPath;
use tokio::time::Instant;

use super::prometheus::{Api, QueryResult, Sample, metric};
use super::server::{shown, whole};
use crate::model::{HttpCall, Lookup};
use crate::scenario::plan::{Comparison, Expect, SteadyCheck};

/// Between two tries.
const POLL: Duration = Duration::from_millis(250);
/// How long an HTTP check may take, unless it is itself about time.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a check of the steady state saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// It held within its patience.
    pub held: bool,
    /// What was seen last, for a person.
    pub observed: String,
}

/// Whoever can make checks.
pub(super) struct Checker {
    pub(super) client: Client,
    pub(super) prometheus: Option<Api>,
}

impl Checker {
    /// Makes a check over and over until it holds or its patience is over. Variables are looked up at each try, because
    /// addresses can change with a restart.
    pub(super) async fn check(&self, check: &SteadyCheck, values: &(dyn Lookup + Sync)) -> Seen {
        let within = match check {
            SteadyCheck::Http { within, .. } | SteadyCheck::Promql { within, .. } => *within,
        };
        let began = Instant::now();
        loop {
            let tried = self.try_once(check, values).await;
            let left = within.saturating_sub(began.elapsed());
            match tried {
                Ok(observed) => {
                    return Seen {
                        held: true,
                        observed,
                    };
                }
                Err(observed) if left.is_zero() => {
                    return Seen {
                        held: false,
                        observed,
                    };
                }
                Err(_) => tokio::time::sleep(POLL.min(left)).await,
            }
        }
    }

    /// What was seen: `Err` where it does not hold.
    async fn try_once(
        &self,
        check: &SteadyCheck,
        values: &(dyn Lookup + Sync),
    ) -> Result<String, String> {
        match check {
            SteadyCheck::Http { call, expect, .. } => self.http(call, expect, values).await,
            SteadyCheck::Promql { query, is, .. } => {
                let query = query.resolve(values).map_err(|e| e.to_string())?;
                let api = self.prometheus.as_ref();
                let api =
                    api.ok_or("there is no Prometheus to ask: `observe.prometheus` is not set")?;
                let result = api.query(&query).await.map_err(|e| e.to_string())?;
                let seen = judged(&result, *is);
                seen.map(|s| format!("{query}: {s}"))
                    .map_err(|s| format!("{query}: {s}"))
            }
        }
    }

    async fn http(
        &self,
        call: &HttpCall,
        expect: &Expect,
        values: &(dyn Lookup + Sync),
    ) -> Result<String, String> {
        let (request, name) = self.request(call, values)?;
        let timeout = expect.within.map_or(TIMEOUT, |within| within.max(TIMEOUT));
        let asked = Instant::now();
        let answer = whole(request.timeout(timeout), &name).await;
        let took = asked.elapsed();
        let (response, body) = answer.map_err(|e| format!("{} {e}", call.method))?;
        let status = response.status().as_u16();
        let seen = format!(
            "{} {name}: {status} after {} ms",
            call.method,
            took.as_millis()
        );
        let contains = match &expect.contains {
            Some(text) => Some(text.resolve(values).map_err(|e| e.to_string())?),
            None => None,
        };
        match refusal(expect, contains.as_deref(), status, took, &body) {
            Some(why) => Err(format!("{seen}, {why}")),
            None => Ok(seen),
        }
    }

    /// The request, and its address for people.
    fn request(
        &self,
        call: &HttpCall,
        values: &(dyn Lookup + Sync),
    ) -> Result<(RequestBuilder, String), String> {
        let text = |e: crate::model::TemplateError| e.to_string();
        let url = call.url.resolve(values).map_err(text)?;
        let url = Url::parse(&url).map_err(|e| format!("`{url}` is not an address: {e}"))?;
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_| format!("`{}` is not a method", call.method))?;
        let name = shown(&url);
        let mut request = self.client.request(method, url);
        for (header, value) in &call.headers {
            request = request.header(header, value.resolve(values).map_err(text)?);
        }
        if let Some(body) = &call.body {
            request = request.body(body.resolve(values).map_err(text)?);
        }
        Ok((request, name))
    }
}

/// Why an answer is not what is expected.
fn refusal(
    expect: &Expect,
    contains: Option<&str>,
    status: u16,
    took: Duration,
    body: &[u8],
) -> Option<String> {
    match expect.status {
        Some(wanted) if wanted != status => return Some(format!("not {wanted}")),
        None if !matches!(status, 200..=299 | 304) => return Some("not 2xx".to_owned()),
        Some(_) | None => {}
    }
    if let Some(within) = expect.within.filter(|within| took > *within) {
        return Some(format!("not within {}", humantime::format_duration(within)));
    }
    if let Some(text) = contains
        && !String::from_utf8_lossy(body).contains(text)
    {
        return Some(format!("without `{text}` in its body"));
    }
    expect
        .json
        .iter()
        .find_map(|(path, wanted)| json_refusal(path, wanted, body))
}

fn json_refusal(path: &str, wanted: &Value, body: &[u8]) -> Option<String> {
    let at = match JsonPath::parse(path) {
        Ok(at) => at,
        Err(e) => return Some(format!("`{path}` is not a JSONPath: {e}")),
    };
    let json: Value = match serde_json::from_slice(body) {
        Ok(json) => json,
        Err(e) => return Some(format!("its body is not JSON: {e}")),
    };
    let found = at.query(&json);
    let same = |got: &Value| got == wanted || (got.is_number() && got.as_f64() == wanted.as_f64());
    if found.is_empty() {
        Some(format!("without {path} in its body"))
    } else {
        let other = found.iter().find(|got| !same(got));
        other.map(|got| format!("{path} is {got}, not {wanted}"))
    }
}

/// Whether every sample of a result, of which there must be one, satisfies the condition; and what was seen.
fn judged(result: &QueryResult, is: Comparison) -> Result<String, String> {
    let samples = match result {
        QueryResult::Scalar(point) => vec![Sample {
            metric: super::prometheus::Labels::new(),
            value: Some(*point),
        }],
        QueryResult::Vector(samples) => samples.clone(),
        QueryResult::Matrix(_) => {
            return Err("a range of samples, which compares to nothing".to_owned());
        }
        QueryResult::String(_) => return Err("a text, which compares to nothing".to_owned()),
    };
    let wanted = match is {
        Comparison::Equals(x) => format!("= {x}"),
        Comparison::AtLeast(x) => format!(">= {x}"),
        Comparison::AtMost(x) => format!("<= {x}"),
    };
    let value = |sample: &Sample| sample.value.map_or(f64::NAN, |point| point.value);
    let values = || samples.iter().map(value);
    if samples.is_empty() {
        return Err(format!("no sample, wanted {wanted}"));
    }
    match samples.iter().find(|sample| !is.holds(value(sample))) {
        Some(sample) if samples.len() == 1 => Err(format!("{}, wanted {wanted}", value(sample))),
        Some(sample) => {
            let bad = values().filter(|v| !is.holds(*v)).count();
            let (name, of) = (metric(&sample.metric), samples.len());
            Err(format!(
                "{bad} of {of} samples are not {wanted}: {name} is {}",
                value(sample)
            ))
        }
        None if samples.len() == 1 => Ok(format!("{}", value(&samples[0]))),
        None => {
            let (low, high) = (
                values().fold(f64::INFINITY, f64::min),
                values().fold(f64::NEG_INFINITY, f64::max),
            );
            Ok(format!("{} samples from {low} to {high}", samples.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vector(values: &[(&str, &str)]) -> QueryResult {
        let sample = |(job, value): &(&str, &str)| json!({"metric": {"__name__": "up", "job": job}, "value": [1_795_255_628.453, value]});
        let result: Vec<Value> = values.iter().map(sample).collect();
        serde_json::from_value(json!({"resultType": "vector", "result": result})).unwrap()
    }

    fn result(kind: &str, result: Value) -> QueryResult {
        serde_json::from_value(json!({"resultType": kind, "result": result})).unwrap()
    }

    #[test]
    fn every_sample_must_satisfy_the_condition() {
        let ok = |text: &str| Ok(text.to_owned());
        let no = |text: &str| Err(text.to_owned());
        let equals = Comparison::Equals(1.0);
        assert_eq!(judged(&vector(&[("a", "1")]), equals), ok("1"));
        assert_eq!(
            judged(&vector(&[("a", "0.5")]), equals),
            no("0.5, wanted = 1")
        );
        assert_eq!(
            judged(&vector(&[("a", "NaN")]), equals),
            no("NaN, wanted = 1")
        );
        assert_eq!(judged(&vector(&[]), equals), no("no sample, wanted = 1"));
        assert_eq!(
            judged(&vector(&[("a", "1"), ("b", "3")]), Comparison::AtLeast(1.0)),
            ok("2 samples from 1 to 3")
        );
        assert_eq!(
            judged(
                &vector(&[("a", "1"), ("b", "3"), ("c", "4")]),
                Comparison::AtMost(2.0)
            ),
            no(r#"2 of 3 samples are not <= 2: up{job="b"} is 3"#)
        );
    }

    #[test]
    fn a_scalar_compares_and_nothing_else_does() {
        let at_most = Comparison::AtMost(5.0);
        let scalar = result("scalar", json!([1_795_255_628.453, "4"]));
        assert_eq!(judged(&scalar, at_most), Ok("4".to_owned()));
        for other in [
            result("string", json!([1_795_255_628.453, "4"])),
            result(
                "matrix",
                json!([{"metric": {}, "values": [[1_795_255_628.453, "4"]]}]),
            ),
            result(
                "vector",
                json!([{"metric": {}, "histogram": [1_795_255_628.453, {}]}]),
            ),
        ] {
            assert!(judged(&other, at_most).is_err(), "{other:?}");
        }
    }

    #[test]
    fn all_that_is_expected_of_an_answer_counts() {
        let body = br#"{"user": {"id": 1, "name": "ann"}}"#;
        let refused = |expect: Expect, contains: Option<&str>, status| {
            refusal(&expect, contains, status, Duration::from_millis(30), body)
        };
        let status = |status| Expect {
            status: Some(status),
            ..Expect::default()
        };
        let within = |ms| Expect {
            within: Some(Duration::from_millis(ms)),
            ..Expect::default()
        };
        let json = |path: &str, value| Expect {
            json: vec![(path.to_owned(), value)],
            ..Expect::default()
        };
        for expect in [
            Expect::default(),
            status(200),
            within(30),
            json("$.user.id", json!(1.0)),
        ] {
            assert_eq!(
                refused(expect.clone(), Some("ann"), 200),
                None,
                "{expect:?}"
            );
        }
        for (expect, contains, got, why) in [
            (Expect::default(), None, 302, "not 2xx"),
            (status(204), None, 200, "not 204"),
            (within(29), None, 200, "not within 29ms"),
            (
                Expect::default(),
                Some("bob"),
                200,
                "without `bob` in its body",
            ),
            (
                json("$.user.id", json!(2)),
                None,
                200,
                "$.user.id is 1, not 2",
            ),
            (
                json("$.user.mail", json!("x")),
                None,
                200,
                "without $.user.mail in its body",
            ),
        ] {
            assert_eq!(refused(expect, contains, got).as_deref(), Some(why));
        }
        let unread = refusal(&json("$.a", json!(1)), None, 200, Duration::ZERO, b"<html>");
        assert!(unread.unwrap().starts_with("its body is not JSON"));
    }
}
