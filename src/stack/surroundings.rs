//! What a run's variables stand for: addresses as the stack gives them now, drawn ports, paths and secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::secrets::no_value;
use super::{Resolve, Stack, StackContext, StackError};
use crate::model::{Lookup, Part, Template, TemplateError, Variable};

/// A snapshot of every value that does not differ from arrival to arrival or from victim to victim.
#[derive(Clone)]
pub struct Surroundings {
    /// Service and container port (where one was named) → where its replicas answer, in their order.
    addresses: BTreeMap<(String, Option<u16>), Vec<String>>,
    ports: BTreeMap<u32, u16>,
    firedrill: PathBuf,
    scenario_dir: PathBuf,
    secrets: Arc<dyn Resolve>,
}

impl Surroundings {
    /// Everything but addresses, for what is needed before the stack is up.
    #[must_use]
    pub fn of(context: &StackContext) -> Self {
        Self {
            addresses: BTreeMap::new(),
            ports: context.ports.clone(),
            firedrill: context.firedrill.clone(),
            scenario_dir: context.scenario_dir.clone(),
            secrets: context.secrets.clone(),
        }
    }

    /// With the addresses that these variables ask for, as the stack gives them now. A port that the engine chose
    /// changes at every start, so gather again after each.
    ///
    /// # Errors
    /// A service that the stack does not have, or that answers nowhere.
    pub async fn gather<'a>(
        context: &StackContext,
        stack: &dyn Stack,
        variables: impl IntoIterator<Item = &'a Variable> + Send,
    ) -> Result<Self, StackError> {
        let mut addresses = BTreeMap::new();
        let places: Vec<(String, Option<u16>)> = variables.into_iter().filter_map(place).collect();
        for (service, port) in places {
            let answers = stack.addresses(&service, port).await?;
            addresses.insert((service, port), answers);
        }
        Ok(Self {
            addresses,
            ..Self::of(context)
        })
    }

    /// With a service's addresses put in by hand, for a stack that is not asked.
    #[must_use]
    pub(super) fn with(mut self, service: &str, addresses: Vec<String>) -> Self {
        self.addresses.insert((service.to_owned(), None), addresses);
        self
    }

    fn of_place(
        &self,
        variable: &Variable,
        name: &str,
        port: Option<u16>,
    ) -> Result<&[String], TemplateError> {
        let key = (name.to_owned(), port);
        match self.addresses.get(&key).map(Vec::as_slice) {
            Some([]) | None => Err(no_value(
                variable,
                format!("where `{name}` answers is not known"),
            )),
            Some(found) => Ok(found),
        }
    }
}

fn place(variable: &Variable) -> Option<(String, Option<u16>)> {
    match variable {
        Variable::Addr { name, port } | Variable::Addrs { name, port } => {
            Some((name.clone(), *port))
        }
        Variable::FreePort(_)
        | Variable::Listen
        | Variable::Firedrill
        | Variable::ScenarioDir
        | Variable::SecretEnv(_)
        | Variable::SecretFile(_)
        | Variable::User
        | Variable::N
        | Variable::Uuid
        | Variable::Row(_)
        | Variable::Victim
        | Variable::VictimHost
        | Variable::VictimAddress
        | Variable::Extracted(_) => None,
    }
}

impl Lookup for Surroundings {
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
        match variable {
            Variable::Addr { name, port } => Ok(self.of_place(variable, name, *port)?[0].clone()),
            Variable::Addrs { name, port } => Ok(self.of_place(variable, name, *port)?.join(",")),
            Variable::FreePort(number) => self
                .ports
                .get(number)
                .map(ToString::to_string)
                .ok_or_else(|| no_value(variable, "no port was drawn for it".to_owned())),
            Variable::Firedrill => Ok(self.firedrill.display().to_string()),
            Variable::ScenarioDir => Ok(self.scenario_dir.display().to_string()),
            Variable::SecretEnv(_) | Variable::SecretFile(_) => self.secrets.resolve(&Template {
                parts: vec![Part::Variable(variable.clone())],
            }),
            Variable::Listen => Err(no_value(
                variable,
                "it has one for each replica of a process stack".to_owned(),
            )),
            Variable::User
            | Variable::N
            | Variable::Uuid
            | Variable::Row(_)
            | Variable::Extracted(_) => Err(no_value(
                variable,
                "it is another for each arrival of the load".to_owned(),
            )),
            Variable::Victim | Variable::VictimHost | Variable::VictimAddress => Err(no_value(
                variable,
                "it is known only in the objectives of a step".to_owned(),
            )),
        }
    }
}

impl Resolve for Surroundings {
    fn resolve(&self, template: &Template) -> Result<String, TemplateError> {
        template.resolve(self)
    }
}
