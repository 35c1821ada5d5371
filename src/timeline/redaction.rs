//! Which parts of an event may hold a secret.

use crate::model::{Act, Redactor};

use super::event::Event;

impl Event {
    /// Replaces secrets in every text that came from outside: errors, observations, queries, notes, and what answers and alerts
    /// bear as names.
    ///
    /// Identities (services, steps, components, undo data) stay as they are even where one equals a secret: a password `postgres`
    /// must not keep the service `postgres` from being mended, nor its answers from being known for its own. Undo data refer
    /// to secrets, and hold none.
    pub(super) fn redact(&mut self, redactor: &Redactor) {
        let clean = |text: &mut String| {
            if let std::borrow::Cow::Owned(redacted) = redactor.redact(text) {
                *text = redacted;
            }
        };
        let clean_name = |text: &mut String| {
            if let std::borrow::Cow::Owned(redacted) = redactor.redact_name(text) {
                *text = redacted;
            }
        };
        match self {
            Self::LeftBroken { why, .. }
            | Self::NotDispatched { why, .. }
            | Self::LoadFailed { why }
            | Self::Gap { why, .. } => clean(why),
            Self::Acknowledged { error: text, .. } | Self::Converged { note: text, .. } => {
                text.iter_mut().for_each(clean);
            }
            Self::Steady { observed, .. } => clean(observed),
            Self::Detected { query, .. } => clean(query),
            Self::Note { text, .. } | Self::Operated(Act::Note { text }) => clean(text),
            Self::Rules { failing, .. } => failing.values_mut().for_each(clean),
            Self::Stopped {
                limit, observed, ..
            } => {
                clean(limit);
                clean(observed);
            }
            Self::StopWatched { unanswered, .. } => {
                unanswered.iter_mut().for_each(|u| clean(&mut u.why));
            }
            Self::Name { name, .. } => clean_name(name),
            Self::AlertHistory { labels, .. }
            | Self::AlertState { labels, .. }
            | Self::Received { labels, .. }
            | Self::Notified { labels, .. } => labels.values_mut().for_each(clean_name),
            Self::Opened(_)
            | Self::Phase(_)
            | Self::Components(_)
            | Self::Owed { .. }
            | Self::Mended { .. }
            | Self::Dispatched { .. }
            | Self::Effect { .. }
            | Self::HealBegins { .. }
            | Self::Healed { .. }
            | Self::Verified { .. }
            | Self::LeftOut { .. }
            | Self::LoadStarted { .. }
            | Self::Repaced(_)
            | Self::LoadEnded { .. }
            | Self::Engine { .. }
            | Self::Starved { .. }
            | Self::Skew { .. }
            | Self::Replicas { .. }
            | Self::Guarded { .. }
            | Self::Recovering { .. }
            | Self::Aborted { .. }
            | Self::Operated(_)
            | Self::Closed { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentId, Undo};

    #[test]
    fn texts_are_cleaned_and_identities_kept() {
        let redactor = Redactor::new(["postgres".into()]);
        let mut failed = Event::Acknowledged {
            step: "postgres-outage".into(),
            error: Some("password postgres refused".into()),
        };
        failed.redact(&redactor);
        assert_eq!(
            failed,
            Event::Acknowledged {
                step: "postgres-outage".into(),
                error: Some("password [redacted] refused".into()),
            }
        );
        let owed = Event::Owed {
            id: 1,
            step: None,
            undo: Undo::Running {
                component: ComponentId::new("postgres", 1),
                since_ns: None,
            },
        };
        let mut redacted = owed.clone();
        redacted.redact(&redactor);
        assert_eq!(redacted, owed);
    }
}
