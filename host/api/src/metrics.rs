//! `/metrics`: Prometheus text, under OpenTelemetry's names where it has some.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use bulkhead_core::hook::HookCounts;
use bulkhead_core::run::RunStatus;
use bulkhead_core::schedule::FireCounts;
use bulkhead_core::task::TaskStatus;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::egress::EgressStatistics;
use bulkhead_engine::engine::Load;
use bulkhead_engine::store::Statistics;

use crate::auth::table::ROUTES;

/// The upper bounds of the histogram of requests, in seconds: OpenTelemetry's advice.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Counts requests by route and status.
#[derive(Default)]
pub(crate) struct HttpMetrics(Mutex<BTreeMap<(Option<usize>, u16), Histogram>>);

#[derive(Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl HttpMetrics {
    /// Counts a request to a route of [`ROUTES`], or to none of them. Of a stream the time to its first byte counts.
    pub(crate) fn count(&self, route: Option<usize>, status: StatusCode, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let mut histograms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = histograms.entry((route, status.as_u16())).or_default();
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            histogram.buckets[bucket] += 1;
        }
        histogram.count += 1;
        histogram.seconds += seconds;
    }

    fn write(&self, text: &mut Text) {
        let name = "http_server_request_duration_seconds";
        text.head(name, "histogram", "Time from a request's arrival to its answer's head.");
        for ((route, status), histogram) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let (method, path) = route.map_or(("_OTHER", ""), |index| (ROUTES[index].method, ROUTES[index].path));
            let labels = format!("http_request_method=\"{method}\",http_route=\"{path}\",http_response_status_code=\"{status}\"");
            let mut below = 0;
            for (bound, count) in BOUNDS.iter().zip(histogram.buckets) {
                below += count;
                text.line(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), below);
            }
            text.line(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), histogram.count);
            text.line(&format!("{name}_sum"), &labels, histogram.seconds);
            text.line(&format!("{name}_count"), &labels, histogram.count);
        }
    }
}

/// Lines of the exposition format.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ =
            if labels.is_empty() { writeln!(self.0, "{name} {value}") } else { writeln!(self.0, "{name}{{{labels}}} {value}") };
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }
}

/// What the store counts.
pub(crate) struct Stored {
    pub(crate) statistics: Statistics,
    pub(crate) fires: FireCounts,
    pub(crate) hooks: HookCounts,
}

/// Everything there is to measure.
pub(crate) fn render(
    Stored { statistics, fires, hooks }: &Stored,
    load: Load,
    egress: Option<EgressStatistics>,
    now: Timestamp,
    streams: usize,
    http: &HttpMetrics,
) -> String {
    let mut text = Text(String::with_capacity(8 * 1024));
    let of = |status: RunStatus| RunStatus::ALL.iter().position(|known| *known == status).map_or(0, |at| statistics.runs[at]);

    text.head("cicd_pipeline_run_active", "gauge", "Runs that have not ended, by OpenTelemetry's states.");
    text.line("cicd_pipeline_run_active", "cicd_pipeline_run_state=\"pending\"", of(RunStatus::Queued) + of(RunStatus::Paused));
    text.line("cicd_pipeline_run_active", "cicd_pipeline_run_state=\"executing\"", of(RunStatus::Running));
    text.head("cicd_worker_count", "gauge", "Workers of this process.");
    let busy = load.running > 0;
    text.line("cicd_worker_count", "cicd_worker_state=\"available\"", u8::from(!busy && !load.draining));
    text.line("cicd_worker_count", "cicd_worker_state=\"busy\"", u8::from(busy && !load.draining));
    text.line("cicd_worker_count", "cicd_worker_state=\"offline\"", u8::from(load.draining));

    text.head("bulkhead_runs", "gauge", "Runs that are stored, by state.");
    for (status, count) in RunStatus::ALL.iter().zip(statistics.runs) {
        text.line("bulkhead_runs", &format!("state=\"{}\"", status.name()), count);
    }
    text.head("bulkhead_tasks", "gauge", "Tasks that are stored, by state: the queue's depth is `queued` and `retrying`.");
    for (status, count) in TaskStatus::ALL.iter().zip(statistics.tasks) {
        text.line("bulkhead_tasks", &format!("state=\"{}\"", status.name()), count);
    }
    let age = statistics.oldest_due.map_or(0.0, |due| now.since(due).as_secs_f64());
    text.single("bulkhead_queue_oldest_age_seconds", "gauge", "How long the oldest claimable task has been due.", age);
    text.single("bulkhead_attempts_total", "counter", "Attempts that ended.", statistics.attempts);
    text.single("bulkhead_retries_total", "counter", "Retries scheduled.", statistics.retries);
    text.single(
        "bulkhead_leases_lost_total",
        "counter",
        "Tasks taken from a worker whose lease ran out.",
        statistics.lost_leases,
    );
    text.single("bulkhead_fuel_total", "counter", "Units of fuel used.", statistics.fuel);
    text.single("bulkhead_log_lines_total", "counter", "Log lines stored.", statistics.lines);
    text.single("bulkhead_contents", "gauge", "Different contents of files and artifacts.", statistics.contents);
    text.single("bulkhead_content_bytes", "gauge", "Bytes of files and artifacts, each content once.", statistics.content_bytes);
    text.head("bulkhead_schedule_fires_total", "counter", "Fires of schedules, by what became of them.");
    let FireCounts { started, skipped, missed, refused, late_micros } = *fires;
    for (outcome, count) in [("started", started), ("skipped", skipped), ("missed", missed), ("refused", refused)] {
        text.line("bulkhead_schedule_fires_total", &format!("outcome=\"{outcome}\""), count);
    }
    text.single(
        "bulkhead_schedule_late_seconds_total",
        "counter",
        "The times from when fires fell due to when their runs were started, summed up.",
        Duration::from_micros(late_micros).as_secs_f64(),
    );
    text.head("bulkhead_hook_deliveries", "gauge", "Deliveries to hooks that have not arrived, by state.");
    text.line("bulkhead_hook_deliveries", "state=\"waiting\"", hooks.waiting);
    text.line("bulkhead_hook_deliveries", "state=\"failed\"", hooks.failed);
    text.head("bulkhead_hook_deliveries_total", "counter", "Deliveries to hooks that arrived, or were given up and forgotten.");
    text.line("bulkhead_hook_deliveries_total", "outcome=\"delivered\"", hooks.delivered);
    text.line("bulkhead_hook_deliveries_total", "outcome=\"dropped\"", hooks.dropped);
    text.single("bulkhead_slots", "gauge", "Attempts at once, at most.", load.slots);
    text.single("bulkhead_slots_busy", "gauge", "Attempts now.", load.running);
    text.single(
        "bulkhead_memory_budget_bytes",
        "gauge",
        "What the memory limits of running attempts may add up to.",
        load.memory,
    );
    text.single(
        "bulkhead_memory_reserved_bytes",
        "gauge",
        "What the memory limits of running attempts add up to.",
        load.reserved,
    );
    text.single("bulkhead_streams_open", "gauge", "Log and event streams that are open.", streams);
    if let Some(egress) = egress {
        write_egress(&mut text, egress);
    }
    http.write(&mut text);
    text.0
}

