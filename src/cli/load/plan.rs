//! From the arguments of `firedrill load` to a load.

use std::time::Duration;

use super::args::{ArrivalsArg, Load as Args};
use crate::model::{Rate, Stage, Template, TemplateError};
use crate::scenario::plan::{
    Arrivals, Body, EnginePlan, Expect, JourneyItem, JourneyPlan, LoadPlan, ProxyPlan, RequestPlan,
    RetryMethods, RetryPlan, ReusePlan, TlsPlan,
};

/// Name of the one journey.
pub(super) const JOURNEY: &str = "load";

/// Connections of an open loop unless said otherwise.
const CONNECTIONS: u32 = 256;

/// Why no load can be made of the arguments.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("{what}: {source}")]
    Template { what: String, source: TemplateError },
    #[error(
        "--capacity-up-to searches where promises are kept: give some, as in --p99 250ms --good 99.9%"
    )]
    NoPromise,
    #[error("--capacity-up-to {0}: the search begins at {1}, which is more")]
    Capacity(Rate, Rate),
    #[error(
        "--retry-on timeout: a request that timed out has no time left; give each try a limit with --try-timeout"
    )]
    NoTryTimeout,
    #[error("{0}: a load of nothing; ask for more than 0/s, for longer than 0s")]
    Nothing(&'static str),
}

/// The load that the arguments describe, at this rate.
pub(super) fn plan(
    args: &Args,
    rate: Option<Rate>,
    warmup: Duration,
) -> Result<LoadPlan, PlanError> {
    if args.length.is_zero() {
        return Err(PlanError::Nothing("--for"));
    }
    if args.timeout.is_zero() {
        return Err(PlanError::Nothing("--timeout"));
    }
    let rate = rate.unwrap_or_else(|| Rate::per_second(0.0).expect("0 is a rate"));
    if args.closed.is_none() && rate.get() == 0.0 {
        return Err(PlanError::Nothing("--rate"));
    }
    let connections = args.connections.or(args.closed).unwrap_or(CONNECTIONS);
    let unanswered = (rate.get() * args.timeout.as_secs_f64()).ceil() as u64;
    let most = unanswered
        .saturating_add(connections.into())
        .max(args.closed.map_or(0, u64::from));
    Ok(LoadPlan {
        base_url: None,
        warmup,
        stages: vec![Stage {
            from: rate,
            to: rate,
            length: args.length,
        }],
        timeout: args.timeout,
        connections,
        in_flight: args.in_flight.unwrap_or(most),
        served_by: None,
        headers: Vec::new(),
        users: None,
        data: None,
        journeys: vec![JourneyPlan {
            name: JOURNEY.to_owned(),
            weight: 1,
            base_url: None,
            items: vec![JourneyItem::Request(request(args)?)],
        }],
        arrivals: match (args.closed, args.arrivals) {
            (Some(users), _) => Arrivals::Closed(users),
            (None, ArrivalsArg::Even) => Arrivals::Even,
            (None, ArrivalsArg::Poisson) => Arrivals::Poisson,
        },
        retry: retry(args)?,
        engine: EnginePlan {
            driver: args.driver.into(),
            streams: args.streams,
            connecting: args.connecting,
            tls: TlsPlan {
                ca: args.ca.clone(),
                identity: args.cert.clone().zip(args.key.clone()),
                insecure: args.insecure,
            },
            reuse: ReusePlan {
                max_age: args.max_age,
                stale_retry: args.stale_retry,
            },
            pacing: args.pacing.into(),
            shards: args.shards,
            dns: args.dns_server,
            sources: args.sources.clone(),
            redirects: args.redirects,
            proxy: proxy(args)?,
        },
    })
}

fn proxy(args: &Args) -> Result<Option<ProxyPlan>, PlanError> {
    let Some(address) = &args.proxy else {
        return Ok(None);
    };
    if address == ProxyPlan::ENVIRONMENT {
        return Ok(Some(ProxyPlan::Environment));
    }
    let address = Template::parse(address).map_err(|source| PlanError::Template {
        what: "--proxy".to_owned(),
        source,
    })?;
    Ok(Some(ProxyPlan::Url(address)))
}

fn retry(args: &Args) -> Result<Option<RetryPlan>, PlanError> {
    let Some(attempts) = args.retry else {
        return Ok(None);
    };
    let usual = RetryPlan::default();
    let plan = RetryPlan {
        attempts,
        wait: args.retry_wait,
        max_wait: RetryPlan::longest(args.retry_wait),
        on: if args.retry_on.is_empty() {
            usual.on
        } else {
            args.retry_on.clone()
        },
        methods: if args.retry_any_method {
            RetryMethods::Any
        } else {
            RetryMethods::Idempotent
        },
        budget: args.retry_budget.unwrap_or(usual.budget),
        try_timeout: args.try_timeout,
    };
    if plan.try_timeout.is_some_and(|limit| limit.is_zero()) {
        return Err(PlanError::Nothing("--try-timeout"));
    }
    if plan.lacks_try_timeout() {
        return Err(PlanError::NoTryTimeout);
    }
    Ok(Some(plan))
}

fn request(args: &Args) -> Result<RequestPlan, PlanError> {
    let template = |what: &str, text: &str| {
        Template::parse(text).map_err(|source| PlanError::Template {
            what: what.to_owned(),
            source,
        })
    };
    let headers = args
        .headers
        .iter()
        .map(|(name, value)| Ok((name.clone(), template(&format!("header {name}"), value)?)));
    let headers: Vec<_> = headers.collect::<Result<_, PlanError>>()?;
    let body = match (&args.body, &args.body_file) {
        (Some(text), _) => Body::Text(template("--body", text)?),
        (None, Some(path)) => Body::File(path.clone()),
        (None, None) => Body::Empty,
    };
    let method = args.method.clone().unwrap_or_else(|| {
        let method = if body == Body::Empty { "GET" } else { "POST" };
        method.to_owned()
    });
    Ok(RequestPlan {
        method,
        url: template("URL", &args.url)?,
        headers,
        body,
        expect: Expect {
            status: args.expect,
            within: args.within,
            ..Expect::default()
        },
        extract: Vec::new(),
    })
}
