//! The text that exporters serve: samples or the first wrong line, and the text twice over is the same samples twice.
#![no_main]

use firedrill::observe::exposition::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(samples) => {
            assert!(samples.len() <= text.lines().count());
            assert!(samples.iter().all(|s| !s.name.is_empty()));
            let twice = parse(&format!("{text}\n{text}")).expect("what could be read once");
            assert_eq!(twice.len(), 2 * samples.len());
        }
        Err(error) => assert!(error.to_string().starts_with("line ")),
    }
});
