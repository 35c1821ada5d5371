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
    let _allowed = go();
}

/// Whether the generator's threads would go first here, and why not otherwise: tried out in a thread that ends at once.
///
/// # Errors
/// Why not.
pub fn may_go_first() -> Result<(), String> {
    let tried = thread::spawn(go).join();
    tried.unwrap_or_else(|_| Err("a thread could not be tried out".to_owned()))
}

fn go() -> Result<(), String> {
    if thread::available_parallelism().is_ok_and(|cpus| cpus == NonZeroUsize::MIN) {
        return Err("this machine has one CPU, which the system under test needs too".to_owned());
    }
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin),
    )
    .map_err(|e| e.to_string())
}
