//! The rules of the house: who may import whom, how long a file may be, what may not be in it.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Floors from the ground up. A module imports only from floors below its own.
const FLOORS: [&[&str]; 6] = [
    &["model"],
    &["scenario", "timeline", "stack"],
    &["restore"],
    &["judge", "load", "fault", "observe"],
    &["run", "report", "tui", "demo"],
    &["cli"],
];

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 50, "the sources are where they were");
    found
}

/// Path below `src/`, and the module it belongs to.
fn place(path: &Path) -> (String, String) {
    let below = path
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    (below.display().to_string(), first)
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// Names that follow `crate::` in code, comments left out; `crate::{a, b}` gives both.
fn imported(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let word = |s: &str| {
            s.trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        };
        match after.strip_prefix('{') {
            Some(list) => {
                let (mut depth, mut start) = (0, 0);
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            names.insert(word(&list[start..at]));
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            names.insert(word(&list[start..at]));
                            start = at + 1;
                        }
                        _ => {}
                    }
                }
            }
            None => {
                names.insert(word(after));
            }
        }
    }
    names.remove("");
    names
}

#[test]
fn modules_import_only_from_floors_below() {
    let mut wrong = Vec::new();
    for path in sources() {
        let (name, module) = place(&path);
        let Some(own) = floor(&module) else { continue };
        for other in imported(&fs::read_to_string(&path).unwrap()) {
            let allowed = other == module
                || floor(&other).is_some_and(|f| f < own && (module != "demo" || other == "model"));
            if !allowed {
                wrong.push(format!("{name} imports {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_are_found_in_every_form() {
    let found =
        imported("use crate::{a, b::{c, d}, e};\nlet x = crate::f::g;\n// crate::h\nuse crate::i;");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["a", "b", "e", "f", "i"]
    );
}

#[test]
fn every_folder_is_a_module_of_a_floor() {
    let modules: BTreeSet<String> = sources()
        .iter()
        .map(|p| place(p).1)
        .filter(|m| !m.ends_with(".rs"))
        .collect();
    let known: BTreeSet<String> = FLOORS
        .iter()
        .flat_map(|f| f.iter().map(|m| (*m).to_owned()))
        .collect();
    assert!(
        modules.is_subset(&known),
        "{:?} have no floor",
        modules.difference(&known)
    );
}

#[test]
fn platform_types_stay_in_the_stack() {
    for path in sources() {
        let (name, module) = place(&path);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            module == "stack" || !text.contains("bollard"),
            "{name} knows a Docker type"
        );
    }
}

#[test]
fn files_have_one_subject() {
    for path in sources() {
        let (name, _) = place(&path);
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= 600,
            "{name} has {lines} lines: split it by subject"
        );
        let stem = path.file_stem().unwrap().to_string_lossy();
        assert!(
            !["utils", "util", "helpers", "common", "manager", "misc"].contains(&&*stem),
            "{name} names no subject"
        );
    }
}

#[test]
fn only_the_command_line_prints_reads_the_environment_or_exits() {
    for path in sources() {
        let (name, module) = place(&path);
        let text = fs::read_to_string(&path).unwrap();
        let code: String = text
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        // What follows is test code, which may do as it likes.
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        if module == "cli" {
            continue;
        }
        for word in [
            "println!",
            "eprintln!",
            "std::env::var",
            "env::var(",
            "env::vars",
            "process::exit",
        ] {
            assert!(!code.contains(word), "{name} uses {word}");
        }
    }
}
