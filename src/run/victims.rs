//! The components that steps took, as they were at dispatch: what `${victim…}` stands for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::{Component, ComponentId, Lookup, Template, TemplateError, Variable};
use crate::stack::Resolve;

/// Step → the components it took.
#[derive(Default)]
pub(super) struct Victims(Mutex<BTreeMap<String, Vec<Component>>>);

impl Victims {
    pub(super) fn take(&self, step: &str, taken: &[ComponentId], components: &[Component]) {
        let victims = components
            .iter()
            .filter(|c| taken.contains(&c.id))
            .cloned()
            .collect();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(step.to_owned(), victims);
    }

    pub(super) fn of(&self, step: &str) -> Vec<Component> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(step)
            .cloned()
            .unwrap_or_default()
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
