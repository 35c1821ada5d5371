//! The actions on the nodes of a cluster, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::NodeRole;
use crate::scenario::shape::At;
use crate::scenario::units::{Period, Taken};

/// `node_kill`, `node_pause`, `node_disconnect`, `node_partition` and `drain`: nodes of the cluster, with all that runs on
/// them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Nodes {
    /// Only nodes that run a replica of this when the time comes: a name of `targets`, else a service.
    pub(in crate::scenario) target: Option<At<String>>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    /// Only nodes of this zone.
    pub(in crate::scenario) zone: Option<At<String>>,
    /// Only nodes of this role; the leader is a manager, too.
    #[schemars(with = "Option<RoleName>")]
    pub(in crate::scenario) role: Option<NodeRole>,
}

/// `node_stop`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct NodeStop {
    /// Only nodes that run a replica of this when the time comes: a name of `targets`, else a service.
    pub(in crate::scenario) target: Option<At<String>>,
    /// How many: one unless set.
    pub(in crate::scenario) take: Option<Taken>,
    /// Only nodes of this zone.
    pub(in crate::scenario) zone: Option<At<String>>,
    /// Only nodes of this role; the leader is a manager, too.
    #[schemars(with = "Option<RoleName>")]
    pub(in crate::scenario) role: Option<NodeRole>,
    /// Time between the call to shut down and the loss of power: 10s unless set.
    pub(in crate::scenario) grace: Option<Period>,
}

/// `zone_outage`: the power of every node of a zone goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ZoneOutage {
    /// The zone.
    pub(in crate::scenario) zone: At<String>,
    /// Only if some node of it runs a replica of this when the time comes: a name of `targets`, else a service.
    pub(in crate::scenario) target: Option<At<String>>,
}

/// The roles by name, for the schema.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum RoleName {
    Leader,
    Manager,
    Worker,
}
