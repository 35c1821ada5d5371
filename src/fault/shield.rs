//! What a fault must not hit as the stack is now, and why.

use std::collections::BTreeMap;

use crate::model::{Component, ComponentId, Selector};
use crate::scenario::plan::Guards;
use crate::stack::{Stack, StackError};

/// Why what is protected is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unshielded {
    /// The stack could not say.
    #[error("what must not be touched cannot be told: {0}")]
    Stack(#[from] StackError),
    /// A selector that names nothing protects nothing: it may be a slip of the pen.
    #[error(
        "guards.never_touch names {selector}, which the stack does not have, so it protects nothing; it has {has}"
    )]
    Void {
        /// The selector.
        selector: String,
        /// What there is.
        has: String,
    },
}

/// The components that must not be hit, each with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shield(BTreeMap<ComponentId, String>);

impl Shield {
    /// What the guards protect of `components`, which is the stack as it is, and what firedrill itself runs in.
    ///
    /// # Errors
    /// [`Unshielded`]: then no fault may be made.
    pub async fn raise(
        stack: &dyn Stack,
        components: &[Component],
        guards: &Guards,
    ) -> Result<Self, Unshielded> {
        let mut shielded: BTreeMap<_, _> = stack.untouchable().await?.into_iter().collect();
        for selector in &guards.never_touch {
            let ids = match selector {
                Selector::Label(label) => stack.labelled(label).await?,
                Selector::Service(_) | Selector::Component(_) => named(selector, components),
            };
            if ids.is_empty() {
                let has: Vec<String> = components.iter().map(|c| c.id.to_string()).collect();
                return Err(Unshielded::Void {
                    selector: selector.to_string(),
                    has: has.join(", "),
                });
            }
            for id in ids {
                shielded
                    .entry(id)
                    .or_insert_with(|| format!("guards.never_touch names {selector}"));
            }
        }
        Ok(Self(shielded))
    }

    /// What the guards protect of components that are not there yet, as far as their names tell.
    #[must_use]
    pub fn by_name(components: &[Component], guards: &Guards) -> Self {
        let mut shielded = BTreeMap::new();
        for selector in &guards.never_touch {
            let why = || format!("guards.never_touch names {selector}");
            shielded.extend(
                named(selector, components)
                    .into_iter()
                    .map(|id| (id, why())),
            );
        }
        Self(shielded)
    }

    /// Whether it must not be hit.
    #[must_use]
    pub fn covers(&self, id: &ComponentId) -> bool {
        self.0.contains_key(id)
    }

    /// Why it must not be hit; `None` if it may be.
    #[must_use]
    pub fn why(&self, id: &ComponentId) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    /// The component with the reason why it must not be hit, for a person.
    #[must_use]
    pub fn named(&self, id: &ComponentId) -> Option<String> {
        self.why(id).map(|why| format!("{id} ({why})"))
    }

    /// What of a service must not be hit, with the reasons, for a person; `None` if nothing is.
    #[must_use]
    pub fn of(&self, service: &str) -> Option<String> {
        let of = self.0.keys().filter(|id| id.service == service);
        let each: Vec<String> = of.filter_map(|id| self.named(id)).collect();
        (!each.is_empty()).then(|| each.join(", "))
    }
}

/// The components that a selector names; whom a label is on is not in a name.
fn named(selector: &Selector, components: &[Component]) -> Vec<ComponentId> {
    let is = |id: &&ComponentId| match selector {
        Selector::Service(service) => id.service == *service,
        Selector::Component(component) => *id == component,
        Selector::Label(_) => false,
    };
    let ids = components.iter().map(|c| &c.id);
    ids.filter(is).cloned().collect()
}

#[cfg(test)]
impl<const N: usize> From<[(ComponentId, &str); N]> for Shield {
    fn from(shielded: [(ComponentId, &str); N]) -> Self {
        Self(shielded.map(|(id, why)| (id, why.to_owned())).into())
    }
}
