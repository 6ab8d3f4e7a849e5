// What the API says, as far as the console reads it. See /api/v1/openapi.json.

/** @typedef {'queued'|'running'|'paused'|'succeeded'|'failed'|'cancelled'} RunState */
/** @typedef {'blocked'|'running'|'succeeded'|'failed'|'cancelled'|'skipped'} StepState */
/** @typedef {'queued'|'running'|'retrying'|'succeeded'|'failed'|'cancelled'|'skipped'} TaskState */
/** @typedef {'debug'|'info'|'warn'|'error'} Level */
/** @typedef {{cause: string, detail?: string, message: string, retryable: boolean, backtrace?: string}} Failure */
/** @typedef {{total: number, queued: number, running: number, retrying: number, succeeded: number, failed: number, cancelled: number, skipped: number}} TaskCounts */
/** @typedef {{total: number, queued: number, running: number, paused: number, succeeded: number, failed: number, cancelled: number}} RunCounts */
/** @typedef {{total: number, debug: number, info: number, warn: number, error: number}} LineCounts */
/** @typedef {{fuel: number, peak_memory_bytes: number, cpu_us: number, http_requests: number, http_sent_bytes: number, http_received_bytes: number}} Usage */
/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string} definition
 * @property {string} name
 * @property {string[]} [tags]
 * @property {RunState} state
 * @property {string} [stopping]
 * @property {Failure} [failure]
 * @property {string} trigger
 * @property {number} priority
 * @property {string} created_at
 * @property {string} [started_at]
 * @property {string} [ended_at]
 * @property {number} [duration_ms]
 * @property {TaskCounts} tasks
 * @property {LineCounts} lines
 * @property {number} last_line
 * @property {number} attempts
 * @property {Usage} usage
 */
/** @typedef {{per_second: number, window_ms: number, remaining_ms?: number}} Pace */
/**
 * @typedef {object} Step
 * @property {number} index
 * @property {string} name
 * @property {string} [description]
 * @property {{name: string, digest: string}} plugin
 * @property {string[]} depends
 * @property {'fail'|'continue'} on_error
 * @property {number} [concurrency]
 * @property {StepState} state
 * @property {string} [stopping]
 * @property {Failure} [failure]
 * @property {Failure} [first_failure]
 * @property {string} [started_at]
 * @property {string} [ended_at]
 * @property {number} [duration_ms]
 * @property {TaskCounts} tasks
 * @property {Pace} [pace]
 * @property {string} [stalled]
 * @property {LineCounts} lines
 * @property {number} attempts
 * @property {Usage} usage
 */
/** @typedef {Run & {plan: string, timeout_ms?: number, parameters: Record<string, unknown>, pace?: Pace, steps: Step[]}} RunDetail */
/** @typedef {{items: Run[], next?: string, counts: RunCounts}} RunPage */
/**
 * @typedef {object} Task
 * @property {string} id
 * @property {string} run
 * @property {string} step
 * @property {number} index
 * @property {string} key
 * @property {number} [parent]
 * @property {TaskState} state
 * @property {Failure} [failure]
 * @property {string} [due_at]
 * @property {string} [running_since]
 * @property {number} attempt
 * @property {number} failures
 * @property {number} host_deaths
 * @property {boolean} [stopping]
 * @property {string} [edited_at]
 * @property {string} [edited_by]
 * @property {string} created_at
 * @property {string} [ended_at]
 * @property {LineCounts} lines
 * @property {Usage} usage
 * @property {{done: number, total?: number, message?: string}} [progress]
 */
/**
 * @typedef {object} Attempt
 * @property {number} number
 * @property {string} claimed_at
 * @property {string} ended_at
 * @property {number} duration_ms
 * @property {string} end
 * @property {Failure} [failure]
 * @property {Usage} usage
 * @property {number} lines
 * @property {number} suppressed
 * @property {LogLine[]} [log_tail]
 */
/** @typedef {Task & {input: unknown, output: unknown, attempts: Attempt[], log_tail?: LogLine[]}} TaskDetail */
/** @typedef {{items: Task[], next?: string, counts: TaskCounts}} TaskPage */
/** @typedef {{task: string, index: number, key: string, number: number, state: string, cause?: string, from: string, to?: string}} TimelineAttempt */
/** @typedef {{step: string, tasks: number, looked_at: number, attempts_in_all: number, attempts: TimelineAttempt[], at_work: number[], failed: number[]}} StepTimeline */
/** @typedef {{from: string, to: string, steps: StepTimeline[]}} Timeline */
/** @typedef {{name: string, digest: string, size: number}} RunFile */
/** @typedef {{step: string, task: number, name: string, size: number, digest: string, content_type: string, created_at: string}} Artifact */
/** @typedef {Artifact & {run: string, definition: string, run_name: string}} RunArtifact */
/**
 * @typedef {object} RunSelection
 * @property {RunState[]} [state]
 * @property {string} [definition]
 * @property {string} [tag]
 * @property {string} [cause]
 * @property {string} [text]
 * @property {string} [since]
 * @property {string} [until]
 * @property {string} [min_duration]
 * @property {string} [max_duration]
 * @property {string[]} [ids]
 */
