//! The scenario language: every rule by a file that keeps it and one that breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use firedrill::model::{Action, StackSpec};
use firedrill::scenario::{self, Checked, Inputs, Problems};
use proptest::prelude::*;

/// A platform that cannot scale, so that the refusal by a platform is seen too.
fn supports(stack: &StackSpec, action: &Action) -> Result<(), String> {
    match (stack, action) {
        (StackSpec::Process(_), Action::Disconnect { .. }) => {
            Err("its processes share the host's network".to_owned())
        }
        (_, Action::Node { .. }) => firedrill::stack::supports(stack, action),
        _ => Ok(()),
    }
}

fn load(path: &Path, text: &str) -> Result<Checked, Problems> {
    let vars = BTreeMap::from([("FROM_FLAG".to_owned(), "flag".to_owned())]);
    let env = BTreeMap::from([
        ("DRILL_PASSWORD".to_owned(), "hush".to_owned()),
        ("FROM_ENV".to_owned(), "env".to_owned()),
        ("PIN".to_owned(), "42".to_owned()),
    ]);
    scenario::load(
        &Inputs {
            path,
            text,
            vars: &vars,
            env: &env,
            seed: Some(7),
        },
        &supports,
    )
}

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is part of the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no scenarios in {folder}");
    paths
        .into_iter()
        .map(|path| {
            (
                path.clone(),
                std::fs::read_to_string(path).expect("a readable file"),
            )
        })
        .collect()
}

#[test]
fn valid_files_are_accepted() {
    for (path, text) in files("tests/scenarios/valid") {
        if let Err(problems) = load(&path, &text) {
            panic!("{problems}");
        }
    }
}

/// Snapshots stand beside the files they belong to.
fn beside(folder: &str) -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind_to_scope()
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .expect("a file")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn the_flagship_is_planned_as_written() {
    let _settings = beside("tests/scenarios/valid");
    let path = Path::new("tests/scenarios/valid/flagship.yaml");
    let text = std::fs::read_to_string(path).expect("a readable file");
    let checked = load(path, &text).expect("a valid scenario");
    assert_eq!(checked.warnings, Vec::new());
    insta::assert_snapshot!(
        "flagship",
        serde_json::to_string_pretty(&checked.plan).expect("a plan is JSON")
    );
}

#[test]
fn names_and_sources_are_planned_as_written() {
    let path = Path::new("tests/scenarios/valid/names-and-sources.yaml");
    let text = std::fs::read_to_string(path).expect("a readable file");
    let plan = load(path, &text).expect("a valid scenario").plan;
    let engine = serde_json::to_value(plan.load.expect("it has a load").engine);
    let engine = engine.expect("an engine is JSON");
    assert_eq!(engine["dns"], "10.0.0.2:53");
    assert_eq!(
        engine["sources"],
        serde_json::json!(["10.0.0.5", "fd00::5"])
    );
}

#[test]
fn a_swarm_is_planned_as_written() {
    let path = Path::new("tests/scenarios/valid/swarm.yaml");
    let text = std::fs::read_to_string(path).expect("a readable file");
    let checked = load(path, &text).expect("a valid scenario");
    let StackSpec::Swarm(swarm) = &checked.plan.stack else {
        panic!("a swarm")
    };
    assert_eq!(swarm.services, ["agent", "backend", "nginx", "once"]);
    assert_eq!(swarm.global, ["agent"]);
    let outside = swarm.outside.as_ref().expect("something stands beside it");
    assert_eq!(outside.services, ["edge", "prometheus"]);
    assert_eq!((&outside.ready, swarm.ready.is_some()), (&None, true));
    let machines = swarm.machines.as_ref().expect("machines of its own");
    assert_eq!(machines.name, "drill_1");
    let replicas = |name: &str| checked.replicas[name];
    assert_eq!((replicas("backend"), replicas("edge")), (Some(3), Some(1)));
    assert_eq!(replicas("agent"), None);
    let steps = &checked.plan.steps;
    let names: Vec<&str> = steps.iter().map(|s| s.action.name()).collect();
    assert_eq!(
        names[..4],
        ["node_kill", "node_kill", "node_pause", "node_stop"]
    );
    assert_eq!(names[7..9], ["zone_outage"; 2]);
    let orderly = serde_json::to_value(&steps[3].action).expect("an action is JSON");
    assert_eq!(
        orderly["node"]["among"],
        serde_json::json!({ "holding": null, "zone": "a", "role": "worker" })
    );
    assert_eq!(orderly["node"]["take"], serde_json::json!({ "count": 2 }));
}

