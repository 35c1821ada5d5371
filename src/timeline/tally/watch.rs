//! How long a step is watched.

/// Requests of a journey that a settle-long stretch holds at least.
const SETTLE_REQUESTS: i64 = 100;
/// How long the victim's return to service is waited for.
const READMISSION_US: i64 = 60_000_000;

/// Quiet time of a journey: the scenario's (5 s unless set), or 100 of its requests if that takes longer. A watch takes
/// the longest of its journeys.
#[must_use]
pub fn settle_us(recovery_settle_us: i64, slot_us: i64) -> i64 {
    recovery_settle_us.max(SETTLE_REQUESTS.saturating_mul(slot_us))
}

/// Whether the victim serves again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readmission {
    /// Not waited for: it cannot be known who answers, or the step takes nobody away.
    NotAwaited,
    /// Not seen yet.
    Awaited,
    /// Its first good answer after the fault was over (of the last victim, where there are several).
    Seen(i64),
}

/// What is known of a step's course, in µs since the run's zero. While the run goes on, of its course so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchFacts<'a> {
    /// When its effect was observed; only asked for in steps without a `hold`.
    pub effect_us: Option<i64>,
    /// Whether the step says how long the fault is kept.
    pub held: bool,
    /// When the fault was over: heal verified, effect gone, or update converged.
    pub over_us: Option<i64>,
    /// Completions of answers of the version that an update replaces, sorted; empty for other steps.
    pub old_answers_us: &'a [i64],
    /// Whether the victim serves again.
    pub readmission: Readmission,
    /// The longest quiet time of its journeys ([`settle_us`]).
    pub settle_us: i64,
    /// The end of the load: planned, or when it was cut off.
    pub load_end_us: i64,
}

/// The end of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchEnd {
    /// µs since the run's zero.
    pub end_us: i64,
    /// Whether it saw enough for its objectives to be met: `settle` after the fault was over, or after the effect of a
    /// fault without a `hold`. If not, they can only be missed.
    pub can_pass: bool,
}

/// When the watch ends: `settle` after the fault is over, the last old answer of an update is seen and the victim
/// serves again (waited for 60 s at most), or with the load. `None` if it is still open at `now_us`, up to which the
/// facts are known; pass `i64::MAX` for a run that has ended.
#[must_use]
pub fn watch_end(facts: &WatchFacts<'_>, now_us: i64) -> Option<WatchEnd> {
    let settled = facts.over_us.and_then(|over_us| {
        let over_us = last_old_answer(over_us, facts);
        let patience_us = over_us + READMISSION_US;
        let serving_us = match facts.readmission {
            Readmission::NotAwaited => over_us,
            Readmission::Seen(at_us) => at_us.clamp(over_us, patience_us),
            Readmission::Awaited if now_us >= patience_us => patience_us,
            Readmission::Awaited => return None,
        };
        Some(serving_us + facts.settle_us)
    });
    let end_us = settled.unwrap_or(i64::MAX).min(facts.load_end_us);
    let enough_from = if facts.held {
        facts.over_us
    } else {
        facts.over_us.into_iter().chain(facts.effect_us).min()
    };
    (end_us <= now_us).then_some(WatchEnd {
        end_us,
        can_pass: enough_from.is_some_and(|from| from + facts.settle_us <= end_us),
    })
}

/// Each old answer that comes before the quiet time is over begins it anew. Later ones belong to what followed.
fn last_old_answer(over_us: i64, facts: &WatchFacts<'_>) -> i64 {
    let answers = facts.old_answers_us.iter();
    answers.fold(over_us, |over, &answer| {
        if answer <= over + facts.settle_us {
            over.max(answer)
        } else {
            over
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    const FACTS: WatchFacts<'static> = WatchFacts {
        effect_us: Some(SECOND),
        held: true,
        over_us: Some(20 * SECOND),
        old_answers_us: &[],
        readmission: Readmission::NotAwaited,
        settle_us: 5 * SECOND,
        load_end_us: 100 * SECOND,
    };

    fn end(facts: WatchFacts<'_>, now: i64) -> Option<(i64, bool)> {
        watch_end(&facts, now * SECOND).map(|w| (w.end_us / SECOND, w.can_pass))
    }

    #[test]
    fn it_ends_settle_after_the_fault_is_over() {
        assert_eq!(end(FACTS, 24), None);
        assert_eq!(end(FACTS, 25), Some((25, true)));
        let open = WatchFacts {
            over_us: None,
            ..FACTS
        };
        assert_eq!(end(open, 99), None);
        assert_eq!(end(open, 100), Some((100, false)));
    }

    #[test]
    fn the_victims_return_is_waited_for_a_minute_at_most() {
        let with = |readmission| WatchFacts {
            readmission,
            ..FACTS
        };
        assert_eq!(end(with(Readmission::Awaited), 79), None);
        assert_eq!(end(with(Readmission::Awaited), 90), Some((85, true)));
        assert_eq!(
            end(with(Readmission::Seen(30 * SECOND)), 40),
            Some((35, true))
        );
        assert_eq!(
            end(with(Readmission::Seen(90 * SECOND)), 99),
            Some((85, true))
        );
    }

    #[test]
    fn the_loads_end_leaves_too_little_to_pass() {
        let cut = |load_end: i64| WatchFacts {
            load_end_us: load_end * SECOND,
            ..FACTS
        };
        assert_eq!(end(cut(24), 30), Some((24, false)));
        assert_eq!(end(cut(25), 30), Some((25, true)));
        // A fault without a hold lasts as long as the load; what follows its effect is enough.
        let kept = WatchFacts {
            held: false,
            over_us: None,
            ..FACTS
        };
        assert_eq!(end(kept, 200), Some((100, true)));
        let ineffective = WatchFacts {
            effect_us: None,
            ..kept
        };
        assert_eq!(end(ineffective, 200), Some((100, false)));
    }

    #[test]
    fn old_answers_begin_the_quiet_time_anew_until_it_is_over() {
        let answers = [3, 24, 28, 34, 80].map(|s| s * SECOND);
        let facts = WatchFacts {
            old_answers_us: &answers,
            ..FACTS
        };
        // 28 + 5 is over before 34, which therefore belongs to something else.
        assert_eq!(end(facts, 60), Some((33, true)));
    }

    #[test]
    fn quiet_time_holds_a_hundred_requests() {
        assert_eq!(settle_us(5 * SECOND, 2_000), 5 * SECOND);
        assert_eq!(settle_us(5 * SECOND, 100_000), 10 * SECOND);
    }
}
