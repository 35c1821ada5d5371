//! `stack:`: which platform, which services it has, and what is known of them offline.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Checker, compose_file, keys_at};
use crate::model::{
    ComposeSpec, ExternalSpec, ProcessService, ProcessSpec, Ready, StackSpec, Template,
};
use crate::scenario::error::Problem;
use crate::scenario::file::File;
use crate::scenario::file::stack::{
    Compose, External, PLATFORMS, Process, Ready as ReadyFile, Service, Stack,
};
use crate::scenario::shape::{At, Named};
use crate::scenario::tree::Span;
use crate::scenario::units::Text;
use crate::scenario::vars::{Place, folder};

/// Patience with a stack or a service that sets none.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What is known of a service before it runs. `None`: not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceFacts {
    pub(super) replicas: Option<u32>,
    /// Whether each node of a cluster runs one.
    pub(super) global: bool,
    /// Whether its restart policy brings it back after a kill.
    pub(super) restarts: Option<bool>,
    /// Labels that are written out; its image may give it more.
    pub(super) labels: Vec<(String, String)>,
}

/// Services by name. `None`: their file includes others, so that not all are known.
pub(super) type Known = Option<BTreeMap<String, ServiceFacts>>;

/// The names of the services of a file, as far as they are known.
pub(super) fn names(known: Option<&Known>) -> Vec<String> {
    let services = known.into_iter().flatten().flatten();
    services.map(|(name, _)| name.clone()).collect()
}

/// The services that a scenario may name. `None`: only the running stack knows them.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// What a step may be aimed at.
    pub(super) targets: Option<BTreeMap<String, ServiceFacts>>,
    /// Whether [`NODE`](crate::model::NODE) means the nodes of a cluster.
    pub(super) nodes: bool,
    /// What stands beside them.
    pub(super) beside: BTreeSet<String>,
    /// What `${addr:…}` may name.
    addresses: Option<BTreeSet<String>>,
    /// Whether `${addr:NAME:PORT}` makes sense.
    container_ports: bool,
    /// What to do where there is no target at all.
    pub(super) why_none: &'static str,
}

impl Services {
    /// Services of containers, as their files have them.
    pub(super) fn of_files(known: Known, why_none: &'static str) -> Self {
        Self {
            addresses: known.as_ref().map(|known| known.keys().cloned().collect()),
            targets: known,
            nodes: false,
            beside: BTreeSet::new(),
            container_ports: true,
            why_none,
        }
    }

    /// The problem with `${addr:name:port}`, if there is one.
    pub(super) fn no_address(&self, at: Span, name: &str, port: Option<u16>) -> Option<Problem> {
        let known = self.addresses.as_ref()?;
        if !known.contains(name) {
            let problem = Problem::invalid(
                at,
                format!("`{name}` is not a service of the stack, so it has no address"),
            );
            return Some(problem.did_you_mean(name, known.iter().map(String::as_str)));
        }
        let port = port.filter(|_| !self.container_ports)?;
        let problem = Problem::invalid(
            at,
            format!(
                "`${{addr:{name}:{port}}}` names a container's port, and this stack has no containers"
            ),
        );
        Some(problem.help(format!("write `${{addr:{name}}}`")))
    }
}

