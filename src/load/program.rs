//! The plan's journeys and logins, compiled: templates split, addresses, methods, headers and paths read.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use serde_json_path::JsonPath;

use super::address::{Address, Unusable};
use super::arrival::Arrival;
use super::bodies::Bodies;
use super::checks::Checks;
use super::client::{Outgoing, Sent};
use super::data::Rows;
use super::text::{Scope, Text};
use super::{LoadError, Values};
use crate::model::{Template, TemplateError};
use crate::scenario::plan::{self, JourneyItem, LoadPlan, RequestPlan};

/// Everything that is sent, ready to be filled in.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) journeys: Vec<Journey>,
    /// What each user does to log in.
    pub(super) login: Vec<Request>,
}

/// A journey's items in order.
#[derive(Debug)]
pub(super) struct Journey {
    pub(super) items: Vec<Item>,
    /// How many of them are requests.
    pub(super) requests: u64,
}

#[derive(Debug)]
pub(super) enum Item {
    Think(Duration),
    Request(Box<Request>),
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    /// `journey read, GET /api/articles`, variables as written.
    pub(super) label: String,
    pub(super) checks: Checks,
    method: Method,
    address: Address,
    /// Those that are the same for every arrival.
    headers: HeaderMap,
    live_headers: Vec<(HeaderName, Text)>,
    body: Payload,
}

#[derive(Debug)]
enum Payload {
    Text(Text),
    Bytes(Bytes),
}

impl Program {
    /// Compiles the requests of a plan.
    pub(super) fn compile(
        plan: &LoadPlan,
        values: &Values,
        rows: &Rows,
        bodies: &Bodies,
    ) -> Result<Self, LoadError> {
        let mut names: Vec<(String, bool)> = Vec::new();
        let logins = plan.users.iter().flat_map(|u| &u.login);
        let all = logins
            .clone()
            .chain(plan.journeys.iter().flat_map(|j| j.requests()));
        for (name, _) in all.flat_map(|r| &r.extract) {
            if !names.iter().any(|(n, _)| n == name) {
                names.push((name.clone(), false));
            }
        }
        let mut compiler = Compiler {
            plan,
            values,
            rows,
            bodies,
            names,
        };
        let login = logins
            .map(|r| compiler.request("login", None, r, Headers::ThoseKnown))
            .collect::<Result<_, _>>()?;
        let known = compiler.names.clone();
        let mut journeys = Vec::with_capacity(plan.journeys.len());
        for journey in &plan.journeys {
            compiler.names.clone_from(&known);
            let place = format!("journey {}", journey.name);
            let items = journey.items.iter().map(|item| {
                Ok(match item {
                    JourneyItem::Think(time) => Item::Think(*time),
                    JourneyItem::Request(request) => {
                        let base = journey.base_url.as_ref();
                        let request = compiler.request(&place, base, request, Headers::All)?;
                        Item::Request(Box::new(request))
                    }
                })
            });
            journeys.push(Journey {
                items: items.collect::<Result<_, LoadError>>()?,
                requests: journey.requests().count() as u64,
            });
        }
        Ok(Self { journeys, login })
    }

    /// Whether any of it is sent over TLS; `None` where only arrivals will tell.
    pub(super) fn speaks_tls(&self) -> Option<bool> {
        let items = self.journeys.iter().flat_map(|j| &j.items);
        let requests = items.filter_map(|item| match item {
            Item::Request(request) => Some(&**request),
            Item::Think(_) => None,
        });
        let mut each = requests.chain(&self.login).map(|r| r.address.is_secure());
        each.try_fold(false, |any, one| one.map(|one| any || one))
    }

    /// The request at a place.
    pub(super) fn request(&self, journey: usize, item: usize) -> Option<&Request> {
        match self.journeys.get(journey)?.items.get(item)? {
            Item::Request(request) => Some(request),
            Item::Think(_) => None,
        }
    }
}

/// Which of the load's common headers a request gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Headers {
    All,
    /// A login cannot send what only a login extracts.
    ThoseKnown,
}

struct Compiler<'a> {
    plan: &'a LoadPlan,
    values: &'a Values,
    rows: &'a Rows,
    bodies: &'a Bodies,
    /// Every extracted name, and whether a request so far extracts it.
    names: Vec<(String, bool)>,
}

