//! The Prometheus text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>), and what OpenMetrics adds
//! to a sample line: exemplars, timestamps in seconds, quoted names.

use std::collections::BTreeMap;

/// One sample line. Histograms and summaries are their plain series; timestamps are checked and left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the series.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ExpositionError {
    line: usize,
    why: String,
}

/// Reads every sample.
///
/// # Errors
/// The first line that is neither a sample nor a comment.
pub fn parse(text: &str) -> Result<Vec<Sample>, ExpositionError> {
    let mut samples = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_matches(BLANK);
        if !line.is_empty() && !line.starts_with('#') {
            let sample = Line { rest: line }.sample();
            samples.push(sample.map_err(|why| ExpositionError {
                line: number + 1,
                why,
            })?);
        }
    }
    Ok(samples)
}

const BLANK: [char; 2] = [' ', '\t'];

/// What is left of a line.
struct Line<'a> {
    rest: &'a str,
}

impl Line<'_> {
    fn sample(mut self) -> Result<Sample, String> {
        let mut name = self.name().to_owned();
        let mut labels = BTreeMap::new();
        if self.eat('{') {
            self.labels(&mut name, &mut labels)?;
        }
        if name.is_empty() {
            return Err("no metric name".to_owned());
        }
        let value = self.word();
        let value = value
            .parse()
            .map_err(|_| format!("`{value}` is not a value"))?;
        // An exemplar follows a `#`, a timestamp stands before it.
        let (time, _exemplar) = self.rest.split_once('#').unwrap_or((self.rest, ""));
        let time = time.trim_matches(BLANK);
        if !time.is_empty() && time.parse::<f64>().is_err() {
            return Err(format!("`{time}` is not a timestamp"));
        }
        Ok(Sample {
            name,
            labels,
            value,
        })
    }

    /// Everything up to `}`. A quoted text without `=` is the metric's name.
    fn labels(
        &mut self,
        metric: &mut String,
        labels: &mut BTreeMap<String, String>,
    ) -> Result<(), String> {
        while !self.eat('}') {
            let quoted = self.rest.trim_start_matches(BLANK).starts_with('"');
            let name = if quoted {
                self.quoted()?
            } else {
                self.name().to_owned()
            };
            if self.eat('=') {
                if name.is_empty() {
                    return Err("a label without a name".to_owned());
                }
                let value = self.quoted()?;
                if labels.insert(name.clone(), value).is_some() {
                    return Err(format!("label `{name}` twice"));
                }
            } else if quoted && metric.is_empty() {
                *metric = name;
            } else {
                return Err(format!("no `=` after label `{name}`"));
            }
            if !self.eat(',') && !self.rest.trim_start_matches(BLANK).starts_with('}') {
                return Err("neither `,` nor `}` after a label".to_owned());
            }
        }
        Ok(())
    }

    /// A name of a metric or label; empty if there is none.
    fn name(&mut self) -> &str {
        let rest = self.rest.trim_start_matches(BLANK);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let starts = !rest.starts_with(|c: char| c.is_ascii_digit());
        let (name, rest) = rest.split_at(if starts { end.unwrap_or(rest.len()) } else { 0 });
        self.rest = rest;
        name
    }

    fn word(&mut self) -> &str {
        let rest = self.rest.trim_start_matches(BLANK);
        let (word, rest) = rest.split_at(rest.find(BLANK).unwrap_or(rest.len()));
        self.rest = rest;
        word
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.trim_start_matches(BLANK).strip_prefix(wanted);
        if let Some(rest) = rest {
            self.rest = rest;
        }
        rest.is_some()
    }

    /// A text in quotes, with `\\`, `\"` and `\n` for what they stand for.
    fn quoted(&mut self) -> Result<String, String> {
        if !self.eat('"') {
            return Err("no quoted text where one must stand".to_owned());
        }
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => {}
                },
                _ => text.push(c),
            }
        }
        Err("a quoted text without an end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Sample {
        let mut samples = parse(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(samples.len(), 1, "{line}");
        samples.remove(0)
    }

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let label = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Sample {
            name: name.to_owned(),
            labels: labels.iter().map(label).collect(),
            value,
        }
    }

    #[test]
    fn labels_hold_anything() {
        assert_eq!(
            one(r#"job:rate:5m{a="x,y",b="{}",c="k=v",d="say \"hi\"",e="C:\\",f="1\n2",g="é"} 1"#),
            sample(
                "job:rate:5m",
                &[
                    ("a", "x,y"),
                    ("b", "{}"),
                    ("c", "k=v"),
                    ("d", "say \"hi\""),
                    ("e", "C:\\"),
                    ("f", "1\n2"),
                    ("g", "é"),
                ],
                1.0
            )
        );
        assert_eq!(one(r#"a{b="\d"} 0"#), sample("a", &[("b", "\\d")], 0.0));
    }

    #[test]
    fn spaces_timestamps_and_exemplars() {
        for line in [
            "a 1",
            "\ta\t1 ",
            "a{} 1",
            "a { } 1",
            "a 1 1395066363000",
            "a 1 -1",
            "a 1 1395066363.123",
            r#"a 1 # {trace="x"} 0.67 1520879607.789"#,
            r##"a 1 1520879607 # {trace="#"} 0.67"##,
            r#"{"a"} 1"#,
        ] {
            assert_eq!(one(line), sample("a", &[], 1.0), "{line}");
        }
        assert_eq!(
            one(r#"{"my.metric", "my.label" = "x" , b="y",} 2"#),
            sample("my.metric", &[("my.label", "x"), ("b", "y")], 2.0)
        );
    }

    #[test]
    fn values() {
        for (text, value) in [
            ("+Inf", f64::INFINITY),
            ("-Inf", f64::NEG_INFINITY),
            ("1.7560473e+07", 17_560_473.0),
            ("-0", 0.0),
            (".5", 0.5),
        ] {
            assert_eq!(one(&format!("a {text}")), sample("a", &[], value), "{text}");
        }
        assert!(one("a NaN").value.is_nan());
    }

    #[test]
    fn a_histogram_is_its_series() {
        let text = "# HELP h It's \\\\ a \"test\".\n# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\n\nh_bucket{le=\"+Inf\"} 2\r\nh_sum 0.3\nh_count 2\n# EOF\n";
        let samples = parse(text).unwrap();
        assert_eq!(samples.len(), 4);
        assert_eq!(samples[1], sample("h_bucket", &[("le", "+Inf")], 2.0));
        assert_eq!(samples[3], sample("h_count", &[], 2.0));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (line, why) in [
            ("1a 2", "no metric name"),
            ("a", "`` is not a value"),
            ("a one", "`one` is not a value"),
            ("a 1 soon", "`soon` is not a timestamp"),
            ("a 1 2 3", "`2 3` is not a timestamp"),
            (r#"a{b="c} 1"#, "a quoted text without an end"),
            (r#"a{b="c\"#, "a quoted text without an end"),
            (r#"a{b="c" 1"#, "neither `,` nor `}` after a label"),
            (r#"a{b="c""#, "neither `,` nor `}` after a label"),
            (r#"a{b=c} 1"#, "no quoted text where one must stand"),
            (r#"a{="c"} 1"#, "a label without a name"),
            (r#"a{b} 1"#, "no `=` after label `b`"),
            (r#"a{"x"} 1"#, "no `=` after label `x`"),
            (r#"a{b="c",b="d"} 1"#, "label `b` twice"),
            ("a{", "no `=` after label ``"),
            ("<html>", "no metric name"),
        ] {
            let error = parse(&format!("# ok\n{line}")).unwrap_err();
            assert_eq!(error.to_string(), format!("line 2: {why}"), "{line}");
        }
    }

    /// A text with labels that the reference parser can handle, too.
    fn lines() -> impl Strategy<Value = Vec<Sample>> {
        let labels =
            prop::collection::btree_map("[a-z_][a-z0-9_]{0,5}", "[a-zA-Z0-9 /.:-]{1,9}", 0..4);
        let value = prop_oneof![
            any::<f64>().prop_filter("NaN equals nothing", |v| !v.is_nan()),
            Just(f64::INFINITY),
        ];
        let line =
            ("[a-z_][a-z0-9_]{0,9}", labels, value).prop_map(|(name, labels, value)| Sample {
                name,
                labels,
                value,
            });
        prop::collection::vec(line, 0..9)
    }

    fn written(samples: &[Sample]) -> String {
        let line = |s: &Sample| {
            let labels: Vec<String> = s
                .labels
                .iter()
                .map(|(k, v)| format!("{k}=\"{v}\""))
                .collect();
            let braces = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            format!("{}{braces} {:e} 1395066363000\n", s.name, s.value)
        };
        samples.iter().map(line).collect()
    }

    proptest! {
        #[test]
        fn reads_what_the_reference_parser_reads(samples in lines()) {
            let text = written(&samples);
            let ours = parse(&text).unwrap();
            prop_assert_eq!(&ours, &samples);
            let lines = text.lines().map(|line| Ok(line.to_owned()));
            let theirs = prometheus_parse::Scrape::parse(lines).unwrap().samples;
            let theirs: Vec<Sample> = theirs.into_iter().map(|s| Sample {
                name: s.metric,
                labels: s.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                value: match s.value {
                    prometheus_parse::Value::Untyped(value) => value,
                    other => panic!("{other:?} without a type"),
                },
            }).collect();
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn no_text_is_too_much(text in "[a{}=\",\\\\ \n#1é]{0,60}") {
            // Whatever comes of it: an error, not a panic.
            let _read = parse(&text);
        }
    }
}
