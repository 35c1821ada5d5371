//! What the load's tests share: plans, a sink that keeps everything, a run from start to end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firedrill::load::{
    ClientChoice, Ended, Load, LoadError, LoadSpec, Pacer, Running, Sink, Values,
};
use firedrill::model::{
    Lookup, Outcome, PaceChange, Rate, RequestRecord, Stage, Template, TemplateError, Variable,
};
use firedrill::scenario::plan::{
    Arrivals, Body, EnginePlan, Expect, JourneyItem, JourneyPlan, LoadPlan, RequestPlan, ServedBy,
};
use firedrill::timeline::clock::Clock;
use firedrill::timeline::event::NameTable;

/// `${addr:server}` is this address.
pub(crate) struct At(pub(crate) SocketAddr);

impl Lookup for At {
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
        match variable {
            Variable::Addr { name, .. } if name == "server" => Ok(self.0.to_string()),
            Variable::SecretEnv(_) => Ok("hush".to_owned()),
            other => Err(TemplateError::NoValue {
                variable: other.to_string(),
                why: "the test does not know it".to_owned(),
            }),
        }
    }
}

pub(crate) fn at(address: SocketAddr) -> Values {
    Arc::new(At(address))
}

pub(crate) fn nowhere() -> Values {
    at("127.0.0.1:9".parse().unwrap())
}

pub(crate) fn text(template: &str) -> Template {
    Template::parse(template).unwrap()
}

pub(crate) fn get(url: &str) -> RequestPlan {
    RequestPlan {
        method: "GET".to_owned(),
        url: text(url),
        headers: Vec::new(),
        body: Body::Empty,
        expect: Expect::default(),
        extract: Vec::new(),
    }
}

pub(crate) fn journey(name: &str, requests: impl IntoIterator<Item = RequestPlan>) -> JourneyPlan {
    JourneyPlan {
        name: name.to_owned(),
        weight: 1,
        base_url: None,
        items: requests.into_iter().map(JourneyItem::Request).collect(),
    }
}

/// A constant rate without a warm-up; timeout 1 s.
pub(crate) fn plan(rate: f64, length: Duration, journeys: Vec<JourneyPlan>) -> LoadPlan {
    let rate = Rate::per_second(rate).unwrap();
    LoadPlan {
        base_url: Some(text("http://${addr:server}")),
        warmup: Duration::ZERO,
        stages: vec![Stage {
            from: rate,
            to: rate,
            length,
        }],
        timeout: Duration::from_secs(1),
        connections: 256,
        in_flight: 100_000,
        served_by: Some(ServedBy {
            instance: Some("X-Backend".to_owned()),
            version: Some("X-Version".to_owned()),
        }),
        headers: Vec::new(),
        users: None,
        data: None,
        journeys,
        arrivals: Arrivals::default(),
        retry: None,
        engine: EnginePlan::default(),
    }
}

/// A load that is ready, and how many requests each of its journeys has.
pub(crate) struct Ready {
    load: Load,
    journeys: Vec<u64>,
}

/// A load under way. What it comes to is only had with its books in balance.
pub(crate) struct UnderWay {
    running: Running,
    kept: Kept,
    journeys: Vec<u64>,
}

pub(crate) fn prepare(
    plan: LoadPlan,
    values: &Values,
    client: ClientChoice,
) -> Result<Ready, LoadError> {
    prepare_in(Path::new("."), plan, values, client)
}

/// The same for a scenario in `folder`.
pub(crate) fn prepare_in(
    folder: &Path,
    plan: LoadPlan,
    values: &Values,
    client: ClientChoice,
) -> Result<Ready, LoadError> {
    let journeys = plan.journeys.iter();
    let journeys = journeys.map(|j| j.requests().count() as u64).collect();
    let spec = LoadSpec::alone(plan, 42, folder.to_owned());
    let load = Load::prepare(spec, values, client)?;
    Ok(Ready { load, journeys })
}

impl Ready {
    pub(crate) async fn login(&self) -> Result<(), LoadError> {
        self.load.login().await
    }

    /// Starts it 20 ms from now.
    pub(crate) fn start(self) -> (UnderWay, Kept) {
        let clock = Clock::start();
        self.start_at(clock, clock.now_us() + 20_000).unwrap()
    }

    pub(crate) fn start_at(
        self,
        clock: Clock,
        started_us: i64,
    ) -> Result<(UnderWay, Kept), LoadError> {
        self.start_into(clock, started_us, |kept| Box::new(kept))
    }

    /// Starts it with records going to sinks that are made around where they are kept.
    pub(crate) fn start_into(
        self,
        clock: Clock,
        started_us: i64,
        mut sink: impl FnMut(Kept) -> Box<dyn Sink>,
    ) -> Result<(UnderWay, Kept), LoadError> {
        self.start_by(|load, kept| load.start(clock, started_us, || sink(kept.clone())))
    }

