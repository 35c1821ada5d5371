//! `junit.xml`: each objective is a test case, and so is everything else that decided the verdict.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::judge::result::{Judgement, ObjectiveResult};
use crate::judge::verdict::Verdict;

use crate::judge::wording;

/// The judgement as JUnit XML. A miss is a failure, what is inconclusive an error, so that neither is green.
///
/// # Errors
/// What the XML writer objects to.
pub fn junit(judgement: &Judgement) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(judgement.scenario.as_str());
    suite.add_test_cases(judgement.objectives.iter().map(objective));
    suite.add_test_case(run(judgement));
    let mut report = Report::new("firedrill");
    report.add_test_suite(suite);
    report.to_string()
}

fn objective(o: &ObjectiveResult) -> TestCase {
    let figures = format!(
        "observed {}, limit {}",
        wording::observed(o),
        wording::limit(o)
    );
    let mut case = TestCase::new(wording::name(o), status(o.verdict, &figures, &o.objective));
    case.set_classname(o.objective.as_str());
    case.set_system_out(format!("{figures}\n{}", o.evidence.join("\n")));
    case
}

/// The run as a whole: its own validity, and whether everything was put back.
fn run(judgement: &Judgement) -> TestCase {
    let message = judgement
        .reasons
        .first()
        .map_or("every objective was met", |r| r.message.as_str());
    let code = judgement
        .reasons
        .first()
        .map_or("pass", |r| r.code.as_str());
    let mut case = TestCase::new("the run", status(judgement.verdict, message, code));
    case.set_classname("verdict");
    let all: Vec<&str> = judgement
        .reasons
        .iter()
        .map(|r| r.message.as_str())
        .collect();
    case.set_system_out(all.join("\n"));
    case
}

fn status(verdict: Verdict, message: &str, code: &str) -> TestCaseStatus {
    let kind = match verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        Verdict::Inconclusive => NonSuccessKind::Error,
        Verdict::Fail | Verdict::LeftBroken => NonSuccessKind::Failure,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_type(code);
    status
}
