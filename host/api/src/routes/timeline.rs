//! When everything of a run happened: a bounded look, however many tasks there are.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use bulkhead_core::id::{RunId, StepIndex};
use bulkhead_core::run::Step;
use bulkhead_core::task::{AttemptEnd, Task, TaskState};
use bulkhead_core::time::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::json;
use super::tasks::step_named;
use crate::extract::{Path, Query, limit};
use crate::model::{StepTimeline, Timeline, TimelineAttempt};
use crate::problem::ApiResult;
use crate::state::ApiState;

/// The parts of a run's time that attempts are counted in.
const PARTS: usize = 100;
/// The tasks that are looked at: of all steps together, and of each.
const LOOKS: usize = 20_000;
const LOOKS_PER_STEP: std::ops::RangeInclusive<usize> = 100..=2_000;

/// Which attempts of a step to name where there are more than asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Which {
    /// Those that began last.
    #[default]
    Newest,
    /// Those that took longest.
    Longest,
    /// Those that failed, the newest.
    Failed,
}

/// What to tell of a timeline.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// Of the step with this name; of all where absent.
    step: Option<String>,
    /// `newest`, `longest` or `failed` attempts of each step; the newest where absent.
    #[param(value_type = Option<String>, example = "longest")]
    which: Which,
    /// How many attempts of each step, 1 to 1,000; 100 where absent.
    limit: Option<usize>,
}

/// Get a run's timeline
///
/// When its attempts began and ended, and how many were at work at once. Of a step with very many tasks a part of them stands for
/// all, so this costs about the same for ten tasks and for a million.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/timeline", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), TimelineQuery), responses((status = OK, body = Timeline))
)]
pub(crate) async fn get(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<TimelineQuery>,
) -> ApiResult<Response> {
    let most = limit(query.limit, 100, 1_000)?;
    let view = state.store.run(id).await?;
    let only = query.step.map(|name| step_named(&view.plan, &name)).transpose()?;
    let steps: Vec<_> =
        (0..).map(StepIndex).zip(&view.run.steps).filter(|(index, _)| only.is_none_or(|only| only == *index)).collect();
    let looks = (LOOKS / steps.len().max(1)).clamp(*LOOKS_PER_STEP.start(), *LOOKS_PER_STEP.end());
    // Read first: what begins after it is found by its number, and counted once all the same.
    let mut running: BTreeMap<StepIndex, Vec<Task>> = BTreeMap::new();
    for task in state.store.running_tasks(id).await? {
        running.entry(task.id.step).or_default().push(task);
    }
    let mut looked = Vec::with_capacity(steps.len());
    for (index, step) in steps {
        let running = running.remove(&index).unwrap_or_default();
        let (sample, latest) = numbers(step, &running, looks, most);
        let sampled = sample.len();
        let read = state.store.tasks_numbered(id, index, sample.iter().chain(&latest).copied().collect()).await?;
        let mut tasks: BTreeMap<u32, (Task, bool)> = BTreeMap::new();
        for (at, task) in read.into_iter().enumerate() {
            // A task may be in the sample and among the latest.
            tasks.entry(task.id.index).or_insert((task, at < sampled));
        }
        for task in running {
            tasks.entry(task.id.index).or_insert((task, false));
        }
        looked.push(Looked { index, step, sampled, tasks });
    }
    let begins = looked.iter().flat_map(|step| step.spans().map(|span| span.from).chain(step.step.started_at));
    let from = begins.min().or(view.run.started_at).unwrap_or(view.run.created_at);
    let to = view.run.ended_at.unwrap_or_else(|| state.store.now()).max(from);
    let axis = Axis { from, to };
    let timeline = |looked: &Looked<'_>| looked.timeline(view.plan.step(looked.index).name.as_str(), &axis, query.which, most);
    Ok(json(&Timeline { from: from.into(), to: to.into(), steps: looked.iter().map(timeline).collect() }))
}

/// The tasks of a step to look at, by number: some that stand for all, and then those that probably began last.
fn numbers(step: &Step, running: &[Task], looks: usize, most: usize) -> (Vec<u32>, Vec<u32>) {
    let total = step.tasks.total();
    if total as usize <= looks {
        return ((0..total).collect(), Vec::new());
    }
    let sample = (0..looks as u64).map(|at| (at * u64::from(total) / looks as u64) as u32).collect();
    // Tasks begin about in the order of their numbers.
    let ended = total - step.tasks.live();
    let frontier = running.iter().map(|task| task.id.index).max().unwrap_or(0).max(ended).min(total - 1);
    let first = frontier.saturating_sub(u32::try_from(most * 2).unwrap_or(u32::MAX));
    (sample, (first..=frontier).collect())
}

