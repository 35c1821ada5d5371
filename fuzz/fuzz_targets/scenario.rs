//! A scenario file, from its text to the plan: whatever it says, it is a plan that reads back as itself, or problems that
//! can be shown.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use firedrill::scenario::{self, Colour, Inputs, Plan, render};
use firedrill::stack;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    // A scenario may name files, and some of these never end.
    if text.contains("/dev") || text.contains("/proc") || text.contains("/sys") {
        return Corpus::Reject;
    }
    let vars = BTreeMap::new();
    let env = BTreeMap::from([("DRILL_PASSWORD".to_owned(), "hunter2".to_owned())]);
    let path = Path::new("/nowhere/fuzzed.yaml");
    let inputs = Inputs {
        path,
        text,
        vars: &vars,
        env: &env,
        seed: Some(7),
    };
    match scenario::load(&inputs, &stack::supports) {
        Ok(checked) => {
            render("fuzzed.yaml", text, &checked.warnings, Colour::Off);
            let written = serde_json::to_string(&checked.plan).expect("a plan can be written");
            let read: Plan = serde_json::from_str(&written).expect("a plan reads back");
            assert_eq!(read, checked.plan);
        }
        Err(problems) => {
            assert!(!problems.list.is_empty(), "refused without a reason");
            problems.render(Colour::Off);
        }
    }
    Corpus::Keep
});
