//! What this machine has.

use std::path::PathBuf;

use crate::error::{CliError, CliResult};

/// What is assumed where the machine does not say.
const ASSUMED: u64 = 2 << 30;

/// The memory that this process may use, in bytes: the machine's, or its control group's if that is less.
pub(crate) fn memory() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| mem_total(&text)).unwrap_or(ASSUMED);
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    machine.min(group)
}

/// This program, also after its file was replaced by another version.
pub(crate) fn this_program() -> CliResult<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().map_err(|error| CliError::broken(format!("this program's own file: {error}")))
}

/// `MemTotal` of /proc/meminfo, in bytes.
fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_kibibytes() {
        assert_eq!(mem_total("MemTotal:       24633112 kB\nMemFree: 1 kB\n"), Some(24_633_112 * 1024));
        assert_eq!(mem_total("nothing"), None);
    }
}
