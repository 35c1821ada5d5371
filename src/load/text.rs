//! Templates compiled: what does not change from arrival to arrival is put in once.

use std::fmt::Write as _;

use super::Values;
use super::arrival::Arrival;
use super::data::Rows;
use crate::model::{Part, Template, TemplateError, Variable};

/// What the variables of a template may be.
pub(super) struct Scope<'a> {
    /// Those that do not change from arrival to arrival.
    pub(super) values: &'a Values,
    /// Rows of `data`.
    pub(super) rows: &'a Rows,
    /// Extracted names by their numbers, and whether a value is there by then.
    pub(super) names: &'a [(String, bool)],
}

/// Text whose variables are known but for those of the arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Live(Live, Escape),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Live {
    User,
    N,
    Uuid,
    Column(usize),
    Name(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// As it stands.
    None,
    /// As a part of a JSON string.
    Json,
}

impl Text {
    /// Puts in what is known.
    pub(super) fn compile(template: &Template, scope: &Scope<'_>) -> Result<Self, TemplateError> {
        let mut text = Self::default();
        text.append(template, scope, Escape::None)?;
        Ok(text)
    }

    /// Text as it stands.
    pub(super) fn literal(text: &str) -> Self {
        let mut literal = Self::default();
        literal.fixed(text);
        literal
    }

    /// A JSON value in which every string is a template.
    pub(super) fn compile_json(
        value: &serde_json::Value,
        scope: &Scope<'_>,
    ) -> Result<Self, TemplateError> {
        let mut text = Self::default();
        text.append_json(value, scope)?;
        Ok(text)
    }

    /// This text with `more` after it.
    pub(super) fn then(mut self, more: Self) -> Self {
        for piece in more.pieces {
            match piece {
                Piece::Fixed(fixed) => self.fixed(&fixed),
                live @ Piece::Live(..) => self.pieces.push(live),
            }
        }
        self
    }

    /// This text without a slash at its end.
    pub(super) fn without_final_slash(mut self) -> Self {
        if let Some(Piece::Fixed(last)) = self.pieces.last_mut()
            && last.ends_with('/')
        {
            last.pop();
        }
        self
    }

    /// The whole text, if it is the same for every arrival.
    pub(super) fn whole(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Fixed(fixed)] => Some(fixed),
            _ => None,
        }
    }

    /// What it begins with, the same for every arrival.
    pub(super) fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Fixed(fixed)) => fixed,
            Some(Piece::Live(..)) | None => "",
        }
    }

    /// Cuts its prefix off behind the first `length` bytes.
    pub(super) fn split_off_prefix(mut self, length: usize) -> (String, Self) {
        match self.pieces.first_mut() {
            Some(Piece::Fixed(fixed)) => {
                let rest = fixed.split_off(length);
                (std::mem::replace(fixed, rest), self)
            }
            Some(Piece::Live(..)) | None => (String::new(), self),
        }
    }

    /// The text for one arrival.
    pub(super) fn of(&self, arrival: &Arrival, rows: &Rows) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Fixed(fixed) => out.push_str(fixed),
                Piece::Live(live, escape) => live.write(*escape, arrival, rows, &mut out),
            }
        }
        out
    }

    fn append(
        &mut self,
        template: &Template,
        scope: &Scope<'_>,
        escape: Escape,
    ) -> Result<(), TemplateError> {
        for part in &template.parts {
            match part {
                Part::Literal(literal) => self.escaped(literal, escape),
                Part::Variable(variable) => match Live::of(variable, scope)? {
                    Some(live) => self.pieces.push(Piece::Live(live, escape)),
                    None => self.escaped(&scope.values.lookup(variable)?, escape),
                },
            }
        }
        Ok(())
    }

    fn append_json(
        &mut self,
        value: &serde_json::Value,
        scope: &Scope<'_>,
    ) -> Result<(), TemplateError> {
        match value {
            serde_json::Value::String(template) => {
                self.fixed("\"");
                self.append(&Template::parse(template)?, scope, Escape::Json)?;
                self.fixed("\"");
            }
            serde_json::Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.fixed(if i == 0 { "[" } else { "," });
                    self.append_json(item, scope)?;
                }
                self.fixed(if items.is_empty() { "[]" } else { "]" });
            }
            serde_json::Value::Object(map) => {
                for (i, (key, item)) in map.iter().enumerate() {
                    self.fixed(if i == 0 { "{\"" } else { ",\"" });
                    self.escaped(key, Escape::Json);
                    self.fixed("\":");
                    self.append_json(item, scope)?;
                }
                self.fixed(if map.is_empty() { "{}" } else { "}" });
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
                self.fixed(&value.to_string());
            }
        }
        Ok(())
    }

    fn fixed(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Fixed(last)) => last.push_str(text),
            Some(Piece::Live(..)) | None if text.is_empty() => {}
            Some(Piece::Live(..)) | None => self.pieces.push(Piece::Fixed(text.to_owned())),
        }
    }

    fn escaped(&mut self, text: &str, escape: Escape) {
        let mut out = String::new();
        write_escaped(text, escape, &mut out);
        self.fixed(&out);
    }
}

