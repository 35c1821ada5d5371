//! Calls and command lines, wherever they stand: load, steps, checks.

use super::Checker;
use crate::model::{HttpCall, Part, Template, Variable};
use crate::scenario::error::Problem;
use crate::scenario::file::load::Request;
use crate::scenario::file::steps::{Call, Http};
use crate::scenario::shape::{At, Named};
use crate::scenario::tree::Span;
use crate::scenario::units::Text;
use crate::scenario::vars::Place;

/// A call as written: a method with its address, headers and a body.
pub(super) trait Written {
    fn methods(&self) -> [(&'static str, Option<&At<String>>); 6];
    fn headers(&self) -> Option<&Named<At<Text>>>;
    fn json(&self) -> Option<&At<serde_json::Value>>;
    fn text(&self) -> Option<&At<String>>;
}

macro_rules! written {
    ($($type:ty),*) => {$(
        impl Written for $type {
            fn methods(&self) -> [(&'static str, Option<&At<String>>); 6] {
                [
                    ("GET", self.get.as_ref()),
                    ("HEAD", self.head.as_ref()),
                    ("POST", self.post.as_ref()),
                    ("PUT", self.put.as_ref()),
                    ("PATCH", self.patch.as_ref()),
                    ("DELETE", self.delete.as_ref()),
                ]
            }
            fn headers(&self) -> Option<&Named<At<Text>>> {
                self.headers.as_ref()
            }
            fn json(&self) -> Option<&At<serde_json::Value>> {
                self.json.as_ref()
            }
            fn text(&self) -> Option<&At<String>> {
                self.body.as_ref()
            }
        }
    )*};
}

written!(Request, Http, Call);

impl Checker<'_> {
    /// The one method of a call and its address.
    pub(super) fn method<'w>(
        &mut self,
        at: Span,
        call: &'w impl Written,
    ) -> Option<(&'static str, &'w At<String>)> {
        let methods = call.methods();
        let mut given = methods
            .into_iter()
            .filter_map(|(method, url)| Some((method, url?)));
        match (given.next(), given.next()) {
            (Some(only), None) => Some(only),
            (Some((first, _)), Some((second, url))) => {
                let message = format!(
                    "one call has one method, not both `{}` and `{}`",
                    first.to_lowercase(),
                    second.to_lowercase()
                );
                self.problems.push(Problem::invalid(url.at, message));
                None
            }
            (None, _) => {
                let problem = Problem::invalid(at, "no method is written here")
                    .help("write the method with its address, as in `get: /path`");
                self.problem_unless_broken(at, problem);
                None
            }
        }
    }

    /// A call made once by firedrill itself.
    pub(super) fn call(&mut self, at: Span, call: &impl Written) -> Option<HttpCall> {
        let (method, url) = self.method(at, call)?;
        let url = self.absolute_url(url, Place::Running);
        let mut headers = self.headers(call.headers(), Place::Running);
        let json = call.json().map(|json| self.json(json, Place::Running));
        let text = call
            .text()
            .map(|text| self.template(text.at, &text.value, Place::Running));
        if let (Some(_), Some(text)) = (&json, call.text()) {
            self.two_bodies(text.at);
        }
        if json.is_some()
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push((
                "Content-Type".to_owned(),
                Template::literal("application/json"),
            ));
        }
        // The strings inside are templates as written, so the whole is one too.
        let json = json.map(|json| json.to_string());
        let json = json.map(|json| Template::parse(&json).unwrap_or(Template::literal(json)));
        Some(HttpCall {
            method: method.to_owned(),
            url,
            headers,
            body: json.or(text),
        })
    }

    pub(super) fn two_bodies(&mut self, at: Span) {
        self.problems.push(Problem::invalid(
            at,
            "one call has one body, not both `json` and `body`",
        ));
    }

    /// A JSON body: every string in it is a template, kept in its written form.
    pub(super) fn json(
        &mut self,
        json: &At<serde_json::Value>,
        place: Place<'_>,
    ) -> serde_json::Value {
        self.json_value(json.at, &json.value, place)
    }

