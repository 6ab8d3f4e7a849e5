//! From the source of a module to its object code: an expression of whole numbers, the names of other modules, `+ - * /` and
//! parentheses becomes instructions of a stack machine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An instruction of the stack machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Instruction {
    /// Pushes a number.
    Push(i64),
    /// Pushes the value of another module.
    Load(String),
    /// Replaces the two topmost values by their sum.
    Add,
    /// … by their difference.
    Subtract,
    /// … by their product.
    Multiply,
    /// … by their quotient, rounded towards zero.
    Divide,
}

/// Where a source is wrong, and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Counted from 1, in characters.
    pub(crate) column: usize,
    pub(crate) what: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl std::error::Error for SyntaxError {}

/// Parentheses inside each other: each costs a call of the parser.
const MOST_NESTED: usize = 100;

/// Compiles the source of one module.
pub(crate) fn compile(source: &str) -> Result<Vec<Instruction>, SyntaxError> {
    let mut parser = Parser { source: source.chars().collect(), at: 0, nested: 0, code: Vec::new() };
    parser.sum()?;
    match parser.peek() {
        None => Ok(parser.code),
        Some(other) => Err(parser.wrong(format!("an operator or the end was expected, not `{other}`"))),
    }
}

struct Parser {
    source: Vec<char>,
    at: usize,
    nested: usize,
    code: Vec<Instruction>,
}

impl Parser {
    fn peek(&mut self) -> Option<char> {
        while self.source.get(self.at).is_some_and(|character| character.is_whitespace()) {
            self.at += 1;
        }
        self.source.get(self.at).copied()
    }

    fn wrong(&self, what: String) -> SyntaxError {
        SyntaxError { column: self.at + 1, what }
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let word: String = self.source[self.at..].iter().take_while(|&&character| belongs(character)).collect();
        self.at += word.chars().count();
        word
    }

    fn sum(&mut self) -> Result<(), SyntaxError> {
        self.product()?;
        while let Some(operator @ ('+' | '-')) = self.peek() {
            self.at += 1;
            self.product()?;
            self.code.push(if operator == '+' { Instruction::Add } else { Instruction::Subtract });
        }
        Ok(())
    }

    fn product(&mut self) -> Result<(), SyntaxError> {
        self.value()?;
        while let Some(operator @ ('*' | '/')) = self.peek() {
            self.at += 1;
            self.value()?;
            self.code.push(if operator == '*' { Instruction::Multiply } else { Instruction::Divide });
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            Some('(') => {
                if self.nested == MOST_NESTED {
                    return Err(self.wrong(format!("more than {MOST_NESTED} parentheses inside each other")));
                }
                self.at += 1;
                self.nested += 1;
                self.sum()?;
                if self.peek() != Some(')') {
                    return Err(self.wrong("a closing parenthesis is missing".into()));
                }
                self.at += 1;
                self.nested -= 1;
            }
            Some(digit) if digit.is_ascii_digit() => {
                let start = self.at;
                let digits = self.word(|character| character.is_ascii_digit());
                let number =
                    digits.parse().map_err(|_| SyntaxError { column: start + 1, what: format!("{digits} is too large") })?;
                self.code.push(Instruction::Push(number));
            }
            Some(letter) if letter.is_alphabetic() => {
                let name = self.word(|character| character.is_alphanumeric() || character == '_');
                self.code.push(Instruction::Load(name));
            }
            Some(other) => return Err(self.wrong(format!("a number, a module or `(` was expected, not `{other}`"))),
            None => return Err(self.wrong("a number, a module or `(` was expected before the end".into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Instruction::{Add, Divide, Load, Multiply, Push, Subtract};

    #[test]
    fn products_bind_closer_and_equals_go_left() {
        let code = compile("1 - 2 * base - (3+4) / 5").expect("a sound source");
        let expected =
            [Push(1), Push(2), Load("base".into()), Multiply, Subtract, Push(3), Push(4), Add, Push(5), Divide, Subtract];
        assert_eq!(code, expected);
    }

    #[test]
    fn mistakes_are_named_by_column() {
        for (source, column) in
            [("", 1), ("1 +", 4), ("1 2", 3), ("(1", 3), ("1 + * 2", 5), ("99999999999999999999", 1), ("a ? b", 3)]
        {
            assert_eq!(compile(source).map_err(|error| error.column), Err(column), "{source}");
        }
        assert!(compile(&"(".repeat(100_000)).is_err());
    }
}
