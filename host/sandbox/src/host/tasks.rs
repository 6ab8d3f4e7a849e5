//! `tasks`: more work for the step, checked here, durable when the call returns.

use bulkhead_engine::store::TaskSpec;

use super::{Refusal, refusal};
use crate::bindings::bulkhead::plugin::tasks;
use crate::json;
use crate::limits::{MAX_IGNORED_REFUSALS, MAX_KEY_LEN, MAX_SPAWNED_PER_CALL};
use crate::outcome::Stop;
use crate::state::State;

impl tasks::Host for State {
    async fn spawn(&mut self, specs: Vec<tasks::TaskSpec>) -> wasmtime::Result<Result<tasks::Spawned, tasks::SpawnError>> {
        self.count_call()?;
        let Some(host) = &self.host else {
            return Ok(Err(tasks::SpawnError::Invalid("`describe` spawns nothing".into())));
        };
        let specs = match checked(specs) {
            Ok(specs) => specs,
            Err(problem) => return Ok(Err(tasks::SpawnError::Invalid(problem))),
        };
        let error = match host.spawn(specs).await {
            Ok(spawned) => return Ok(Ok(tasks::Spawned { created: spawned.created, existing: spawned.existing })),
            Err(error) => error,
        };
        Ok(Err(match refusal(error)? {
            Refusal::Cancelled => tasks::SpawnError::Cancelled,
            Refusal::Unavailable(reason) => tasks::SpawnError::Unavailable(reason),
            Refusal::SpawnQuota(limit) => {
                self.spawn_refusals += 1;
                if self.spawn_refusals > MAX_IGNORED_REFUSALS {
                    return Err(Stop::Spawns.into());
                }
                tasks::SpawnError::Quota(limit)
            }
        }))
    }
}

fn checked(specs: Vec<tasks::TaskSpec>) -> Result<Vec<TaskSpec>, String> {
    if specs.len() > MAX_SPAWNED_PER_CALL {
        return Err(format!("{} tasks in one call; {MAX_SPAWNED_PER_CALL} are the most", specs.len()));
    }
    specs
        .into_iter()
        .enumerate()
        .map(|(number, spec)| {
            if spec.key.is_empty() || spec.key.len() > MAX_KEY_LEN {
                return Err(format!("task {number}: its key has {} bytes; 1 to {MAX_KEY_LEN} are allowed", spec.key.len()));
            }
            json::check(&spec.input).map_err(|error| format!("task {number} (`{}`): its input is no JSON: {error}", spec.key))?;
            Ok(TaskSpec { key: spec.key.into(), input: spec.input.into() })
        })
        .collect()
}
