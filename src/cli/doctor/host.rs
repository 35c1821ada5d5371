//! What this machine means for a drill.

use super::Needs;
use super::finding::{Finding, Level};
use crate::load::{OTHER_FILES, may_go_first};
use crate::scenario::plan::Plan;
use crate::stack::host::{Feature, Host, Kernel, Limits, Rights};

/// Connections of a load that sets none.
const CONNECTIONS: u32 = 256;
/// Bytes of a recorded request, and of what else a run keeps, generously.
const REQUEST: u64 = 64;
const REST: u64 = 64 << 20;
/// Below this a disk is soon full.
const ROOM: u64 = 1 << 30;

pub(super) fn findings(host: &Host, needs: &Needs<'_>, engine_is_local: bool) -> Vec<Finding> {
    let mut findings = of_kernel(&host.kernel, engine_is_local);
    findings.push(rights(host.rights));
    findings.push(real_time());
    findings.extend(of_limits(&host.limits, needs));
    findings
}

/// A feature that faults will need, and what is not to be had without it.
fn feature(
    check: &'static str,
    found: &Feature,
    there: &str,
    missing: &str,
    local: bool,
) -> Finding {
    let elsewhere = if local {
        ""
    } else {
        " (of this machine; the engine's counts, which is elsewhere or silent)"
    };
    match found {
        Feature::There(how) => Finding::new(check, Level::Ok, format!("{how}{elsewhere}"), there),
        Feature::Missing(why) => {
            Finding::new(check, Level::Missing, format!("{why}{elsewhere}"), missing)
        }
        Feature::Unknown(why) => Finding::new(
            check,
            Level::Warn,
            format!("could not be tried: {why}"),
            format!("if it is missing, {missing}"),
        ),
    }
}

fn of_kernel(kernel: &Kernel, local: bool) -> Vec<Finding> {
    vec![
        feature(
            "netem",
            &kernel.netem,
            "latency and loss faults, which are not supported yet, will have what they need",
            "latency and loss faults, which are not supported yet, will be refused here; kill, stop, pause and the others work",
            local,
        ),
        feature(
            "tbf",
            &kernel.tbf,
            "bandwidth faults, which are not supported yet, will have what they need",
            "bandwidth faults, which are not supported yet, will be refused here; kill, stop, pause and the others work",
            local,
        ),
        feature(
            "iptables",
            &kernel.drop,
            "`partition` and `node_partition` can drop a container's packets",
            "`partition` and `node_partition` are refused here; `disconnect` and `node_disconnect` work",
            local,
        ),
        feature(
            "statistic",
            &kernel.statistic,
            "loss without netem, which is not supported yet, will have what it needs",
            "loss without netem, which is not supported yet, will be refused here",
            local,
        ),
        feature(
            "nfqueue",
            &kernel.nfqueue,
            "latency without netem, which is not supported yet, will have what it needs",
            "latency without netem, which is not supported yet, will be refused here",
            local,
        ),
        feature(
            "ipvs",
            &kernel.ipvs,
            "a Swarm on this kernel balances by virtual addresses and its routing mesh",
            "virtual addresses and the routing mesh of a Swarm on this kernel time out: its services need `endpoint_mode: dnsrr` and ports in `mode: host`",
            local,
        ),
        feature(
            "cgroup",
            &kernel.cgroup,
            "pause can freeze containers; cpu and memory faults are not supported yet",
            "pause cannot freeze containers",
            local,
        ),
        feature(
            "pressure",
            &kernel.pressure,
            "a run sees when the test bed is starved of CPU, and doubts what it measured then",
            "a test bed that is starved of CPU is known by a late generator only",
            true,
        ),
    ]
}

fn rights(rights: Rights) -> Finding {
    let named = [
        ("CAP_KILL", rights.kill),
        ("CAP_NET_ADMIN", rights.net_admin),
        ("CAP_SYS_NICE", rights.sys_nice),
    ];
    let has: Vec<&str> = named.iter().filter(|(_, has)| *has).map(|n| n.0).collect();
    let who = if rights.root { "root" } else { "no root" };
    let found = if has.is_empty() {
        format!("{who}, no capabilities")
    } else {
        format!("{who}, {}", has.join(", "))
    };
    if rights.kill {
        let means = "a kill without `hold` can leave a container's restart policy on";
        Finding::new("rights", Level::Ok, found, means)
    } else {
        let means = "a kill without `hold` is refused where a container runs as another user (CAP_KILL would allow it); everything that goes through the engine works";
        Finding::new("rights", Level::Warn, found, means)
    }
}

