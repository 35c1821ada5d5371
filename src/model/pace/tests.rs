//! Whatever is changed, and when: no slot moves that was due before, and none is lost.

use proptest::prelude::*;

use super::*;
use crate::model::{Rate, Stage};

const S: i64 = 1_000_000;

fn schedule(a: f64, b: f64, c: f64, warmup: u64) -> Schedule {
    let rate = |rate| Rate::per_second(rate).unwrap();
    let stage = |from, to, secs| Stage {
        from: rate(from),
        to: rate(to),
        length: Duration::from_secs(secs),
    };
    let stages = [stage(a, b, 3), stage(c, c, 2)];
    Schedule::new(Duration::from_secs(warmup), &stages)
}

fn change(at_us: i64, factor: f64, held: bool) -> PaceChange {
    PaceChange {
        at_us,
        factor,
        held,
    }
}

fn us(at_us: i64) -> Duration {
    Duration::from_micros(at_us.try_into().unwrap())
}

fn changes() -> impl Strategy<Value = Vec<PaceChange>> {
    let one = (
        -S..8 * S,
        prop_oneof![Just(0.0), 0.1..4.0f64],
        any::<bool>(),
    );
    let one = one.prop_map(|(at_us, factor, held)| change(at_us, factor, held));
    prop::collection::vec(one, 0..5)
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let rate = || prop_oneof![Just(0.0), 1.0..800.0f64];
    (rate(), rate(), 1.0..800.0f64, 0u64..3).prop_map(|(a, b, c, w)| schedule(a, b, c, w))
}

/// What is looked at of a load that may be endless.
const ENOUGH: u64 = 4_000;

proptest! {
    #[test]
    fn slots_are_in_order_and_inside(s in schedules(), pace in changes()) {
        let paced = Paced::new(s, &Pace::from(pace), 0);
        let end = paced.length().as_micros() as i64;
        let mut last = 0;
        for n in 0..paced.slots().min(ENOUGH) {
            let due = paced.due_us(n);
            prop_assert!(due >= last && due <= end, "slot {} at {} after {}", n, due, last);
            last = due;
        }
        prop_assert!(paced.due_us(paced.slots()) >= last);
    }

    #[test]
    fn nothing_moves_that_was_due_before(s in schedules(), pace in changes(), next in (0..8 * S, 0.0..4.0f64, any::<bool>())) {
        let pace = Pace::from(pace);
        let after = next.0.max(pace.last().at_us);
        let before = Paced::new(s, &pace, 0);
        let mut changed = before.clone();
        changed.change(&change(after, next.1, next.2));
        for n in 0..before.slots().min(ENOUGH) {
            let (was, is) = (before.due_us(n), changed.due_us(n));
            if was < after {
                prop_assert_eq!(was, is, "slot {}", n);
            } else {
                prop_assert!(is >= after, "slot {} at {}", n, is);
            }
        }
        for t in [0, after / 2, after - 1] {
            let t = us(t.max(0));
            prop_assert!((before.arrivals_until(t) - changed.arrivals_until(t)).abs() < 1e-6);
            prop_assert!(t.as_micros() as i64 >= after || before.rate_at(t) == changed.rate_at(t));
        }
    }

    #[test]
    fn arrivals_and_due_times_are_each_others_inverse(s in schedules(), pace in changes(), share in 0.0..1.0f64) {
        let paced = Paced::new(s, &Pace::from(pace), 0);
        let slots = paced.slots().min(ENOUGH);
        let n = (slots as f64 * share).floor();
        let due = paced.due_at(n);
        // A microsecond more or less holds so much.
        let slack = paced.peak() * 2e-6 + 1e-6;
        prop_assert!((paced.arrivals_until(us(due)) - n).abs() <= slack, "{} at {}", n, due);
    }

    #[test]
    fn what_asks_for_the_plan_changes_nothing(s in schedules(), times in prop::collection::vec(-S..9 * S, 0..4)) {
        let pace = times.into_iter().map(|at_us| change(at_us, 1.0, false)).collect();
        let paced = Paced::new(s.clone(), &pace, 0);
        prop_assert!(paced.is_as_planned());
        prop_assert_eq!((paced.slots(), paced.length()), (s.slots(), s.length()));
        for n in 0..=s.slots() {
            prop_assert_eq!(paced.due_us(n), s.due_us(n));
        }
    }

    #[test]
    fn a_hold_puts_the_rest_off_by_its_length(s in schedules(), at in 0..5 * S, d in 1..3 * S) {
        let pace = Pace::from(vec![change(at, 1.0, true), change(at + d, 1.0, false)]);
        let paced = Paced::new(s.clone(), &pace, 0);
        prop_assume!(at < s.length().as_micros() as i64);
        let rate = s.rate_at(us(at));
        let more = rate * d as f64 / 1e6;
        let end = |length: Duration| length.as_micros() as i64;
        prop_assert!((end(paced.length()) - end(s.length()) - d).abs() <= 1);
        let all = |s: f64, p: f64| (p - s - more).abs() < 1e-6 * (1.0 + p);
        prop_assert!(all(s.arrivals_until(s.length()), paced.arrivals_until(paced.length())));
        let first = s.arrivals_until(us(at)).ceil() as u64 + 1;
        for n in (first..s.slots()).step_by(7) {
            let (was, is) = (s.due_us(n), paced.due_at(n as f64 + more));
            prop_assert!((is - was - d).abs() <= 1, "slot {}: {} after {}", n, is, was);
        }
    }

    #[test]
    fn random_arrivals_are_within_the_load_and_stay_put(seed: u64, s in schedules(), pace in changes()) {
        let paced = Paced::new(s.clone(), &Pace::from(pace), 0);
        let (random, planned) = (Poisson::new(seed, s.slots()), Paced::as_planned(s.clone()));
        prop_assert_eq!(planned.count(Some(&random)), s.slots());
        if paced.is_as_planned() {
            return Ok(());
        }
        let count = paced.count(Some(&random));
        let end = paced.length().as_micros() as i64;
        let mut last = 0;
        for n in 0..count.min(ENOUGH) {
            let due = paced.due_of(n, Some(&random));
            prop_assert!(due >= last && due <= end, "arrival {} at {} after {}", n, due, last);
            last = due;
        }
        prop_assert!(random.place(count) >= paced.arrivals_until(paced.length()) - 1e-6);
    }
}

