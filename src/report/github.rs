//! Annotations of a GitHub Actions log (workflow commands `::error` and `::warning`).

use crate::judge::result::Judgement;
use crate::judge::verdict::Verdict;

use super::text::{summary, unmet, verdict_line};
use crate::judge::wording;

/// One annotation for each objective that is not met, one for every other reason, then the verdict.
#[must_use]
pub fn github(judgement: &Judgement) -> String {
    let mut text = String::new();
    for o in unmet(judgement) {
        let detail = o.evidence.first().map_or("", String::as_str);
        let message = format!(
            "{}: observed {}, limit {}. {detail}",
            wording::name(o),
            wording::observed(o),
            wording::limit(o)
        );
        text.push_str(&command(o.verdict, &judgement.scenario, message.trim_end()));
    }
    for reason in &judgement.reasons {
        if reason.code != "objective_missed" && reason.code != "objective_open" {
            text.push_str(&command(
                judgement.verdict,
                &judgement.scenario,
                &reason.message,
            ));
        }
    }
    if judgement.verdict == Verdict::Pass {
        let message = format!("PASS: {}", summary(judgement));
        text.push_str(&command(Verdict::Pass, &judgement.scenario, &message));
    }
    text.push_str(&verdict_line(judgement));
    text.push('\n');
    text
}

fn command(verdict: Verdict, title: &str, message: &str) -> String {
    let level = match verdict {
        Verdict::Pass => "notice",
        Verdict::Inconclusive => "warning",
        Verdict::Fail | Verdict::LeftBroken => "error",
    };
    format!(
        "::{level} title={}::{}\n",
        escaped(title).replace(':', "%3A").replace(',', "%2C"),
        escaped(message)
    )
}

/// The escapes of GitHub's runner (`actions/toolkit`, `command.ts`).
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}
