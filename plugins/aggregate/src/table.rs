//! Groups of rows with the count, sum, least, greatest and mean of their measures, from a CSV that is read once.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::Serialize;

/// Which columns group the rows, and which are measured.
pub(crate) struct Question<'a> {
    pub(crate) group_by: &'a [String],
    pub(crate) measures: &'a [String],
    /// The most groups: each costs memory.
    pub(crate) most_groups: usize,
}

/// What is known of one measure in one group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Measure {
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

/// One group.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Group {
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) rows: u64,
    pub(crate) measures: BTreeMap<String, Measure>,
}

/// Why a table can't be aggregated. None of these passes by itself.
#[derive(Debug)]
pub(crate) enum TableError {
    Csv(csv::Error),
    NoColumn { wanted: String, header: Vec<String> },
    NoNumber { line: u64, column: String, value: String },
    TooManyGroups(usize),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(error) => write!(f, "the CSV can't be read: {error}"),
            Self::NoColumn { wanted, header } => write!(f, "no column `{wanted}`: the header has {}", header.join(", ")),
            Self::NoNumber { line, column, value } => write!(f, "line {line}: `{value}` in column `{column}` is no number"),
            Self::TooManyGroups(most) => write!(f, "more than {most} groups: group by fewer columns, or raise `most_groups`"),
        }
    }
}

impl std::error::Error for TableError {}

impl From<csv::Error> for TableError {
    fn from(error: csv::Error) -> Self {
        Self::Csv(error)
    }
}

/// Sums with a compensation for what each addition rounds away (Neumaier, 1974).
#[derive(Clone, Copy)]
struct Running {
    sum: f64,
    lost: f64,
    min: f64,
    max: f64,
}

impl Running {
    const EMPTY: Self = Self { sum: 0.0, lost: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// Reads a CSV with a header and aggregates it. The groups come in the order of their keys.
pub(crate) fn aggregate(input: impl Read, question: &Question<'_>) -> Result<Vec<Group>, TableError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let header = reader.headers()?.clone();
    let column = |wanted: &String| {
        let place = header.iter().position(|name| name == wanted);
        place.ok_or_else(|| TableError::NoColumn { wanted: wanted.clone(), header: header.iter().map(str::to_owned).collect() })
    };
    let keys = question.group_by.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let measured = question.measures.iter().map(column).collect::<Result<Vec<_>, _>>()?;

    let mut groups: BTreeMap<Vec<String>, (u64, Vec<Running>)> = BTreeMap::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let key: Vec<_> = keys.iter().map(|&place| record[place].to_owned()).collect();
        if groups.len() == question.most_groups && !groups.contains_key(&key) {
            return Err(TableError::TooManyGroups(question.most_groups));
        }
        let (rows, running) = groups.entry(key).or_insert_with(|| (0, vec![Running::EMPTY; measured.len()]));
        *rows += 1;
        for (running, &place) in running.iter_mut().zip(&measured) {
            let value = record[place].parse::<f64>().ok().filter(|value| value.is_finite());
            running.add(value.ok_or_else(|| TableError::NoNumber {
                line: record.position().map_or(0, csv::Position::line),
                column: header[place].to_owned(),
                value: record[place].to_owned(),
            })?);
        }
    }
    let group = |(keys, (rows, running)): (Vec<String>, (u64, Vec<Running>))| Group {
        keys: question.group_by.iter().cloned().zip(keys).collect(),
        rows,
        measures: question.measures.iter().cloned().zip(running.into_iter().map(|running| finish(running, rows))).collect(),
    };
    Ok(groups.into_iter().map(group).collect())
}

fn finish(Running { sum, lost, min, max }: Running, rows: u64) -> Measure {
    let sum = sum + lost;
    Measure { sum, min, max, mean: sum / rows as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALES: &str = "region, year, amount\nnorth,2024,10.5\nsouth,2024,-3\nnorth,2025,1e3\nnorth,2024,0.5\n";

    fn of(text: &str, group_by: &[&str], most_groups: usize) -> Result<Vec<Group>, String> {
        let group_by: Vec<_> = group_by.iter().map(|&name| name.to_owned()).collect();
        let question = Question { group_by: &group_by, measures: &["amount".to_owned()], most_groups };
        aggregate(text.as_bytes(), &question).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_grouped_and_measured() {
        let groups = of(SALES, &["region", "year"], 10).expect("a sound table");
        let told: Vec<_> = groups
            .iter()
            .map(|group| {
                let Measure { sum, min, max, mean } = group.measures["amount"];
                (group.keys["region"].as_str(), group.keys["year"].as_str(), group.rows, [sum, min, max, mean])
            })
            .collect();
        assert_eq!(
            told,
            [("north", "2024", 2, [11.0, 0.5, 10.5, 5.5]), ("north", "2025", 1, [1e3; 4]), ("south", "2024", 1, [-3.0; 4]),]
        );
        assert_eq!(of(SALES, &[], 1).expect("one group")[0].rows, 4);
    }

    #[test]
    fn small_numbers_are_not_lost_beside_large_ones() {
        let groups = of("amount\n1e100\n1\n-1e100\n1\n", &[], 1).expect("a sound table");
        assert_eq!(groups[0].measures["amount"].sum, 2.0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |text: &str, group_by: &[&str]| of(text, group_by, 2).expect_err("an unsound table");
        assert_eq!(refused(SALES, &["city"]), "no column `city`: the header has region, year, amount");
        assert_eq!(refused("amount\n1\n2x\n", &[]), "line 3: `2x` in column `amount` is no number");
        assert!(refused(SALES, &["region", "year"]).starts_with("more than 2 groups"));
        assert!(refused("region,amount\nnorth\n", &[]).contains("record"));
    }
}
