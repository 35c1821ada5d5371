//! `stop_when:` as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::exactly_one;
use crate::scenario::shape::{At, Named};
use crate::scenario::units::{Percentage, Period, Text};

/// One stop condition. A percentile is a key of its own (`{ p99: 2s }`), so that no struct has all the fields.
#[derive(Debug, Default)]
pub(in crate::scenario) struct StopWhen {
    pub(in crate::scenario) bad_share: Option<At<Percentage>>,
    pub(in crate::scenario) longest_gap: Option<At<Period>>,
    pub(in crate::scenario) percentiles: Vec<(At<String>, At<Period>)>,
    pub(in crate::scenario) promql: Option<At<StopPromql>>,
    pub(in crate::scenario) alert: Option<At<String>>,
    pub(in crate::scenario) labels: Option<At<Named<At<Text>>>>,
    pub(in crate::scenario) wall_clock: Option<At<Period>>,
    pub(in crate::scenario) of: Option<At<String>>,
    pub(in crate::scenario) lasting: Option<At<Period>>,
    /// Keys that are none of the language.
    pub(in crate::scenario) unknown: Vec<At<String>>,
}

impl StopWhen {
    /// Every key but the percentiles'.
    pub(in crate::scenario) const KEYS: [&'static str; 8] = [
        "bad_share",
        "longest_gap",
        "promql",
        "alert",
        "match",
        "wall_clock",
        "of",
        "for",
    ];
}

/// A query and the condition that stops the run once a sample satisfies it.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_comparison)]
pub(in crate::scenario) struct StopPromql {
    /// The query.
    pub(in crate::scenario) query: At<String>,
    /// A sample equals it.
    pub(in crate::scenario) equals: Option<At<f64>>,
    /// A sample is not below it.
    pub(in crate::scenario) at_least: Option<At<f64>>,
    /// A sample is not above it.
    pub(in crate::scenario) at_most: Option<At<f64>>,
}

fn one_comparison(schema: &mut Schema) {
    exactly_one(schema, &["equals", "at_least", "at_most"]);
}

impl<'de> Deserialize<'de> for StopWhen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = StopWhen;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a stop condition")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StopWhen, A::Error> {
                let mut read = StopWhen::default();
                while let Some(key) = map.next_key::<At<String>>()? {
                    match key.value.as_str() {
                        "bad_share" => read.bad_share = Some(map.next_value()?),
                        "longest_gap" => read.longest_gap = Some(map.next_value()?),
                        "promql" => read.promql = Some(map.next_value()?),
                        "alert" => read.alert = Some(map.next_value()?),
                        "match" => read.labels = Some(map.next_value()?),
                        "wall_clock" => read.wall_clock = Some(map.next_value()?),
                        "of" => read.of = Some(map.next_value()?),
                        "for" => read.lasting = Some(map.next_value()?),
                        name if is_percentile(name) => {
                            let limit = map.next_value()?;
                            read.percentiles.push((key, limit));
                        }
                        _ => {
                            let _: IgnoredAny = map.next_value()?;
                            read.unknown.push(key);
                        }
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// `p` and a number: which of them are percentiles is for the check to say.
fn is_percentile(key: &str) -> bool {
    let digits = key.strip_prefix('p');
    digits.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

impl JsonSchema for StopWhen {
    fn schema_name() -> Cow<'static, str> {
        "StopWhen".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let period = generator.subschema_for::<Period>();
        let described = |schema: Schema, text: &str| {
            let mut schema = schema;
            schema.insert("description".to_owned(), text.into());
            schema
        };
        let text = || json_schema!({ "type": "string" });
        let one = |key: &str, others: &[&str]| {
            let mut names: Vec<&str> = others.to_vec();
            names.push(key);
            serde_json::json!({ "required": [key], "propertyNames": { "enum": names } })
        };
        json_schema!({
            "description": "A stop condition: once it is met, everything is healed at once and the run is a miss. Exactly one of `bad_share`, `longest_gap`, a percentile of latency (`p99: 2s`), `promql`, `alert` and `wall_clock`.",
            "type": "object",
            "properties": {
                "bad_share": described(generator.subschema_for::<Percentage>(), "Share of bad requests among those that ended in the last `for`."),
                "longest_gap": described(period.clone(), "Time without a good request while requests are due."),
                "promql": described(generator.subschema_for::<StopPromql>(), "A query of which a sample satisfies the condition for `for`."),
                "alert": described(text(), "An alert that fires."),
                "match": described(generator.subschema_for::<Named<At<Text>>>(), "Labels that the alert must carry."),
                "wall_clock": described(period.clone(), "Time since the run's start."),
                "of": described(text(), "One journey in place of all."),
                "for": described(period.clone(), "The trailing stretch of a share or a percentile, 10s unless set; how long a `promql` must hold, 0 unless set.")
            },
            "patternProperties": {
                "^p[0-9]": described(period, "A percentile of the latency of the requests that ended in the last `for`, bad ones slower than any.")
            },
            "additionalProperties": false,
            "oneOf": [
                one("bad_share", &["of", "for"]),
                one("longest_gap", &["of"]),
                one("promql", &["for"]),
                one("alert", &["match"]),
                one("wall_clock", &[]),
                { "propertyNames": { "pattern": "^(p[0-9].*|of|for)$" }, "not": { "propertyNames": { "enum": ["of", "for"] } } }
            ]
        })
    }
}
