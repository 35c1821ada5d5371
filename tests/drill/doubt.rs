//! What a result says of the machine that it was made on.

use serde_json::Value;

/// Whether an objective was left open for want of the machine's CPU time, and for nothing else: its requests are in doubt,
/// or what it is about fell ill of a starved second.
pub(crate) fn is_the_machines(objective: &Value) -> bool {
    let starved = || {
        let evidence = objective["evidence"].as_array();
        let mut said = evidence.into_iter().flatten().filter_map(Value::as_str);
        said.any(|why| why.contains("starved of CPU"))
    };
    objective["verdict"] == "inconclusive" && (!objective["doubt"].is_null() || starved())
}

/// How much of a run is in doubt, µs.
pub(crate) fn suspect_us(result: &Value) -> i64 {
    let slices = result["load"]["suspect_slices"].as_array();
    let us = |slice: &Value| Some(slice["to_us"].as_i64()? - slice["from_us"].as_i64()?);
    slices.into_iter().flatten().filter_map(us).sum()
}
