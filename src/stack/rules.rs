//! Packet rules in a network namespace, and the process that holds them: it carries their time limit, and takes them away by
//! itself at its end, whoever else is still alive then.
//!
//! All rules of one fault stand in one chain, whose name is their mark (iptables(8)); they come and go by one
//! `iptables-restore`, which does all of it or nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::Instant;

use super::hands::own_hand;
use super::process::Stat;

/// What a holder says once its rules are in place.
pub const HELD: &str = "held\n";

/// The ways that packets go which a partition cuts. What is passed on counts too: a machine that runs containers of its own
/// answers on their ports without a packet of its own. Docker calls a container's interfaces `eth…`; what containers within
/// it say to one another goes by none of these.
const WAYS: [&str; 4] = [
    "INPUT ! -i lo",
    "OUTPUT ! -o lo",
    "FORWARD -i eth+",
    "FORWARD -o eth+",
];

/// How long a holder may take to be there, and to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why rules could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A program that it takes could not be run.
    #[error("{program} cannot be run: {source}")]
    Program {
        /// Which.
        program: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// It would not.
    #[error("{program}: {said}")]
    Refused {
        /// Which.
        program: &'static str,
        /// Its last words.
        said: String,
    },
    /// The namespace is not there.
    #[error("{path}: {source}")]
    Namespace {
        /// Its file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not the component's alone.
    #[error("it is on the network of this machine, or of firedrill itself, and that is never cut")]
    Shared,
    /// The process that was to hold them.
    #[error("the process that holds the rules: {0}")]
    Holder(String),
}

/// Which packets are dropped, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Name of the chain: at most 28 characters.
    pub chain: String,
    /// Peers whose packets are dropped, both ways; everybody's where empty.
    pub peers: Vec<IpAddr>,
    /// Whether the namespace speaks IPv6, too.
    pub v6: bool,
}