/** @typedef {'cancel'|'retry'|'delete'} BulkAction */
/** @typedef {{matched: number, acted: number, left: number, next?: string}} BulkResult */
/** @typedef {{id: string, failure: Failure, others?: boolean, tasks: number, runs: number, first_at: string, last_at: string, last_task: string}} LetterGroup */
/** @typedef {{items: LetterGroup[], groups: number, tasks: number}} Letters */
/** @typedef {{run: Run, tasks: number, last_at: string, last_task: string}} LetterRun */
/** @typedef {{number: number, time: string, last?: string, count: number, manual: boolean, decided_at: string, outcome: string, run?: string, reason?: string}} Fire */
/**
 * @typedef {object} Schedule
 * @property {string} id
 * @property {number} version
 * @property {string} cron
 * @property {string} timezone
 * @property {string} overlap
 * @property {number} [max_waiting]
 * @property {string} catch_up
 * @property {number} [catch_up_limit]
 * @property {number} [catch_up_window_ms]
 * @property {number} jitter_ms
 * @property {boolean} enabled
 * @property {boolean} paused
 * @property {string} [next]
 * @property {number} waiting
 * @property {string[]} active
 * @property {Fire} [last]
 * @property {{started: number, skipped: number, missed: number, refused: number}} counts
 */
/** @typedef {Schedule & {parameters: Record<string, unknown>, upcoming: string[], fires: Fire[]}} ScheduleDetail */
/**
 * @typedef {object} LogLine
 * @property {number} seq
 * @property {string} step
 * @property {number} step_seq
 * @property {number} task
 * @property {number} attempt
 * @property {string} at
 * @property {Level} level
 * @property {'plugin'|'stdout'|'stderr'|'host'} source
 * @property {string} message
 * @property {Record<string, unknown>} [fields]
 * @property {number} [full_bytes]
 */
/** @typedef {{lines: LogLine[], scanned: number, last: number, ended: boolean}} LogPage */
/**
 * @typedef {object} Statistics
 * @property {string} at
 * @property {RunCounts} runs
 * @property {TaskCounts} tasks
 * @property {number} attempts
 * @property {number} lines
 * @property {number} fuel
 * @property {number} lost_leases
 * @property {number} retries
 * @property {string} [oldest_due]
 * @property {{slots: number, running: number, memory_bytes: number, reserved_bytes: number, draining: boolean}} load
 */
/** @typedef {{line: number, column: number, start: number, end: number, message: string, help?: string}} Diagnostic */
/**
 * @typedef {object} DefinitionSummary
 * @property {string} id
 * @property {number} version
 * @property {string} updated_at
 * @property {boolean} valid
 * @property {string} name
 * @property {string[]} tags
 * @property {boolean} enabled
 * @property {string} [schedule]
 * @property {boolean} auto_start
 * @property {{name: string, plugin: string, depends: string[]}[]} steps
 */
/**
 * A JSON Schema, as far as forms understand it.
 * @typedef {object} Schema
 * @property {string|string[]} [type]
 * @property {string} [title]
 * @property {string} [description]
 * @property {unknown} [default]
 * @property {unknown[]} [enum]
 * @property {unknown} [const]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [exclusiveMinimum]
 * @property {number} [exclusiveMaximum]
 * @property {number} [minLength]
 * @property {number} [maxLength]
 * @property {string} [pattern]
 * @property {Schema} [items]
 * @property {Record<string, Schema>} [properties]
 * @property {string[]} [required]
 * @property {string} [$ref]
 * @property {Record<string, Schema>} [$defs]
 * @property {Schema[]} [anyOf]
 * @property {Schema[]} [oneOf]
 */
/** @typedef {{name: string, description?: string, required: boolean}} FileInput */
/** @typedef {DefinitionSummary & {text: string, parameters?: Schema, files?: FileInput[], diagnostics?: Diagnostic[]}} Definition */
/** @typedef {{version: number, updated_at: string, size_bytes: number}} DefinitionVersion */
/** @typedef {{name: string, version: string, summary: string, digest: string, size_bytes: number, uploaded_at: string, source?: string}} Plugin */
/** @typedef {{kind: 'plugin'|'command', form: 'component'|'typed-module'|'module', contract?: string, imports: string[], exports: string[], compile_us?: number}} PluginAnalysis */
/** @typedef {Plugin & {config_schema: Schema, analysis?: PluginAnalysis, provenance?: {source?: string, manifests: string[], signed_by?: string}}} PluginDetail */
/** @typedef {{digest: string, name?: string, size_bytes: number, received_at: string, state: 'waiting'|'checking'|'accepted'|'refused', functions?: {done: number, total: number}, ended_at?: string, plugin?: string, failure?: Failure}} PluginUpload */
/** @typedef {{waiting: number, delivered: number, failed: number, dropped: number}} DeliveryCounts */
/** @typedef {{name: string, url: string, events: string[], definitions: string[], secret: string, stated_by?: string, created_at: string, problem?: string, deliveries: DeliveryCounts}} Hook */
/** @typedef {{number: number, id: string, event: string, at: string, attempts: number, next_at?: string, answered_at?: string, status?: number, answer?: string}} Delivery */
/** @typedef {{token?: string, role: 'viewer'|'operator'|'admin', version: string}} Session */

export {};
