//! Which alerts pend and fire from look to look, for who watches: what changed.

use std::collections::BTreeMap;

use super::api::ActiveAlert;
use super::value::Labels;
use crate::observe::wall;
use crate::timeline::event::AlertState;

/// Most changes told of one look: whatever Prometheus says, the journal grows at a bounded pace. The rest follows with the
/// looks after it.
const MOST: usize = 100;

/// Every series as it was last told.
#[derive(Debug, Default)]
pub(super) struct States(BTreeMap<(String, Labels), Standing>);

/// A series that is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    state: AlertState,
    /// Begin of pending, ns since 1970 by Prometheus' clock.
    active_ns: Option<i64>,
}

/// A series that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) alert: String,
    /// All labels but `alertname`.
    pub(super) labels: Labels,
    pub(super) was: Option<AlertState>,
    pub(super) state: Option<AlertState>,
    /// Begin of pending, ns since 1970 by Prometheus' clock.
    pub(super) active_ns: Option<i64>,
}

impl States {
    /// What is told of these alerts, all of which are active: those that ended, then those that fire, then those that pend.
    pub(super) fn changes(&mut self, alerts: &[ActiveAlert]) -> Vec<Change> {
        let now = standings(alerts);
        let gone = self.0.keys().filter(|series| !now.contains_key(series));
        let gone = gone.map(|series| (series.clone(), None));
        let news = |state| {
            let known = &self.0;
            let is_news = move |(series, standing): &(&(String, Labels), &Standing)| {
                standing.state == state && standing.is_news(known.get(series))
            };
            now.iter()
                .filter(is_news)
                .map(|(series, standing)| (series.clone(), Some(*standing)))
        };
        let told: Vec<_> = gone
            .chain(news(AlertState::Firing))
            .chain(news(AlertState::Pending))
            .take(MOST)
            .collect();
        told.into_iter()
            .map(|(series, standing)| self.turn(series, standing))
            .collect()
    }

    fn turn(&mut self, series: (String, Labels), standing: Option<Standing>) -> Change {
        let was = match standing {
            Some(standing) => self.0.insert(series.clone(), standing),
            None => self.0.remove(&series),
        };
        Change {
            alert: series.0,
            labels: series.1,
            was: was.map(|was| was.state),
            state: standing.map(|now| now.state),
            active_ns: standing.and_then(|now| now.active_ns),
        }
    }
}

impl Standing {
    /// Whether it is something else than what was told. One that pends anew after a look's time without it does so from a
    /// later moment on; an earlier one is the word of another replica behind the same address, which knows nothing new.
    fn is_news(self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| {
            known.state != self.state
                || (self.state == AlertState::Pending && self.active_ns > known.active_ns)
        })
    }

    /// Of two rules with the same name and labels, the one that is further on.
    fn further(self, other: Self) -> Self {
        match self.state.cmp(&other.state) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => Self {
                active_ns: self.active_ns.into_iter().chain(other.active_ns).min(),
                ..self
            },
        }
    }
}

