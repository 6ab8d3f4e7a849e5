//! The one place that writes to standard output and to the terminal.
//!
//! Results go to stdout, everything else to stderr. Colours and progress bars appear on terminals only, never with `NO_COLOR`.
//! A reader that goes away (`| head`) ends the call quietly.

pub(crate) mod format;
pub(crate) mod line;
pub(crate) mod progress;
pub(crate) mod summary;
pub(crate) mod table;

use std::io::{BufWriter, IsTerminal as _, Stdout, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::MultiProgress;
use serde::Serialize;

use crate::error::{CliError, CliResult};

/// How colours are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// An ANSI style, by its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// For what is there but matters less.
    Dim,
    /// For headings.
    Bold,
    /// For what went well.
    Green,
    /// For what may need a look.
    Yellow,
    /// For what went wrong.
    Red,
    /// For names.
    Cyan,
}

impl Style {
    const fn parameters(self) -> &'static str {
        match self {
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
            Self::Cyan => "36",
        }
    }
}

/// Applies styles, or leaves text as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Without colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self(false);

    /// The text in a style.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.0 { format!("\x1b[{}m{text}\x1b[0m", style.parameters()) } else { text.to_owned() }
    }

    /// Whether there are colours.
    pub(crate) const fn is_on(self) -> bool {
        self.0
    }
}

/// Where results go. Shared by reference; whole lines are written at once.
pub(crate) struct Output {
    stdout: Mutex<BufWriter<Stdout>>,
    /// The progress bars, when there may be any.
    bars: Option<MultiProgress>,
    paint: Paint,
    json: bool,
    quiet: bool,
}

impl Output {
    /// The output of this call.
    pub(crate) fn new(color: ColorChoice, json: bool, quiet: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let plain_terminal = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let paint = match color {
            ColorChoice::Auto => std::io::stdout().is_terminal() && !no_color && !plain_terminal,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        let bars = std::io::stderr().is_terminal() && !no_color && !plain_terminal && !json && !quiet;
        Self {
            stdout: Mutex::new(BufWriter::with_capacity(64 * 1024, std::io::stdout())),
            bars: bars.then(MultiProgress::new),
            paint: Paint(paint && !json),
            json,
            quiet,
        }
    }

    /// Whether results are JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether only the result is wanted.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How text is coloured.
    pub(crate) const fn paint(&self) -> Paint {
        self.paint
    }

    /// The progress bars, if this call may show any.
    pub(crate) const fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }

    fn stdout(&self) -> MutexGuard<'_, BufWriter<Stdout>> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes text and a newline. It may stay in the buffer until [`Self::flush`].
    pub(crate) fn line(&self, text: &str) -> CliResult<()> {
        let write = || {
            let mut stdout = self.stdout();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n"))
        };
        write().map_err(CliError::Stdout)
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> CliResult<()> {
        let text = serde_json::to_string(value).map_err(|error| CliError::Stdout(error.into()))?;
        self.line(&text)
    }

    /// Writes a value as JSON for a script, or as `human` gives it. A call has one result.
    pub(crate) fn result<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) -> CliResult<()> {
        if self.json {
            self.json_line(value)?;
        } else {
            self.line(human(value).trim_end_matches('\n'))?;
        }
        self.flush()
    }

    /// Hands everything written so far to the reader; progress bars make room for it.
    pub(crate) fn flush(&self) -> CliResult<()> {
        let flush = || self.stdout().flush().map_err(CliError::Stdout);
        match &self.bars {
            Some(bars) => bars.suspend(flush),
            None => flush(),
        }
    }

    /// Says something to whoever watches, apart from the result.
    pub(crate) fn note(&self, text: &str) {
        if self.quiet {
            return;
        }
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Asks whoever sits at the terminal. No, where nobody does.
    pub(crate) fn confirm(&self, question: &str) -> CliResult<bool> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Ok(false);
        }
        eprint!("{question} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(CliError::Stdout)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Says why the call failed: for a script as one line of JSON, else with the source that is meant.
    pub(crate) fn error(&self, error: CliError) {
        let _ = self.flush();
        if self.json {
            eprintln!("{}", serde_json::json!({ "error": error.to_json() }));
            return;
        }
        let colored = self.paint.is_on() && std::io::stderr().is_terminal();
        let theme = if colored { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
        let mut text = String::new();
        let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false).with_width(120);
        match handler.render_report(&mut text, &error) {
            Ok(()) => eprintln!("{}", text.trim_end()),
            Err(_) => eprintln!("{error}"),
        }
    }
}