#[test]
fn figures_of_a_load_that_was_changed() {
    // 1 s at 100/s, 3 s at 100/s, 2 s at 400/s.
    let s = || schedule(100.0, 100.0, 400.0, 1);
    let paced = |changes: Vec<PaceChange>| Paced::new(s(), &Pace::from(changes), 10 * S);
    let doubled = paced(vec![change(12 * S, 2.0, false)]);
    assert_eq!(
        (doubled.slots(), doubled.length()),
        (200 + 400 + 1_600, us(6 * S))
    );
    assert_eq!(
        (doubled.due_us(200), doubled.due_us(202)),
        (2 * S, 2 * S + 10_000)
    );
    assert_eq!((doubled.peak(), doubled.rate_at(us(3 * S))), (800.0, 200.0));
    // Before its start: from its start.
    assert_eq!(paced(vec![change(0, 0.5, false)]).slots(), 600);
    assert!(paced(vec![change(0, 0.5, false), change(S, 1.0, false)]).is_as_planned());
    // After its end: never.
    assert!(paced(vec![change(16 * S, 0.5, false)]).is_as_planned());
    let held = paced(vec![change(11 * S, 3.0, true)]);
    assert!(held.is_endless() && held.length() > us(1_000_000 * S));
    assert_eq!((held.peak(), held.rate_at(us(1_000 * S))), (300.0, 300.0));
    assert_eq!(held.due_us(100 + 300), 2 * S);
    // Nobody comes; the schedule goes on.
    let none = paced(vec![change(12 * S, 0.0, false), change(13 * S, 1.0, false)]);
    assert_eq!((none.slots(), none.due_us(200)), (1_100, 3 * S));
    assert_eq!(paced(vec![change(12 * S, 0.0, false)]).slots(), 200);
    assert_eq!(doubled.warmup(), us(S));
}

#[test]
fn it_is_kept_in_order_and_goes_on_when_asked() {
    let mut pace = Pace::default();
    assert!(pace.is_empty() && !pace.last().held);
    for (at_us, held) in [(3, true), (1, false), (3, false), (2, true)] {
        pace.push(change(at_us, 1.0, held));
    }
    let times: Vec<_> = pace.changes().iter().map(|c| (c.at_us, c.held)).collect();
    assert_eq!(times, [(1, false), (2, true), (3, true), (3, false)]);
    assert_eq!(pace.resumed_at(9), pace);
    pace.push(change(5, 0.5, true));
    assert_eq!(pace.resumed_at(9).last(), change(9, 0.5, false));
    assert_eq!(pace.counted_from(5).last(), change(0, 0.5, true));
    let text = serde_json::to_string(&pace.resumed_at(9)).unwrap();
    assert!(
        text.starts_with(r#"[{"at_us":1,"factor":1.0,"held":false}"#),
        "{text}"
    );
    let mixed = r#"[{"at_us":7,"factor":2,"held":false},{"at_us":3,"factor":1,"held":true}]"#;
    let read: Pace = serde_json::from_str(mixed).unwrap();
    assert_eq!(read.last(), change(7, 2.0, false));
}
