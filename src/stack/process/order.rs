//! Which service is started when.

use std::collections::BTreeSet;

use crate::model::{ProcessService, ProcessSpec, Variable};

/// The services, each after those whose `${addr:…}` or `${addrs:…}` it mentions, else by name.
///
/// # Errors
/// The circle, for the scenario's author, where services wait for one another.
pub fn start_order(spec: &ProcessSpec) -> Result<Vec<String>, String> {
    let mut walk = Walk {
        spec,
        path: Vec::new(),
        done: BTreeSet::new(),
        order: Vec::new(),
    };
    for name in spec.services.keys() {
        walk.visit(name)?;
    }
    Ok(walk.order)
}

struct Walk<'a> {
    spec: &'a ProcessSpec,
    path: Vec<&'a str>,
    done: BTreeSet<&'a str>,
    order: Vec<String>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, name: &'a str) -> Result<(), String> {
        if self.done.contains(name) {
            return Ok(());
        }
        if let Some(begin) = self.path.iter().position(|on_path| *on_path == name) {
            let circle = [&self.path[begin..], &[name]].concat().join(" → ");
            return Err(format!("services wait for one another's address: {circle}"));
        }
        // A name that is no service has no address either: that is told when the address is asked for.
        let Some(service) = self.spec.services.get(name) else {
            return Ok(());
        };
        self.path.push(name);
        for needed in mentioned(service) {
            self.visit(needed)?;
        }
        self.path.pop();
        self.done.insert(name);
        self.order.push(name.to_owned());
        Ok(())
    }
}

/// Every variable in what starts a service.
pub(super) fn variables(service: &ProcessService) -> impl Iterator<Item = &Variable> {
    let ready = service.ready.iter().filter_map(|r| r.http.as_ref());
    let started_by = service.command.iter().chain(service.env.values());
    started_by
        .chain(ready)
        .flat_map(|template| template.variables())
}

fn mentioned(service: &ProcessService) -> impl Iterator<Item = &str> {
    let started_by = service.command.iter().chain(service.env.values());
    started_by
        .flat_map(|template| template.variables())
        .filter_map(|variable| match variable {
            Variable::Addr { name, .. } | Variable::Addrs { name, .. } => Some(name.as_str()),
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
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Template;
    use std::collections::BTreeMap;

    fn spec(services: &[(&str, &str)]) -> ProcessSpec {
        let service = |(name, word): &(&str, &str)| {
            let service = ProcessService {
                command: vec![Template::parse(word).unwrap()],
                replicas: 1,
                env: BTreeMap::new(),
                ready: None,
            };
            ((*name).to_owned(), service)
        };
        ProcessSpec {
            services: services.iter().map(service).collect(),
            ready: None,
        }
    }

    #[test]
    fn a_service_comes_after_those_it_mentions() {
        let order = start_order(&spec(&[
            ("a", "${addrs:b}"),
            ("b", "${addr:c:80}"),
            ("c", "x"),
            ("d", "x"),
        ]));
        assert_eq!(order.unwrap(), ["c", "b", "a", "d"]);
    }

    #[test]
    fn a_circle_is_shown() {
        let error = start_order(&spec(&[
            ("a", "${addr:b}"),
            ("b", "${addr:c}"),
            ("c", "${addr:b}"),
        ]))
        .unwrap_err();
        assert!(error.ends_with("b → c → b"), "{error}");
        assert!(
            start_order(&spec(&[("a", "${addr:a}")]))
                .unwrap_err()
                .ends_with("a → a")
        );
    }
}