    fn json_value(
        &mut self,
        at: Span,
        value: &serde_json::Value,
        place: Place<'_>,
    ) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.template(at, text, place).to_string()),
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.json_value(at, item, place))
                    .collect(),
            ),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), self.json_value(at, value, place)))
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// An address that must be whole, for there is no base to it.
    pub(super) fn absolute_url(&mut self, url: &At<String>, place: Place<'_>) -> Template {
        let template = self.url(url, place);
        let start = start(&template);
        if !start.is_empty() && !is_whole(start) {
            let problem =
                Problem::invalid(url.at, format!("`{}` is not a whole address", url.value));
            self.problems
                .push(problem.help("begin with `http://`, as in `http://${addr:NAME}/path`"));
        }
        template
    }

    /// An address, whole or relative, that is well formed whatever its variables turn out to be.
    pub(super) fn url(&mut self, url: &At<String>, place: Place<'_>) -> Template {
        let template = self.template(url.at, &url.value, place);
        if let Err(error) = sample(&template).parse::<http::Uri>() {
            let problem = Problem::invalid(
                url.at,
                format!("`{}` is not an address: {error}", url.value),
            );
            self.problem_unless_broken(url.at, problem);
        }
        template
    }

    /// `host:port`, or several with commas.
    pub(super) fn host_and_port(&mut self, written: &At<String>, place: Place<'_>) -> Template {
        let template = self.template(written.at, &written.value, place);
        let is_one = |text: &str| {
            text.rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !sample(&template).split(',').all(is_one) {
            let problem = Problem::invalid(
                written.at,
                format!("`{}` is not an address with a port", written.value),
            );
            self.problem_unless_broken(
                written.at,
                problem.help("write it as in `127.0.0.1:8080`, without `http://`"),
            );
        }
        template
    }

    /// Header lines: names that HTTP allows, and their texts.
    pub(super) fn headers(
        &mut self,
        written: Option<&Named<At<Text>>>,
        place: Place<'_>,
    ) -> Vec<(String, Template)> {
        for (name, _) in written.into_iter().flat_map(Named::iter) {
            self.header_name(name);
        }
        self.texts(written, place)
    }

    pub(super) fn header_name(&mut self, name: &At<String>) {
        if http::HeaderName::from_bytes(name.value.as_bytes()).is_err() {
            let problem =
                Problem::invalid(name.at, format!("`{}` is not a header's name", name.value));
            self.problems
                .push(problem.help("header names are letters, digits and `-`"));
        }
    }

    pub(super) fn command_line(
        &mut self,
        written: &At<Vec<At<Text>>>,
        place: Place<'_>,
    ) -> Vec<Template> {
        if written.value.is_empty() {
            let problem = Problem::invalid(written.at, "a command line needs a program");
            self.problem_unless_broken(written.at, problem);
        }
        let words = written.value.iter();
        words
            .map(|word| {
                let template = self.template(word.at, &word.value.0, place);
                if template.variables().any(Variable::is_secret) {
                    let problem = Problem::warning(
                        word.at,
                        "a secret in a command line can be read by every user of the machine that it runs on",
                    );
                    self.vars.doubts.push(problem.help(
                        "let the program read it from its environment, or from a file of its own",
                    ));
                }
                template
            })
            .collect()
    }

    pub(super) fn status(&mut self, status: Option<At<u16>>) -> Option<u16> {
        let status = status?;
        if !(100..600).contains(&status.value) {
            self.problems.push(Problem::invalid(
                status.at,
                format!(
                    "`{}` is not an HTTP status: those are 100 to 599",
                    status.value
                ),
            ));
        }
        Some(status.value)
    }
}

/// What a text begins with, as far as that is known; empty where it begins with a variable.
pub(super) fn start(template: &Template) -> &str {
    match template.parts.first() {
        Some(Part::Literal(start)) => start,
        Some(Part::Variable(_)) | None => "",
    }
}

/// Whether an address that begins so needs no base.
pub(super) fn is_whole(start: &str) -> bool {
    start.starts_with("http://") || start.starts_with("https://")
}

/// The text with something likely in the place of each variable.
fn sample(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        Part::Variable(Variable::Addr { .. } | Variable::Addrs { .. } | Variable::Listen) => {
            "127.0.0.1:1".to_owned()
        }
        Part::Variable(_) => "1".to_owned(),
    };
    template.parts.iter().map(part).collect()
}