fn write_egress(text: &mut Text, egress: EgressStatistics) {
    let EgressStatistics {
        answered,
        denied,
        failed,
        in_flight,
        waiting,
        connections_made,
        connections_open,
        bytes_sent,
        bytes_received,
    } = egress;
    text.head("bulkhead_egress_requests_total", "counter", "HTTP requests of plugins and hooks, by what came of them.");
    for (outcome, count) in [("answered", answered), ("denied", denied), ("failed", failed)] {
        text.line("bulkhead_egress_requests_total", &format!("outcome=\"{outcome}\""), count);
    }
    text.single("bulkhead_egress_requests_active", "gauge", "HTTP requests under way, until their answers are read.", in_flight);
    text.single("bulkhead_egress_requests_waiting", "gauge", "HTTP requests that wait for their turn at a host.", waiting);
    text.single("bulkhead_egress_connections_total", "counter", "Connections made for them.", connections_made);
    text.single("bulkhead_egress_connections_open", "gauge", "Connections that are open, idle ones included.", connections_open);
    text.head("bulkhead_egress_bytes_total", "counter", "Bytes of their bodies.");
    text.line("bulkhead_egress_bytes_total", "direction=\"sent\"", bytes_sent);
    text.line("bulkhead_egress_bytes_total", "direction=\"received\"", bytes_received);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let http = HttpMetrics::default();
        http.count(Some(0), StatusCode::OK, Duration::from_millis(7));
        http.count(None, StatusCode::NOT_FOUND, Duration::from_secs(60));
        let statistics =
            Statistics { runs: [1, 2, 3, 4, 5, 6], oldest_due: Some(Timestamp::from_micros(500_000)), ..Statistics::default() };
        let load = Load { slots: 4, running: 1, memory: 100, reserved: 10, draining: false };
        let fires = FireCounts { missed: 3, late_micros: 1_500_000, ..FireCounts::default() };
        let egress = EgressStatistics { denied: 9, bytes_sent: 11, ..EgressStatistics::default() };
        let stored = Stored { statistics, fires, hooks: HookCounts { waiting: 6, dropped: 7, ..HookCounts::default() } };
        let text = render(&stored, load, Some(egress), Timestamp::from_micros(2_000_000), 3, &http);
        for line in [
            "cicd_pipeline_run_active{cicd_pipeline_run_state=\"pending\"} 4",
            "bulkhead_runs{state=\"failed\"} 5",
            "bulkhead_queue_oldest_age_seconds 1.5",
            "bulkhead_slots_busy 1",
            "bulkhead_schedule_fires_total{outcome=\"missed\"} 3",
            "bulkhead_schedule_late_seconds_total 1.5",
            "bulkhead_hook_deliveries{state=\"waiting\"} 6",
            "bulkhead_hook_deliveries_total{outcome=\"dropped\"} 7",
            "bulkhead_egress_requests_total{outcome=\"denied\"} 9",
            "bulkhead_egress_bytes_total{direction=\"sent\"} 11",
            "http_server_request_duration_seconds_bucket{http_request_method=\"GET\",http_route=\"/health\",http_response_status_code=\"200\",le=\"0.01\"} 1",
            "http_server_request_duration_seconds_bucket{http_request_method=\"_OTHER\",http_route=\"\",http_response_status_code=\"404\",le=\"10\"} 0",
            "http_server_request_duration_seconds_count{http_request_method=\"_OTHER\",http_route=\"\",http_response_status_code=\"404\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
