//! The arguments of `firedrill load`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::judge::LoadLimits;
use crate::model::{Rate, Ratio};
use crate::scenario::plan::{Driver, MOST_ATTEMPTS, Pacing, RetryOn, dns_server};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(in crate::cli) struct Load {
    /// What to ask: http://HOST[:PORT]/PATH. Variables (${uuid}, ${env:NAME}) may stand in it, in headers and in --body.
    pub(super) url: String,
    /// Open loop: so many arrivals a second, as in 5000/s, whatever the system does.
    #[arg(
        long,
        short,
        required_unless_present_any = ["closed", "capacity_up_to"],
        conflicts_with = "closed"
    )]
    pub(super) rate: Option<Rate>,
    /// Closed loop: so many users, each of whom asks again when the answer has come. A slow system is asked less, so its
    /// latencies are no user's who comes by the clock.
    #[arg(long, value_name = "USERS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) closed: Option<u32>,
    /// Open loop: when arrivals come, evenly or at random (a Poisson process, drawn by the seed).
    #[arg(long, value_enum, default_value_t = ArrivalsArg::Even, conflicts_with = "closed")]
    pub(super) arrivals: ArrivalsArg,
    /// How long, after the warm-up.
    #[arg(long = "for", short, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "10s")]
    pub(super) length: Duration,
    /// Asked before, and counted apart: none unless given.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) warmup: Option<Duration>,
    /// Limit on a request, from the time it was due.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "5s")]
    pub(super) timeout: Duration,
    /// Most connections open at once: 256, or one for each user of a closed loop.
    #[arg(long, short, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) connections: Option<u32>,
    /// Most requests unanswered at once before more are shed: rate × timeout + connections unless given.
    #[arg(long, value_name = "REQUESTS")]
    pub(super) in_flight: Option<u64>,
    /// Method: GET, or POST with a body.
    #[arg(long, short = 'X')]
    pub(super) method: Option<String>,
    /// A header; may be repeated.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, String)>,
    /// The body, as it stands.
    #[arg(long, short = 'd', conflicts_with = "body_file")]
    pub(super) body: Option<String>,
    /// A file that is the body, byte for byte.
    #[arg(long, value_name = "FILE")]
    pub(super) body_file: Option<PathBuf>,
    /// The status that is ok, in place of 2xx and 304.
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..600))]
    pub(super) expect: Option<u16>,
    /// An answer later than this is bad.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) within: Option<Duration>,
    /// How closely requests keep to their times: precise up to 5,000/s a thread, by ticks of 1 ms above.
    #[arg(long, value_enum, default_value_t = PacingArg::Auto)]
    pub(super) pacing: PacingArg,
    /// Threads that send, each with connections of its own: one for each 20,000/s, on at most half of the cores.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) shards: Option<u32>,
    /// What speaks: HTTP/1.1 by hyper, HTTP/2 by hyper, plain HTTP/1.1 by hand for the highest rates, or
    /// reqwest, which follows redirects and speaks through proxies.
    #[arg(long, value_enum, default_value_t = DriverArg::Hyper1)]
    pub(super) driver: DriverArg,
    /// Driver reqwest: most redirects of a request that are followed, 10 unless given.
    #[arg(long, value_name = "REDIRECTS")]
    pub(super) redirects: Option<u32>,
    /// Driver reqwest: the proxy that is asked, as in http://10.0.0.9:3128, or `environment` for the one that HTTP_PROXY and its
    /// like name. None unless given.
    #[arg(long, value_name = "URL")]
    pub(super) proxy: Option<String>,
    /// HTTP/2: most requests at a time on each connection.
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) streams: Option<u32>,
    /// Most connections that each thread makes at a time: 64 unless set.
    #[arg(long, value_name = "CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) connecting: Option<u32>,
    /// Oldest that a connection may be to get another request.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) max_age: Option<Duration>,
    /// Send an idempotent request once more whose reused connection dies before any byte of an answer.
    #[arg(long)]
    pub(super) stale_retry: bool,
    /// Try a request up to so many times in all, where a try ends badly in one of the ways of --retry-on. The figures of first
    /// tries stand beside it as `raw`.
    #[arg(long, value_name = "TRIES", value_parser = clap::value_parser!(u32).range(2..=i64::from(MOST_ATTEMPTS)))]
    pub(super) retry: Option<u32>,
    /// How a try ends that is followed by another, as in refused,http_503: refused, reset, eof, connect_timeout, http_429,
    /// http_502, http_503 and http_504 unless given.
    #[arg(long, value_name = "ENDS", value_delimiter = ',', requires = "retry")]
    pub(super) retry_on: Vec<RetryOn>,
    /// Longest wait before the second try, of which a random part is waited; it doubles with each further one, up to ten times as
    /// long. Retry-After of a 429 or 503 comes first.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "100ms", requires = "retry")]
    pub(super) retry_wait: Duration,
    /// Most retries, as a share of the requests of the last 10 s: 20% unless given. 10 in 10 s are always allowed; 100% is no
    /// limit.
    #[arg(long, value_name = "SHARE", requires = "retry")]
    pub(super) retry_budget: Option<Ratio>,
    /// Try requests of any method again, not idempotent ones alone.
    #[arg(long, requires = "retry")]
    pub(super) retry_any_method: bool,
    /// Limit on each try.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, requires = "retry")]
    pub(super) try_timeout: Option<Duration>,
    /// An address of this machine that connections come from; repeated, they take turns.
    #[arg(long = "source", value_name = "ADDRESS")]
    pub(super) sources: Vec<IpAddr>,
    /// DNS server that is asked for names, in place of this machine's.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = server)]
    pub(super) dns_server: Option<SocketAddr>,
    /// https: certificates that are trusted, in PEM form, in place of this machine's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// https: client certificate, in PEM form.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) cert: Option<PathBuf>,
    /// https: its private key, in PEM form.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// https: trust whoever answers.
    #[arg(long, conflicts_with = "ca")]
    pub(super) insecure: bool,
    /// Promise: at least this share of the requests after the warm-up is good, as in 99.9%.
    #[arg(long, value_name = "SHARE", help_heading = "Promises")]
    pub(super) good: Option<Ratio>,
    /// Promise: half of the callers wait no longer. A bad request waits longer than any limit.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Promises")]
    pub(super) p50: Option<Duration>,
    /// Promise: 90 of 100 callers wait no longer.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Promises")]
    pub(super) p90: Option<Duration>,
    /// Promise: 99 of 100 callers wait no longer.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Promises")]
    pub(super) p99: Option<Duration>,
    /// Promise: 999 of 1,000 callers wait no longer.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Promises")]
    pub(super) p999: Option<Duration>,
    /// Search the highest rate at which every promise is kept, up to this one: from --rate (100/s unless given) in doublings,
    /// then between the last two to within 5 %, each for --for after --warmup (2s unless given).
    #[arg(
        long,
        value_name = "RATE",
        conflicts_with = "closed",
        help_heading = "Promises"
    )]
    pub(super) capacity_up_to: Option<Rate>,
    /// Seed of random arrivals and of ${uuid}.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// What to print at the end.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Load {
    /// What is promised.
    pub(super) fn limits(&self) -> LoadLimits {
        let latency = [
            ("p50", 0.5, self.p50),
            ("p90", 0.9, self.p90),
            ("p99", 0.99, self.p99),
            ("p99.9", 0.999, self.p999),
        ];
        let latency = latency.into_iter();
        LoadLimits {
            good: self.good,
            latency: latency
                .filter_map(|(name, share, within)| Some((name, share, within?)))
                .collect(),
        }
    }
}

