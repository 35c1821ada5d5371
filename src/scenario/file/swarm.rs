//! `stack: { swarm: … }` as written.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::exactly_one;
use super::stack::Compose;
use crate::scenario::shape::{At, Named};
use crate::scenario::units::Text;

/// Services that firedrill deploys on a Swarm: one of its own machines (`cluster`), one that is there already (`manager`), or,
/// with neither, that of the engine at hand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_cluster)]
pub(in crate::scenario) struct Swarm {
    /// The stack file, as `docker stack deploy` takes it, relative to the scenario's folder.
    pub(in crate::scenario) file: At<String>,
    /// Environment for the stack file's interpolation.
    pub(in crate::scenario) env: Option<Named<At<Text>>>,
    /// Images that the machines must have besides those of the stack file: what updates roll out.
    pub(in crate::scenario) images: Option<Vec<At<String>>>,
    /// Machines that firedrill stands up, or finds standing, and makes a Swarm of.
    pub(in crate::scenario) cluster: Option<At<Cluster>>,
    /// A manager of a Swarm that is there already.
    pub(in crate::scenario) manager: Option<At<Manager>>,
    /// What stands beside the cluster, as a load balancer or monitoring does: a Compose project.
    pub(in crate::scenario) outside: Option<Compose>,
}

/// Machines: containers of the engine at hand that run engines of their own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Cluster {
    /// Its name: one that stands already under it is used, and left as it was found.
    pub(in crate::scenario) name: At<String>,
    /// The Compose file of the machines, relative to the scenario's folder.
    pub(in crate::scenario) file: At<String>,
    /// Environment for its interpolation.
    pub(in crate::scenario) env: Option<Named<At<Text>>>,
    /// Leave the machines standing for later runs, whoever made them: false unless set.
    pub(in crate::scenario) keep: Option<bool>,
    /// A stack file with what the machines have besides the runs' stacks, as networks that these share: deployed once, and again
    /// where it has changed. None of its services is a target. Relative to the scenario's folder.
    pub(in crate::scenario) base: Option<At<String>>,
}

/// How a manager is reached: by its address, or by a Docker context.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_way)]
pub(in crate::scenario) struct Manager {
    /// `tcp://host:port` of its engine.
    pub(in crate::scenario) address: Option<At<String>>,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem` for TLS, relative to the scenario's folder.
    pub(in crate::scenario) certs: Option<At<String>>,
    /// The name of a Docker context.
    pub(in crate::scenario) context: Option<At<String>>,
}

fn one_cluster(schema: &mut Schema) {
    not_both(schema, "cluster", "manager");
}

fn one_way(schema: &mut Schema) {
    exactly_one(schema, &["address", "context"]);
    not_both(schema, "certs", "context");
}

fn not_both(schema: &mut Schema, one: &str, other: &str) {
    let both = serde_json::json!({ "required": [one, other] });
    schema.insert("not".to_owned(), both);
}
