//! The containers that firedrill itself runs in, told by what the kernel says of its processes.

use std::collections::BTreeSet;
use std::fs;

use super::engine::Project;
use crate::model::ComponentId;
use crate::stack::StackError;
use crate::stack::docker::Container;
use crate::stack::own::{OWN, lineage};

/// Digits of a container's id.
const ID: usize = 64;
/// Digits of it that make the name of its host.
const SHORT: usize = 12;
/// Files that an engine mounts into each container from a folder of that container's id.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// What is known of where this process runs.
#[derive(Debug, Default)]
pub(in crate::stack) struct Inside {
    /// Ids of containers.
    ids: BTreeSet<String>,
    /// Name of this host: the begin of the container's id, unless it was given another.
    host: String,
}

impl Inside {
    /// By what the kernel says of this process and of those that it descends from.
    pub(in crate::stack) fn read() -> Self {
        let text = |path: String| fs::read_to_string(path).unwrap_or_default();
        let mut inside = Self {
            ids: mounted(&text("/proc/self/mountinfo".to_owned())),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
        };
        // One that was let out of its container keeps its control group, and what started it may still be in one.
        for process in lineage() {
            inside
                .ids
                .extend(ids(&text(format!("/proc/{}/cgroup", process.pid()))));
        }
        inside
    }

    /// Whether it cannot be any container.
    fn is_nowhere(&self) -> bool {
        let digits = self.host.bytes().all(|b| b.is_ascii_hexdigit());
        self.ids.is_empty() && !(digits && self.host.len() == SHORT)
    }

    fn is(&self, container: &Container) -> bool {
        self.is_id(container.handle())
    }

    /// Whether it is in the container of this id.
    pub(in crate::stack) fn is_id(&self, id: &str) -> bool {
        self.ids.contains(id) || id.get(..SHORT).is_some_and(|short| self.host == short)
    }

    /// Whether it is on the host of this name.
    pub(in crate::stack) fn is_on(&self, host: &str) -> bool {
        !host.is_empty() && self.host == host
    }
}

/// Every word of a text that looks like a container's id.
fn ids(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit());
    words.filter(|w| w.len() == ID).map(str::to_owned)
}

/// The ids in `mountinfo` (proc_pid_mountinfo(5)). On a host it lists parts of every container; only what is mounted
/// over this process's own files is about itself.
fn mounted(mountinfo: &str) -> BTreeSet<String> {
    let own = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        MOUNTED.contains(&at).then_some(root)
    });
    own.flat_map(ids).collect()
}

impl Project {
    /// The components that firedrill itself runs in.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        let inside = Inside::read();
        if inside.is_nowhere() {
            return Ok(vec![]);
        }
        let containers = self.containers().await?;
        let own = containers.iter().filter(|c| inside.is(c));
        Ok(own.map(|c| (c.id.clone(), OWN.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "1f0a2b3c4d5e6f708192a3b4c5d6e7f81f0a2b3c4d5e6f708192a3b4c5d6e7f8";
    const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn container(id: &str) -> Container {
        let inspect = serde_json::from_value(serde_json::json!({ "Id": id })).unwrap();
        Container {
            id: ComponentId::new("web", 1),
            inspect,
        }
    }

    #[test]
    fn control_groups_name_the_container_in_every_form() {
        for text in [
            format!("12:pids:/docker/{OURS}\n0::/docker/{OURS}\n"),
            format!("0::/system.slice/docker-{OURS}.scope\n"),
            format!("0::/kubepods/besteffort/pod1/cri-containerd-{OURS}.scope\n"),
        ] {
            assert_eq!(ids(&text).next().as_deref(), Some(OURS), "{text}");
        }
        assert_eq!(ids("0::/user.slice/session-2.scope\n").next(), None);
    }

    #[test]
    fn of_mounts_only_those_over_its_own_files_count() {
        let mounts = format!(
            "700 600 0:50 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/{OTHER}/diff\n\
             701 600 8:1 /var/lib/docker/containers/{OURS}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n\
             702 600 0:60 / /var/lib/docker/containers/{OTHER}/mounts/shm rw - tmpfs shm rw\n\
             703 600 8:1 /srv/{OTHER}/data /data rw - ext4 /dev/sda1 rw\n"
        );
        let found = mounted(&mounts);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [OURS]);
    }

    #[test]
    fn a_container_is_known_by_its_id_or_by_the_hosts_name() {
        let by_id = Inside {
            ids: BTreeSet::from([OURS.to_owned()]),
            host: "build-7".to_owned(),
        };
        assert!(by_id.is(&container(OURS)) && !by_id.is(&container(OTHER)));
        let by_name = Inside {
            ids: BTreeSet::new(),
            host: OURS[..SHORT].to_owned(),
        };
        assert!(!by_id.is_nowhere() && !by_name.is_nowhere());
        assert!(by_name.is(&container(OURS)) && !by_name.is(&container(OTHER)));
        assert!(Inside::default().is_nowhere() && !Inside::default().is(&container("")));
    }
}
