//! What stop conditions ask of monitoring while the run goes on.

use std::collections::BTreeMap;

use super::prometheus::{QueryResult, metric};
use super::sightings::Sightings;
use super::steady::Checker;
use crate::model::{Lookup, Template};
use crate::scenario::plan::Comparison;

/// What is known of a source that was last heard longer ago says nothing of now, µs. Polls are at most 1 s apart, and
/// each may take 2 s.
const FRESH_US: i64 = 4_000_000;

/// What was told of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// It is met.
    pub holds: bool,
    /// What was seen, for a person.
    pub observed: String,
}

/// Which sources of alerts are asked, besides those that tell by themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) prometheus: bool,
    pub(super) alertmanager: bool,
}

impl Checker {
    /// Whether any sample of an instant query satisfies a condition. An empty result does not: there is nothing to.
    pub(super) async fn any(
        &self,
        query: &Template,
        is: Comparison,
        values: &(dyn Lookup + Sync),
    ) -> Result<Told, String> {
        let query = query.resolve(values).map_err(|e| e.to_string())?;
        let api = self.prometheus.as_ref();
        let api = api.ok_or("there is no Prometheus to ask: `observe.prometheus` is not set")?;
        let result = api.query(&query).await.map_err(|e| e.to_string())?;
        any(&result, is)
    }
}

fn any(result: &QueryResult, is: Comparison) -> Result<Told, String> {
    let told = |holds, observed: String| Ok(Told { holds, observed });
    match result {
        QueryResult::Scalar(point) => told(is.holds(point.value), point.value.to_string()),
        QueryResult::Vector(samples) => {
            let value = |sample: &super::prometheus::Sample| {
                sample.value.map_or(f64::NAN, |point| point.value)
            };
            match samples.iter().find(|sample| is.holds(value(sample))) {
                Some(sample) => told(
                    true,
                    format!("{} is {}", metric(&sample.metric), value(sample)),
                ),
                None => told(false, format!("none of {} samples", samples.len())),
            }
        }
        QueryResult::Matrix(_) => {
            Err("its result is a range of samples, which compares to nothing".to_owned())
        }
        QueryResult::String(_) => Err("its result is a text, which compares to nothing".to_owned()),
    }
}

/// Whether an alert fires. Who evaluates the rules is the one who must have been heard, else who holds alerts.
pub(super) fn fires(
    sightings: &Sightings,
    asked: Asked,
    alert: &str,
    labels: &BTreeMap<String, String>,
    now_us: i64,
) -> Result<Told, String> {
    if let Some((source, labels)) = sightings.fires(alert, labels) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        return Ok(Told {
            holds: true,
            observed: format!("{source}: {alert}{{{}}} fires", labels.join(",")),
        });
    }
    let heard = sightings.heard();
    let fresh = |at: Option<i64>| at.is_some_and(|at| now_us - at <= FRESH_US);
    let unheard = |source: &str| Err(format!("{source} does not answer"));
    if asked.prometheus && !fresh(heard.prometheus_us) {
        return unheard("Prometheus");
    }
    if !asked.prometheus && asked.alertmanager && !fresh(heard.alertmanager_us) {
        return unheard("Alertmanager");
    }
    Ok(Told {
        holds: false,
        observed: "it does not fire".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sightings::{Active, Delivery, Held};
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn one_sample_is_enough_and_none_is_not() {
        let vector = |values: &[&str]| -> QueryResult {
            let samples: Vec<_> = values
                .iter()
                .map(|v| json!({"metric": {"__name__": "up", "job": "a"}, "value": [1_795_255_628.453, v]}))
                .collect();
            serde_json::from_value(json!({"resultType": "vector", "result": samples})).unwrap()
        };
        let down = Comparison::Equals(0.0);
        let told = any(&vector(&["1", "0"]), down).unwrap();
        assert_eq!(
            (told.holds, told.observed.as_str()),
            (true, r#"up{job="a"} is 0"#)
        );
        for none in [&["1", "1"][..], &["NaN"], &[]] {
            assert!(!any(&vector(none), down).unwrap().holds, "{none:?}");
        }
        let text = json!({"resultType": "string", "result": [1_795_255_628.453, "0"]});
        assert!(any(&serde_json::from_value(text).unwrap(), down).is_err());
    }

    #[test]
    fn whoever_says_that_it_fires_is_believed_and_silence_is_no_answer() {
        let labels = |job: &str| BTreeMap::from([("job".to_owned(), job.to_owned())]);
        let both = Asked {
            prometheus: true,
            alertmanager: true,
        };
        let seen = Sightings::default();
        let at = |asked, now_us| fires(&seen, asked, "Down", &labels("a"), now_us);
        assert!(at(both, 0).unwrap_err().contains("Prometheus"));
        let firing = |job: &str| Active {
            alert: "Down".to_owned(),
            labels: labels(job),
            active_us: 0,
        };
        seen.rules(S, vec![firing("b")], vec![]);
        assert!(!at(both, 2 * S).unwrap().holds);
        assert!(at(both, 6 * S).is_err(), "that was long ago");
        seen.rules(7 * S, vec![firing("a")], vec![]);
        assert!(at(both, 7 * S).unwrap().holds);
        seen.rules(8 * S, vec![], vec![]);
        let held = Held {
            alert: "Down".to_owned(),
            labels: labels("a"),
        };
        seen.holds(8 * S, vec![held]);
        assert!(
            at(both, 8 * S)
                .unwrap()
                .observed
                .starts_with("Alertmanager")
        );
        seen.holds(9 * S, vec![]);
        assert!(!at(both, 9 * S).unwrap().holds);
        let alone = Asked {
            prometheus: false,
            alertmanager: true,
        };
        assert!(at(alone, 20 * S).unwrap_err().contains("Alertmanager"));
        let none = Asked {
            prometheus: false,
            alertmanager: false,
        };
        assert!(!at(none, 20 * S).unwrap().holds);
        let delivery = |resolved| Delivery {
            alert: "Down".to_owned(),
            labels: labels("a"),
            starts_us: 0,
            resolved,
        };
        seen.delivered(delivery(false));
        assert!(
            at(none, 20 * S)
                .unwrap()
                .observed
                .starts_with("the webhook")
        );
        seen.delivered(delivery(true));
        assert!(!at(none, 20 * S).unwrap().holds);
    }
}