/// The tasks of a step that were looked at.
struct Looked<'a> {
    index: StepIndex,
    step: &'a Step,
    /// How many tasks stand for all.
    sampled: usize,
    /// By number, and whether each stands for others, too.
    tasks: BTreeMap<u32, (Task, bool)>,
}

/// An attempt, and the time that it took so far.
#[derive(Clone, Copy)]
struct Span<'a> {
    task: &'a Task,
    /// It stands for others, too.
    sample: bool,
    number: u32,
    /// Absent while it is at work.
    end: Option<&'a AttemptEnd>,
    from: Timestamp,
    to: Option<Timestamp>,
}

impl Span<'_> {
    fn failed(&self) -> bool {
        matches!(self.end, Some(AttemptEnd::Failed(_) | AttemptEnd::HostLost))
    }
}

/// The time of a run in equal parts.
struct Axis {
    from: Timestamp,
    to: Timestamp,
}

impl Axis {
    /// Microseconds of a part.
    fn part(&self) -> f64 {
        ((self.to.as_micros() - self.from.as_micros()) as f64 / PARTS as f64).max(1.0)
    }

    /// Where a moment is, in parts from the start.
    fn at(&self, moment: Timestamp) -> f64 {
        (moment.as_micros().saturating_sub(self.from.as_micros()) as f64 / self.part()).min(PARTS as f64)
    }
}

impl Looked<'_> {
    fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        self.tasks.values().flat_map(|(task, sample)| {
            let ended = task.history.iter().map(|attempt| Span {
                task,
                sample: *sample,
                number: attempt.number,
                end: Some(&attempt.end),
                from: attempt.claimed_at,
                to: Some(attempt.ended_at),
            });
            let at_work = match &task.state {
                TaskState::Running { since, .. } => {
                    Some(Span { task, sample: *sample, number: task.attempt, end: None, from: *since, to: None })
                }
                _ => None,
            };
            ended.chain(at_work)
        })
    }

    fn timeline(&self, name: &str, axis: &Axis, which: Which, most: usize) -> StepTimeline {
        let total = self.step.tasks.total();
        let weight = if self.sampled == 0 { 1.0 } else { f64::from(total) / self.sampled as f64 };
        let (mut at_work, mut failed) = (vec![0.0; PARTS], vec![0.0; PARTS]);
        for span in self.spans() {
            // What is at work is known as a whole; of what has ended, the sample stands for all.
            let weight = match span.end {
                None => 1.0,
                Some(_) if span.sample => weight,
                Some(_) => continue,
            };
            let (from, to) = (axis.at(span.from), axis.at(span.to.unwrap_or(axis.to)));
            for (part, busy) in at_work.iter_mut().enumerate().take(to.ceil() as usize).skip(from as usize) {
                let share = (to.min(part as f64 + 1.0) - from.max(part as f64)).max(0.0);
                *busy += share * weight;
            }
            if span.failed()
                && let Some(failed) = failed.get_mut((to as usize).min(PARTS - 1))
            {
                *failed += weight;
            }
        }
        let mut spans: Vec<_> = self.spans().filter(|span| which != Which::Failed || span.failed()).collect();
        let took = |span: &Span<'_>| span.to.unwrap_or(axis.to).since(span.from);
        match which {
            Which::Longest => spans.sort_by_key(|span| std::cmp::Reverse(took(span))),
            Which::Newest | Which::Failed => spans.sort_by_key(|span| std::cmp::Reverse((span.from, span.task.id.index))),
        }
        spans.truncate(most);
        spans.sort_by_key(|span| (span.from, span.task.id.index));
        let rounded = |values: Vec<f64>| values.into_iter().map(|value| (value * 100.0).round() / 100.0).collect();
        StepTimeline {
            step: name.to_owned(),
            tasks: total.into(),
            looked_at: self.tasks.len() as u64,
            attempts_in_all: self.step.attempts + u64::from(self.step.tasks.running),
            attempts: spans.iter().map(attempt).collect(),
            at_work: rounded(at_work),
            failed: rounded(failed),
        }
    }
}

fn attempt(span: &Span<'_>) -> TimelineAttempt {
    let (state, cause) = match span.end {
        None => ("running", None),
        Some(AttemptEnd::Succeeded) => ("succeeded", None),
        Some(AttemptEnd::Failed(failure)) => ("failed", Some(failure.cause.name())),
        Some(AttemptEnd::Cancelled) => ("cancelled", None),
        Some(AttemptEnd::Released) => ("released", None),
        Some(AttemptEnd::HostLost) => ("host-lost", Some("host-lost")),
    };
    TimelineAttempt {
        task: span.task.id.to_string(),
        index: span.task.id.index,
        key: span.task.key.to_string(),
        number: span.number,
        state: state.to_owned(),
        cause: cause.map(str::to_owned),
        from: span.from.into(),
        to: span.to.map(Into::into),
    }
}
