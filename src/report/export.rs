//! Every request as CSV, so that any figure can be recomputed by other means.

use std::io::Write;
use std::path::Path;

use crate::scenario::plan::Plan;
use crate::timeline::Recording;

use super::ReportError;

/// Writes a header and a line for each request that became due: times in µs since the run's zero, `sent_us` empty
/// where it was never sent, `good` as `true` or `false`, `first_outcome` and `first_done_us` those of its first try, also
/// where that was the only one.
///
/// # Errors
/// [`ReportError::Write`] where `out` refuses.
pub fn export(recording: &Recording, plan: &Plan, out: &mut dyn Write) -> Result<(), ReportError> {
    let refused = |e: csv::Error| ReportError::write(Path::new("the export"), e.into());
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "n",
        "journey",
        "request",
        "user",
        "due_us",
        "sent_us",
        "done_us",
        "outcome",
        "good",
        "status",
        "instance",
        "version",
        "tries",
        "first_outcome",
        "first_done_us",
    ])
    .map_err(refused)?;
    let traffic = plan.traffic();
    let journeys = traffic.iter().flat_map(|t| t.journeys().map(|(_, j)| j));
    let journeys: Vec<_> = journeys.collect();
    for r in &recording.requests {
        let journey = journeys.get(usize::from(r.journey));
        let (first_outcome, first_done_us) = r.first_try();
        csv.write_record([
            r.n.to_string().as_str(),
            journey.map_or("", |j| j.name.as_str()),
            &r.request.to_string(),
            &r.user.to_string(),
            &r.due_us.to_string(),
            &r.sent_us.map_or_else(String::new, |us| us.to_string()),
            &r.done_us.to_string(),
            r.outcome.name(),
            if r.good { "true" } else { "false" },
            &r.status.to_string(),
            recording.instances.get(r.instance).unwrap_or(""),
            recording.versions.get(r.version).unwrap_or(""),
            &r.tries().to_string(),
            first_outcome.name(),
            &first_done_us.to_string(),
        ])
        .map_err(refused)?;
    }
    csv.flush()
        .map_err(|e| ReportError::write(Path::new("the export"), e))
}
