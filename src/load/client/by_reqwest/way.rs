//! How far a request has got on its way through reqwest, which tells it nowhere else: reqwest's connector, resolver and
//! cookie provider know of no request, but they are polled within it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::HeaderValue;
use http::header::{COOKIE, HOST};
use reqwest::Url;
use reqwest::cookie::CookieStore;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::load::client::pooled::Phase;
use crate::load::client::{Jar, Outgoing, Sent};

tokio::task_local! {
    static WAY: Arc<State>;
}

/// A request's way. Dropped, it notes when the request was sent, if it was on a connection that was open before.
pub(super) struct Way(Arc<State>);

struct State {
    sent: Sent,
    cookies: Option<Own>,
    /// Where it goes first.
    url: Url,
    at: Mutex<At>,
}

/// What its user has, and what the scenario gives it.
struct Own {
    jar: Jar,
    header: Option<HeaderValue>,
    /// Its host as the `Host` header has it.
    host: Option<String>,
}

#[derive(Default)]
struct At {
    phase: Phase,
    begun: Option<Instant>,
}

impl Way {
    /// Of a request that goes to `url`. Its `Host` header is taken out where it says nothing new, and its cookies are, where
    /// they go with those of a jar.
    pub(super) fn new(request: &mut Outgoing, url: Url, jar: Option<Jar>) -> Self {
        let named = request.full_uri().ok();
        let written = request.headers.get(HOST).and_then(|h| h.to_str().ok());
        let authority = url.host_str().map(|host| match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        if written == authority.as_deref() {
            request.headers.remove(HOST);
        }
        let cookies = jar.map(|jar| Own {
            jar,
            header: request.headers.remove(COOKIE),
            host: named.and_then(|uri| uri.host().map(str::to_owned)),
        });
        Self(Arc::new(State {
            sent: request.sent.clone(),
            cookies,
            url,
            at: Mutex::default(),
        }))
    }

    /// It has a place, and is handed over.
    pub(super) fn begin(&self) {
        let mut at = self.0.at();
        at.phase = Phase::Exchanging;
        at.begun = Some(Instant::now());
    }

    pub(super) fn phase(&self) -> Phase {
        self.0.at().phase
    }

    /// Where it goes first.
    pub(super) fn host(&self) -> &str {
        self.0.url.host_str().unwrap_or_default()
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        let at = self.0.at();
        if let (Phase::Exchanging, Some(begun)) = (at.phase, at.begun) {
            self.0.sent.note_at(begun);
        }
    }
}

impl State {
    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address as cookies see it: the request's own host is the one that its `Host` header names.
    fn seen(&self, own: &Own, url: &Url) -> (Url, bool) {
        let first = url.origin() == self.url.origin();
        let mut seen = url.clone();
        if first && let Some(host) = &own.host {
            // Where that cannot be a host of an address, its own is as good.
            let _ = seen.set_host(Some(host));
        }
        (seen, first)
    }
}

/// Runs what is polled within a request.
pub(super) async fn on<T>(way: &Way, asked: impl Future<Output = T>) -> T {
    WAY.scope(Arc::clone(&way.0), asked).await
}

/// The request that is being polled has got so far.
pub(super) fn reached(phase: Phase) {
    let _ = WAY.try_with(|way| way.at().phase = phase);
}

/// Notes when connections are made.
#[derive(Debug, Clone)]
pub(super) struct NotingConnections;

/// A connector that notes when its connections are made.
#[derive(Debug, Clone)]
pub(super) struct Noting<S>(S);

impl<S> Layer<S> for NotingConnections {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting(inner)
    }
}

impl<S, To> Service<To> for Noting<S>
where
    S: Service<To>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let connecting = self.0.call(to);
        Box::pin(async move {
            // A connection that the pool finishes for others has no request any more, but it had one when it began.
            let way = WAY.try_with(Arc::clone).ok();
            reached(Phase::Connecting);
            let made = connecting.await;
            if let (Some(way), Ok(_)) = (way, &made) {
                way.at().phase = Phase::Exchanging;
                way.sent.note();
            }
            made
        })
    }
}

/// The jar of whoever's request is being polled.
pub(super) struct Cookies;

impl CookieStore for Cookies {
    fn set_cookies(&self, cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        let _ = WAY.try_with(|way| {
            if let Some(own) = &way.cookies {
                own.jar.set(&way.seen(own, url).0, cookies);
            }
        });
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        let cookies = WAY.try_with(|way| {
            let own = way.cookies.as_ref()?;
            let (url, first) = way.seen(own, url);
            // What the scenario gives the request is for nobody else.
            let header = own.header.as_ref().filter(|_| first);
            own.jar.cookies(&url, header)
        });
        cookies.ok().flatten()
    }
}
