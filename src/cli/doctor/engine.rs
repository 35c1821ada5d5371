//! What an engine and a Compose command line mean for a drill.

use super::finding::{Finding, Level};
use super::{Needs, host};
use crate::stack::Checkup;

/// Beyond it the engine's clock is worth a word: effects are stamped with it.
const SKEW_US: i64 = 100_000;

pub(super) fn findings(checkup: &Checkup, needs: &Needs<'_>) -> Vec<Finding> {
    let at = checkup.endpoint.as_deref().unwrap_or("nowhere");
    let mut findings = Vec::new();
    match &checkup.engine {
        Ok(engine) => {
            findings.push(
                Finding::new(
                    "engine",
                    Level::Ok,
                    format!("Docker {} at {at}, API {}", engine.version, engine.api),
                    "every action on containers can be made",
                )
                .needed(needs.engine()),
            );
            let skew_us = engine.skew_ns / 1000;
            let (level, means) = if skew_us.abs() > SKEW_US {
                (
                    Level::Warn,
                    "times of effects are put right by it; figures smaller than what is left of it are in doubt: run NTP on both machines",
                )
            } else {
                (Level::Ok, "times of effects are ours")
            };
            findings.push(Finding::new(
                "engine clock",
                level,
                format!("{} off ours", host::milliseconds(skew_us)),
                means,
            ));
        }
        Err(why) => findings.push(
            Finding::new(
                "engine",
                Level::Missing,
                why.clone(),
                "no stack of containers can be stood up, broken or mended; process stacks need none",
            )
            .needed(needs.engine()),
        ),
    }
    findings.push(compose(checkup, needs));
    findings
}

fn compose(checkup: &Checkup, needs: &Needs<'_>) -> Finding {
    let all: Vec<String> = checkup
        .compose
        .iter()
        .map(|(command, version)| format!("{command} {version}"))
        .collect();
    let finding = match checkup.compose.first() {
        Some((taken, _)) => Finding::new(
            "compose",
            Level::Ok,
            all.join(", "),
            format!("`{taken}` stands stacks up"),
        ),
        None => Finding::new(
            "compose",
            Level::Missing,
            "neither `docker compose` nor `docker-compose` can be run",
            "no Compose stack and no machines of a Swarm can be stood up; a stack that stands already can be adopted",
        ),
    };
    finding.needed(needs.compose())
}