impl Checker<'_> {
    pub(super) fn stack(&mut self, file: &File) -> Option<StackSpec> {
        let Some(stack) = &file.stack else {
            self.missing_at_top("stack");
            return None;
        };
        let written = &stack.value;
        let later = [("kubernetes", written.kubernetes), ("aws", written.aws)];
        for (name, given) in later {
            if let Some(given) = given {
                self.problems.push(Problem::not_supported(
                    given.at,
                    &format!("a `{name}` stack"),
                ));
            }
        }
        let platforms = [
            written.compose.is_some(),
            written.swarm.is_some(),
            written.process.is_some(),
            written.external.is_some(),
        ];
        if platforms.into_iter().filter(|given| *given).count() > 1 {
            self.problems.push(Problem::invalid(
                stack.at,
                format!("a stack is one of {}, not several", platform_names()),
            ));
            return None;
        }
        let ready = written.ready.as_ref();
        match written {
            Stack {
                compose: Some(compose),
                ..
            } => self.compose(compose, ready).map(StackSpec::Compose),
            Stack {
                swarm: Some(swarm), ..
            } => self
                .swarm(swarm, ready)
                .map(|spec| StackSpec::Swarm(Box::new(spec))),
            Stack {
                process: Some(process),
                ..
            } => Some(StackSpec::Process(self.process(process, ready))),
            Stack {
                external: Some(external),
                ..
            } => Some(StackSpec::External(self.external(external, ready))),
            Stack { .. } => {
                let message = format!("a stack is one of {}", platform_names());
                self.problem_unless_broken(stack.at, Problem::invalid(stack.at, message));
                None
            }
        }
    }

    fn compose(&mut self, written: &Compose, ready: Option<&ReadyFile>) -> Option<ComposeSpec> {
        let (spec, known) = self.compose_project(written)?;
        if let Some(known) = known {
            self.services = Services::of_files(
                known,
                "the Compose file has no service in the enabled profiles",
            );
        }
        let ready = self.ready(ready, Place::Running);
        Some(ComposeSpec { ready, ..spec })
    }

    /// A Compose project without its readiness, and what its file says of its services: `None` where it cannot be read,
    /// `Some(None)` where not all of them are in it.
    pub(super) fn compose_project(
        &mut self,
        written: &Compose,
    ) -> Option<(ComposeSpec, Option<Known>)> {
        let profiles = written.profiles.clone().unwrap_or_default();
        let file =
            folder(self.inputs.path).join(self.fixed(&written.file, "the Compose file's path")?);
        let known = self.read_services(
            written.file.at,
            compose_file::services(&file, compose_file::Kind::Compose(&profiles)),
        );
        let env_file = written.env_file.as_ref().and_then(|path| {
            let at = path.at;
            let path = folder(self.inputs.path).join(self.fixed(path, "the env file's path")?);
            if !path.is_file() {
                self.problems.push(Problem::invalid(
                    at,
                    format!("there is no file {}", path.display()),
                ));
            }
            Some(path)
        });
        let spec = ComposeSpec {
            file,
            profiles,
            env: self.env(written.env.as_ref(), Place::Stack),
            env_file,
            build: written.build.unwrap_or(false),
            ready: None,
            services: names(known.as_ref()),
        };
        Some((spec, known))
    }

    /// Notes why a file with services could not be read.
    pub(super) fn read_services(
        &mut self,
        at: Span,
        read: Result<Known, compose_file::ComposeFileError>,
    ) -> Option<Known> {
        read.map_err(|error| {
            self.problems.push(Problem::invalid(at, error.to_string()));
        })
        .ok()
    }

    fn process(&mut self, written: &Process, ready: Option<&ReadyFile>) -> ProcessSpec {
        let names = keys_at(self.root, &["stack", "process", "services"]);
        let facts = |name: &String| {
            let service = written.services.get(name);
            let replicas =
                service.map(|service| service.replicas.map_or(1, |replicas| replicas.value));
            (
                name.clone(),
                ServiceFacts {
                    replicas,
                    global: false,
                    restarts: Some(false),
                    labels: Vec::new(),
                },
            )
        };
        self.services = Services {
            targets: Some(names.iter().map(facts).collect()),
            nodes: false,
            beside: BTreeSet::new(),
            addresses: Some(names.iter().cloned().collect()),
            container_ports: false,
            why_none: "the stack has no services",
        };
        let services = written
            .services
            .iter()
            .map(|(name, service)| (name.value.clone(), self.process_service(name, service)));
        ProcessSpec {
            services: services.collect(),
            ready: self.ready(ready, Place::Running),
        }
    }

    fn process_service(&mut self, name: &At<String>, service: &Service) -> ProcessService {
        if !super::is_name(&name.value) {
            let problem = Problem::invalid(
                name.at,
                format!("`{}` cannot be a service's name", name.value),
            );
            self.problems
                .push(problem.help("use letters, digits, `-`, `_` and `.`"));
        }
        if let Some(zero) = service.replicas.filter(|replicas| replicas.value == 0) {
            self.problems.push(
                Problem::invalid(zero.at, "a service of 0 replicas is none")
                    .help("leave the service out"),
            );
        }
        ProcessService {
            command: self.command_line(&service.command, Place::Service),
            replicas: service.replicas.map_or(1, |replicas| replicas.value),
            env: self.env(service.env.as_ref(), Place::Service),
            ready: self.ready(service.ready.as_ref(), Place::Service),
        }
    }

    fn external(&mut self, written: &External, ready: Option<&ReadyFile>) -> ExternalSpec {
        let adopted = written.compose_project.is_some();
        self.services = Services {
            targets: if adopted { None } else { Some(BTreeMap::new()) },
            nodes: false,
            beside: BTreeSet::new(),
            addresses: (!adopted).then(|| {
                keys_at(self.root, &["stack", "external", "addresses"])
                    .into_iter()
                    .collect()
            }),
            container_ports: adopted,
            why_none: "nothing of an external stack can be a target unless `compose_project` names the project its containers belong to",
        };
        let addresses = written.addresses.iter().flat_map(Named::iter);
        ExternalSpec {
            addresses: addresses
                .map(|(name, text)| (name.value.clone(), self.host_and_port(text, Place::Stack)))
                .collect(),
            compose_project: written
                .compose_project
                .as_ref()
                .and_then(|project| self.fixed(project, "the project's name")),
            ready: self.ready(ready, Place::Running),
        }
    }

    pub(super) fn ready(&mut self, written: Option<&ReadyFile>, place: Place<'_>) -> Option<Ready> {
        let written = written?;
        Some(Ready {
            http: written
                .http
                .as_ref()
                .map(|url| self.absolute_url(url, place)),
            within: written.within.map_or(READY_WITHIN, |within| within.value.0),
        })
    }

    pub(super) fn env(
        &mut self,
        written: Option<&Named<At<Text>>>,
        place: Place<'_>,
    ) -> BTreeMap<String, Template> {
        self.texts(written, place).into_iter().collect()
    }
}

/// The platforms, for a sentence.
fn platform_names() -> String {
    let quoted: Vec<String> = PLATFORMS.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
