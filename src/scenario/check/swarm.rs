//! `stack: { swarm: … }`: what is deployed, on which cluster, and what stands beside it.

use std::path::PathBuf;

use super::stack::{Known, Services, names};
use super::{Checker, compose_file};
use crate::model::{ComposeSpec, MachinesSpec, ManagerSpec, NODE, SwarmSpec};
use crate::scenario::error::Problem;
use crate::scenario::file::stack::{Compose, Ready};
use crate::scenario::file::swarm::{Cluster, Manager, Swarm};
use crate::scenario::shape::At;
use crate::scenario::vars::{Place, folder};

/// What TLS takes of a folder.
const CERTS: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

impl Checker<'_> {
    pub(super) fn swarm(&mut self, written: &Swarm, ready: Option<&Ready>) -> Option<SwarmSpec> {
        let machines = written.cluster.as_ref().map(|c| self.machines(&c.value));
        let manager = written.manager.as_ref().map(|m| self.manager(m));
        if let (Some(_), Some(manager)) = (&written.cluster, &written.manager) {
            let problem = Problem::invalid(
                manager.at,
                "a swarm is either a `cluster` of firedrill's own machines or one that has a `manager` already, not both",
            );
            self.problems.push(problem.help("leave out one of the two"));
        }
        let file = self.fixed(&written.file, "the stack file's path");
        let file = file.map(|file| folder(self.inputs.path).join(file));
        let known = file.as_ref().and_then(|file| {
            let read = compose_file::services(file, compose_file::Kind::Swarm);
            self.read_services(written.file.at, read)
        });
        let services = names(known.as_ref());
        let all = known.iter().flatten().flatten();
        let global = all
            .filter(|(_, facts)| facts.global)
            .map(|(name, _)| name.clone())
            .collect();
        self.not_the_nodes(&written.file, &services, "the stack file");
        let outside = written.outside.as_ref().map(|o| self.outside(o, &services));
        let beside = match &outside {
            Some(read) => read.as_ref().and_then(|(_, known)| known.clone()),
            None => Some(Some([].into())),
        };
        // Where one of the files could not be read, nothing can be said of a name.
        if let (Some(known), Some(beside)) = (known, beside) {
            let all = known
                .zip(beside)
                .map(|(known, beside)| known.into_iter().chain(beside).collect());
            self.services = Services::of_files(all, "the stack file has no services");
        }
        self.services.nodes = true;
        let named = outside
            .iter()
            .flatten()
            .flat_map(|(spec, _)| &spec.services);
        self.services.beside = named.cloned().collect();
        let env = self.env(written.env.as_ref(), Place::Stack);
        let images = written.images.iter().flatten();
        let images = images
            .map(|image| self.template(image.at, &image.value, Place::Stack))
            .collect();
        let ready = self.ready(ready, Place::Running);
        // What is written and could not be read is not the same as nothing written.
        let machines = required(machines)?;
        let manager = required(manager)?;
        let outside = required(outside)?;
        Some(SwarmSpec {
            file: file?,
            env,
            images,
            machines,
            manager,
            outside: outside.map(|(spec, _)| spec),
            ready,
            services,
            global,
        })
    }

    /// The Compose project beside the cluster: none of its services is called as one of the stack file.
    fn outside(
        &mut self,
        written: &Compose,
        of_stack: &[String],
    ) -> Option<(ComposeSpec, Option<Known>)> {
        let (spec, known) = self.compose_project(written)?;
        self.not_the_nodes(
            &written.file,
            &spec.services,
            "the Compose file of `outside`",
        );
        for name in spec.services.iter().filter(|name| of_stack.contains(name)) {
            let problem = Problem::invalid(
                written.file.at,
                format!(
                    "`{name}` is a service of the stack file and of the Compose file of `outside`, so a step could mean either"
                ),
            );
            self.problems
                .push(problem.help("give one of the two another name"));
        }
        Some((spec, known))
    }

    fn not_the_nodes(&mut self, file: &At<String>, services: &[String], what: &str) {
        if services.iter().any(|name| name == NODE) {
            let problem = Problem::invalid(
                file.at,
                format!(
                    "{what} has a service `{NODE}`, and on a swarm `{NODE}` means the nodes of the cluster"
                ),
            );
            self.problems
                .push(problem.help("give the service another name"));
        }
    }

    fn machines(&mut self, written: &Cluster) -> Option<MachinesSpec> {
        let name = self.fixed(&written.name, "the cluster's name");
        let fits = |name: &String| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if let Some(name) = name.as_ref().filter(|name| !fits(name)) {
            let problem = Problem::invalid(
                written.name.at,
                format!("`{name}` cannot be a cluster's name"),
            );
            self.problems.push(
                problem.help("use letters, digits, `-` and `_`, beginning with a letter or digit"),
            );
        }
        let file = self.fixed(&written.file, "the path of the machines' Compose file");
        let file = file.map(|file| folder(self.inputs.path).join(file));
        if let Some(file) = &file {
            let read = compose_file::services(file, compose_file::Kind::Compose(&[]));
            self.read_services(written.file.at, read);
        }
        let env = self.env(written.env.as_ref(), Place::Stack);
        let base = written.base.as_ref().map(|base| {
            let file =
                folder(self.inputs.path).join(self.fixed(base, "the path of the base's file")?);
            let read = compose_file::services(&file, compose_file::Kind::Swarm);
            self.read_services(base.at, read);
            Some(file)
        });
        Some(MachinesSpec {
            file: file?,
            name: name?,
            env,
            keep: written.keep.unwrap_or(false),
            base: required(base)?,
        })
    }

    fn manager(&mut self, written: &At<Manager>) -> Option<ManagerSpec> {
        let Manager {
            address,
            certs,
            context,
        } = &written.value;
        match (address, context) {
            (Some(address), None) => {
                let at = address.at;
                let address = self.fixed(address, "a manager's address");
                if let Some(address) = address.as_ref().filter(|a| !is_tcp(a)) {
                    let problem = Problem::invalid(
                        at,
                        format!("`{address}` is not the address of an engine"),
                    );
                    self.problems
                        .push(problem.help("write it as in `tcp://10.0.0.1:2376`"));
                }
                let certs = certs.as_ref().map(|folder| self.certs(folder));
                Some(ManagerSpec::At {
                    address: address?,
                    certs: required(certs)?,
                })
            }
            (None, Some(context)) => {
                if let Some(certs) = certs {
                    let problem =
                        Problem::invalid(certs.at, "a Docker context has certificates of its own");
                    self.problems
                        .push(problem.help("leave `certs` out, or write the `address`"));
                }
                self.fixed(context, "a context's name")
                    .map(ManagerSpec::Context)
            }
            (Some(_), Some(context)) => {
                let problem = Problem::invalid(
                    context.at,
                    "a manager is reached either by its `address` or by a `context`, not both",
                );
                self.problems.push(problem.help("leave out one of the two"));
                None
            }
            (None, None) => {
                let problem =
                    Problem::invalid(written.at, "it is not said how the manager is reached");
                let problem =
                    problem.help("add `address: \"tcp://10.0.0.1:2376\"`, or `context: NAME`");
                self.problem_unless_broken(written.at, problem);
                None
            }
        }
    }

    /// The folder with what TLS takes.
    fn certs(&mut self, written: &At<String>) -> Option<PathBuf> {
        let path = folder(self.inputs.path).join(self.fixed(written, "the certificates' folder")?);
        let missing = |name: &&str| !path.join(name).is_file();
        let missing: Vec<&str> = CERTS.into_iter().filter(missing).collect();
        if !missing.is_empty() {
            let message = format!("there is no {} in {}", missing.join(", "), path.display());
            self.problems
                .push(Problem::invalid(written.at, message).help(
                    "TLS takes `ca.pem`, `cert.pem` and `key.pem`; without `certs` it is not used",
                ));
        }
        Some(path)
    }
}

/// `None` where it is written and could not be read.
fn required<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        Some(None) => None,
        Some(read) => Some(read),
        None => Some(None),
    }
}

/// Whether it is `tcp://host:port`.
fn is_tcp(address: &str) -> bool {
    let rest = address.strip_prefix("tcp://");
    rest.and_then(|rest| rest.rsplit_once(':'))
        .is_some_and(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            !host.is_empty() && !host.contains(['/', '@']) && port.parse::<u16>().is_ok()
        })
}

#[cfg(test)]
mod tests {
    use super::is_tcp;

    #[test]
    fn an_engine_is_reached_by_host_and_port() {
        for address in [
            "tcp://10.0.0.1:2376",
            "tcp://m1.example:2375",
            "tcp://[::1]:2376",
        ] {
            assert!(is_tcp(address), "{address}");
        }
        for address in [
            "10.0.0.1:2376",
            "tcp://10.0.0.1",
            "tcp://:2376",
            "ssh://m1:22",
            "tcp://m1:2376/x",
            "tcp://m1/x:1",
        ] {
            assert!(!is_tcp(address), "{address}");
        }
    }
}
