//! When each alert was pending and firing: as Prometheus said while the run went on, and as its samples said after it.

use std::collections::BTreeMap;

use crate::timeline::event::{AlertSpan, AlertState};

type Labels = BTreeMap<String, String>;

/// The stretches of every alert.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// By Prometheus' own samples, which have the times of its evaluations.
    histories: Vec<(String, Vec<AlertSpan>)>,
    /// By looks at it, for as long as the samples are not read.
    looks: BTreeMap<(String, Labels), Vec<AlertSpan>>,
}

/// What is told of an alert, µs since the run's zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Since when it pends, if it does.
    pub(super) pending_us: Option<i64>,
    /// When it first fired.
    pub(super) firing_us: Option<i64>,
    /// When it ceased to, if no series of it fires any more.
    pub(super) resolved_us: Option<i64>,
}

impl Spans {
    /// The samples of one series say this.
    pub(super) fn history(&mut self, alert: &str, spans: &[AlertSpan]) {
        self.histories.push((alert.to_owned(), spans.to_vec()));
    }

    /// A look at `at_us` found a series in another state, which pends since `since_us` where that is known.
    pub(super) fn turned(
        &mut self,
        alert: &str,
        labels: &Labels,
        state: Option<AlertState>,
        (since_us, at_us): (Option<i64>, i64),
    ) {
        let series = (alert.to_owned(), labels.clone());
        let spans = self.looks.entry(series).or_default();
        if let Some(last) = spans.last_mut() {
            last.to_us.get_or_insert(at_us);
        }
        let from_us = match state {
            Some(AlertState::Pending) => since_us.unwrap_or(at_us).min(at_us),
            Some(AlertState::Firing) | None => at_us,
        };
        spans.extend(state.map(|state| AlertSpan {
            state,
            from_us,
            to_us: None,
        }));
    }

    /// What an alert did from one moment to another.
    pub(super) fn told(&self, alert: &str, from_us: i64, now_us: i64) -> Told {
        let histories = self.histories.iter().filter(|(of, _)| of == alert);
        let mut spans: Vec<&AlertSpan> = histories.flat_map(|(_, spans)| spans).collect();
        if spans.is_empty() {
            let looks = self.looks.iter().filter(|((of, _), _)| of == alert);
            spans = looks.flat_map(|(_, spans)| spans).collect();
        }
        let within = from_us..=now_us;
        let of = |state| {
            let spans = spans.iter().filter(|s| within.contains(&s.from_us));
            spans.filter(move |s| s.state == state)
        };
        let end = |span: &AlertSpan| span.to_us.filter(|to| *to <= now_us);
        let firing_us = of(AlertState::Firing).map(|s| s.from_us).min();
        let ends: Option<Vec<i64>> = of(AlertState::Firing).map(|s| end(s)).collect();
        let pending = of(AlertState::Pending).filter(|s| end(s).is_none());
        Told {
            pending_us: pending.map(|s| s.from_us).min(),
            firing_us,
            resolved_us: ends.and_then(|ends| ends.into_iter().max()),
        }
    }

    /// Whether any of these series of an alert fires, by the looks; `None` if none of them showed one.
    pub(super) fn fires(&self, alert: &str, is: impl Fn(&Labels) -> bool) -> Option<bool> {
        let series = self.looks.iter();
        let series = series.filter(|((of, labels), _)| of == alert && is(labels));
        let fires = series.map(|(_, spans)| is_now(spans, AlertState::Firing).is_some());
        fires.reduce(|one, other| one || other)
    }

    /// The series that pend, and since when, by the looks.
    pub(super) fn pending(&self) -> impl Iterator<Item = (&str, &Labels, i64)> {
        self.looks.iter().filter_map(|((alert, labels), spans)| {
            let since_us = is_now(spans, AlertState::Pending)?;
            Some((alert.as_str(), labels, since_us))
        })
    }
}

/// Since when a series is in this state, if it is.
fn is_now(spans: &[AlertSpan], state: AlertState) -> Option<i64> {
    let last = spans.last().filter(|s| s.to_us.is_none())?;
    (last.state == state).then_some(last.from_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use AlertState::{Firing, Pending};

    fn labels(instance: &str) -> Labels {
        BTreeMap::from([("instance".to_owned(), instance.to_owned())])
    }

    #[test]
    fn looks_tell_what_the_samples_tell_later_only_less_exactly() {
        let mut spans = Spans::default();
        for (of, state, since, at) in [
            ("a", Some(Pending), Some(100), 105),
            ("b", Some(Pending), None, 106),
            ("a", Some(Firing), Some(100), 115),
            ("b", None, None, 117),
            ("a", None, None, 125),
        ] {
            spans.turned("Down", &labels(of), state, (since, at));
        }
        let told = |spans: &Spans, now| {
            let told = spans.told("Down", 50, now);
            (told.pending_us, told.firing_us, told.resolved_us)
        };
        let of_looks = [
            (99, (None, None, None)),
            (107, (Some(100), None, None)),
            (116, (Some(106), Some(115), None)),
            (118, (None, Some(115), None)),
            (125, (None, Some(115), Some(125))),
        ];
        for (now, wanted) in of_looks {
            assert_eq!(told(&spans, now), wanted, "at {now}");
        }
        assert_eq!(spans.told("Down", 101, 110).pending_us, Some(106));
        assert_eq!(spans.told("Up", 50, 200), Told::default());
        let span = |state, from_us, to_us| AlertSpan {
            state,
            from_us,
            to_us: Some(to_us),
        };
        let samples = [span(Pending, 100, 114), span(Firing, 114, 124)];
        spans.history("Down", &samples);
        assert_eq!(told(&spans, 113), (Some(100), None, None));
        assert_eq!(told(&spans, 114), (None, Some(114), None));
        assert_eq!(told(&spans, 124), (None, Some(114), Some(124)));
    }

    #[test]
    fn what_is_now_is_known_of_each_alert() {
        let mut spans = Spans::default();
        let mut turned = |of: &str, state, at| spans.turned("Down", &labels(of), state, (None, at));
        turned("a", Some(Firing), 10);
        turned("b", Some(Pending), 20);
        turned("a", Some(Pending), 30);
        assert_eq!(spans.fires("Down", |_| true), Some(false));
        assert_eq!(spans.fires("Up", |_| true), None);
        let pending: Vec<_> = spans.pending().map(|(_, _, since)| since).collect();
        assert_eq!(pending, [30, 20]);
        spans.turned("Down", &labels("b"), Some(Firing), (Some(20), 40));
        assert_eq!(spans.fires("Down", |_| true), Some(true));
        assert_eq!(spans.fires("Down", |has| *has == labels("a")), Some(false));
        assert_eq!(spans.pending().count(), 1);
    }
}
