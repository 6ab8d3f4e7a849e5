/** The log, as the SDK sets it up: an object as the last argument holds the line's fields. */
declare var console: Record<'debug' | 'log' | 'info' | 'warn' | 'error', (...values: unknown[]) => void>;
