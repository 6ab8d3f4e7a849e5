//! Plain tables: columns as wide as their widest cell, numbers to the right, no lines.

use super::{Paint, Style};

/// A cell: its text and how it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Option<Style>,
    right: bool,
}

impl Cell {
    /// Text, to the left.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: None, right: false }
    }

    /// A number, to the right.
    pub(crate) fn number(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: None, right: true }
    }

    /// The same in a style.
    pub(crate) fn styled(mut self, style: Option<Style>) -> Self {
        self.style = style;
        self
    }
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    headings: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings; one that starts with `>` stands over numbers.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let heading = |text: &&str| match text.strip_prefix('>') {
            Some(text) => Cell::number(text).styled(Some(Style::Bold)),
            None => Cell::text(*text).styled(Some(Style::Bold)),
        };
        Self { headings: headings.iter().map(heading).collect(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are headings.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.headings.len(), "a cell for every heading");
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, each ended by a newline.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let rows = || std::iter::once(&self.headings).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].text.chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..self.headings.len()).map(width).collect();
        let mut out = String::new();
        for row in rows() {
            let start = out.len();
            for (cell, &width) in row.iter().zip(&widths) {
                let padding = " ".repeat(width - cell.text.chars().count());
                let text = match cell.style {
                    Some(style) => paint.paint(style, &cell.text),
                    None => cell.text.clone(),
                };
                let gap = if out.len() == start { "" } else { "  " };
                let (before, after) = if cell.right { (padding.as_str(), "") } else { ("", padding.as_str()) };
                out.extend([gap, before, &text, after]);
            }
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["step", ">tasks", "state"]);
        table.row(vec![Cell::text("fast"), Cell::number("5"), Cell::text("succeeded")]);
        table.row(vec![Cell::text("recursive"), Cell::number("1,515"), Cell::text("failed")]);
        assert_eq!(
            table.render(Paint::PLAIN),
            "step       tasks  state\nfast           5  succeeded\nrecursive  1,515  failed\n"
        );
    }
}
