//! The effects of a step's fault, told from the engine's events.

use tokio::sync::broadcast;

use crate::fault::Awaited;
use crate::run::bench::{Bench, Seen};
use crate::timeline::event::Event;

/// The next engine event. Events missed by falling behind were recorded all the same.
pub(super) async fn next(engine: &mut broadcast::Receiver<Seen>) -> Option<Seen> {
    loop {
        match engine.recv().await {
            Ok(seen) => return Some(seen),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// The effects still awaited, and the last one seen.
pub(super) struct Effects {
    pub(super) awaited: Vec<Awaited>,
    pub(super) dispatched_us: i64,
    pub(super) last_us: Option<i64>,
}

impl Effects {
    pub(super) fn confirm(&mut self, bench: &Bench, step: &str, seen: &Seen) {
        let since_us = self.dispatched_us.saturating_sub(seen.slack_us);
        let meddled = bench.taken.meddled(&seen.event.component, since_us);
        if let Some(shown) = self.shown(seen, meddled) {
            bench.recorder.record(Event::Effect {
                step: step.to_owned(),
                component: shown.component().cloned(),
                effect_us: seen.at_us,
            });
        }
    }

    /// The effect that this event shows. What took place before the call was made is none of its effects, nor is a
    /// start that another step made (`meddled`).
    fn shown(&mut self, seen: &Seen, meddled: bool) -> Option<Awaited> {
        if seen.at_us.saturating_add(seen.slack_us) < self.dispatched_us {
            return None;
        }
        let shows = |a: &Awaited| a.shown_by(&seen.event) && !(meddled && a.takes_any_arrival());
        let at = self.awaited.iter().position(shows)?;
        self.last_us = Some(seen.at_us);
        Some(self.awaited.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{self, Prepared};
    use crate::model::{
        Action, ComponentId, Injection, StackEvent, StackEventKind, Take, Undo, When,
    };

    #[test]
    fn an_event_older_than_the_call_shows_no_effect() {
        let component = ComponentId::new("backend", 1);
        let pause = Prepared {
            injection: Injection::Pause {
                component: component.clone(),
            },
            undo: Undo::Nothing,
        };
        let action = Action::Pause {
            target: "backend".into(),
            take: Take::All,
        };
        let confirms = |at_us, slack_us| {
            let mut effects = Effects {
                awaited: fault::awaited(&action, std::slice::from_ref(&pause)),
                dispatched_us: 5_000_000,
                last_us: None,
            };
            let event = StackEvent {
                when: When::Wall(0),
                component: component.clone(),
                handle: String::new(),
                kind: StackEventKind::Paused,
            };
            let seen = Seen {
                at_us,
                slack_us,
                event,
            };
            let shown = effects.shown(&seen, true);
            assert_eq!(shown.is_some(), effects.last_us == Some(at_us));
            assert_eq!(shown.is_some(), effects.awaited.is_empty());
            shown.is_some()
        };
        assert!(!confirms(4_999_999, 0));
        assert!(confirms(5_000_000, 0));
        assert!(!confirms(4_700_000, 250_000));
        assert!(confirms(4_800_000, 250_000), "no clock is that exact");
    }
}
