//! `guards:`, and the steps that one of them forbids whatever happens.

use std::collections::BTreeSet;

use super::steps::taken_of;
use super::{Checker, is_name};
use crate::model::{Action, ComponentId, Label, NODE, Selector, StackSpec};
use crate::scenario::error::Problem;
use crate::scenario::file::File;
use crate::scenario::file::guards::{Firing, Protected};
use crate::scenario::guards::{Guards, NotWhileFiring, Window};
use crate::scenario::plan::Observe;
use crate::scenario::shape::{At, OneOrMany};
use crate::scenario::tree::Span;

impl Checker<'_> {
    pub(super) fn guards(
        &mut self,
        file: &File,
        stack: Option<&StackSpec>,
        observe: &Observe,
    ) -> Guards {
        let Some(written) = &file.guards else {
            return Guards::default();
        };
        if let Some(none) = written.max_concurrent.filter(|most| most.value == 0) {
            let problem = Problem::invalid(none.at, "`max_concurrent: 0` allows no fault at all");
            self.problems
                .push(problem.help("leave the steps out, or run it with `--no-faults`"));
        }
        let protected = written.never_touch.as_ref();
        let protected = protected.map_or(&[][..], OneOrMany::items);
        let windows = written.only.as_ref().map_or(&[][..], OneOrMany::items);
        Guards {
            keep_healthy: written.keep_healthy.unwrap_or(0),
            allow_external: written.allow_external.unwrap_or(false),
            max_concurrent: written.max_concurrent.map(|most| most.value),
            never_touch: protected
                .iter()
                .filter_map(|p| self.selector(p, stack))
                .collect(),
            not_while_firing: written
                .not_while_firing
                .as_ref()
                .and_then(|firing| self.not_while_firing(firing, observe)),
            only: windows.iter().filter_map(|w| self.window(w)).collect(),
        }
    }

    fn selector(&mut self, written: &Protected, stack: Option<&StackSpec>) -> Option<Selector> {
        let by = match written {
            Protected::Named(name) if name.value.contains('/') => return self.component(name),
            Protected::Named(name) => return self.protected_service(name),
            Protected::By(by) => by,
        };
        match (&by.value.service, &by.value.component, &by.value.label) {
            (Some(service), None, None) => self.protected_service(service),
            (None, Some(component), None) => self.component(component),
            (None, None, Some(label)) => self.label(label, stack),
            _ => {
                let problem = Problem::invalid(
                    by.at,
                    "what is protected is one of `service`, `component` and `label`",
                );
                self.problem_unless_broken(by.at, problem.help("make each an item of the list"));
                None
            }
        }
    }

    fn protected_service(&mut self, name: &At<String>) -> Option<Selector> {
        self.protected_group(name).map(Selector::Service)
    }

    /// A service, or the nodes of a cluster.
    fn protected_group(&mut self, name: &At<String>) -> Option<String> {
        if self.services.nodes && name.value == NODE {
            return Some(NODE.to_owned());
        }
        self.service(name, "a service of the stack, so this protects nothing")
    }

    fn component(&mut self, text: &At<String>) -> Option<Selector> {
        let named = text.value.parse::<ComponentId>().ok();
        let Some(id) = named.filter(|id| id.index > 0 && is_name(&id.service)) else {
            let problem = Problem::invalid(
                text.at,
                format!("`{}` does not name a component", text.value),
            );
            self.problems
                .push(problem.help("write a service and a number from 1, as in `backend/2`"));
            return None;
        };
        let name = At {
            at: text.at,
            value: id.service,
        };
        let service = self.protected_group(&name)?;
        if let Some(replicas) = self.replicas(&service).filter(|n| id.index > *n) {
            let message = format!(
                "`{service}` has {replicas} {}, so this protects nothing",
                if replicas == 1 { "replica" } else { "replicas" }
            );
            self.problems.push(Problem::invalid(text.at, message));
        }
        Some(Selector::Component(ComponentId::new(service, id.index)))
    }

    fn label(&mut self, text: &At<String>, stack: Option<&StackSpec>) -> Option<Selector> {
        if let Some(StackSpec::Process(_)) = stack {
            let problem = Problem::invalid(text.at, "processes bear no labels");
            self.problems
                .push(problem.help("name the service, or a replica as in `backend/2`"));
            return None;
        }
        match text.value.parse::<Label>() {
            Ok(label) => Some(Selector::Label(label)),
            Err(why) => {
                let problem = Problem::invalid(text.at, why);
                self.problems
                    .push(problem.help("write `key` or `key=value`, as in `tier=db`"));
                None
            }
        }
    }

    fn not_while_firing(
        &mut self,
        written: &At<Firing>,
        observe: &Observe,
    ) -> Option<NotWhileFiring> {
        let (forbid, allow) = match &written.value {
            Firing::Any(false) => return None,
            Firing::Any(true) => (None, None),
            Firing::These(words) => (Some(words.clone()), None),
            Firing::But(but) => (but.forbid.clone(), but.allow.clone()),
        };
        if forbid.as_ref().is_some_and(Vec::is_empty) {
            let problem = Problem::invalid(written.at, "this forbids nothing");
            self.problems.push(problem.help(
                "name severities or alerts, as in `[critical]`, or write `true` for every alert",
            ));
        }
        if observe.prometheus.is_none()
            && observe.alertmanager.is_none()
            && !self.is_broken_at(&["observe"])
        {
            let problem = Problem::invalid(
                written.at,
                "whether alerts fire is asked of monitoring, and neither `observe.prometheus` nor `observe.alertmanager` is set",
            );
            self.problems.push(
                problem.help("add `observe: { prometheus: \"http://${addr:prometheus:9090}\" }`"),
            );
        }
        Some(NotWhileFiring {
            forbid,
            allow: allow.unwrap_or_default(),
        })
    }

    fn window(&mut self, written: &At<String>) -> Option<Window> {
        match written.value.parse() {
            Ok(window) => Some(window),
            Err(wrong) => {
                let problem = Problem::invalid(written.at, wrong.message);
                self.problems.push(problem.help(wrong.help));
                None
            }
        }
    }

    /// A step that can hit nothing but what is protected, or that changes a service with something protected in it.
    pub(super) fn spares_the_protected(&mut self, at: Span, action: &Action, guards: &Guards) {
        let Some(service) = action.target() else {
            return;
        };
        let mut protected = BTreeSet::new();
        for selector in &guards.never_touch {
            let all = match selector {
                Selector::Service(name) => name == service,
                Selector::Component(id) if id.service == service => {
                    protected.insert(id.clone());
                    false
                }
                Selector::Component(_) => false,
                Selector::Label(label) => self.bears(service, label),
            };
            if all {
                let message = format!(
                    "this hits `{service}`, all of which `guards: {{ never_touch }}` protects ({selector})"
                );
                self.problems.push(
                    Problem::invalid(at, message)
                        .help("aim it at something else, or take that off the guard"),
                );
                return;
            }
        }
        if protected.is_empty() {
            return;
        }
        let names: Vec<String> = protected.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let Some(take) = action.take() else {
            let message = format!(
                "`{}` changes all of `{service}`, and `guards: {{ never_touch }}` protects {names}",
                action.name()
            );
            self.problems.push(
                Problem::invalid(at, message)
                    .help("aim it at something else, or take that off the guard"),
            );
            return;
        };
        let Some(replicas) = self.replicas(service) else {
            return;
        };
        let left = replicas.saturating_sub(u32::try_from(protected.len()).unwrap_or(u32::MAX));
        let taken = taken_of(replicas, take);
        // More than there are is a problem of its own.
        if taken > left && taken <= replicas {
            let message = format!(
                "this takes {taken} of the {replicas} of `{service}`, and `guards: {{ never_touch }}` protects {names}"
            );
            self.problems
                .push(Problem::invalid(at, message).help("take fewer, or take that off the guard"));
        }
    }

    /// Whether every replica of a service bears a label, as far as the Compose file tells.
    fn bears(&self, service: &str, label: &Label) -> bool {
        let facts = self.services.targets.as_ref().and_then(|t| t.get(service));
        facts.is_some_and(|facts| facts.labels.iter().any(|(key, value)| label.is(key, value)))
    }
}