impl Compiler<'_> {
    fn request(
        &mut self,
        journey: &str,
        base: Option<&Template>,
        plan: &RequestPlan,
        which: Headers,
    ) -> Result<Request, LoadError> {
        let label = format!("{journey}, {} {}", plan.method, plan.url);
        let bad_template = |source: TemplateError| LoadError::Template {
            place: label.clone(),
            source,
        };
        let scope = Scope {
            values: self.values,
            rows: self.rows,
            names: &self.names,
        };
        let text = |template: &Template| Text::compile(template, &scope).map_err(bad_template);

        let base = base.or(self.plan.base_url.as_ref()).map(text).transpose()?;
        let address =
            Address::new(text(&plan.url)?, base).map_err(|why| why.at(&label, &plan.url))?;
        let method = Method::from_bytes(plan.method.as_bytes())
            .map_err(|e| not_http(&label, format!("method `{}`", plan.method), &e))?;
        let (body, content_type) = match &plan.body {
            plan::Body::Empty => (Payload::Bytes(Bytes::new()), None),
            plan::Body::Json(value) => (
                Payload::Text(Text::compile_json(value, &scope).map_err(bad_template)?),
                Some("application/json"),
            ),
            plan::Body::Text(template) => (
                Payload::Text(text(template)?),
                Some("text/plain; charset=utf-8"),
            ),
            plan::Body::File(path) => (
                Payload::Bytes(self.bodies.of(path)),
                Some("application/octet-stream"),
            ),
        };

        let mut headers = Vec::new();
        for (name, template) in &plan.headers {
            headers.push((header_name(&label, name)?, text(template)?));
        }
        let own = headers.len();
        for (name, template) in &self.plan.headers {
            let name = header_name(&label, name)?;
            let overridden = headers[..own].iter().any(|(n, _)| *n == name);
            match Text::compile(template, &scope) {
                _ if overridden => {}
                Ok(value) => headers.push((name, value)),
                Err(_) if which == Headers::ThoseKnown => {}
                Err(source) => return Err(bad_template(source)),
            }
        }
        let host = address.host().cloned();
        let (fixed, live_headers) = split_headers(&label, headers, content_type, host)?;

        let mut checks = Checks {
            status: plan.expect.status,
            within: plan.expect.within,
            contains: plan.expect.contains.as_ref().map(text).transpose()?,
            ..Checks::default()
        };
        for (path, value) in &plan.expect.json {
            checks.json.push((json_path(&label, path)?, value.clone()));
        }
        for (name, path) in &plan.extract {
            let path = json_path(&label, path)?;
            for (number, (_, known)) in self
                .names
                .iter_mut()
                .enumerate()
                .filter(|(_, (n, _))| n == name)
            {
                *known = true;
                checks.extract.push((number, path.clone()));
            }
        }
        Ok(Request {
            label,
            checks,
            method,
            address,
            headers: fixed,
            live_headers,
            body,
        })
    }
}

/// Parts the headers that are the same for every arrival from those that are not, and adds firedrill's own.
fn split_headers(
    label: &str,
    headers: Vec<(HeaderName, Text)>,
    content_type: Option<&'static str>,
    host: Option<HeaderValue>,
) -> Result<(HeaderMap, Vec<(HeaderName, Text)>), LoadError> {
    let mut fixed = HeaderMap::new();
    let mut live = Vec::new();
    for (name, text) in headers {
        match text.whole() {
            Some(value) => {
                // The value may be a secret: the message names the header only.
                let value = HeaderValue::from_str(value)
                    .map_err(|e| not_http(label, format!("value of header `{name}`"), &e))?;
                fixed.append(name, value);
            }
            None => live.push((name, text)),
        }
    }
    let user_agent = concat!("firedrill/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        (CONTENT_TYPE, content_type.map(HeaderValue::from_static)),
        (USER_AGENT, Some(HeaderValue::from_static(user_agent))),
        (HOST, host),
    ] {
        if let Some(value) = value
            && !fixed.contains_key(&name)
            && !live.iter().any(|(n, _)| *n == name)
        {
            fixed.insert(name, value);
        }
    }
    Ok((fixed, live))
}

impl Request {
    /// The request of one arrival; fails only where a value of the arrival's cannot stand in HTTP.
    pub(super) fn fill(&self, arrival: &Arrival, rows: &Rows) -> Result<Outgoing, LoadError> {
        let (place, target) = self
            .address
            .of(arrival, rows)
            .map_err(|why| why.at(&self.label, &"(filled in)"))?;
        let mut headers = self.headers.clone();
        for (name, text) in &self.live_headers {
            let value = HeaderValue::from_str(&text.of(arrival, rows))
                .map_err(|e| not_http(&self.label, format!("value of header `{name}`"), &e))?;
            headers.append(name.clone(), value);
        }
        if self.address.host().is_none() {
            headers.entry(HOST).or_insert(place.host);
        }
        Ok(Outgoing {
            to: place.to,
            method: self.method.clone(),
            target,
            headers,
            body: match &self.body {
                Payload::Text(text) => Bytes::from(text.of(arrival, rows)),
                Payload::Bytes(bytes) => bytes.clone(),
            },
            keep: self.checks.keep(),
            sent: Sent::default(),
            jar: None,
        })
    }
}

impl Unusable {
    fn at(self, place: &str, url: &dyn std::fmt::Display) -> LoadError {
        let (place, url) = (place.to_owned(), url.to_string());
        match self {
            Self::NoBase => LoadError::NoBase { place, url },
            Self::Bad(why) => LoadError::Url { place, url, why },
        }
    }
}

fn header_name(label: &str, name: &str) -> Result<HeaderName, LoadError> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|e| not_http(label, format!("header `{name}`"), &e))
}

fn json_path(label: &str, path: &str) -> Result<JsonPath, LoadError> {
    JsonPath::parse(path).map_err(|e| LoadError::JsonPath {
        place: label.to_owned(),
        path: path.to_owned(),
        why: e.to_string(),
    })
}

fn not_http(label: &str, what: String, why: &dyn std::fmt::Display) -> LoadError {
    LoadError::Http {
        place: label.to_owned(),
        what,
        why: why.to_string(),
    }
}
