//! What variables stand for now; looked up again when a component was started, for an engine may give it another port.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::model::{Lookup, Template, TemplateError, Variable};
use crate::stack::{Resolve, Stack, StackContext, StackError, Surroundings};

/// The surroundings as they are now.
pub(super) struct Around {
    context: StackContext,
    stack: Arc<dyn Stack>,
    variables: Vec<Variable>,
    now: RwLock<Surroundings>,
    moved: Notify,
}

impl Around {
    /// Looks all of `variables` up.
    pub(super) async fn gather(
        context: StackContext,
        stack: Arc<dyn Stack>,
        variables: Vec<Variable>,
    ) -> Result<Self, StackError> {
        let now = RwLock::new(Surroundings::gather(&context, &*stack, &variables).await?);
        Ok(Self {
            context,
            stack,
            variables,
            now,
            moved: Notify::new(),
        })
    }

    /// Looks them up again. On an error the old values stay.
    pub(super) async fn refresh(&self) -> Result<(), StackError> {
        let fresh = Surroundings::gather(&self.context, &*self.stack, &self.variables).await?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        self.moved.notify_one();
        Ok(())
    }

    /// Returns when they were looked up again.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// The stack they are looked up on.
    pub(super) fn stack(&self) -> &Arc<dyn Stack> {
        &self.stack
    }
}

impl Lookup for Around {
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
        self.now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .lookup(variable)
    }
}

impl Resolve for Around {
    fn resolve(&self, template: &Template) -> Result<String, TemplateError> {
        template.resolve(self)
    }
}