/// The active ones by name and other labels.
fn standings(alerts: &[ActiveAlert]) -> BTreeMap<(String, Labels), Standing> {
    let mut standings: BTreeMap<_, Standing> = BTreeMap::new();
    for alert in alerts {
        let state = match alert.state.as_str() {
            "pending" => AlertState::Pending,
            "firing" => AlertState::Firing,
            _ => continue,
        };
        let mut labels = alert.labels.clone();
        let Some(name) = labels.remove("alertname") else {
            continue;
        };
        let standing = Standing {
            state,
            active_ns: wall::of_rfc3339(&alert.active_at),
        };
        standings
            .entry((name, labels))
            .and_modify(|known| *known = known.further(standing))
            .or_insert(standing);
    }
    standings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(instance: &str, state: &str, second: u32) -> ActiveAlert {
        ActiveAlert {
            labels: [("alertname", "Down"), ("instance", instance)]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            state: state.to_owned(),
            active_at: format!("2026-11-21T10:07:{second:02}Z"),
        }
    }

    /// Each change in words: `INSTANCE WAS IS SECOND`.
    fn told(states: &mut States, alerts: &[ActiveAlert]) -> Vec<String> {
        let word = |state: Option<AlertState>| match state {
            Some(AlertState::Pending) => "pending",
            Some(AlertState::Firing) => "firing",
            None => "-",
        };
        let second = |ns: i64| {
            let time = jiff::Timestamp::from_nanosecond(ns.into()).unwrap();
            time.strftime("%S").to_string()
        };
        let changes = states.changes(alerts).into_iter();
        changes
            .map(|c| {
                assert_eq!((c.alert.as_str(), c.labels.len()), ("Down", 1));
                let begun = c.active_ns.map_or("-".to_owned(), second);
                let (was, is) = (word(c.was), word(c.state));
                format!("{} {was} {is} {begun}", c.labels["instance"])
            })
            .collect()
    }

    /// Nothing is told.
    const NOTHING: [&str; 0] = [];

    #[test]
    fn each_change_is_told_once() {
        let mut states = States::default();
        let mut told = |alerts: &[ActiveAlert]| told(&mut states, alerts);
        let pending = [alert("a", "pending", 8)];
        assert_eq!(told(&pending), ["a - pending 08"]);
        assert_eq!(told(&pending), NOTHING);
        let both = |second| [alert("b", "pending", second), alert("a", "firing", 8)];
        assert_eq!(told(&both(9)), ["a pending firing 08", "b - pending 09"]);
        // It ended and began again between two looks.
        assert_eq!(told(&both(12)), ["b pending pending 12"]);
        assert_eq!(told(&both(9)), NOTHING, "another replica, nothing new");
        assert_eq!(told(&[]), ["a firing - -", "b pending - -"]);
        assert_eq!(told(&[]), NOTHING);
    }

    #[test]
    fn what_is_no_state_of_an_alert_is_left_out_and_two_rules_are_one() {
        let mut states = States::default();
        let mut told = |alerts: &[ActiveAlert]| told(&mut states, alerts);
        let mut nameless = alert("a", "firing", 8);
        nameless.labels.remove("alertname");
        assert_eq!(told(&[nameless, alert("a", "inactive", 8)]), NOTHING);
        let rules = [("pending", 3), ("firing", 8), ("firing", 7)];
        let rules = rules.map(|(state, second)| alert("a", state, second));
        assert_eq!(told(&rules), ["a - firing 07"]);
        assert_eq!(told(&rules), NOTHING);
        let mut undated = alert("b", "pending", 9);
        undated.active_at = "0001-01-01T00:00:00Z".to_owned();
        let undated = [undated, alert("a", "firing", 7)];
        assert_eq!(told(&undated), ["b - pending -"]);
        assert_eq!(told(&undated), NOTHING);
    }

    #[test]
    fn a_flood_comes_at_a_bounded_pace_and_nothing_of_it_is_lost() {
        let mut states = States::default();
        let many = |state: &str, from: usize| -> Vec<_> {
            let alerts = (from..from + 150).map(|n| alert(&format!("{n:04}"), state, 8));
            alerts.collect()
        };
        let mut flood = many("pending", 0);
        flood.push(alert("z", "firing", 8));
        let first = told(&mut states, &flood);
        assert_eq!(first.len(), MOST);
        assert_eq!(first[0], "z - firing 08", "what fires comes first");
        assert_eq!(told(&mut states, &flood).len(), 51);
        assert_eq!(told(&mut states, &flood), NOTHING);
        // A server that makes up others at every look does not fill the memory.
        for look in 1..50 {
            assert!(told(&mut states, &many("firing", 1000 * look)).len() <= MOST);
            assert!(states.0.len() <= 151, "{}", states.0.len());
        }
    }
}
