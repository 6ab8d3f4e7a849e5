//! Figures as they come, and as a table at the end.

/// The figures of one run.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

struct Row {
    scenario: &'static str,
    what: String,
    figure: String,
}

impl Report {
    /// Notes a figure, and shows it at once.
    pub(crate) fn add(&mut self, scenario: &'static str, what: impl Into<String>, figure: impl Into<String>) {
        let row = Row { scenario, what: what.into(), figure: figure.into() };
        eprintln!("{:<8} {:<72} {}", row.scenario, row.what, row.figure);
        self.0.push(row);
    }

    /// Prints the table, in Markdown.
    pub(crate) fn print(&self) {
        println!("| scenario | what | figure |\n|---|---|---|");
        for Row { scenario, what, figure } in &self.0 {
            println!("| {scenario} | {what} | {figure} |");
        }
    }
}

/// A rate, in thousands where it is large.
pub(crate) fn rate(count: u64, elapsed: std::time::Duration, unit: &str) -> String {
    format!("{} {unit}/s", grouped((count as f64 / elapsed.as_secs_f64()).round() as u64))
}

/// A time per item in microseconds.
pub(crate) fn micros_each(count: u64, elapsed: std::time::Duration) -> String {
    format!("{:.2} µs", elapsed.as_secs_f64() * 1e6 / count as f64)
}

/// The given percentiles of some times, in milliseconds.
pub(crate) fn percentiles(times: &mut [std::time::Duration], which: &[f64]) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    which.iter().map(|share| format!("p{} {:.2} ms", share * 100.0, at(*share))).collect::<Vec<_>>().join(", ")
}

/// A number with separators between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
