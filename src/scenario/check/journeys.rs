//! What arrivals do: journeys, their requests, and what is expected of the answers.

use std::collections::BTreeSet;

use super::Checker;
use super::calls::{Written, is_whole, start};
use super::load::Place as LoadPlace;
use crate::model::{Template, Variable};
use crate::scenario::error::Problem;
use crate::scenario::file::load::{Expect as ExpectFile, Journey, Load, Request};
use crate::scenario::plan::{Body, Expect, JourneyItem, JourneyPlan, RequestPlan};
use crate::scenario::shape::{At, Named};
use crate::scenario::tree::Span;
use crate::scenario::vars::{Known, Place, folder};

/// The name of the one journey of a load that has just a `request`, where the load itself has none.
const ONLY_JOURNEY: &str = "request";

impl Checker<'_> {
    pub(super) fn journeys(
        &mut self,
        at: Span,
        place: LoadPlace<'_>,
        load: &Load,
        known: &Known,
    ) -> Vec<JourneyPlan> {
        match (&load.journeys, &load.request) {
            (Some(journeys), None) => {
                if journeys.value.iter().next().is_none() {
                    self.problem_unless_broken(
                        journeys.at,
                        Problem::invalid(journeys.at, "`journeys` has no journey in it"),
                    );
                }
                journeys
                    .value
                    .iter()
                    .map(|(name, journey)| self.journey(name, journey, known))
                    .collect()
            }
            (None, Some(request)) => {
                let name = place.name.unwrap_or(ONLY_JOURNEY);
                self.journey_names.push(name.to_owned());
                let item = self
                    .request(request, &mut known.clone())
                    .map(JourneyItem::Request);
                let items = item.into_iter().collect();
                vec![JourneyPlan {
                    name: name.to_owned(),
                    weight: 1,
                    base_url: None,
                    items,
                }]
            }
            (Some(journeys), Some(_)) => {
                let problem = Problem::invalid(
                    journeys.at,
                    "a load has either `journeys` or just one `request`",
                );
                self.problems
                    .push(problem.help("make the request a journey of its own"));
                Vec::new()
            }
            (None, None) => {
                let problem = Problem::invalid(at, "a load needs `journeys`, or a `request`")
                    .help("write what is asked, as in `request: { get: / }`");
                let written = |key| place.holds(self.root, key);
                if !written("journeys") && !written("request") {
                    self.problems.push(problem);
                }
                Vec::new()
            }
        }
    }

    fn journey(&mut self, name: &At<String>, journey: &Journey, known: &Known) -> JourneyPlan {
        if let Some(zero) = journey.weight.filter(|weight| weight.value == 0) {
            let problem = Problem::invalid(
                zero.at,
                format!("journey `{}` of weight 0 never happens", name.value),
            );
            self.problems.push(problem.help("leave the journey out"));
        }
        let base_url = journey.base_url.as_ref().map(|url| self.base_url(url));
        let mut known = known.clone();
        known.base_url |= base_url.is_some();
        let mut items = Vec::new();
        for request in &journey.requests.value {
            match request.value.think {
                Some(think) => {
                    let has_method = request.value.methods().iter().any(|(_, url)| url.is_some());
                    if has_method {
                        let problem = Problem::invalid(
                            think.at,
                            "`think` is an item of its own, between the requests",
                        );
                        self.problems.push(
                            problem.help("write `- { think: 2s }` before or after the request"),
                        );
                    }
                    items.push(JourneyItem::Think(think.value.0));
                }
                None => items.extend(self.request(request, &mut known).map(JourneyItem::Request)),
            }
        }
        if !items
            .iter()
            .any(|item| matches!(item, JourneyItem::Request(_)))
        {
            let at = journey.requests.at;
            self.problem_unless_broken(
                at,
                Problem::invalid(at, format!("journey `{}` requests nothing", name.value)),
            );
        }
        JourneyPlan {
            name: name.value.clone(),
            weight: journey.weight.map_or(1, |weight| weight.value),
            base_url,
            items,
        }
    }

    /// A request; what it extracts is known to those after it.
    pub(super) fn request(
        &mut self,
        request: &At<Request>,
        known: &mut Known,
    ) -> Option<RequestPlan> {
        let written = &request.value;
        let (method, address) = self.method(request.at, written)?;
        let url = self.request_url(address, known);
        let headers = self.headers(written.headers.as_ref(), Place::Request(known));
        let body = self.body(written, known);
        let expect = written
            .expect
            .as_ref()
            .map_or_else(Expect::default, |expect| self.expect(expect, known));
        let extract = self.extract(written.extract.as_ref(), &mut known.extracted);
        Some(RequestPlan {
            method: method.to_owned(),
            url,
            headers,
            body,
            expect,
            extract,
        })
    }

    fn body(&mut self, written: &Request, known: &Known) -> Body {
        match (&written.json, &written.body, &written.body_file) {
            (None, None, None) => Body::Empty,
            (Some(json), None, None) => Body::Json(self.json(json, Place::Request(known))),
            (None, Some(text), None) => {
                Body::Text(self.template(text.at, &text.value, Place::Request(known)))
            }
            (None, None, Some(file)) => self.body_file(file),
            (Some(_), Some(text), None) => {
                self.two_bodies(text.at);
                Body::Empty
            }
            (_, _, Some(file)) => {
                self.problems.push(Problem::invalid(
                    file.at,
                    "one request has one body: just one of `json`, `body` and `body_file`",
                ));
                Body::Empty
            }
        }
    }

    fn body_file(&mut self, file: &At<String>) -> Body {
        let Some(written) = self.fixed(file, "the path of a body's file") else {
            return Body::Empty;
        };
        let path = folder(self.inputs.path).join(&written);
        if let Err(error) = std::fs::read(&path) {
            self.problems.push(Problem::invalid(
                file.at,
                format!("the body's file {} cannot be read: {error}", path.display()),
            ));
        }
        Body::File(written.into())
    }

    fn request_url(&mut self, url: &At<String>, known: &Known) -> Template {
        let template = self.url(url, Place::Request(known));
        let start = start(&template);
        if start.starts_with('/') && !known.base_url {
            let message = format!(
                "`{}` is relative, and the load has no `base_url`",
                url.value
            );
            let problem = Problem::invalid(url.at, message);
            self.problems
                .push(problem.help("add `base_url: http://${addr:NAME}` to the load"));
        } else if !start.is_empty() && !start.starts_with('/') && !is_whole(start) {
            let message = format!("`{}` is neither a path nor a whole address", url.value);
            let help = format!(
                "write `/{}`, or an address that begins with `http://`",
                url.value
            );
            self.problems
                .push(Problem::invalid(url.at, message).help(help));
        }
        template
    }

    fn expect(&mut self, expect: &ExpectFile, known: &Known) -> Expect {
        let json = expect.json.iter().flat_map(Named::iter);
        let json = json
            .map(|(path, value)| (path.value.clone(), self.expected_json(path, value)))
            .collect();
        Expect {
            status: self.status(expect.status),
            within: self.not_zero(expect.within, "no answer comes in no time"),
            contains: expect
                .contains
                .as_ref()
                .map(|text| self.template(text.at, &text.value.0, Place::Request(known))),
            json,
        }
    }

    /// A value that an answer must have: fixed, so that it can be compared.
    fn expected_json(
        &mut self,
        path: &At<String>,
        value: &At<serde_json::Value>,
    ) -> serde_json::Value {
        self.json_path(path.at, &path.value);
        let serde_json::Value::String(text) = &value.value else {
            return value.value.clone();
        };
        let template = self.template(value.at, text, Place::Running);
        if template.variables().next().is_some() {
            let problem = Problem::invalid(
                value.at,
                "an expected value is fixed: it cannot hold a variable of the run",
            );
            self.problems
                .push(problem.help("use `contains` for text with variables"));
        }
        serde_json::Value::String(start(&template).to_owned())
    }

    fn extract(
        &mut self,
        written: Option<&Named<At<String>>>,
        extracted: &mut BTreeSet<String>,
    ) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for (name, path) in written.into_iter().flat_map(Named::iter) {
            self.json_path(path.at, &path.value);
            let usable = matches!(Variable::parse(&name.value), Ok(Variable::Extracted(_)));
            if !usable {
                let problem = Problem::invalid(
                    name.at,
                    format!("`{}` cannot be the name of something extracted", name.value),
                );
                self.problems.push(
                    problem
                        .help("use lower case, digits and `_`, and none of firedrill's own names"),
                );
            }
            extracted.insert(name.value.clone());
            out.push((name.value.clone(), path.value.clone()));
        }
        out
    }

    fn json_path(&mut self, at: Span, path: &str) {
        if let Err(error) = serde_json_path::JsonPath::parse(path) {
            let problem = Problem::invalid(at, format!("`{path}` is not a JSONPath: {error}"));
            self.problems
                .push(problem.help("write it as in `$.user.token`"));
        }
    }
}