const EXIT_CODES: &str = "Exit codes:\n  \
    0    it was measured, whatever the answers were, and what was promised was kept\n  \
    1    a promise was not kept\n  \
    2    usage error: nothing was sent\n  \
    3    inconclusive: nobody answered, or the generator or its machine was in trouble\n  \
    129, 130, 143  hang-up, Ctrl-C, SIGTERM: what was measured until then is printed";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    Text,
    /// `load` as in result.json.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ArrivalsArg {
    Even,
    Poisson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PacingArg {
    Auto,
    Precise,
    Tick,
}

impl From<PacingArg> for Pacing {
    fn from(arg: PacingArg) -> Self {
        match arg {
            PacingArg::Auto => Self::Auto,
            PacingArg::Precise => Self::Precise,
            PacingArg::Tick => Self::Tick,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DriverArg {
    Hyper1,
    Hyper2,
    Raw1,
    Reqwest,
}

impl From<DriverArg> for Driver {
    fn from(arg: DriverArg) -> Self {
        match arg {
            DriverArg::Hyper1 => Self::Hyper1,
            DriverArg::Hyper2 => Self::Hyper2,
            DriverArg::Raw1 => Self::Raw1,
            DriverArg::Reqwest => Self::Reqwest,
        }
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn server(text: &str) -> Result<SocketAddr, &'static str> {
    dns_server(text).ok_or("write an IP address, with a port unless it is 53: 127.0.0.1:5353")
}
