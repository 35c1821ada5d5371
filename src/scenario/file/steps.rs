//! `steps:` as written.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::nodes::{NodeStop, Nodes, ZoneOutage};
use super::{Later, Nothing, exactly_one};
use crate::model::Signal;
use crate::scenario::shape::{At, Named};
use crate::scenario::units::{Period, Taken, Text};

/// The actions, as keys of a step.
pub(in crate::scenario) const ACTIONS: [&str; 19] = [
    "kill",
    "stop",
    "pause",
    "restart",
    "disconnect",
    "partition",
    "scale",
    "exec",
    "http",
    "command",
    "update",
    "rebalance",
    "node_kill",
    "node_stop",
    "node_pause",
    "node_disconnect",
    "node_partition",
    "drain",
    "zone_outage",
];

/// A step: exactly one action, and when it is done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_action)]
pub(in crate::scenario) struct Step {
    /// Its name, also that of its watch.
    #[schemars(required)]
    pub(in crate::scenario) name: Option<At<String>>,
    /// When, from the end of warm-up.
    pub(in crate::scenario) at: Option<At<Period>>,
    /// After another step: `{ STEP: dispatched | healed | settled, wait: 10s, within: 2m }`.
    pub(in crate::scenario) after: Option<At<Named<At<String>>>>,
    #[schemars(skip)]
    pub(in crate::scenario) every: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) until: Option<Later>,
    /// How long the fault is kept, from its effect; without it, until the load ends.
    pub(in crate::scenario) hold: Option<At<Period>>,
    /// End the main process with a signal.
    pub(in crate::scenario) kill: Option<At<Kill>>,
    /// Stop in order: SIGTERM, then SIGKILL after `grace`.
    pub(in crate::scenario) stop: Option<At<Stop>>,
    /// Freeze.
    pub(in crate::scenario) pause: Option<At<Pause>>,
    /// Stop and start again.
    pub(in crate::scenario) restart: Option<At<Stop>>,
    /// Cut off a network.
    pub(in crate::scenario) disconnect: Option<At<Disconnect>>,
    /// Drop its packets.
    pub(in crate::scenario) partition: Option<At<Partition>>,
    /// Set the number of replicas.
    pub(in crate::scenario) scale: Option<At<Scale>>,
    /// Run a command inside.
    pub(in crate::scenario) exec: Option<At<Exec>>,
    /// A call of the user's own.
    pub(in crate::scenario) http: Option<At<Http>>,
    /// A command of the user's own, run where firedrill runs.
    pub(in crate::scenario) command: Option<At<Command>>,
    /// Roll out a change, replica by replica.
    pub(in crate::scenario) update: Option<At<Update>>,
    /// Have the cluster replace the replicas of a service one by one, so that they are spread over the nodes again.
    pub(in crate::scenario) rebalance: Option<At<Rebalance>>,
    /// Take the power of nodes.
    pub(in crate::scenario) node_kill: Option<At<Nodes>>,
    /// Shut nodes down in order, and take their power after `grace`.
    pub(in crate::scenario) node_stop: Option<At<NodeStop>>,
    /// Freeze nodes, with all that runs on them.
    pub(in crate::scenario) node_pause: Option<At<Nodes>>,
    /// Take nodes off the cluster's network.
    pub(in crate::scenario) node_disconnect: Option<At<Nodes>>,
    /// Drop the packets of nodes without a word to either side; it needs a `hold`.
    pub(in crate::scenario) node_partition: Option<At<Nodes>>,
    /// Have the cluster move what runs on nodes elsewhere, and give them nothing new.
    pub(in crate::scenario) drain: Option<At<Nodes>>,
    /// Take the power of every node of a zone.
    pub(in crate::scenario) zone_outage: Option<At<ZoneOutage>>,
    #[schemars(skip)]
    pub(in crate::scenario) latency: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) loss: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) bandwidth: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) reset: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) cpu: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) memory: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) disk: Option<Later>,
}

/// `kill`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Kill {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    /// The signal: SIGKILL unless set.
    #[schemars(with = "Option<SignalName>")]
    pub(in crate::scenario) signal: Option<Signal>,
    #[schemars(skip)]
    pub(in crate::scenario) zone: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) label: Option<Later>,
}

/// `stop` and `restart`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Stop {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    /// Time between SIGTERM and SIGKILL: 10s unless set.
    pub(in crate::scenario) grace: Option<Period>,
    #[schemars(skip)]
    pub(in crate::scenario) zone: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) label: Option<Later>,
}

/// `pause`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Pause {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    #[schemars(skip)]
    pub(in crate::scenario) zone: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) label: Option<Later>,
}

