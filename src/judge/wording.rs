//! An objective in words: its name, what was observed, and its limit.

use std::cmp::Ordering;

use super::number;
use super::result::{Aftermath, Figure, Illness, ObjectiveResult, Unit};
use super::verdict::Verdict;

/// What an objective is called: `latency p99, during lose-one`.
#[must_use]
pub fn name(o: &ObjectiveResult) -> String {
    let step = o.step.as_deref().unwrap_or("?");
    let alert = o.alert.as_deref().unwrap_or("?");
    let mut text = match o.objective.as_str() {
        "failover" | "lost" | "detection" => format!("{} {step}", o.objective),
        "latency_back" => format!("latency back {step}"),
        "update.within" => format!("update {step}, done"),
        "update.lost" => format!("update {step}, lost"),
        "update.min_healthy" => format!("update {step}, healthy"),
        "alerts.fires" => format!("alert {alert}, firing"),
        "alerts.notifies" => format!("alert {alert}, notified"),
        "alerts.resolves" => format!("alert {alert}, resolved"),
        "alerts.clears" => format!("alert {alert}, cleared"),
        "alerts.others" => "no other alert".to_owned(),
        "steady_state" => "steady state".to_owned(),
        other => other.replace('.', " "),
    };
    if let Some(of) = &o.of {
        text.push_str(", ");
        text.push_str(of);
    }
    if let Some(during) = &o.during {
        let link = if o.objective == "steady_state" {
            ", "
        } else {
            ", during "
        };
        text.push_str(link);
        text.push_str(during);
    }
    match &o.worst {
        Some(worst) => format!("{text} (worst: {worst})"),
        None => text,
    }
}

/// What was observed; a range where trouble of the generator or the test bed left one open.
#[must_use]
pub fn observed(o: &ObjectiveResult) -> String {
    if let (Verdict::Inconclusive, Some(doubt)) = (o.verdict, &o.doubt) {
        // A percentile among requests whose latency nobody knows.
        if o.objective.starts_with("latency.") && doubt.if_good == Some(Figure::Whole(0)) {
            return "in doubt".to_owned();
        }
        let mut ends = [doubt.if_good, doubt.if_bad];
        if let [Some(a), Some(b)] = ends
            && a.value() > b.value()
        {
            ends.reverse();
        }
        let ends = ends.map(|f| f.map(|f| figure(o, f)));
        return match ends {
            [Some(a), Some(b)] if a == b => a,
            [Some(a), Some(b)] => format!("{a} to {b}"),
            [Some(a), None] => format!("{a} or never"),
            [None, Some(b)] => format!("never or {b}"),
            [None, None] => "-".to_owned(),
        };
    }
    match o.observed {
        Some(Figure::Whole(us)) if o.unit == Unit::Us && o.resolution_us.is_some() => {
            number::with_resolution(us, o.resolution_us)
        }
        Some(f) => figure(o, f),
        None if o.verdict != Verdict::Fail => "-".to_owned(),
        None if in_words(o) => o.evidence[0].clone(),
        None if matches!(
            o.objective.as_str(),
            "failover" | "update.within" | "latency_back"
        ) =>
        {
            "not over".to_owned()
        }
        None => "never".to_owned(),
    }
}

fn figure(o: &ObjectiveResult, figure: Figure) -> String {
    match (o.unit, figure) {
        (Unit::Ratio, f) => number::against(f.value(), o.limit.value(), 3),
        (Unit::Count, Figure::Whole(n)) => number::count(n.unsigned_abs()),
        (Unit::Us, Figure::Whole(us)) if o.objective.starts_with("latency.") => number::latency(us),
        (Unit::Us, Figure::Whole(us)) if in_tenths(o) => format!("{:.1} s", us as f64 / 1e6),
        (Unit::Us, Figure::Whole(us)) => number::length(us),
        (Unit::Count | Unit::Us, Figure::Share(x)) => format!("{x}"),
    }
}