/// A network namespace, kept open: it stays the same one whatever becomes of the processes in it.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// That of a process.
    ///
    /// # Errors
    /// [`RulesError::Namespace`] where there is no such process, or it may not be looked into.
    pub fn of(pid: i32) -> Result<Self, RulesError> {
        let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
        let file = File::open(&path).map_err(|source| RulesError::Namespace { path, source })?;
        Ok(Self(file))
    }

    /// That of a process, unless firedrill or this machine itself is in it.
    ///
    /// # Errors
    /// [`RulesError::Shared`], and as [`Namespace::of`].
    pub fn apart(pid: i32) -> Result<Self, RulesError> {
        let network = |pid: &str| {
            let file = fs::metadata(format!("/proc/{pid}/ns/net"));
            file.map(|file| (file.dev(), file.ino())).ok()
        };
        let theirs = network(&pid.to_string());
        if theirs.is_some() && [network("self"), network("1")].contains(&theirs) {
            return Err(RulesError::Shared);
        }
        Self::of(pid)
    }

    /// Whether a chain of this name is in it.
    ///
    /// # Errors
    /// [`RulesError`].
    pub async fn has(&self, chain: &str) -> Result<bool, RulesError> {
        let definition = format!("-N {chain}");
        let is_there = |rules: &str| rules.lines().any(|line| line == definition);
        let v4 = self.run("iptables", &["-S"], "").await?;
        // Where there is no IPv6 there are no rules for it.
        let v6 = self.run("ip6tables", &["-S"], "").await.unwrap_or_default();
        Ok(is_there(&v4) || is_there(&v6))
    }

    /// Drops packets.
    ///
    /// # Errors
    /// [`RulesError`]: then none is dropped.
    pub async fn cut(&self, partition: &Partition) -> Result<(), RulesError> {
        self.run(
            "iptables-restore",
            &["--noflush"],
            &partition.rules(IpAddr::is_ipv4),
        )
        .await?;
        if partition.v6 {
            let rules = partition.rules(IpAddr::is_ipv6);
            let added = self.run("ip6tables-restore", &["--noflush"], &rules);
            if let Err(error) = added.await {
                self.mend(&partition.chain).await?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes the rules of a chain away, and the chain; nothing where there is none.
    ///
    /// # Errors
    /// [`RulesError`].
    pub async fn mend(&self, chain: &str) -> Result<(), RulesError> {
        let away: Vec<String> = WAYS
            .iter()
            .map(|way| format!("-D {way} -j {chain}\n"))
            .collect();
        let away = away.concat();
        let away = format!("*filter\n{away}-F {chain}\n-X {chain}\nCOMMIT\n");
        for (list, restore) in [
            ("iptables", "iptables-restore"),
            ("ip6tables", "ip6tables-restore"),
        ] {
            let definition = format!("-N {chain}");
            let rules = match self.run(list, &["-S"], "").await {
                Err(_) if list == "ip6tables" => continue,
                rules => rules?,
            };
            if rules.lines().any(|line| line == definition) {
                self.run(restore, &["--noflush"], &away).await?;
            }
        }
        Ok(())
    }

    async fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, RulesError> {
        let failed = |source| RulesError::Program { program, source };
        let path = format!(
            "--net=/proc/{}/fd/{}",
            std::process::id(),
            self.0.as_raw_fd()
        );
        let mut child = tokio::process::Command::new("nsenter")
            .arg(path)
            .arg(program)
            // Whoever holds the lock of the rules is not waited for without end.
            .args(["-w", "5"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading says why on its other stream.
            let _read = stdin.write_all(input.as_bytes()).await;
        }
        let output = match tokio::time::timeout(PATIENCE, child.wait_with_output()).await {
            Ok(output) => output.map_err(failed)?,
            Err(_) => {
                let said = format!("no answer within {PATIENCE:?}");
                return Err(RulesError::Refused { program, said });
            }
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().last().unwrap_or_default();
        Err(RulesError::Refused {
            program,
            said: format!("{said} ({})", output.status),
        })
    }
}

impl Partition {
    /// The rules as `iptables-restore` reads them: first of all others.
    fn rules(&self, family: impl Fn(&IpAddr) -> bool) -> String {
        let chain = &self.chain;
        let drops: Vec<String> = if self.peers.is_empty() {
            vec![format!("-A {chain} -j DROP\n")]
        } else {
            let peers = self.peers.iter().filter(|peer| family(peer));
            peers
                .map(|peer| format!("-A {chain} -s {peer} -j DROP\n-A {chain} -d {peer} -j DROP\n"))
                .collect()
        };
        let jumps = WAYS.iter().map(|way| {
            let (chain_of_way, packets) = way.split_once(' ').unwrap_or((way, ""));
            format!("-I {chain_of_way} 1 {packets} -j {chain}\n")
        });
        let jumps: Vec<String> = jumps.collect();
        format!(
            "*filter\n:{chain} - [0:0]\n{}{}COMMIT\n",
            drops.concat(),
            jumps.concat()
        )
    }

    /// The arguments of `firedrill hold-rules` that make a process hold this in the namespace of `pid`, for at most
    /// `limit`.
    fn arguments(&self, pid: i32, limit: Duration) -> Vec<String> {
        let mut arguments = vec![
            "hold-rules".to_owned(),
            self.chain.clone(),
            format!("--of={pid}"),
            format!("--ms={}", limit.as_millis()),
        ];
        arguments.extend(self.peers.iter().map(|peer| format!("--peer={peer}")));
        arguments.extend(self.v6.then(|| "--v6".to_owned()));
        arguments
    }
}

/// Starts the process that holds a partition in the namespace of `pid` for at most `limit`, and returns once the rules are in
/// place.
///
/// # Errors
/// [`RulesError::Holder`], with its words.
pub(super) async fn start_holder(
    firedrill: &Path,
    partition: &Partition,
    pid: i32,
    limit: Duration,
) -> Result<(), RulesError> {
    let failed = |e: io::Error| RulesError::Holder(e.to_string());
    let mut command = tokio::process::Command::new(firedrill);
    own_hand(&mut command);
    let mut child = command
        .args(partition.arguments(pid, limit))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(RulesError::Holder("it has no pipes".to_owned()));
    };
    let (mut line, mut stdout) = (String::new(), BufReader::new(stdout));
    let read = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await;
    if matches!(read, Ok(Ok(_))) && line == HELD {
        // It outlives this process, and is nobody's to wait for; the runtime reaps it if it ends before.
        tokio::spawn(async move { child.wait().await });
        return Ok(());
    }
    // With what it may have started; it leads a group unless it has not even come to that.
    if let Some(pid) = child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
    {
        let _leads_none = kill_process_group(pid, Signal::KILL);
    }
    // Its last words, if it has any by now.
    let _ended = child.kill().await;
    let (mut said, mut stderr) = (String::new(), BufReader::new(stderr));
    let _words = tokio::time::timeout(PATIENCE, stderr.read_line(&mut said)).await;
    Err(RulesError::Holder(format!(
        "it did not say that it holds them: {}",
        said.trim()
    )))
}

/// Ends the processes that hold a chain, each of which takes its rules away first, and returns once they are gone.
///
/// # Errors
/// The system's.
pub(super) async fn dismiss_holders(chain: &str) -> io::Result<()> {
    let holders = holders(chain)?;
    for holder in &holders {
        holder.signal(Signal::TERM)?;
    }
    let begun = Instant::now();
    while holders.iter().any(|h| h.again().is_some()) {
        if begun.elapsed() > PATIENCE {
            // What it holds is taken away by whoever asked.
            for holder in &holders {
                if let Some(pid) = Pid::from_raw(holder.pid()) {
                    let _gone = kill_process_group(pid, Signal::KILL);
                }
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn holders(chain: &str) -> io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let mut line = Vec::new();
        // It may end while we look.
        let _gone =
            File::open(format!("/proc/{pid}/cmdline")).and_then(|mut f| f.read_to_end(&mut line));
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        if matches!(words.get(1..3), Some([b"hold-rules", name]) if *name == chain.as_bytes()) {
            found.extend(Stat::of(pid).and_then(|stat| stat.again()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_for_everybody_or_for_the_peers_of_their_family() {
        let mut partition = Partition {
            chain: "FD-r-1".into(),
            peers: vec![],
            v6: true,
        };
        assert_eq!(
            partition.rules(IpAddr::is_ipv4),
            "*filter\n:FD-r-1 - [0:0]\n-A FD-r-1 -j DROP\n-I INPUT 1 ! -i lo -j FD-r-1\n-I OUTPUT 1 ! -o lo -j FD-r-1\n\
             -I FORWARD 1 -i eth+ -j FD-r-1\n-I FORWARD 1 -o eth+ -j FD-r-1\nCOMMIT\n"
        );
        partition.peers = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let v6 = partition.rules(IpAddr::is_ipv6);
        assert!(
            v6.contains("-s fd00::1 -j DROP") && !v6.contains("10.0.0.1"),
            "{v6}"
        );
    }
}
