//! Watches whether the machine has CPU time left: a starved test bed must not be taken for a slow system.

use std::path::Path;

use tokio::time::sleep_until;

use crate::timeline::clock::Clock;
use crate::timeline::event::{Event, Level};

/// Pressure stall information of the CPU (kernel documentation, `accounting/psi`).
const PRESSURE: &str = "/proc/pressure/cpu";
/// Load averages (`proc(5)`).
const LOAD: &str = "/proc/loadavg";

/// Length of a slice. Slices begin at whole seconds since the run's zero.
const SLICE_US: i64 = 1_000_000;

/// Growth of the stalled time that makes a slice suspect.
const STARVED_US: i64 = 900_000;

/// Reports every one-second slice in which some task waited for a CPU for more than 900 ms, as [`Event::Starved`].
/// A kernel without pressure stall information is one note, and the end of the watch. Cancel it by dropping it.
pub async fn watch_pressure(clock: Clock, report: impl Fn(Event)) {
    let load = || first_of(&std::fs::read_to_string(LOAD).ok()?);
    watch(Path::new(PRESSURE), load, clock, report).await;
}

async fn watch(file: &Path, load: impl Fn() -> Option<f64>, clock: Clock, report: impl Fn(Event)) {
    let mut before: Option<Reading> = None;
    loop {
        let boundary = (clock.now_us().div_euclid(SLICE_US) + 1) * SLICE_US;
        sleep_until(clock.instant(boundary)).await;
        let reading = match read(file) {
            Ok(stalled_us) => Reading {
                slice: boundary / SLICE_US,
                stalled_us,
            },
            Err(why) => {
                report(Event::Note {
                    level: Level::Warning,
                    text: format!("whether this machine is short of CPU time is not known: {why}"),
                });
                return;
            }
        };
        if let Some(before) = before {
            for event in before.starved_until(reading, &load) {
                report(event);
            }
        }
        before = Some(reading);
    }
}

/// Stalled time so far, read at the beginning of a slice.
#[derive(Debug, Clone, Copy)]
struct Reading {
    slice: i64,
    stalled_us: i64,
}

impl Reading {
    /// The starved slices between two readings. Where the watch itself was held up and slept through several,
    /// it cannot tell which of them: all are.
    fn starved_until(
        self,
        next: Self,
        load: impl Fn() -> Option<f64>,
    ) -> impl Iterator<Item = Event> {
        let grown = next.stalled_us - self.stalled_us;
        let load = (grown > STARVED_US).then(load).flatten();
        let slices = (grown > STARVED_US).then_some(self.slice..next.slice);
        slices
            .into_iter()
            .flatten()
            .map(move |slice| Event::Starved {
                from_us: slice * SLICE_US,
                stalled_us: grown,
                load,
            })
    }
}

/// The average of the last minute.
fn first_of(loads: &str) -> Option<f64> {
    loads.split(' ').next()?.parse().ok()
}

/// The total of the `some` line, in µs.
fn read(file: &Path) -> Result<i64, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    some_total(&text).ok_or_else(|| format!("{}: no `some … total=`", file.display()))
}

fn some_total(text: &str) -> Option<i64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ')
        .find_map(|field| field.strip_prefix("total="))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn write(file: &Path, total: i64) {
        let text = format!(
            "some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
        );
        fs::write(file, text).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn starved_seconds_are_told_with_their_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cpu");
        let clock = Clock::start();
        let seen = RefCell::new(Vec::new());
        write(&file, 7_000_000);
        let load = || first_of("2.50 1.25 0.80 3/570 14523");
        let watching = watch(&file, load, clock, |event| seen.borrow_mut().push(event));
        tokio::pin!(watching);
        let mut total = 7_000_000;
        // Each growth is written half a second before the boundary that ends its slice.
        for (second, growth) in [(1, 0), (2, 900_000), (3, 900_001), (4, 10)] {
            let before = clock.instant(second * SLICE_US - SLICE_US / 2);
            let _ = tokio::time::timeout_at(before, &mut watching).await;
            total += growth;
            write(&file, total);
        }
        let _ = timeout(Duration::from_millis(600), &mut watching).await;
        assert_eq!(
            *seen.borrow(),
            [Event::Starved {
                from_us: 2_000_000,
                stalled_us: 900_001,
                load: Some(2.5),
            }]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_kernel_without_it_is_one_note() {
        let seen = RefCell::new(Vec::new());
        let nowhere = Path::new("/nowhere/cpu");
        watch(
            nowhere,
            || None,
            Clock::start(),
            |event| seen.borrow_mut().push(event),
        )
        .await;
        assert!(
            matches!(seen.borrow().as_slice(), [Event::Note { text, .. }] if text.contains("/nowhere/cpu"))
        );
    }

    #[test]
    fn slices_slept_through_are_all_suspect() {
        let at = |slice, stalled_us| Reading { slice, stalled_us };
        let from: Vec<_> = at(3, 0)
            .starved_until(at(6, 1_000_000), || None)
            .map(|e| matches!(e, Event::Starved { from_us, .. } if from_us % SLICE_US == 0))
            .collect();
        assert_eq!(from, [true, true, true]);
        assert_eq!(at(3, 0).starved_until(at(6, 10), || None).count(), 0);
    }
}
