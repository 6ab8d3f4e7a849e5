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
 * @property {LineCounts} lines
 * @property {number} attempts
 * @property {Usage} usage
 */
/** @typedef {Run & {plan: string, timeout_ms?: number, parameters: Record<string, unknown>, steps: Step[]}} RunDetail */
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
/** @typedef {Task & {input: unknown, output: unknown, attempts: Attempt[]}} TaskDetail */
/** @typedef {{items: Task[], next?: string, counts: TaskCounts}} TaskPage */
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
/** @typedef {DefinitionSummary & {text: string, diagnostics?: Diagnostic[]}} Definition */
/** @typedef {{name: string, version: string, summary: string, digest: string, size_bytes: number, uploaded_at: string}} Plugin */
/** @typedef {{token?: string, role: 'viewer'|'operator'|'admin', version: string}} Session */

export {};
