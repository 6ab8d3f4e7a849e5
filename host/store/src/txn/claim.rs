//! Handing out due tasks.

use std::sync::Arc;

use bulkhead_core::id::TaskId;
use bulkhead_core::machine::{self, TaskCommand};
use bulkhead_core::plan::Plan;
use bulkhead_engine::store::{ClaimRequest, Claimed, Claims};

use super::{Txn, text};
use crate::agenda::Place;
use crate::keys;
use crate::kv::{self, Fault, Tx};

/// What one look at a step with due tasks gave.
enum Share {
    /// Some of them.
    Given,
    /// None: the memory that is free does not suffice.
    WantsMemory,
    /// None: the worker's whole memory does not suffice.
    TooLarge,
}

impl Txn<'_> {
    /// Hands out due tasks: by priority, then by due time over all runs. Ends at the first task whose memory limit does not fit,
    /// so that small tasks don't starve a large one for ever; what could never fit is passed over.
    pub(crate) fn claim(&mut self, request: ClaimRequest) -> Tx<Claims> {
        self.check_worker(request.worker)?;
        let mut claims = Claims::default();
        let mut memory = request.memory;
        if self.claim_summoned(&request, &mut memory, &mut claims)? {
            claims.wants_memory = true;
            return Ok(claims);
        }
        self.refresh_agenda()?;
        let mut place = self.state.agenda.first(None);
        while let Some(first) = place {
            if first.due > self.now {
                claims.next_due = Some(claims.next_due.map_or(first.due, |due| due.min(first.due)));
                place = self.state.agenda.first(Some(first));
                continue;
            }
            if claims.tasks.len() >= request.slots {
                claims.next_due = None;
                break;
            }
            let share = self.claim_from(first, &request, &mut memory, &mut claims)?;
            self.refresh_step(first.run, first.step)?;
            place = match share {
                // What was the first place may have moved: the same priority is looked at again, from its start.
                Share::Given => self.state.agenda.first_from(first),
                Share::TooLarge => self.state.agenda.after(first),
                Share::WantsMemory => {
                    claims.wants_memory = true;
                    claims.next_due = None;
                    break;
                }
            };
        }
        Ok(claims)
    }

    /// Hands out tasks that wait out of turn; whether one was left because its memory limit did not fit.
    fn claim_summoned(&mut self, request: &ClaimRequest, memory: &mut u64, claims: &mut Claims) -> Tx<bool> {
        // Nearly always there is none, and looking costs nothing then.
        for id in self.state.summoned.iter().copied().collect::<Vec<_>>() {
            if claims.tasks.len() >= request.slots {
                break;
            }
            self.load_task(id)?;
            let entry = self.run(id.run)?;
            let wanted = entry.plan.step(id.step).limits.memory;
            if wanted > request.budget || !entry.run.may_start_summoned(id.step, &entry.plan) {
                continue;
            }
            if wanted > *memory {
                return Ok(true);
            }
            *memory -= wanted;
            let (plan, parameters) = (entry.plan.clone(), entry.parameters.clone());
            self.leave_queue(id)?;
            let claimed = self.claimed(id, request, plan, parameters)?;
            claims.tasks.push(claimed);
        }
        Ok(false)
    }

    /// Gives one task to a worker, with all that its attempt needs.
    fn claimed(&mut self, id: TaskId, request: &ClaimRequest, plan: Arc<Plan>, parameters: Arc<str>) -> Tx<Claimed> {
        let attempt = self.claim_task(id, request)?;
        let input = self.input(id)?;
        Ok(Claimed { task: id, attempt, plan, key: Arc::from(&*self.task(id)?.key), input, parameters })
    }

    /// Claims from one step what is due before the next step's first task.
    fn claim_from(&mut self, first: Place, request: &ClaimRequest, memory: &mut u64, claims: &mut Claims) -> Tx<Share> {
        let (run_id, step_id) = (first.run, first.step);
        self.load_run(run_id)?;
        let entry = self.run(run_id)?;
        let (plan, parameters) = (entry.plan.clone(), entry.parameters.clone());
        let step = plan.step(step_id);
        if step.limits.memory > request.budget {
            return Ok(Share::TooLarge);
        }
        let mut room = request.slots - claims.tasks.len();
        if let Some(most) = step.concurrency {
            room = room.min((most - entry.run.step(step_id).tasks.running) as usize);
        }
        let fit = memory.checked_div(step.limits.memory).map_or(room, |fit| usize::try_from(fit).unwrap_or(usize::MAX));
        if fit == 0 {
            return Ok(Share::WantsMemory);
        }
        let until = self.state.agenda.next_due(first).map_or(self.now, |due| due.min(self.now));
        let tasks = self.take_ready(run_id, step_id, until, room.min(fit))?;
        if tasks.is_empty() {
            return Err(Fault::Corrupt(format!("step {} of {run_id} has no task that is due", step_id.0)));
        }
        for &index in &tasks {
            let id = TaskId::new(run_id, step_id, index);
            let claimed = self.claimed(id, request, plan.clone(), parameters.clone())?;
            claims.tasks.push(claimed);
        }
        *memory -= step.limits.memory * tasks.len() as u64;
        Ok(Share::Given)
    }

    /// Gives one task to a worker; its new attempt. Nothing follows from a claim by itself, so nobody asks.
    fn claim_task(&mut self, id: TaskId, request: &ClaimRequest) -> Tx<u32> {
        self.load_task(id)?;
        let entry = self.run(id.run)?;
        let command = TaskCommand::Claim { worker: request.worker };
        let events = machine::decide_task(&entry.run, &entry.plan, self.task(id)?, command, self.now)
            .map_err(|rejected| Fault::Corrupt(format!("{id} is ready but can't be claimed: {rejected}")))?;
        for event in events {
            self.apply(id.run, Some(id), event)?;
        }
        Ok(self.task(id)?.attempt)
    }

    fn input(&self, id: TaskId) -> Tx<Arc<str>> {
        match kv::bytes(self.kv, &keys::input(id))? {
            Some(bytes) => text(bytes),
            None => Ok(Arc::from("")),
        }
    }
}
