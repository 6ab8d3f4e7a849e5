//! The exit codes: what a script can tell from a call without reading its output. `bulkhead --help` repeats them.

use bulkhead_api::model::RunStatus;

/// Everything that was asked for was done; the run succeeded.
pub(crate) const SUCCEEDED: u8 = 0;
/// The run failed; or `doctor` found differences.
pub(crate) const FAILED: u8 = 1;
/// The call is wrong: its arguments, its parameters, or the definition that it names.
pub(crate) const USAGE: u8 = 2;
/// The run was cancelled.
pub(crate) const CANCELLED: u8 = 3;
/// The server can't be reached, or went away for too long.
pub(crate) const UNREACHABLE: u8 = 4;
/// The server, or the store, refused: nothing there of that name, no right to it, or a state that forbids it.
pub(crate) const REFUSED: u8 = 5;
/// Bulkhead itself could not go on: the data directory, the disk, the address to listen on.
pub(crate) const BROKEN: u8 = 70;
/// A second Ctrl-C or SIGTERM stopped it at once (128 + SIGINT, as shells count).
pub(crate) const INTERRUPTED: u8 = 130;

/// The code for a call that waited for a run to end.
pub(crate) fn of_run(status: RunStatus) -> u8 {
    match status {
        RunStatus::Succeeded => SUCCEEDED,
        RunStatus::Failed => FAILED,
        RunStatus::Cancelled => CANCELLED,
        // The run was left before its end.
        RunStatus::Queued | RunStatus::Running | RunStatus::Paused => INTERRUPTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_code_of_its_own() {
        let codes = [SUCCEEDED, FAILED, USAGE, CANCELLED, UNREACHABLE, REFUSED, BROKEN, INTERRUPTED];
        let distinct: std::collections::HashSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
    }
}
