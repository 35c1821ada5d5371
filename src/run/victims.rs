//! The components that steps took, as they were at dispatch: what `${victim…}` stands for; and those that updates replace.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::{Action, Component, ComponentId, Lookup, Template, TemplateError, Variable};
use crate::scenario::plan::StepPlan;
use crate::stack::Resolve;

/// What one step took.
#[derive(Default, Clone)]
struct Took {
    victims: Vec<Component>,
    replaced: Vec<Component>,
}

/// By step.
#[derive(Default)]
pub(super) struct Victims(Mutex<BTreeMap<String, Took>>);

impl Victims {
    pub(super) fn take(&self, step: &StepPlan, taken: &[ComponentId], components: &[Component]) {
        let those = |is: &dyn Fn(&ComponentId) -> bool| {
            let those = components.iter().filter(|c| is(&c.id));
            those.cloned().collect()
        };
        let updated = match &step.action {
            Action::Update { target, .. } => Some(target),
            _ => None,
        };
        let took = Took {
            victims: those(&|id| taken.contains(id)),
            replaced: those(&|id| updated == Some(&id.service)),
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(step.name.clone(), took);
    }

    fn took(&self, step: &str) -> Took {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(step)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn of(&self, step: &str) -> Vec<Component> {
        self.took(step).victims
    }

    /// The replicas that an update replaces.
    pub(super) fn replaced(&self, step: &str) -> Vec<Component> {
        self.took(step).replaced
    }
}

/// The template's text for one victim; for none where it names none.
pub(super) fn of_victim(
    template: &Template,
    victim: Option<&Component>,
    values: &dyn Resolve,
) -> Result<String, TemplateError> {
    struct Both<'a>(Option<&'a Component>, &'a dyn Resolve);
    impl Lookup for Both<'_> {
        fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
            let own = |text: Option<String>| {
                text.ok_or_else(|| TemplateError::NoValue {
                    variable: variable.to_string(),
                    why: "the step took no component that has one".to_owned(),
                })
            };
            match variable {
                Variable::Victim => own(self.0.map(|v| v.id.to_string())),
                Variable::VictimHost => own(self.0.map(|v| v.host.clone())),
                Variable::VictimAddress => own(self.0.and_then(|v| v.address().map(str::to_owned))),
                other => self.1.resolve(&Template {
                    parts: vec![crate::model::Part::Variable(other.clone())],
                }),
            }
        }
    }
    template.resolve(&Both(victim, values))
}