/// `disconnect`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Disconnect {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    /// The network as the Compose file names it; may be left out where there is only one.
    pub(in crate::scenario) network: Option<String>,
    #[schemars(skip)]
    pub(in crate::scenario) zone: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) label: Option<Later>,
}

/// `partition`: packets are dropped without a word to either side; it needs a `hold`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Partition {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    /// A name of `targets`, else a service, that it is cut off from; everybody unless set.
    pub(in crate::scenario) from: Option<At<String>>,
    #[schemars(skip)]
    pub(in crate::scenario) zone: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) label: Option<Later>,
}

/// `scale`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Scale {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// How many replicas there are to be.
    pub(in crate::scenario) replicas: u32,
}

/// `exec`: the user's own, so its undo is written out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Exec {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    /// The command line.
    pub(in crate::scenario) run: At<Vec<At<Text>>>,
    /// The command line that mends it, or `none`.
    pub(in crate::scenario) undo: CommandUndo,
    #[schemars(skip)]
    pub(in crate::scenario) zone: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) label: Option<Later>,
}

/// `command`: the user's own, so its undo is written out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Command {
    /// The command line.
    pub(in crate::scenario) run: At<Vec<At<Text>>>,
    /// The command line that mends it, or `none`.
    pub(in crate::scenario) undo: CommandUndo,
}

/// A command line, or `none`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "(by kind)")]
#[schemars(untagged, inline)]
pub(in crate::scenario) enum CommandUndo {
    /// Nothing mends it, or nothing needs to.
    #[serde(rename = "scalar")]
    Nothing(Nothing),
    /// The command line.
    #[serde(rename = "list")]
    Run(At<Vec<At<Text>>>),
}

/// `http`: the user's own, so its undo is written out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_method)]
pub(in crate::scenario) struct Http {
    /// Address.
    pub(in crate::scenario) get: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) head: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) post: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) put: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) patch: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) delete: Option<At<String>>,
    /// Headers.
    pub(in crate::scenario) headers: Option<Named<At<Text>>>,
    /// A JSON body.
    pub(in crate::scenario) json: Option<At<serde_json::Value>>,
    /// A text body.
    pub(in crate::scenario) body: Option<At<String>>,
    /// The call that mends it, or `none`.
    pub(in crate::scenario) undo: HttpUndo,
}

/// A call, or `none`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "(by kind)")]
#[schemars(untagged, inline)]
pub(in crate::scenario) enum HttpUndo {
    /// Nothing mends it, or nothing needs to.
    #[serde(rename = "scalar")]
    Nothing(Nothing),
    /// The call.
    #[serde(rename = "map")]
    Call(Box<At<Call>>),
}

/// An HTTP call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_method)]
pub(in crate::scenario) struct Call {
    /// Address.
    pub(in crate::scenario) get: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) head: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) post: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) put: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) patch: Option<At<String>>,
    /// Address.
    pub(in crate::scenario) delete: Option<At<String>>,
    /// Headers.
    pub(in crate::scenario) headers: Option<Named<At<Text>>>,
    /// A JSON body.
    pub(in crate::scenario) json: Option<At<serde_json::Value>>,
    /// A text body.
    pub(in crate::scenario) body: Option<At<String>>,
}

/// `update`: exactly one change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_change)]
pub(in crate::scenario) struct Update {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
    /// The new image.
    pub(in crate::scenario) image: Option<At<String>>,
    /// Environment variables, added to or in place of the old ones.
    pub(in crate::scenario) env: Option<Named<At<Text>>>,
    /// The new command line.
    pub(in crate::scenario) command: Option<At<Vec<At<Text>>>>,
    /// The stack files to deploy in place of the scenario's, later ones over earlier ones, as `docker stack deploy` takes
    /// them. Whatever they change of other services rolls out too, and is put back too.
    pub(in crate::scenario) files: Option<At<Vec<At<String>>>>,
    /// The user's own tool, watched the same way.
    pub(in crate::scenario) by: Option<At<Command>>,
    /// Leave the new version in place: false unless set.
    pub(in crate::scenario) keep: Option<bool>,
}

/// `rebalance`: every replica is replaced, one by one, for the cluster to place anew.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Rebalance {
    /// A name of `targets`, else a service.
    pub(in crate::scenario) target: At<String>,
}

/// The signals by name, for the schema.
#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE", inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum SignalName {
    SigKill,
    SigTerm,
    SigInt,
    SigQuit,
    SigHup,
    SigAbrt,
    SigUsr1,
    SigUsr2,
}

fn one_action(schema: &mut Schema) {
    exactly_one(schema, &ACTIONS);
}

fn one_method(schema: &mut Schema) {
    exactly_one(schema, &["get", "head", "post", "put", "patch", "delete"]);
}

fn one_change(schema: &mut Schema) {
    exactly_one(schema, &["image", "env", "command", "files", "by"]);
}
