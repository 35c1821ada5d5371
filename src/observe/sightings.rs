//! What was seen live of alerts: enough to know when there is nothing left to wait for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An alert that is expected to do something, and what of it is to be awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// `alertname`.
    pub alert: String,
    /// Labels it must bear, among others.
    pub labels: BTreeMap<String, String>,
    /// Dispatch of the step it follows, µs since the run's zero.
    pub since_us: i64,
    /// That step's heal.
    pub healed_us: Option<i64>,
    /// The rule fires.
    pub fires: bool,
    /// A delivery says so.
    pub notifies: bool,
    /// The rule no longer fires.
    pub resolves: bool,
    /// A delivery says so.
    pub clears: bool,
}

impl Expectation {
    /// Whether it is about an alert that began to be active at `began_us`.
    #[must_use]
    pub fn is_about(&self, alert: &str, labels: &BTreeMap<String, String>, began_us: i64) -> bool {
        began_us >= self.since_us && self.names(alert, labels)
    }

    /// Whether it is about an alert of this name with these labels, whenever it began.
    #[must_use]
    pub fn names(&self, alert: &str, labels: &BTreeMap<String, String>) -> bool {
        let borne = |(name, value): (&String, &String)| labels.get(name) == Some(value);
        self.alert == alert && self.labels.iter().all(borne)
    }
}

/// An alert that fires, or is pending, as Prometheus says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) alert: String,
    pub(super) labels: BTreeMap<String, String>,
    /// Begin of pending.
    pub(super) active_us: i64,
}

/// One alert of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) alert: String,
    pub(super) labels: BTreeMap<String, String>,
    /// Begin of firing.
    pub(super) starts_us: i64,
    pub(super) resolved: bool,
}

/// All that was seen so far.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Every alert that was ever seen firing.
    fired: Vec<Active>,
    /// Those of the last look.
    firing: Vec<Active>,
    /// What was pending at the last look.
    pending: Vec<Active>,
    /// When that look began.
    looked_us: i64,
    looked: bool,
    /// The last delivery on each alert.
    deliveries: Vec<Delivery>,
    /// What Alertmanager held when it was last looked at, and when that was.
    held: Vec<Held>,
    held_us: Option<i64>,
}

/// An alert that Alertmanager holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) alert: String,
    pub(super) labels: BTreeMap<String, String>,
}

/// When the sources of alerts were last heard, µs since the run's zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) prometheus_us: Option<i64>,
    pub(super) alertmanager_us: Option<i64>,
}

impl Sightings {
    /// Prometheus was asked at `asked_us`, and these alerts fire and are pending.
    pub(super) fn rules(&self, asked_us: i64, firing: Vec<Active>, pending: Vec<Active>) {
        let mut state = self.state();
        for alert in &firing {
            if !state.fired.contains(alert) {
                state.fired.push(alert.clone());
            }
        }
        state.firing = firing;
        state.pending = pending;
        state.looked_us = asked_us;
        state.looked = true;
    }

    /// Alertmanager was asked at `asked_us`, and holds these alerts.
    pub(super) fn holds(&self, asked_us: i64, held: Vec<Held>) {
        let mut state = self.state();
        state.held = held;
        state.held_us = Some(asked_us);
    }

    /// When each source was last heard.
    pub(super) fn heard(&self) -> Heard {
        let state = self.state();
        Heard {
            prometheus_us: state.looked.then_some(state.looked_us),
            alertmanager_us: state.held_us,
        }
    }

    /// Who says that an alert with these labels fires now, and all of its labels.
    pub(super) fn fires(
        &self,
        alert: &str,
        labels: &BTreeMap<String, String>,
    ) -> Option<(&'static str, BTreeMap<String, String>)> {
        let state = self.state();
        let is = |name: &str, has: &BTreeMap<String, String>| {
            name == alert && labels.iter().all(|(k, v)| has.get(k) == Some(v))
        };
        let firing = state.firing.iter().map(|f| (&f.alert, &f.labels));
        let held = state.held.iter().map(|h| (&h.alert, &h.labels));
        let delivered = state.deliveries.iter().filter(|d| !d.resolved);
        let delivered = delivered.map(|d| (&d.alert, &d.labels));
        let of = |source| move |(name, has)| (source, name, has);
        firing
            .map(of("Prometheus"))
            .chain(held.map(of("Alertmanager")))
            .chain(delivered.map(of("the webhook")))
            .find(|(_, name, has)| is(name, has))
            .map(|(source, _, has)| (source, has.clone()))
    }

    /// Something was delivered.
    pub(super) fn delivered(&self, delivery: Delivery) {
        let mut state = self.state();
        let same = |d: &&mut Delivery| {
            d.alert == delivery.alert
                && d.labels == delivery.labels
                && d.starts_us == delivery.starts_us
        };
        match state.deliveries.iter_mut().find(same) {
            Some(known) => *known = delivery,
            None => state.deliveries.push(delivery),
        }
    }

