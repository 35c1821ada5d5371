//! What this process may do.

use std::fs;

use rustix::process::geteuid;

/// What this process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Whether it is root's.
    pub root: bool,
    /// `CAP_KILL`: signals to other users' processes.
    pub kill: bool,
    /// `CAP_NET_ADMIN`: queueing disciplines and firewall rules.
    pub net_admin: bool,
    /// `CAP_SYS_NICE`: real-time priorities.
    pub sys_nice: bool,
}

/// Numbers of capabilities (capability.h).
const KILL: u32 = 5;
const NET_ADMIN: u32 = 12;
const SYS_NICE: u32 = 23;

impl Rights {
    pub(super) fn of_this_process() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let effective = effective(&status);
        let has = |number: u32| effective >> number & 1 == 1;
        Self {
            root: geteuid().is_root(),
            kill: has(KILL),
            net_admin: has(NET_ADMIN),
            sys_nice: has(SYS_NICE),
        }
    }
}

/// The effective capabilities of a `/proc/PID/status`, one bit each.
fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    line.and_then(|l| u64::from_str_radix(l.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_their_bits() {
        assert_eq!(effective("Name:\tx\nCapEff:\t0000000000001020\n"), 0x1020);
        assert_eq!(0x1020_u64 >> NET_ADMIN & 1, 1);
        assert_eq!(0x1020_u64 >> KILL & 1, 1);
        assert_eq!(effective(""), 0);
    }
}
