//! Which components a step takes.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::nodes;
use super::shield::Shield;
use crate::model::{Action, Component, ComponentId, RunState, Take};
use crate::scenario::plan::{Guards, StepPlan};

/// Why a step takes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing to choose from.
    #[error("no running replica of `{service}` to take (it has {seen})")]
    Empty { service: String, seen: String },
    /// More asked for than there are.
    #[error("{asked} replicas of `{service}` were to be taken, but only {running} run")]
    TooFew {
        service: String,
        asked: usize,
        running: usize,
    },
    /// The guard forbids it.
    #[error(
        "taking {taken} of {healthy} healthy replicas of `{service}` would leave fewer than guards.keep_healthy ({keep})"
    )]
    KeepHealthy {
        service: String,
        taken: usize,
        healthy: usize,
        keep: u32,
    },
    /// Some of what runs must not be hit, and the rest is too little.
    #[error(
        "taking {asked} of {running} running replicas of `{service}` would hit what must not be touched: {protected}"
    )]
    Protected {
        service: String,
        asked: usize,
        running: usize,
        protected: String,
    },
    /// The whole service is changed, and some of it must not be hit.
    #[error("changing `{service}` would hit what must not be touched: {protected}")]
    Changed { service: String, protected: String },
    /// No node is as it was asked for.
    #[error("no running {wanted}; {seen}")]
    NoNode { wanted: String, seen: String },
    /// More nodes asked for than there are.
    #[error("{asked} {wanted} were to be taken, but only {running} run; {seen}")]
    TooFewNodes {
        asked: usize,
        wanted: String,
        running: usize,
        seen: String,
    },
    /// Some of the nodes, or of what runs on them, must not be hit, and the rest is too little.
    #[error(
        "taking {asked} of {running} running {wanted} would hit what must not be touched: {protected}"
    )]
    ProtectedNodes {
        asked: usize,
        running: usize,
        wanted: String,
        protected: String,
    },
    /// No node would be left.
    #[error(
        "taking {taken} nodes would leave none, and guards.keep_healthy ({keep}) keeps at least one"
    )]
    LastNodes { taken: usize, keep: u32 },
    /// The guard forbids it for what the nodes run.
    #[error(
        "taking {nodes} takes {taken} of {healthy} healthy replicas of `{service}` along, and would leave fewer than guards.keep_healthy ({keep})"
    )]
    KeepHealthyOnNodes {
        nodes: String,
        service: String,
        taken: usize,
        healthy: usize,
        keep: u32,
    },
}

/// The components that a step takes; `None` of an action that takes none.
///
/// # Errors
/// [`Refused`], within.
#[must_use]
pub fn chosen(
    step: &StepPlan,
    components: &[Component],
    seed: u64,
    guards: &Guards,
    shield: &Shield,
) -> Option<Result<Vec<ComponentId>, Refused>> {
    let (target, take) = step.action.target().zip(step.action.take())?;
    Some(match &step.action {
        Action::Node { among, .. } => {
            nodes::choose(step, among, take, components, seed, guards, shield)
        }
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Http { .. }
        | Action::Command { .. }
        | Action::Update { .. } => {
            choose(&step.name, target, take, components, seed, guards, shield)
        }
    })
}

/// Whom a step could take if nothing were protected, and what of it is, for a person.
#[must_use]
pub fn candidates<'c>(
    step: &StepPlan,
    components: &'c [Component],
    shield: &Shield,
) -> (Vec<&'c Component>, Vec<String>) {
    let free = |c: &&Component| !shield.covers(&c.id);
    match (&step.action, step.action.target()) {
        (Action::Node { among, .. }, _) => {
            let meant = nodes::meant(step, among, components);
            let why = |c: &Component| nodes::protected(c, components, shield);
            let protected = meant.iter().filter_map(|c| why(c)).collect();
            let meant = meant.into_iter();
            (meant.filter(|c| why(c).is_none()).collect(), protected)
        }
        (_, Some(service)) => {
            let running = |c: &&Component| c.id.service == service && c.state == RunState::Running;
            let (free, spared): (Vec<_>, Vec<_>) =
                components.iter().filter(running).partition(free);
            let protected = spared.into_iter().filter_map(|c| shield.named(&c.id));
            (free, protected.collect())
        }
        (_, None) => (vec![], vec![]),
    }
}

