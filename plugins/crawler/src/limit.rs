//! Spawning under a limit: as many tasks as the step may still have, in order.
//!
//! The host counts a step's tasks in the transaction that creates them and refuses a call as a whole that would pass the limit.
//! That is the only count that independent tasks can share, and so `max_pages` is this limit. A refused call is halved until
//! what fits is in; keys that the step has already cost nothing and are never refused.

use bulkhead_plugin::prelude::*;

/// What became of a list of tasks.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Filled {
    /// Tasks that are new.
    pub(crate) created: u64,
    /// Tasks at the list's end that did not fit. Some of them may exist already.
    pub(crate) left_out: usize,
}

/// Spawns as many of the first tasks as fit.
pub(crate) fn fill<T>(tasks: &[T], spawn: &mut impl FnMut(&[T]) -> Result<Spawned, SpawnError>) -> Result<Filled, SpawnError> {
    if tasks.is_empty() {
        return Ok(Filled::default());
    }
    match spawn(tasks) {
        Ok(spawned) => Ok(Filled { created: spawned.created, left_out: 0 }),
        Err(SpawnError::Quota { .. }) if tasks.len() == 1 => Ok(Filled { created: 0, left_out: 1 }),
        Err(SpawnError::Quota { .. }) => {
            let (first, second) = tasks.split_at(tasks.len() / 2);
            let filled = fill(first, spawn)?;
            if filled.left_out > 0 {
                return Ok(Filled { left_out: filled.left_out + second.len(), ..filled });
            }
            let rest = fill(second, spawn)?;
            Ok(Filled { created: filled.created + rest.created, left_out: rest.left_out })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A step that takes `limit` tasks; the calls that it refused.
    fn fill_up(has: &[u32], limit: usize, tasks: &[u32]) -> (Filled, Vec<u32>, usize) {
        let mut all: HashSet<u32> = has.iter().copied().collect();
        let (mut order, mut refused) = (Vec::new(), 0);
        let filled = fill(tasks, &mut |tasks: &[u32]| {
            let new: Vec<_> = tasks.iter().copied().filter(|task| !all.contains(task)).collect();
            if all.len() + new.len() > limit {
                refused += 1;
                return Err(SpawnError::Quota { limit: u32::try_from(limit).unwrap() });
            }
            all.extend(&new);
            order.extend(&new);
            Ok(Spawned { created: new.len() as u64, existing: (tasks.len() - new.len()) as u64 })
        });
        (filled.unwrap(), order, refused)
    }

    #[test]
    fn exactly_the_first_that_fit_are_taken() {
        let tasks: Vec<u32> = (0..1_000).collect();
        for limit in [0, 1, 2, 3, 499, 500, 501, 998, 999, 1_000, 2_000] {
            let (filled, order, refused) = fill_up(&[], limit, &tasks);
            let fits = limit.min(1_000);
            assert_eq!(order, tasks[..fits], "{limit}");
            assert_eq!(filled, Filled { created: fits as u64, left_out: 1_000 - fits }, "{limit}");
            assert!(refused <= 20, "{refused} refusals at {limit}");
        }
    }

    #[test]
    fn what_exists_fits_always() {
        let (filled, order, _) = fill_up(&[1, 2, 3], 4, &[1, 2, 9, 3]);
        assert_eq!((filled, order), (Filled { created: 1, left_out: 0 }, vec![9]));
        let (filled, _, refused) = fill_up(&[1, 2, 3], 3, &[3, 2, 1]);
        assert_eq!((filled, refused), (Filled::default(), 0));
    }

    #[test]
    fn other_errors_end_it() {
        let result = fill(&[1, 2], &mut |_: &[i32]| Err(SpawnError::Cancelled));
        assert!(matches!(result, Err(SpawnError::Cancelled)));
    }
}