#[test]
fn guards_are_planned_in_full() {
    let path = Path::new("tests/scenarios/valid/guards.yaml");
    let text = std::fs::read_to_string(path).expect("a readable file");
    let guards = load(path, &text).expect("a valid scenario").plan.guards;
    let json = serde_json::to_value(guards).expect("guards are JSON");
    let precious = serde_json::json!({ "key": "precious", "value": null });
    assert_eq!(
        json["never_touch"],
        serde_json::json!([
            { "component": "backend/2" }, { "component": "backend/3" }, { "service": "once" },
            { "label": { "key": "tier", "value": "db" } }, { "label": precious },
        ])
    );
    assert_eq!(
        json["not_while_firing"],
        serde_json::json!({ "forbid": ["critical", "DiskFull"], "allow": ["Watchdog"] })
    );
    assert_eq!(json["only"][1], "Sat,Sun 22:00-04:00 UTC");
    assert_eq!(
        (&json["max_concurrent"], &json["keep_healthy"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn the_nearest_value_of_a_variable_wins() {
    let named = |names: &[&str]| -> BTreeMap<String, String> {
        let value = |name: &&str| ((*name).to_owned(), format!("by-{}", names.len()));
        names.iter().map(value).collect()
    };
    // Given on the command line, in the file, in the environment, or not at all.
    let (vars, env) = (named(&["A"]), named(&["A", "B", "C"]));
    let text = "version: 1\nname: a\nvars: { A: file, B: file }\nstack: { process: { services: { a: { command: [\"${A:-else}\", \"${B:-else}\", \"${C:-else}\", \"${D:-else}\", $$A] } } } }\n";
    let inputs = Inputs {
        path: Path::new("a.yaml"),
        text,
        vars: &vars,
        env: &env,
        seed: None,
    };
    let plan = scenario::load(&inputs, &supports).expect("valid").plan;
    let StackSpec::Process(stack) = plan.stack else {
        panic!("a process stack")
    };
    let command: Vec<String> = stack.services["a"]
        .command
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(command, ["by-1", "file", "by-3", "else", "$$A"]);
}

#[test]
fn a_plan_holds_no_secret() {
    for (path, text) in files("tests/scenarios/valid") {
        let plan = load(&path, &text).expect("a valid scenario").plan;
        let json = serde_json::to_string(&plan).expect("a plan is JSON");
        assert!(!json.contains("hush"), "{}", path.display());
        assert_eq!(
            json.contains("${env:DRILL_PASSWORD}"),
            text.contains("${env:DRILL_PASSWORD}")
        );
    }
}

#[test]
fn doubts_are_warned_of() {
    let _settings = beside("tests/scenarios/doubtful");
    for (path, text) in files("tests/scenarios/doubtful") {
        let checked = load(&path, &text).expect("a valid scenario");
        let name = path.display().to_string();
        insta::assert_snapshot!(
            stem(&path),
            scenario::render(&name, &text, &checked.warnings, scenario::Colour::Off)
        );
    }
}

#[test]
fn invalid_files_are_refused_with_their_messages() {
    let _settings = beside("tests/scenarios/invalid");
    for (path, text) in files("tests/scenarios/invalid") {
        match load(&path, &text) {
            Ok(_) => panic!("{} is accepted", path.display()),
            Err(problems) => insta::assert_snapshot!(stem(&path), problems.to_string()),
        }
    }
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/scenario-v1.json");
    let committed = std::fs::read_to_string(path).expect("the schema is committed");
    let current = serde_json::to_string_pretty(&scenario::json_schema()).expect("a schema is JSON");
    assert!(
        committed.trim_end() == current,
        "out of date: firedrill schema > docs/schemas/scenario-v1.json"
    );
}

#[test]
fn a_seed_is_drawn_where_none_is_set() {
    let (path, text) = (
        Path::new("nothing.yaml"),
        "version: 1\nname: a\nstack: { process: { services: { a: { command: [b] } } } }\n",
    );
    let none = BTreeMap::new();
    let drawn: BTreeSet<u64> = (0..3)
        .map(|_| {
            let inputs = Inputs {
                path,
                text,
                vars: &none,
                env: &none,
                seed: None,
            };
            scenario::load(&inputs, &supports).expect("valid").plan.seed
        })
        .collect();
    assert!(drawn.len() > 1, "always {drawn:?}");
}

/// A change to a text: bytes from `start`, so many of them, replaced.
fn edit(text: &str, start: prop::sample::Index, length: usize, with: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let start = start.index(bytes.len());
    let end = (start + length).min(bytes.len());
    bytes.splice(start..end, with.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #[test]
    fn no_edit_of_a_valid_file_panics(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[ -~\n\té]{0,12}"), 1..4),
    ) {
        let files = files("tests/scenarios/valid");
        let (path, text) = which.get(&files);
        let text = edits.into_iter().fold(text.clone(), |text, (start, length, with)| edit(&text, start, length, &with));
        if let Err(problems) = load(path, &text) {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            let rendered = problems.to_string();
            prop_assert!(rendered.contains(&format!("{name}:")), "no place in {rendered}");
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        load(Path::new("any.yaml"), &text).err();
    }
}

#[test]
fn depth_is_refused_not_overflown() {
    for text in [
        "[".repeat(100_000),
        "a: {".repeat(50_000),
        "- ".repeat(50_000),
    ] {
        assert!(load(Path::new("deep.yaml"), &text).is_err());
    }
}
