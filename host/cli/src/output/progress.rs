//! Progress bars, on a terminal: one per step of a run, or one for an upload.

use bulkhead_api::model::{PluginUpload, Step};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of a run's steps; nothing where there is no terminal.
#[derive(Default)]
pub(crate) struct StepBars {
    bars: Vec<ProgressBar>,
}

impl StepBars {
    /// Bars for these steps, in their order.
    pub(crate) fn new(multi: Option<&MultiProgress>, steps: &[&str]) -> Self {
        let Some(multi) = multi else {
            return Self::default();
        };
        let width = steps.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let template = format!("{{prefix:{width}}} {{bar:24}} {{pos:>6}}/{{len:6}} {{msg}}");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |name: &&str| multi.add(ProgressBar::new(0).with_style(style.clone()).with_prefix((*name).to_owned()));
        Self { bars: steps.iter().map(bar).collect() }
    }

    /// Whether there is anything to show.
    pub(crate) const fn is_shown(&self) -> bool {
        !self.bars.is_empty()
    }

    /// Shows how far the steps are.
    pub(crate) fn update(&self, steps: &[Step]) {
        for (bar, step) in self.bars.iter().zip(steps) {
            let ended = step.tasks.succeeded + step.tasks.failed + step.tasks.cancelled;
            bar.set_length(step.tasks.total);
            bar.set_position(ended);
            let failed = if step.tasks.failed > 0 { format!(", {} failed", step.tasks.failed) } else { String::new() };
            bar.set_message(format!("{}{failed}", super::format::name(&step.state)));
        }
    }

    /// Takes the bars off the screen: the summary says more.
    pub(crate) fn clear(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// The bar of an upload that is being checked; nothing where there is no terminal.
pub(crate) struct UploadBar(Option<ProgressBar>);

impl UploadBar {
    /// A bar for what is called so.
    pub(crate) fn new(multi: Option<&MultiProgress>, name: &str) -> Self {
        let style = ProgressStyle::with_template("{prefix} {bar:24} {pos:>6}/{len:6} functions compiled");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(multi.map(|multi| multi.add(ProgressBar::new(0).with_style(style).with_prefix(name.to_owned()))))
    }

    /// Shows how far it is.
    pub(crate) fn update(&self, upload: &PluginUpload) {
        if let (Some(bar), Some(functions)) = (&self.0, upload.functions) {
            bar.set_length(functions.total.into());
            bar.set_position(functions.done.into());
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}