/// Chooses among the running replicas of `service` that may be hit. The same seed, step and replicas give the same choice.
/// How many are taken hangs on how many run, so that protecting one makes no fault smaller.
///
/// # Errors
/// [`Refused`]: an empty selection, or one that a guard forbids, is never made smaller silently.
fn choose(
    step: &str,
    service: &str,
    take: Take,
    components: &[Component],
    seed: u64,
    guards: &Guards,
    shield: &Shield,
) -> Result<Vec<ComponentId>, Refused> {
    let of: Vec<&Component> = components
        .iter()
        .filter(|c| c.id.service == service)
        .collect();
    let mut running: Vec<&Component> = of
        .iter()
        .copied()
        .filter(|c| c.state == RunState::Running)
        .collect();
    if running.is_empty() {
        let seen: Vec<String> = of
            .iter()
            .map(|c| format!("{} {:?}", c.id, c.state))
            .collect();
        let seen = if seen.is_empty() {
            "no replica at all".to_owned()
        } else {
            seen.join(", ").to_lowercase()
        };
        return Err(Refused::Empty {
            service: service.to_owned(),
            seen,
        });
    }
    let count = counted(take, running.len());
    if count > running.len() {
        return Err(Refused::TooFew {
            service: service.to_owned(),
            asked: count,
            running: running.len(),
        });
    }
    let all = running.len();
    running.retain(|c| !shield.covers(&c.id));
    if count > running.len() {
        return Err(Refused::Protected {
            service: service.to_owned(),
            asked: count,
            running: all,
            protected: shield.of(service).unwrap_or_default(),
        });
    }
    let taken = draw(step, seed, running, count);
    let healthy = of.iter().filter(|c| c.healthy()).count();
    let falls = |c: &&&Component| c.healthy() && taken.contains(&c.id);
    let loses = of.iter().filter(falls).count();
    let keep = guards.keep_healthy;
    if keep > 0 && healthy.saturating_sub(loses) < usize::try_from(keep).unwrap_or(usize::MAX) {
        return Err(Refused::KeepHealthy {
            service: service.to_owned(),
            taken: loses,
            healthy,
            keep,
        });
    }
    Ok(taken)
}

/// How many of so many a step takes.
pub(super) fn counted(take: Take, of: usize) -> usize {
    match take {
        Take::All => of,
        Take::Count(n) => usize::try_from(n).unwrap_or(usize::MAX),
        Take::Share(share) => ((of as f64 * share.get()).floor() as usize).max(1),
    }
}

/// Draws so many, by the seed.
pub(super) fn draw(
    step: &str,
    seed: u64,
    mut of: Vec<&Component>,
    count: usize,
) -> Vec<ComponentId> {
    of.sort_by(|a, b| a.id.cmp(&b.id));
    // The step's name is part of the seed, so that adding a step does not change what the others take.
    let salt = u64::from(crc32c::crc32c(step.as_bytes()));
    of.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ (salt << 32)));
    let mut ids: Vec<ComponentId> = of.into_iter().take(count).map(|c| c.id.clone()).collect();
    ids.sort();
    ids
}

/// Whether a change of the number of replicas leaves the healthy ones that the guard keeps. Which ones the platform
/// stops is its own choice, so every one that is stopped counts as a healthy one.
///
/// `all` is the stack as it is, `free` what no other step has taken.
///
/// # Errors
/// [`Refused::KeepHealthy`].
pub fn may_scale(
    service: &str,
    replicas: u32,
    all: &[Component],
    free: &[Component],
    guards: &Guards,
) -> Result<(), Refused> {
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let up = all
        .iter()
        .filter(|c| c.id.service == service && c.state != RunState::Exited);
    let stopped = up.count().saturating_sub(size(replicas));
    let healthy = free
        .iter()
        .filter(|c| c.id.service == service && c.healthy())
        .count();
    if stopped > 0 && healthy.saturating_sub(stopped) < size(guards.keep_healthy) {
        return Err(Refused::KeepHealthy {
            service: service.to_owned(),
            taken: stopped.min(healthy),
            healthy,
            keep: guards.keep_healthy,
        });
    }
    Ok(())
}

/// Whether a service may be changed as a whole.
///
/// # Errors
/// [`Refused::Changed`].
pub fn may_change(service: &str, shield: &Shield) -> Result<(), Refused> {
    match shield.of(service) {
        Some(protected) => Err(Refused::Changed {
            service: service.to_owned(),
            protected,
        }),
        None => Ok(()),
    }
}

