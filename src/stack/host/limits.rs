//! What this process may use up.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};

/// What this process may use up.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most open files, after raising the soft limit; `None` for no limit.
    pub files: Option<u64>,
    /// Ports that the kernel gives outgoing connections.
    pub ephemeral_ports: Option<(u16, u16)>,
    /// CPUs of this process, a quota of its control group counted in.
    pub cpus: f64,
    /// Where that quota is set, if one is.
    pub quota: Option<String>,
    /// Whether the kernel shares CPU time between sessions first, so that niceness counts within one only.
    pub autogroup: bool,
    /// The nearest folder above where runs will be kept that exists.
    pub reports: PathBuf,
    /// Whether it may be written to.
    pub writable: Result<(), String>,
    /// Bytes free there, for this user.
    pub free_bytes: Result<u64, String>,
}

impl Limits {
    pub(super) fn of_this_process(reports: &Path) -> Self {
        let folder = nearest(reports);
        let all = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        let quota = quota();
        Self {
            files: getrlimit(Resource::Nofile).maximum,
            ephemeral_ports: range(
                &fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default(),
            ),
            cpus: quota.as_ref().map_or(all, |(cpus, _)| cpus.min(all)),
            quota: quota.map(|(_, from)| from),
            autogroup: fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled")
                .is_ok_and(|text| text.trim() == "1"),
            writable: access(&folder, Access::WRITE_OK | Access::EXEC_OK)
                .map_err(|e| e.to_string()),
            free_bytes: statvfs(&folder)
                .map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
                .map_err(|e| e.to_string()),
            reports: folder,
        }
    }
}

/// The folder itself if it exists, else the nearest one above it.
fn nearest(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut above = absolute.ancestors();
    above
        .find(|p| p.exists())
        .map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.trim().split_once(char::is_whitespace)?;
    Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
}

/// The CPU quota of this process's control group or one above it, in CPUs, and its file; the tightest.
fn quota() -> Option<(f64, String)> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut found: Option<(f64, String)> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        let (root, two) = match controllers {
            "" => ("/sys/fs/cgroup", true),
            c if c.split(',').any(|c| c == "cpu") => ("/sys/fs/cgroup/cpu", false),
            _ => continue,
        };
        for above in Path::new(group).ancestors() {
            let below = above.strip_prefix("/").unwrap_or(above);
            let folder = Path::new(root).join(below);
            let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
            let (text, file) = if two {
                (read("cpu.max"), "cpu.max")
            } else {
                let both = read("cpu.cfs_quota_us").zip(read("cpu.cfs_period_us"));
                let both =
                    both.map(|(quota, period)| format!("{} {}", quota.trim(), period.trim()));
                (both, "cpu.cfs_quota_us")
            };
            if let Some(cpus) = text.as_deref().and_then(cpus)
                && found.as_ref().is_none_or(|(least, _)| cpus < *least)
            {
                found = Some((cpus, folder.join(file).display().to_string()));
            }
        }
    }
    found
}

/// `quota period` in µs as CPUs; `None` for `max`, and for the -1 of version 1.
fn cpus(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_and_ranges_are_read() {
        assert_eq!(cpus("150000 100000\n"), Some(1.5));
        assert_eq!(cpus("max 100000\n"), None);
        assert_eq!(cpus("-1 100000"), None);
        assert_eq!(range("32768\t60999\n"), Some((32768, 60999)));
        assert_eq!(range(""), None);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&folder.path().join("a/b")), folder.path());
        let limits = Limits::of_this_process(&folder.path().join("reports"));
        assert_eq!(limits.writable, Ok(()));
        assert!(limits.free_bytes.unwrap() > 0 && limits.cpus > 0.0);
    }
}