    /// Whether all that is awaited has been seen.
    pub(super) fn met(&self, wanted: &Expectation) -> bool {
        let state = self.state();
        let is = |f: &&Active| wanted.is_about(&f.alert, &f.labels, f.active_us);
        let fired = state.fired.iter().any(|f| is(&f));
        let over = state.looked_us >= wanted.healed_us.unwrap_or(wanted.since_us)
            && !state.firing.iter().any(|f| is(&f));
        let mut deliveries = state.deliveries.iter();
        let about = |d: &&Delivery| wanted.is_about(&d.alert, &d.labels, d.starts_us);
        let notified = deliveries.clone().any(|d| about(&d));
        let cleared = notified && deliveries.all(|d| !about(&d) || d.resolved);
        (!wanted.fires || fired)
            && (!wanted.notifies || notified)
            && (!wanted.resolves || (fired && over))
            && (!wanted.clears || cleared)
    }

    /// Whether an alert is pending that matters, by its name and its other labels, or nobody has looked since `from_us`.
    pub(super) fn pending(
        &self,
        from_us: i64,
        matters: impl Fn(&str, &BTreeMap<String, String>) -> bool,
    ) -> bool {
        let state = self.state();
        let mut pending = state.pending.iter();
        state.looked_us < from_us || pending.any(|p| matters(&p.alert, &p.labels))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst a sighting out, and waiting goes on to its limit.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(instance: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("instance".to_owned(), instance.to_owned()),
            ("severity".to_owned(), "warning".to_owned()),
        ])
    }

    fn firing(instance: &str, active_us: i64) -> Active {
        Active {
            alert: "BackendDown".to_owned(),
            labels: labels(instance),
            active_us,
        }
    }

    fn delivery(instance: &str, starts_us: i64, resolved: bool) -> Delivery {
        Delivery {
            alert: "BackendDown".to_owned(),
            labels: labels(instance),
            starts_us,
            resolved,
        }
    }

    /// Of BackendDown on `a`, dispatched at 100 and healed at 200.
    fn wanted(what: &str) -> Expectation {
        Expectation {
            alert: "BackendDown".to_owned(),
            labels: BTreeMap::from([("instance".to_owned(), "a".to_owned())]),
            since_us: 100,
            healed_us: Some(200),
            fires: what == "fires",
            notifies: what == "notifies",
            resolves: what == "resolves",
            clears: what == "clears",
        }
    }

    fn met(seen: &Sightings) -> [bool; 4] {
        ["fires", "notifies", "resolves", "clears"].map(|what| seen.met(&wanted(what)))
    }

    #[test]
    fn what_is_pending_is_of_the_last_look() {
        let seen = Sightings::default();
        let of_a = |alert: &str, labels: &BTreeMap<String, String>| {
            alert == "BackendDown" && labels["instance"] == "a"
        };
        assert!(seen.pending(100, of_a), "nobody has looked");
        seen.rules(150, vec![firing("a", 110)], vec![firing("b", 110)]);
        assert!(!seen.pending(100, of_a), "it fires already");
        seen.rules(160, vec![], vec![firing("b", 110), firing("a", 110)]);
        assert!(seen.pending(100, of_a));
        seen.rules(170, vec![], vec![]);
        assert!(!seen.pending(170, of_a));
        assert!(seen.pending(171, of_a), "nobody has looked since");
    }

    #[test]
    fn each_stage_is_met_when_it_is_seen() {
        let seen = Sightings::default();
        assert_eq!(met(&seen), [false; 4]);
        assert!(seen.met(&wanted("nothing")));
        seen.rules(150, vec![firing("a", 110)], vec![]);
        assert_eq!(met(&seen), [true, false, false, false]);
        seen.delivered(delivery("a", 120, false));
        assert_eq!(met(&seen), [true, true, false, false]);
        seen.rules(190, vec![], vec![]);
        assert_eq!(met(&seen), [true, true, false, false], "not healed yet");
        seen.rules(210, vec![firing("a", 195)], vec![]);
        assert_eq!(met(&seen), [true, true, false, false], "it flaps");
        seen.rules(220, vec![firing("b", 110)], vec![]);
        assert_eq!(met(&seen), [true, true, true, false]);
        seen.delivered(delivery("a", 120, true));
        assert_eq!(met(&seen), [true; 4]);
        seen.delivered(delivery("a", 196, false));
        assert_eq!(met(&seen), [true, true, true, false], "notified anew");
    }

    #[test]
    fn what_began_before_or_elsewhere_is_something_else() {
        let seen = Sightings::default();
        seen.rules(150, vec![firing("a", 99), firing("b", 110)], vec![]);
        seen.delivered(delivery("a", 99, false));
        seen.delivered(delivery("b", 120, true));
        assert_eq!(met(&seen), [false; 4]);
    }
}