/// Whether replacing the replicas of a service one by one leaves the healthy ones that the guard keeps: while one is
/// replaced, it is as good as gone.
///
/// `free` is what no other step has taken.
///
/// # Errors
/// [`Refused::KeepHealthy`].
pub fn may_replace(service: &str, free: &[Component], guards: &Guards) -> Result<(), Refused> {
    let healthy = free
        .iter()
        .filter(|c| c.id.service == service && c.healthy())
        .count();
    let keep = guards.keep_healthy;
    if keep > 0 && healthy.saturating_sub(1) < usize::try_from(keep).unwrap_or(usize::MAX) {
        return Err(Refused::KeepHealthy {
            service: service.to_owned(),
            taken: 1,
            healthy,
            keep,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, Ratio};

    fn replicas(states: &[RunState]) -> Vec<Component> {
        let one = |(i, state): (usize, &RunState)| Component {
            id: ComponentId::new("backend", u32::try_from(i).unwrap() + 1),
            host: String::new(),
            handle: String::new(),
            name: String::new(),
            addresses: vec![],
            state: *state,
            health: Health::Unchecked,
            image: String::new(),
            started_ns: None,
            place: crate::model::Place::default(),
        };
        states.iter().enumerate().map(one).collect()
    }

    fn keeping(keep_healthy: u32) -> Guards {
        Guards {
            keep_healthy,
            ..Guards::default()
        }
    }

    fn free(
        take: Take,
        components: &[Component],
        seed: u64,
        keep: u32,
    ) -> Result<Vec<ComponentId>, Refused> {
        let guards = keeping(keep);
        choose(
            "s",
            "backend",
            take,
            components,
            seed,
            &guards,
            &Shield::default(),
        )
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let three = replicas(&[RunState::Running; 3]);
        let pick = |seed| free(Take::Count(1), &three, seed, 0).unwrap();
        let reversed: Vec<Component> = three.iter().rev().cloned().collect();
        for seed in 0..50 {
            let again = free(Take::Count(1), &reversed, seed, 0).unwrap();
            assert_eq!(pick(seed), again);
        }
        let all: std::collections::BTreeSet<_> = (0..50).flat_map(pick).collect();
        assert_eq!(all.len(), 3, "fifty seeds choose every replica");
    }

    #[test]
    fn shares_round_down_but_take_one() {
        let three = replicas(&[RunState::Running; 3]);
        let take = |take| free(take, &three, 1, 0).unwrap().len();
        assert_eq!(take(Take::Share(Ratio::new(0.5).unwrap())), 1);
        assert_eq!(take(Take::Share(Ratio::new(0.1).unwrap())), 1);
        assert_eq!(take(Take::All), 3);
    }

    #[test]
    fn what_cannot_be_taken_is_refused() {
        let dead = replicas(&[RunState::Exited, RunState::Paused]);
        let all = |c: &[Component], n, keep| free(Take::Count(n), c, 1, keep);
        assert!(matches!(all(&dead, 1, 0), Err(Refused::Empty { .. })));
        assert!(matches!(all(&[], 1, 0), Err(Refused::Empty { .. })));
        let two = replicas(&[RunState::Running, RunState::Running, RunState::Exited]);
        assert!(matches!(all(&two, 3, 0), Err(Refused::TooFew { .. })));
        assert!(matches!(all(&two, 1, 2), Err(Refused::KeepHealthy { .. })));
        assert!(all(&two, 1, 1).is_ok());
    }

    #[test]
    fn scaling_down_keeps_the_healthy_ones_of_the_guard() {
        use RunState::{Exited, Paused, Running};
        let may = |states: &[RunState], to, keep| {
            let all = replicas(states);
            may_scale("backend", to, &all, &all, &keeping(keep)).is_ok()
        };
        assert!(may(&[Running; 3], 2, 2));
        assert!(!may(&[Running; 3], 1, 2));
        assert!(!may(&[Running; 3], 0, 1));
        assert!(may(&[Running; 3], 0, 0));
        // The one that goes may be the last healthy one.
        assert!(!may(&[Running, Paused], 1, 1));
        // Nothing is stopped.
        assert!(may(&[Running, Exited], 1, 1));
        assert!(may(&[Exited, Exited], 2, 1));
        // One that another step has taken is about to be lost.
        let all = replicas(&[Running; 2]);
        let refused = may_scale("backend", 1, &all, &all[1..], &keeping(1)).unwrap_err();
        assert!(refused.to_string().contains("1 of 1 healthy"), "{refused}");
    }

    #[test]
    fn what_is_protected_is_never_a_candidate_and_makes_no_fault_smaller() {
        let three = replicas(&[RunState::Running; 3]);
        let id = |index| ComponentId::new("backend", index);
        let shield = Shield::from([(id(2), "of the guard")]);
        let chosen = |take, seed| {
            let guards = keeping(0);
            choose("s", "backend", take, &three, seed, &guards, &shield)
        };
        let mut taken = std::collections::BTreeSet::new();
        for seed in 0..50 {
            taken.extend(chosen(Take::Count(1), seed).unwrap());
        }
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), [id(1), id(3)]);
        assert_eq!(chosen(Take::Count(2), 1).unwrap(), [id(1), id(3)]);
        // Two thirds of three are two, protected or not.
        let share = Take::Share(Ratio::new(0.67).unwrap());
        assert_eq!(chosen(share, 1).unwrap(), [id(1), id(3)]);
        for take in [Take::All, Take::Count(3)] {
            let refused = chosen(take, 1).unwrap_err();
            assert!(matches!(refused, Refused::Protected { .. }), "{refused}");
            assert!(
                refused.to_string().contains("backend/2 (of the guard)"),
                "{refused}"
            );
        }
        assert!(matches!(
            chosen(Take::Count(4), 1),
            Err(Refused::TooFew { .. })
        ));
        assert!(may_change("backend", &shield).is_err());
        assert!(may_change("edge", &shield).is_ok());
    }
}
