//! Planted defects: each must turn its drill red or inconclusive, by the one finding that is meant for it, and the same
//! drill without the defect must pass.
//!
//! | defect | found by | exit |
//! | --- | --- | --- |
//! | a balancer without passive health checks | failover | 1 |
//! | an edge that answers errors with 200 | what `expect` asks for, by failover | 1 |
//! | a balancer that never takes a backend back | `not_readmitted` | 3 |
//! | a balancer that answers from its cache | `not_exposed` and `answered_while_gone` | 3 |
//! | an alert rule that is missing | `alerts.fires` | 1 |
//! | an alert rule that waits too long | `alerts.fires` | 1 |
//! | a webhook that leads nowhere | `alerts.notifies` | 1 |
//! | an alert that nobody expects | `alerts.others` | 1 |
//! | an alert that never resolves | `alerts.resolves` | 1 |
//! | a Prometheus that stands still during the fault | a gap: all that rests on Prometheus | 3 |
//! | a Prometheus whose clock is off | `alerts.fires`, open | 3 |
//! | a Prometheus without any rule | `alerts.others`, open | 3 |
//! | a rule that Prometheus cannot evaluate | `alerts.others`, open | 3 |
//! | a fault that does nothing | `no_effect` | 3 |
//! | a fault on a replica that serves nobody | `not_exposed` | 3 |
//! | a fault on another service than the one meant | detection by traffic, open | 3 |
//! | a generator that is held up | availability, judged both ways | 3 |
//! | an update that drops connections | `update.lost` | 1 |
//! | a service that fails without any fault | availability; failover is open | 1 |
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod compose;
mod finding;
mod processes;
mod prometheus;
