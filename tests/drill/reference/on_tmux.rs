//! A game day on the reference stack as a team has it: in tmux, by the keys. Its screens are kept in `target/game-day/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{docker, engine};
use crate::binary::until;

/// A tmux server of its own, and the drill in it.
struct Tmux {
    socket: String,
    screens: PathBuf,
}

impl Tmux {
    fn start(out: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let screens = root.join("target/game-day");
        fs::create_dir_all(&screens).unwrap();
        let tmux = Self {
            socket: format!("firedrill-{}", std::process::id()),
            screens,
        };
        let run = format!(
            "cd '{}' && '{}' tui scenarios/backend-kill.yaml --yes --out '{}'; echo \"exit code $?\"; sleep 600",
            root.display(),
            env!("CARGO_BIN_EXE_firedrill"),
            out.display()
        );
        tmux.ask(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            &run,
        ]);
        tmux
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-L", &self.socket])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn press(&self, keys: &[&str]) {
        let mut arguments = vec!["send-keys"];
        arguments.extend(keys);
        self.ask(&arguments);
    }

    fn say(&self, text: &str) {
        self.ask(&["send-keys", "-l", text]);
        self.press(&["Enter"]);
    }

    /// Says yes until nothing is asked any more: at first nobody can have read the question.
    fn confirms(&self) {
        until("an answer to be taken", || {
            self.press(&["y"]);
            !self.ask(&["capture-pane", "-p"]).contains("[y] or hold")
        });
    }

    /// Waits for these words, and keeps the screen that has them.
    fn shows(&self, name: &str, words: &str) {
        let mut screen = String::new();
        until(&format!("`{words}`, for {name}"), || {
            screen = self.ask(&["capture-pane", "-p"]);
            screen.contains(words)
        });
        fs::write(self.screens.join(format!("{name}.txt")), &screen).unwrap();
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // By its hang-up the drill is aborted and heals; what still runs then is its guardian's to mend.
        let _ended = Command::new("tmux")
            .args(["-L", &self.socket, "kill-server"])
            .status();
    }
}

#[test]
fn a_game_day_in_tmux() {
    if !engine("a_game_day_in_tmux") {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let tmux = Tmux::start(out.path());
    tmux.shows("1-whole", "all whole");
    tmux.press(&["P"]);
    tmux.say("1s, 0 lost, BackendDown");
    tmux.shows("2-predicted", "predicted: 1.00 s, 0 lost, BackendDown");
    tmux.press(&["f"]);
    tmux.shows("3-asked", "FIRE lose-one now");
    tmux.confirms();
    tmux.shows("4-fired", "BROKEN   lose-one  kill backend/");
    tmux.shows("4-fired", "1 FAULT ON");
    tmux.press(&["n"]);
    tmux.say("nginx still sends to it?");
    tmux.shows("5-noted", "note: \"nginx still sends to it?\"");
    tmux.shows("6-dead", "DEAD");
    tmux.shows("7-pending", "BackendDown pending");
    tmux.press(&["h"]);
    tmux.shows("8-heal", "HEAL lose-one now");
    tmux.confirms();
    tmux.shows("9-healed", "all whole");
    // Another one, of which the scenario knows nothing, and which the abort is to heal.
    tmux.press(&["a"]);
    tmux.shows("10-menu", "Break ad hoc");
    tmux.press(&["Enter"]);
    tmux.shows("11-armed", "BREAK: ");
    tmux.confirms();
    tmux.shows("12-broken-ad-hoc", "BROKEN   adhoc-1");
    tmux.press(&["A"]);
    tmux.shows("13-aborted", "ended by firedrill abort, healed in");
    tmux.shows("13-aborted", "over: [q] shows the report");
    tmux.press(&["q"]);
    tmux.shows("14-report", "exit code 3");

    let folder = fs::canonicalize(out.path().join("backend-kill/latest")).unwrap();
    fs::copy(folder.join("run.log"), tmux.screens.join("run.log")).unwrap();
    let result = fs::read_to_string(folder.join("result.json")).unwrap();
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["recovery"]["clean"], true, "{result:#}");
    let after = &result["after_action"];
    assert_eq!(after["notes"][0]["text"], "nginx still sends to it?");
    assert_eq!(after["predictions"][0]["step"], "lose-one");
    assert!(after["noticed"][0]["after_us"].as_i64().unwrap() > 0);
    let steps = result["steps"].as_array().unwrap();
    assert!(steps.iter().any(|s| s["name"] == "adhoc-1"), "{result:#}");
    let journal = fs::read_to_string(folder.join("journal.ndjson")).unwrap();
    let first: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    let run = first["event"]["opened"]["run"].as_str().unwrap();
    let label = format!("label=firedrill.run={run}");
    assert_eq!(docker(&["ps", "-aq", "--filter", &label]).trim(), "");
}
