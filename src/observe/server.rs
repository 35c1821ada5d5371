//! A server that is asked: requests with patience, answers with bounds, errors with causes.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{Lookup, Template};

use super::error::{AskError, ObserveError};

/// The largest answer that is read.
const BODY_LIMIT: usize = 64 << 20;
/// Characters of an answer that are quoted in an error.
const QUOTED: usize = 200;
/// Between two tries for the same evidence.
const PAUSE: Duration = Duration::from_millis(500);

/// How much is tried for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// One short try: the next poll follows anyway.
    Poll,
    /// Several long ones: what is not read now is lost.
    Evidence,
}

impl Effort {
    fn timeout(self) -> Duration {
        match self {
            Self::Poll => Duration::from_secs(2),
            Self::Evidence => Duration::from_secs(10),
        }
    }

    fn tries(self) -> u32 {
        match self {
            Self::Poll => 1,
            Self::Evidence => 3,
        }
    }
}

/// A client for all servers: straight to them, whatever proxies the environment names, and no redirects.
///
/// # Errors
/// [`ObserveError::Client`].
pub(super) fn client() -> Result<Client, ObserveError> {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| ObserveError::Client { why: causes(&e) })
}

/// One HTTP server, by its base address.
#[derive(Debug, Clone)]
pub(super) struct Server {
    client: Client,
    base: Url,
}

/// An answer with status 2xx.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) date: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Server {
    /// The server whose address stands under `observe.KEY`.
    ///
    /// # Errors
    /// An address without a value, or that is none.
    pub(super) fn new(
        client: &Client,
        key: &'static str,
        address: &Template,
        values: &dyn Lookup,
    ) -> Result<Self, ObserveError> {
        let url = address
            .resolve(values)
            .map_err(|source| ObserveError::Template { key, source })?;
        let wrong = |why: String| ObserveError::Url {
            key,
            url: url.clone(),
            why,
        };
        let base = Url::parse(&url).map_err(|e| wrong(e.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong("it must begin with http:// or https://".to_owned()));
        }
        Ok(Self {
            client: client.clone(),
            base,
        })
    }

    /// Its base address, for people.
    pub(super) fn name(&self) -> String {
        shown(&self.base)
    }

    /// Asks for a path below the base address.
    ///
    /// # Errors
    /// [`AskError`] for anything but a whole answer with status 2xx.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        effort: Effort,
    ) -> Result<Answer, AskError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut tries = 1;
        loop {
            match self.try_once(&url, effort).await {
                Err(AskError::NoAnswer { .. } | AskError::Status { .. })
                    if tries < effort.tries() =>
                {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    async fn try_once(&self, url: &Url, effort: Effort) -> Result<Answer, AskError> {
        let request = self.client.get(url.clone()).timeout(effort.timeout());
        let shown = shown(url);
        let (response, body) = whole(request, &shown).await?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            let date = response.headers().get(http::header::DATE);
            let date = date.and_then(|d| d.to_str().ok()).map(str::to_owned);
            return Ok(Answer {
                url: shown,
                date,
                body,
            });
        }
        let said = said(&body);
        Err(match status {
            // What Prometheus answers to a query that it cannot parse or evaluate.
            400 | 422 => AskError::Refused { url: shown, said },
            _ => AskError::Status {
                url: shown,
                status,
                said,
            },
        })
    }
}

impl Answer {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`AskError::Unreadable`].
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        serde_json::from_slice(&self.body).map_err(|e| self.unreadable(e))
    }

    /// That the answer is not of the kind expected.
    pub(super) fn unreadable(&self, why: impl ToString) -> AskError {
        AskError::Unreadable {
            url: self.url.clone(),
            why: why.to_string(),
        }
    }
}

/// Sends a request and reads its whole answer, whose body is taken out of the response.
///
/// # Errors
/// [`AskError::NoAnswer`], or [`AskError::Unreadable`] for one without end.
pub(super) async fn whole(
    request: RequestBuilder,
    url: &str,
) -> Result<(Response, Vec<u8>), AskError> {
    let silent = |e: reqwest::Error| AskError::NoAnswer {
        url: url.to_owned(),
        why: causes(&e.without_url()),
    };
    let mut response = request.send().await.map_err(silent)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(silent)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(AskError::Unreadable {
                url: url.to_owned(),
                why: format!("over {} MiB", BODY_LIMIT >> 20),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response, body))
}

/// An address for people: without credentials and query.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// An error with all its causes, each said once.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "not within the time it was given".to_owned();
    }
    let chain = std::iter::successors(Some(error as &dyn Error), |&e| e.source());
    let mut texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// What an answer says went wrong: Prometheus' and Alertmanager's `error` where it is theirs, else its begin.
fn said(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json.as_ref().and_then(|json| json.get("error")?.as_str());
    quoted(error.map_or(body, str::as_bytes))
}

/// The begin of a text, on one line.
fn quoted(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "nothing".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TemplateError, Variable};

    struct Nothing;

    impl Lookup for Nothing {
        fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
            Err(TemplateError::NoValue {
                variable: variable.to_string(),
                why: "nothing has".to_owned(),
            })
        }
    }

    fn error(address: &str) -> String {
        let address = Template::parse(address).unwrap();
        let server = Server::new(&client().unwrap(), "prometheus", &address, &Nothing);
        server.unwrap_err().to_string()
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        assert_eq!(
            error("127.0.0.1:9090"),
            "observe.prometheus: `127.0.0.1:9090` is not the address of an HTTP server: relative URL without a base"
        );
        assert_eq!(
            error("ftp://host/"),
            "observe.prometheus: `ftp://host/` is not the address of an HTTP server: it must begin with http:// or https://"
        );
        assert_eq!(
            error("http://${addr:prometheus:9090}"),
            "observe.prometheus: `${addr:prometheus:9090}` has no value: nothing has"
        );
    }

    #[test]
    fn people_are_shown_no_credentials() {
        let url = Url::parse("http://ann:secret@host:9090/api?token=x").unwrap();
        assert_eq!(shown(&url), "http://host:9090/api");
    }

    #[test]
    fn an_error_is_told_in_the_servers_words() {
        let refused = br#"{"status":"error","errorType":"bad_data","error":"1:4: parse error"}"#;
        assert_eq!(said(refused), "1:4: parse error");
        assert_eq!(said(br#"{"code":5}"#), r#"{"code":5}"#);
    }

    #[test]
    fn quotes_are_one_short_line() {
        assert_eq!(
            quoted(b"<html>\n <b>no\xff</b>"),
            "<html> <b>no\u{fffd}</b>"
        );
        assert_eq!(quoted(b" \n"), "nothing");
        let long = "é".repeat(300);
        assert_eq!(quoted(long.as_bytes()).chars().count(), QUOTED + 1);
    }
}
