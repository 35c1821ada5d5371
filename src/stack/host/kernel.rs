//! Kernel features, tried out in a network namespace that nobody else is in.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long one probe may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Whether something is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// It was tried, and works; what was found.
    There(String),
    /// It does not; why.
    Missing(String),
    /// It could not be told; why.
    Unknown(String),
}

/// What the kernel and the programs that speak to it can do.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The queueing discipline of latency, loss and corruption.
    pub netem: Feature,
    /// The queueing discipline of bandwidth.
    pub tbf: Feature,
    /// The firewall, as far as it drops packets.
    pub drop: Feature,
    /// The firewall's match that drops every so many packets.
    pub statistic: Feature,
    /// The firewall's target that hands packets to a program.
    pub nfqueue: Feature,
    /// Virtual servers, which Swarm's and Kubernetes' load balancing is made of.
    pub ipvs: Feature,
    /// Control groups, by version.
    pub cgroup: Feature,
    /// CPU pressure, by which a starved test bed is known.
    pub pressure: Feature,
}

impl Kernel {
    pub(super) async fn probe(path: Option<OsString>, root: bool) -> Self {
        let probe = Probe {
            path: with_sbin(path),
            root,
        };
        let (netem, tbf, drop, statistic, nfqueue) = tokio::join!(
            probe.run("tc", "qdisc add dev lo root netem delay 1ms"),
            probe.run(
                "tc",
                "qdisc add dev lo root tbf rate 1mbit burst 32kbit latency 400ms"
            ),
            probe.run("iptables", "-A INPUT ! -i lo -j DROP"),
            probe.run(
                "iptables",
                "-A INPUT -m statistic --mode random --probability 0.5 -j DROP"
            ),
            probe.run("iptables", "-A INPUT -j NFQUEUE --queue-num 0"),
        );
        Self {
            netem: netem.or_by_module("sch_netem"),
            tbf: tbf.or_by_module("sch_tbf"),
            drop: if root {
                drop
            } else {
                Feature::Missing("only root may change the rules of a container".to_owned())
            },
            statistic: statistic.or_by_module("xt_statistic"),
            nfqueue: nfqueue.or_by_module("xt_NFQUEUE"),
            ipvs: ipvs(),
            cgroup: cgroup(),
            pressure: match fs::read_to_string("/proc/pressure/cpu") {
                Ok(_) => Feature::There("/proc/pressure/cpu".to_owned()),
                Err(error) => Feature::Missing(format!("/proc/pressure/cpu: {error}")),
            },
        }
    }
}

struct Probe {
    path: OsString,
    root: bool,
}

impl Probe {
    /// Runs a program in a namespace of its own.
    async fn run(&self, program: &str, arguments: &str) -> Feature {
        let mut command = Command::new("unshare");
        command.env("PATH", &self.path);
        if !self.root {
            command.args(["--user", "--map-root-user"]);
        }
        command
            .args(["--net", "--", program])
            .args(arguments.split(' '))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = match timeout(WITHIN, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Feature::Unknown(format!("`unshare`: {error}")),
            Err(_) => return Feature::Unknown(format!("`{program}` did not end in {WITHIN:?}")),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("no reason given").trim();
        match output.status.code() {
            Some(0) => Feature::There(format!("tried by `{program}`")),
            Some(127) => Feature::Missing(format!("there is no program `{program}`")),
            _ if said.starts_with("unshare:") => Feature::Unknown(said.to_owned()),
            _ => Feature::Missing(said.to_owned()),
        }
    }
}

impl Feature {
    /// What the list of modules says where it could not be tried.
    fn or_by_module(self, module: &str) -> Self {
        match self {
            Self::Unknown(why) if has_module(module) => {
                Self::There(format!("the kernel has the module {module} ({why})"))
            }
            other => other,
        }
    }
}

/// Whether the running kernel has a module, loaded or not.
fn has_module(module: &str) -> bool {
    if Path::new("/sys/module").join(module).exists() {
        return true;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let folder = Path::new("/lib/modules").join(release.trim());
    let file = format!("/{module}.ko");
    ["modules.builtin", "modules.dep"]
        .iter()
        .any(|list| fs::read_to_string(folder.join(list)).is_ok_and(|text| text.contains(&file)))
}

fn ipvs() -> Feature {
    if Path::new("/proc/net/ip_vs").exists() {
        Feature::There("/proc/net/ip_vs".to_owned())
    } else if has_module("ip_vs") {
        Feature::There("the kernel has the module ip_vs".to_owned())
    } else {
        Feature::Missing("neither /proc/net/ip_vs nor a module ip_vs".to_owned())
    }
}

fn cgroup() -> Feature {
    let controllers = Path::new("/sys/fs/cgroup/cgroup.controllers");
    if controllers.exists() {
        return Feature::There("version 2".to_owned());
    }
    match fs::read_to_string("/proc/cgroups") {
        Ok(list) if list.lines().any(|l| l.starts_with("cpu\t")) => {
            Feature::There("version 1".to_owned())
        }
        Ok(_) => Feature::Missing("no cpu controller".to_owned()),
        Err(error) => Feature::Missing(format!("/proc/cgroups: {error}")),
    }
}

/// The folders of administrators' programs, which others' search paths often lack.
fn with_sbin(path: Option<OsString>) -> OsString {
    let mut path = path.unwrap_or_default();
    for folder in ["/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(folder);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_probe_tells_missing_from_unknown() {
        let probe = Probe {
            path: with_sbin(None),
            root: rustix::process::geteuid().is_root(),
        };
        let none = probe.run("no-such-program", "x").await;
        assert!(!matches!(none, Feature::There(_)), "{none:?}");
        let nowhere = Probe {
            path: "/nowhere".into(),
            root: true,
        };
        let untold = nowhere.run("true", "x").await;
        assert!(matches!(untold, Feature::Unknown(_)), "{untold:?}");
        assert!(!has_module("no_such_module"));
    }
}
