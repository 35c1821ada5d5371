//! Secrets are told to nobody: what a drill says, writes and starts is searched for every piece of them, however it ends.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod compose;
mod echo;
mod processes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::{Folder, Said, said};

/// A secret of letters and digits, which no encoding changes.
const PLAIN: &str = "hunter2xQ7vKzRw4TmB9";
/// One that every encoding changes.
const ODD: &str = r#"Zq9/ "wJ'xü\Kv&<Hy%Pt+?Gd"#;
/// One of several lines, with the line break at its end that editors leave.
const KEY: &str = "-----BEGIN DRILL KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END DRILL KEY-----\n";

/// Pieces that give a secret away, in whatever form they stand: none of their characters is ever encoded.
const PIECES: [&str; 7] = [
    "hunter2x",
    "Q7vKzRw4",
    "4TmB9",
    "MIIEvQIBADAN",
    "hkiG9w0BAQEF",
    "AASCBKcwggSj",
    "AoIBAQC7VJTU",
];
/// The odd one has no piece long enough by itself: two of these near one another give it away.
const ODD_PIECES: [&str; 7] = ["Zq9", "wJ", "Kv", "Hy", "Pt", "Gd", "x\u{fc}"];

/// The Base64 of `user:password` of the plain one from the third byte of the password on, whatever its alphabet.
fn in_base64() -> Vec<String> {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.encode(text);
    let texts = ["", "u", "us", "drill:", "drill-user:"].map(|before| format!("{before}{PLAIN}"));
    let middle = |text: String| {
        let encoded = encode(&text);
        encoded[encoded.len() - 14..encoded.len() - 4].to_owned()
    };
    texts.map(middle).to_vec()
}

/// What of a secret stands in a text; where it does, with what is around it.
fn leaks(text: &str) -> Vec<String> {
    let around = |at: usize| {
        let from = text.floor_char_boundary(at.saturating_sub(60));
        let to = text.ceil_char_boundary((at + 60).min(text.len()));
        text[from..to].to_owned()
    };
    let pieces = PIECES.iter().map(|p| (*p).to_owned()).chain(in_base64());
    let mut found: Vec<String> = pieces.filter_map(|p| text.find(&p)).map(around).collect();
    for (at, _) in text.match_indices(ODD_PIECES[0]) {
        let near = &text[at..text.ceil_char_boundary((at + 40).min(text.len()))];
        if ODD_PIECES[1..].iter().any(|piece| near.contains(piece)) {
            found.push(around(at));
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// A folder whose drills know the secrets, and in which nothing else may hold one.
struct Vault(Folder);

impl Vault {
    fn new() -> Self {
        let folder = Folder::new();
        folder.write("key.pem", KEY);
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(arguments);
        self.open(&mut command);
        command
    }

    fn open(&self, command: &mut Command) {
        command.env("PLAIN", PLAIN).env("ODD", ODD);
    }

    /// Runs a command to its end, and finds no secret in what it said.
    fn told(&self, arguments: &[&str]) -> Said {
        let said = said(self.command(arguments));
        for text in [&said.out, &said.err] {
            assert_eq!(leaks(text), [""; 0], "{arguments:?}");
        }
        said
    }

    /// Finds no secret in any file of a run, and everything that is made of a run's files without one.
    fn kept(&self, scenario: &str) {
        let run = self.0.latest(scenario);
        let dir = run.to_str().unwrap();
        for format in ["text", "json", "junit", "markdown", "github"] {
            self.told(&["judge", dir, "--format", format]);
        }
        self.told(&["report", dir]);
        self.told(&["export", dir]);
        let all = files(&fs::canonicalize(&run).unwrap());
        assert!(all.len() > 4, "{all:?}");
        for path in all {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert_eq!(leaks(&text), [""; 0], "{}", path.display());
        }
    }
}

/// Finds no secret in the command line of any process.
fn unseen_by_ps() {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // It may end while we look.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert_eq!(leaks(&line), [""; 0], "{}", entry.path().display());
    }
}

#[test]
fn what_would_give_a_secret_away_is_found() {
    use base64::Engine;
    let standard = base64::engine::general_purpose::STANDARD;
    for text in [
        format!("password {PLAIN} is wrong"),
        format!("{ODD:?}"),
        serde_json::json!({ "said": ODD }).to_string(),
        KEY.lines().nth(1).unwrap().to_owned(),
        PLAIN[..12].to_owned(),
        standard.encode(format!("drill:{PLAIN}")),
    ] {
        assert_ne!(leaks(&text), [""; 0], "{text}");
    }
    assert_eq!(leaks("nothing of the kind"), [""; 0]);
}