    /// Starts it on the caller's runtime, paced by `pacer`.
    pub(crate) fn start_here(
        self,
        pacer: Box<dyn Pacer>,
        clock: Clock,
        started_us: i64,
    ) -> Result<(UnderWay, Kept), LoadError> {
        self.start_by(|load, kept| {
            load.start_here(pacer, clock, started_us, Box::new(kept.clone()))
        })
    }

    fn start_by(
        self,
        start: impl FnOnce(Load, &Kept) -> Result<Running, LoadError>,
    ) -> Result<(UnderWay, Kept), LoadError> {
        let kept = Kept::default();
        let under_way = UnderWay {
            running: start(self.load, &kept)?,
            kept: kept.clone(),
            journeys: self.journeys,
        };
        Ok((under_way, kept))
    }
}

impl UnderWay {
    /// Waits for its end, and checks its books.
    pub(crate) async fn join(&mut self) -> Ended {
        let ended = self.running.join().await;
        self.check(&ended);
        ended
    }

    pub(crate) fn abort(&self) {
        self.running.abort();
    }

    pub(crate) fn repace(&self, change: PaceChange) {
        self.running.repace(change);
    }

    pub(crate) fn readdress(&self, values: &Values) -> Result<(), LoadError> {
        self.running.readdress(values)
    }

    /// No failure; arrivals × the requests of their journeys = the sum of all outcomes + those never reached, with exactly
    /// one record for each request asked, a journey's in order and without a gap.
    fn check(&self, ended: &Ended) {
        assert_eq!(ended.failed, None);
        let by_outcome: usize = self.kept.by_outcome().values().sum();
        assert_eq!(ended.asked, by_outcome as u64, "{ended:?}");
        let records = self.kept.records();
        let (mut arrivals, mut planned) = (0, 0);
        for (at, record) in records.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &records[before]);
            match before.filter(|before| before.n == record.n) {
                Some(before) => {
                    let next = (before.journey, before.request + 1);
                    assert_eq!((record.journey, record.request), next, "{record:?}");
                    assert!(before.good, "a journey goes on after {before:?}");
                }
                None => {
                    assert_eq!(record.request, 0, "{record:?}");
                    arrivals += 1;
                    planned += self.journeys[usize::from(record.journey)];
                }
            }
        }
        assert_eq!(ended.arrivals, arrivals, "{ended:?}");
        assert_eq!(ended.asked + ended.not_reached, planned, "{ended:?}");
    }
}

/// Keeps all records, and names by number.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    records: Vec<RequestRecord>,
    names: Vec<(NameTable, String)>,
}

impl Sink for Kept {
    fn push(&mut self, record: RequestRecord) {
        self.0.lock().unwrap().records.push(record);
    }

    fn name(&mut self, table: NameTable, name: &str) -> u16 {
        let names = &mut self.0.lock().unwrap().names;
        let wanted = (table, name.to_owned());
        let at = names.iter().position(|n| *n == wanted).unwrap_or_else(|| {
            names.push(wanted);
            names.len() - 1
        });
        u16::try_from(at).unwrap() + 1
    }
}

impl Kept {
    /// By slot and request.
    pub(crate) fn records(&self) -> Vec<RequestRecord> {
        let mut records = self.0.lock().unwrap().records.clone();
        records.sort_by_key(|r| (r.n, r.request));
        records
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().records.len()
    }

    pub(crate) fn name(&self, number: u16) -> String {
        let at = usize::from(number).checked_sub(1);
        at.map_or(String::new(), |at| {
            self.0.lock().unwrap().names[at].1.clone()
        })
    }

    pub(crate) fn by_outcome(&self) -> BTreeMap<Outcome, usize> {
        let mut by_outcome = BTreeMap::new();
        for record in self.records() {
            *by_outcome.entry(record.outcome).or_default() += 1;
        }
        by_outcome
    }

    pub(crate) fn of_journey(&self, journey: usize) -> BTreeMap<Outcome, usize> {
        let mut by_outcome = BTreeMap::new();
        for record in self
            .records()
            .iter()
            .filter(|r| usize::from(r.journey) == journey)
        {
            *by_outcome.entry(record.outcome).or_default() += 1;
        }
        by_outcome
    }
}

/// Runs a load over HTTP to its end.
pub(crate) async fn run(plan: LoadPlan, address: SocketAddr) -> (Ended, Kept) {
    let ready = prepare(plan, &at(address), ClientChoice::Http).unwrap();
    let (mut running, kept) = ready.start();
    (running.join().await, kept)
}

/// The value below which `share` of the latencies lie, in µs.
pub(crate) fn percentile(kept: &Kept, share: f64) -> i64 {
    let mut latencies: Vec<_> = kept
        .records()
        .iter()
        .map(RequestRecord::latency_us)
        .collect();
    latencies.sort_unstable();
    latencies[(latencies.len() as f64 * share) as usize]
}

/// Polls until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let held = tokio::time::timeout(Duration::from_secs(10), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(held.await.is_ok(), "not within 10 s: {what}");
}
