//! HTTP as reqwest speaks it: redirects followed, proxies, HTTP/1.1 or HTTP/2 as TLS settles it (ALPN).

mod way;

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Proxy, Url};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::dns::Names;
use super::pooled::Phase;
use super::{Body, Destination, Exchange, Jar, Outgoing, Reading, failure};
use crate::model::Outcome;
use way::{Cookies, NotingConnections, Way};

/// What reqwest does besides asking.
#[derive(Debug, Clone, Default)]
pub(in crate::load) struct Manners {
    /// Most redirects of a request that are followed.
    pub(in crate::load) redirects: u32,
    /// Who is asked in the servers' place.
    pub(in crate::load) proxy: Proxied,
}

/// Which proxy is asked.
#[derive(Debug, Clone, Default)]
pub(in crate::load) enum Proxied {
    /// None.
    #[default]
    Nobody,
    /// The one that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name.
    Environment,
    /// The one at this address.
    By(String),
}

/// A client of reqwest's.
pub(in crate::load) struct Reqwest {
    client: reqwest::Client,
    /// One for each request under way.
    places: Semaphore,
    /// Why the first TLS connection that failed did.
    trouble: OnceLock<String>,
}

impl Reqwest {
    /// A client that sends at most `most` requests at a time, and keeps as many idle connections to each host.
    ///
    /// # Errors
    /// Why it cannot be made, as of a proxy's address that is none.
    pub(in crate::load) fn new(
        most: u32,
        manners: &Manners,
        tls: Arc<ClientConfig>,
        names: Arc<Names>,
    ) -> Result<Self, String> {
        let redirects = manners.redirects as usize;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&tls))
            .dns_resolver(Known(names))
            .connector_layer(NotingConnections)
            .cookie_provider(Arc::new(Cookies))
            .pool_max_idle_per_host(most as usize)
            .pool_idle_timeout(None)
            // A request is sent once; what is tried again is the load's to say.
            .retry(reqwest::retry::never())
            // The first of the previous ones is the request itself. What is one too many is the answer.
            .redirect(Policy::custom(move |next| {
                if next.previous().len() > redirects {
                    next.stop()
                } else {
                    next.follow()
                }
            }));
        let builder = match &manners.proxy {
            Proxied::Nobody => builder.no_proxy(),
            Proxied::Environment => builder,
            Proxied::By(address) => {
                // The address may hold a secret.
                let told = |error: reqwest::Error| innermost(&error.without_url());
                builder.proxy(Proxy::all(address).map_err(told)?)
            }
        };
        Ok(Self {
            client: builder.build().map_err(|error| innermost(&error))?,
            places: Semaphore::new(most.max(1) as usize),
            trouble: OnceLock::new(),
        })
    }

    /// As [`Client::send`](super::Client::send); the request's jar gets and gives what belongs to each address on its way.
    pub(super) async fn send(
        &self,
        request: &mut Outgoing,
        jar: Option<Jar>,
        deadline: Instant,
    ) -> Exchange {
        let mut exchange = Exchange {
            status: 0,
            headers: http::HeaderMap::new(),
            result: Err(Outcome::Protocol),
        };
        let Ok(url) = address(request) else {
            return exchange;
        };
        let way = Way::new(request, url.clone(), jar);
        let asked = way::on(&way, self.exchange(request, url, &way, &mut exchange));
        let result = timeout_at(deadline, asked).await;
        exchange.result = result.unwrap_or_else(|_| Err(way.phase().at_deadline()));
        exchange
    }

    async fn exchange(
        &self,
        request: &mut Outgoing,
        url: Url,
        way: &Way,
        exchange: &mut Exchange,
    ) -> Result<Body, Outcome> {
        let keep = request.keep;
        let _place = self.places.acquire().await.map_err(|_| Outcome::Timeout)?;
        way.begin();
        let mut message = reqwest::Request::new(request.method.clone(), url);
        *message.headers_mut() = std::mem::take(&mut request.headers);
        if !request.body.is_empty() {
            *message.body_mut() = Some(request.body.clone().into());
        }
        let mut response = match self.client.execute(message).await {
            Ok(response) => response,
            Err(error) => return Err(self.failed(&error, way)),
        };
        exchange.status = response.status().as_u16();
        exchange.headers = std::mem::take(response.headers_mut());
        let read = read(&mut response, keep).await;
        read.map_err(|error| self.failed(&error, way))
    }

    fn failed(&self, error: &reqwest::Error, way: &Way) -> Outcome {
        let outcome = outcome(error);
        if outcome == Outcome::Tls {
            self.trouble
                .get_or_init(|| format!("TLS with {}: {}", way.host(), innermost(error)));
        }
        outcome
    }

    /// As [`Client::notes`](super::Client::notes).
    pub(super) fn notes(&self) -> Vec<String> {
        self.trouble.get().cloned().into_iter().collect()
    }
}

/// Where a request goes by reqwest: a `Host` header of the scenario's own stays a header.
fn address(request: &Outgoing) -> Result<Url, ()> {
    let Destination { host, port, secure } = &*request.to;
    let scheme = if *secure { "https" } else { "http" };
    let target = request.target.path_and_query().map_or("/", |t| t.as_str());
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    Url::parse(&format!("{scheme}://{host}:{port}{target}")).map_err(|_| ())
}

/// Reads a body to its last byte and keeps the first `keep` of them.
async fn read(response: &mut reqwest::Response, keep: usize) -> Result<Body, reqwest::Error> {
    let mut reading = Reading::new(keep);
    while let Some(data) = response.chunk().await? {
        reading.take(&data);
    }
    Ok(reading.done())
}

/// Names as all of a load's clients look them up.
struct Known(Arc<Names>);

/// A name that has no address, and which outcome that is.
#[derive(Debug, thiserror::Error)]
#[error("no address: {0}")]
struct Unresolved(Outcome);

impl Resolve for Known {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        let to = Destination {
            host: name.as_str().to_owned(),
            // reqwest puts the address' own in its place.
            port: 0,
            secure: false,
        };
        Box::pin(async move {
            way::reached(Phase::Resolving);
            let found = names.find(&to).await.map_err(Unresolved)?;
            way::reached(Phase::Connecting);
            let addresses: Addrs = Box::new(found.addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Which address it was, reqwest does not say.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Which outcome a failure is.
fn outcome(error: &reqwest::Error) -> Outcome {
    let chain = chain(error);
    let unresolved = chain.iter().find_map(|e| e.downcast_ref::<Unresolved>());
    if let Some(Unresolved(outcome)) = unresolved {
        return *outcome;
    }
    if chain.iter().any(|e| e.is::<rustls::Error>()) {
        return Outcome::Tls;
    }
    if !error.is_connect() {
        return failure::of_exchange(error);
    }
    let io = chain
        .iter()
        .rev()
        .find_map(|e| e.downcast_ref::<io::Error>());
    match io {
        // A proxy that would not, or an address that is none.
        None => Outcome::Protocol,
        Some(io) if io.raw_os_error().is_some() || io.kind() == io::ErrorKind::TimedOut => {
            failure::of_connect(io, ANY)
        }
        // What breaks off on an open connection broke off in the handshake.
        Some(io) => failure::of_handshake(io),
    }
}

/// An error and all that it wraps; what an I/O error wraps, it does not give as its source.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let (mut chain, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        chain.push(error);
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|inner| inner as &(dyn Error + 'static));
        next = wrapped.or_else(|| error.source());
    }
    chain
}

fn innermost(error: &reqwest::Error) -> String {
    let chain = chain(error);
    chain.last().map_or_else(String::new, ToString::to_string)
}