impl Live {
    /// The variable of an arrival; `None` if it is none of an arrival's.
    fn of(variable: &Variable, scope: &Scope<'_>) -> Result<Option<Self>, TemplateError> {
        let unknown = |why: String| TemplateError::NoValue {
            variable: variable.to_string(),
            why,
        };
        Ok(match variable {
            Variable::User => Some(Self::User),
            Variable::N => Some(Self::N),
            Variable::Uuid => Some(Self::Uuid),
            Variable::Row(column) => Some(Self::Column(scope.rows.column(column).ok_or_else(
                || match scope.rows.columns().as_str() {
                    "" => unknown("the load has no `data`".to_owned()),
                    has => unknown(format!("the data file has the columns {has}")),
                },
            )?)),
            Variable::Extracted(name) => {
                match scope
                    .names
                    .iter()
                    .position(|(n, there)| n == name && *there)
                {
                    Some(number) => Some(Self::Name(number)),
                    None => return Err(unknown("no request before it extracts it".to_owned())),
                }
            }
            Variable::Addr { .. }
            | Variable::Addrs { .. }
            | Variable::FreePort(_)
            | Variable::Listen
            | Variable::Firedrill
            | Variable::ScenarioDir
            | Variable::SecretEnv(_)
            | Variable::SecretFile(_)
            | Variable::Victim
            | Variable::VictimHost
            | Variable::VictimAddress => None,
        })
    }

    fn write(self, escape: Escape, arrival: &Arrival, rows: &Rows, out: &mut String) {
        match self {
            Self::User => write_number(u64::from(arrival.user), out),
            Self::N => write_number(arrival.n, out),
            Self::Uuid => out.push_str(
                arrival
                    .unique
                    .uuid()
                    .hyphenated()
                    .encode_lower(&mut [0; 36]),
            ),
            Self::Column(column) => write_escaped(rows.field(arrival.n, column), escape, out),
            // Compiling saw to it that a value is there by now.
            Self::Name(name) => write_escaped(arrival.value(name).unwrap_or_default(), escape, out),
        }
    }
}

fn write_number(number: u64, out: &mut String) {
    write!(out, "{number}").expect("writing to a String cannot fail");
}

fn write_escaped(text: &str, escape: Escape, out: &mut String) {
    match escape {
        Escape::None => out.push_str(text),
        Escape::Json => {
            let quoted = serde_json::Value::from(text).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::load::arrival::Unique;
    use crate::model::Lookup;

    struct Known;

    impl Lookup for Known {
        fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
            match variable {
                Variable::Addr { .. } => Ok("127.0.0.1:80".to_owned()),
                Variable::SecretEnv(_) => Ok("a \"secret\"".to_owned()),
                other => Err(TemplateError::NoValue {
                    variable: other.to_string(),
                    why: "not here".to_owned(),
                }),
            }
        }
    }

    fn arrival() -> Arrival {
        Arrival {
            n: 12,
            user: 2,
            unique: Unique::default(),
            login: Arc::new(vec![Some(Arc::from("to\"ken")), None]),
            named: vec![None, Some(Arc::from("slug"))],
        }
    }

    fn scope<T>(use_it: impl FnOnce(&Scope<'_>) -> T) -> T {
        let values: Values = Arc::new(Known);
        let names = [
            ("token".to_owned(), true),
            ("slug".to_owned(), true),
            ("later".to_owned(), false),
        ];
        use_it(&Scope {
            values: &values,
            rows: &Rows::default(),
            names: &names,
        })
    }

    #[test]
    fn what_is_known_is_put_in_once() {
        let text = |t: &str| scope(|s| Text::compile(&Template::parse(t).unwrap(), s));
        assert_eq!(
            text("http://${addr:x}/a").unwrap().whole(),
            Some("http://127.0.0.1:80/a")
        );
        let live = text("u${user}-${n}/${slug}/${token}").unwrap();
        assert_eq!(live.whole(), None);
        assert_eq!(live.of(&arrival(), &Rows::default()), "u2-12/slug/to\"ken");
        for bad in ["${later}", "${nobody}", "${row.x}", "${victim}"] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_stays_json() {
        let value = json!({"a": ["${token}", 1, null, [], {}], "b\"": "${env:S} $$ ${user}"});
        let text = scope(|s| Text::compile_json(&value, s)).unwrap();
        let written: serde_json::Value =
            serde_json::from_str(&text.of(&arrival(), &Rows::default())).unwrap();
        assert_eq!(
            written,
            json!({"a": ["to\"ken", 1, null, [], {}], "b\"": "a \"secret\" $ 2"})
        );
    }
}