fn real_time() -> Finding {
    match may_go_first() {
        Ok(()) => Finding::new(
            "real-time",
            Level::Ok,
            "allowed",
            "the load generator goes before whatever else this machine does",
        ),
        Err(why) => Finding::new(
            "real-time",
            Level::Warn,
            why,
            "on a busy machine the load generator may be late, and late slices are doubted (CAP_SYS_NICE would help)",
        ),
    }
}

fn of_limits(limits: &Limits, needs: &Needs<'_>) -> Vec<Finding> {
    let loads = || needs.plan.into_iter().flat_map(Plan::every_load);
    let connections = match loads().map(|(_, load)| load.connections).sum() {
        0 => CONNECTIONS,
        planned => planned,
    };
    let requests = loads().map(|(_, load)| {
        let each = load.journeys.iter().map(|j| j.requests().count()).max();
        load.schedule()
            .slots()
            .saturating_mul(each.unwrap_or(1) as u64)
    });
    let requests = requests.sum();
    vec![
        cpu(limits),
        files(limits, connections),
        ports(limits, connections),
        reports(limits, requests),
    ]
}

fn cpu(limits: &Limits) -> Finding {
    let mut found = format!("{:.1} CPUs", limits.cpus);
    if let Some(from) = &limits.quota {
        found = format!("{found} by {from}");
    }
    if limits.autogroup {
        found = format!("{found}, shared by session first");
    }
    if limits.cpus < 2.0 {
        let means = "the load generator and what it shares the machine with will wait for one another, and late slices are doubted";
        Finding::new("cpu", Level::Warn, found, means)
    } else if limits.quota.is_some() {
        let means = "a quota stops the load generator for the rest of a period when it is used up; give it more than it needs";
        Finding::new("cpu", Level::Warn, found, means)
    } else {
        let means = "the load generator has a CPU beside what it shares the machine with";
        Finding::new("cpu", Level::Ok, found, means)
    }
}

fn files(limits: &Limits, connections: u32) -> Finding {
    let wanted = u64::from(connections) + OTHER_FILES;
    let found = limits
        .files
        .map_or_else(|| "no limit".to_owned(), |files| format!("{files} files"));
    let finding = if limits.files.is_some_and(|files| files < wanted) {
        Finding::new(
            "open files",
            Level::Missing,
            found,
            format!(
                "{connections} connections take {wanted}: requests beyond the limit are dropped, and a run that drops over 1 % proves nothing; raise `ulimit -Hn`"
            ),
        )
    } else {
        let means = format!("enough for {connections} connections");
        Finding::new("open files", Level::Ok, found, means)
    };
    finding.needed(true)
}

fn ports(limits: &Limits, connections: u32) -> Finding {
    let Some((low, high)) = limits.ephemeral_ports else {
        return Finding::new(
            "ports",
            Level::Warn,
            "net.ipv4.ip_local_port_range cannot be read",
            "whether there are enough for the connections is not known",
        );
    };
    let count = u32::from(high.saturating_sub(low)) + 1;
    let found = format!("{count} for outgoing connections ({low} to {high})");
    // A port that was closed waits for a minute before it is used again.
    if count < connections.saturating_mul(4) {
        let means = format!(
            "{connections} connections that are often closed use them up: requests then fail as unreachable; widen net.ipv4.ip_local_port_range"
        );
        Finding::new("ports", Level::Warn, found, means)
    } else {
        let means = format!("enough for {connections} connections");
        Finding::new("ports", Level::Ok, found, means)
    }
}

fn reports(limits: &Limits, requests: u64) -> Finding {
    let folder = limits.reports.display();
    let wanted = requests.saturating_mul(REQUEST).saturating_add(REST);
    let finding = match (&limits.writable, &limits.free_bytes) {
        (Err(why), _) => Finding::new(
            "reports",
            Level::Missing,
            format!("{folder}: {why}"),
            "no run can be recorded there, and nothing is broken without a recording; name another folder by --out",
        ),
        (_, Err(why)) => Finding::new(
            "reports",
            Level::Warn,
            format!("{folder}: {why}"),
            "whether there is room for a recording is not known",
        ),
        (_, Ok(free)) => {
            let found = format!("{folder}, {} MiB free", free >> 20);
            if *free < wanted {
                let means = format!(
                    "a recording may take {} MiB, and a run that cannot be recorded is aborted; make room, or name another folder by --out",
                    wanted >> 20
                );
                Finding::new("reports", Level::Missing, found, means)
            } else if *free < ROOM {
                let means = "enough for this run, not for many";
                Finding::new("reports", Level::Warn, found, means)
            } else {
                Finding::new("reports", Level::Ok, found, "room for recordings")
            }
        }
    };
    finding.needed(true)
}

/// `-1.5 ms`.
pub(super) fn milliseconds(us: i64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}
