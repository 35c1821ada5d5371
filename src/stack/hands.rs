//! Programs that act for a run (a Compose command line, a command of the user's own), found again by anyone who has to
//! stop them: the fault that one of them makes must not land after its undo.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::Instant;

use super::process::Stat;

/// Environment variable with the id of the run for which a program acts. What it starts inherits it.
const HAND: &str = "FIREDRILL_HAND";

/// How long the killed may take to be gone: one that hangs in the kernel stays longer, and acts no more.
const GONE: Duration = Duration::from_secs(2);

/// The mark, as it stands in an environment.
pub(super) fn hand_mark(run: &str) -> String {
    format!("{HAND}={run}")
}

/// Marks a program as one that acts for the run.
pub fn hand(command: &mut Command, run: &str) {
    command.env(HAND, run);
}

/// Marks a program as one that acts for nobody but itself, though whoever starts it acts for a run: a guardian, and what a
/// run of its own stands up.
pub fn own_hand(command: &mut Command) {
    command.env_remove(HAND);
}

/// Kills every program that acts for the run and was started at `since_ns` after boot or later, and what it started, inside
/// containers of this machine too, and returns once none is left; how many there were. What an earlier command left
/// running may be there to stay.
///
/// # Errors
/// The system's, where processes cannot be listed.
pub async fn stay_hands(run: &str, since_ns: i64) -> io::Result<usize> {
    let begun = Instant::now();
    let mut killed = 0;
    loop {
        let acting = acting(run, since_ns)?;
        if acting.is_empty() || begun.elapsed() > GONE {
            return Ok(killed);
        }
        for stat in &acting {
            stat.signal(Signal::KILL)?;
        }
        killed = killed.max(acting.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn acting(run: &str, since_ns: i64) -> io::Result<Vec<Stat>> {
    let mark = hand_mark(run);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        // Unreadable is another user's, and none that firedrill started.
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if environ
            .split(|b| *b == 0)
            .any(|line| line == mark.as_bytes())
        {
            let stat = Stat::of(pid).and_then(|stat| stat.again());
            found.extend(stat.filter(|stat| stat.no_older_than(since_ns)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_runs_own_hands_are_stayed() {
        let start = |run: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "sleep 600; true"]);
            hand(&mut command, run);
            command.spawn().unwrap()
        };
        let (mut ours, mut theirs) = (start("hands-ours"), start("hands-theirs"));
        // The shell and the sleep that it starts.
        while acting("hands-ours", 0).unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Those of a step that was through before are left alone.
        assert_eq!(stay_hands("hands-ours", i64::MAX).await.unwrap(), 0);
        assert_eq!(ours.try_wait().unwrap(), None);
        assert!(stay_hands("hands-ours", 0).await.unwrap() >= 1);
        assert!(acting("hands-ours", 0).unwrap().is_empty());
        assert!(!ours.wait().await.unwrap().success());
        assert_eq!(theirs.try_wait().unwrap(), None);
        stay_hands("hands-theirs", 0).await.unwrap();
        theirs.wait().await.unwrap();
    }
}
