//! What firedrill itself runs in: never a target, whatever a scenario says and whatever marks it bears.

use super::StackError;
use super::process::Stat;
use crate::model::{ComponentId, Injection};

/// Why something of a stack is out of bounds.
pub(super) const OWN: &str = "firedrill itself runs in it";

/// This process and all that it descends from, itself first.
pub(super) fn lineage() -> Vec<Stat> {
    let this = i32::try_from(std::process::id()).ok().and_then(Stat::of);
    std::iter::successors(this, Stat::parent).collect()
}

/// Refuses a fault that would hit what must not be hit.
///
/// # Errors
/// [`StackError::Unsupported`] with the reason.
pub(super) fn not_own(
    injection: &Injection,
    untouchable: &[(ComponentId, String)],
) -> Result<(), StackError> {
    let hit = |id: &ComponentId| match (injection.component(), injection.service()) {
        (Some(component), _) => component == id,
        (None, Some(service)) => service == id.service,
        (None, None) => false,
    };
    match untouchable.iter().find(|(id, _)| hit(id)) {
        Some((id, why)) => Err(StackError::Unsupported {
            action: "a fault".to_owned(),
            platform: id.to_string(),
            why: why.clone(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_back_to_the_first_process() {
        let line = lineage();
        assert_eq!(line[0].pid(), i32::try_from(std::process::id()).unwrap());
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        assert_eq!(line[1].pid(), parent);
        assert!(line.last().is_some_and(|first| first.parent().is_none()));
    }

    #[test]
    fn neither_it_nor_its_service_is_hit() {
        let own = [(ComponentId::new("tools", 1), OWN.to_owned())];
        let pause = |service: &str, index| Injection::Pause {
            component: ComponentId::new(service, index),
        };
        let scale = |service: &str| Injection::Scale {
            service: service.to_owned(),
            replicas: 2,
        };
        assert!(not_own(&pause("tools", 2), &own).is_ok());
        assert!(not_own(&pause("web", 1), &own).is_ok());
        assert!(not_own(&scale("web"), &own).is_ok());
        for hit in [pause("tools", 1), scale("tools")] {
            let refused = not_own(&hit, &own).unwrap_err().to_string();
            assert!(refused.contains("tools/1: firedrill itself"), "{refused}");
        }
    }
}