/// Figures that come from evaluations seconds apart get one decimal.
fn in_tenths(o: &ObjectiveResult) -> bool {
    o.objective.starts_with("alerts.") || o.objective == "update.within"
}

/// The limit, with the direction it binds in.
#[must_use]
pub fn limit(o: &ObjectiveResult) -> String {
    let bound = match (o.unit, o.limit) {
        (Unit::Ratio, f) => number::target(f.value()),
        (Unit::Us, f) => number::limit(f.value() as i64),
        (Unit::Count, f) => number::count(f.value() as u64),
    };
    match o.objective.as_str() {
        "availability" | "update.min_healthy" => format!(">= {bound}"),
        "alerts.others" | "steady_state" => bound,
        _ if o.unit == Unit::Count && o.limit == Figure::Whole(0) => bound,
        _ => format!("<= {bound}"),
    }
}

/// Whether the first note stands for the figure: a percentile that lies among the bad requests.
fn in_words(o: &ObjectiveResult) -> bool {
    o.verdict == Verdict::Fail
        && o.observed.is_none()
        && o.objective.starts_with("latency.")
        && !o.evidence.is_empty()
}

/// What the evidence says besides the figure.
#[must_use]
pub fn notes(o: &ObjectiveResult) -> &[String] {
    &o.evidence[usize::from(in_words(o))..]
}

/// Misses in the order in which people want them: what callers felt first, then by how far the limit was missed.
#[must_use]
pub fn worst_first(a: &ObjectiveResult, b: &ObjectiveResult) -> Ordering {
    let rank = |o: &ObjectiveResult| match o.objective.as_str() {
        "failover" => 0,
        "availability" | "lost" | "update.lost" | "latency_back" => 1,
        name if name.starts_with("latency.") => 1,
        _ => 2,
    };
    rank(a).cmp(&rank(b)).then(excess(b).total_cmp(&excess(a)))
}

/// By what factor an objective missed its limit; 0 where there is no figure.
fn excess(o: &ObjectiveResult) -> f64 {
    let Some(observed) = o.observed.map(Figure::value) else {
        return 0.0;
    };
    let limit = o.limit.value();
    match o.unit {
        Unit::Ratio => (1.0 - observed) / (1.0 - limit).max(1e-9),
        Unit::Us => observed / limit.max(1.0),
        Unit::Count if observed >= limit => observed / limit.max(1.0),
        Unit::Count => limit / observed.max(1.0),
    }
}

/// What became of a starved test bed, on the steps' clock that begins at `zero_us`: `the test bed was starved of CPU at
/// +12.0 s; 6.2 s later b-app/2 became unhealthy`.
#[must_use]
pub fn aftermath(a: &Aftermath, zero_us: i64) -> String {
    let what = match a.what {
        Illness::Unhealthy => "became unhealthy",
        Illness::Died => "died",
        Illness::NotReady => "was said not to be ready",
    };
    format!(
        "the test bed was starved of CPU at {}; {:.1} s later {} {what}",
        number::moment(a.starved_us - zero_us),
        (a.at_us - a.starved_us) as f64 / 1e6,
        a.component
    )
}

/// The objective in a sentence: what was observed, what was promised, and why it is no pass.
#[must_use]
pub fn sentence(o: &ObjectiveResult) -> String {
    let notes = notes(o);
    let why = notes
        .first()
        .map_or_else(String::new, |note| format!("; {note}"));
    if let ("failover", Verdict::Fail, Some(step), Some(share)) =
        (o.objective.as_str(), o.verdict, &o.step, notes.first())
        && o.observed.is_some()
    {
        let whose = o.worst.as_ref().or(o.of.as_ref());
        let whose = whose.map_or_else(String::new, |j| format!(", journey {j}"));
        return format!(
            "{step}: {share} for {} (limit {}){whose}",
            observed(o),
            number::limit(o.limit.value() as i64)
        );
    }
    format!("{}: {} against {}{why}", name(o), observed(o), limit(o))
}
