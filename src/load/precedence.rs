//! The generator's threads before others of this machine.

use std::num::NonZeroUsize;
use std::thread;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Runs the calling thread at the lowest real-time priority (sched(7), `SCHED_RR`), where firedrill is allowed to
/// (`CAP_SYS_NICE`): the system under test often shares the machine, and a generator that waits for its own victim's CPU
/// is late. Niceness would not do: it counts only against threads of the same session and control group.
///
/// Without the right all stays as it is, and so it does on a machine of one CPU, which the generator could take from the
/// system under test altogether. Lateness is seen and judged as ever.
pub(super) fn go_first() {
    if thread::available_parallelism().is_ok_and(|cpus| cpus > NonZeroUsize::MIN) {
        let _allowed = set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Min,
            ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin),
        );
    }
}
