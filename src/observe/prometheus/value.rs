//! The results of PromQL queries (<https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats>).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::observe::wall;

/// Labels, `__name__` among them.
pub(in crate::observe) type Labels = BTreeMap<String, String>;

/// What a query came to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "snake_case")]
pub(in crate::observe) enum QueryResult {
    Matrix(Vec<Series>),
    Vector(Vec<Sample>),
    Scalar(Point),
    String(Point<String>),
}

/// One series of a matrix.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(in crate::observe) struct Series {
    pub(in crate::observe) metric: Labels,
    /// Empty for native histograms, which stand elsewhere.
    #[serde(default)]
    pub(in crate::observe) values: Vec<Point>,
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(in crate::observe) struct Sample {
    pub(in crate::observe) metric: Labels,
    /// `None` for a native histogram.
    pub(in crate::observe) value: Option<Point>,
}

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "(f64, String)", bound = "T: FromText")]
pub(in crate::observe) struct Point<T = f64> {
    /// By Prometheus' clock, ns since 1970.
    pub(in crate::observe) at_ns: i64,
    pub(in crate::observe) value: T,
}

/// Reads a value from the text that Prometheus puts it in.
pub(in crate::observe) trait FromText: Sized {
    fn from_text(text: String) -> Result<Self, String>;
}

impl FromText for f64 {
    fn from_text(text: String) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("`{text}` is not a sample value"))
    }
}

impl FromText for String {
    fn from_text(text: String) -> Result<Self, String> {
        Ok(text)
    }
}

impl<T: FromText> TryFrom<(f64, String)> for Point<T> {
    type Error = String;

    fn try_from((at, text): (f64, String)) -> Result<Self, String> {
        Ok(Self {
            at_ns: wall::of_seconds(at).ok_or_else(|| format!("{at} is not a sample's time"))?,
            value: T::from_text(text)?,
        })
    }
}

/// A series as people write it: `up{instance="a",job="b"}`.
pub(in crate::observe) fn metric(labels: &Labels) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let others = labels.iter().filter(|(k, _)| *k != "__name__");
    let others: Vec<String> = others.map(|(k, v)| format!("{k}={v:?}")).collect();
    if others.is_empty() && !name.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", others.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<QueryResult, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn results_of_every_kind() {
        let at_ns = 1_795_255_628_453_000_000;
        let point = |value| Point { at_ns, value };
        assert_eq!(
            read(r#"{"resultType":"scalar","result":[1795255628.453,"1795255628.453"]}"#),
            Ok(QueryResult::Scalar(point(1_795_255_628.453)))
        );
        assert_eq!(
            read(r#"{"resultType":"string","result":[1795255628.453,"a"]}"#),
            Ok(QueryResult::String(Point {
                at_ns,
                value: "a".to_owned()
            }))
        );
        let vector = read(
            r#"{"resultType":"vector","result":[
                {"metric":{"__name__":"up","job":"a"},"value":[1795255628.453,"+Inf"]},
                {"metric":{},"histogram":[1795255628.453,{"count":"1","sum":"2"}]}]}"#,
        );
        let Ok(QueryResult::Vector(samples)) = vector else {
            panic!("{vector:?}");
        };
        assert_eq!(samples[0].value, Some(point(f64::INFINITY)));
        assert_eq!(samples[1].value, None);
        assert_eq!(metric(&samples[0].metric), r#"up{job="a"}"#);
        assert_eq!(metric(&samples[1].metric), "{}");
        let matrix =
            read(r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[]}]}"#);
        assert!(matches!(matrix, Ok(QueryResult::Matrix(series)) if series.len() == 1));
    }

    #[test]
    fn lies_are_errors() {
        for lie in [
            r#"{"resultType":"scalar","result":[1795255628.453,"one"]}"#,
            r#"{"resultType":"scalar","result":[-5,"1"]}"#,
            r#"{"resultType":"scalar","result":[1e300,"1"]}"#,
            r#"{"resultType":"table","result":[]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{"a":1}}]}"#,
            r#"{"resultType":"matrix"}"#,
        ] {
            assert!(read(lie).is_err(), "{lie}");
        }
    }
}
