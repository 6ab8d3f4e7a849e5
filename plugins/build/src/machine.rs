//! The stack machine that runs a program.

use std::collections::BTreeMap;
use std::fmt;

use crate::compiler::Instruction;
use crate::linker::{Object, Program};

/// Why a module has no value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RuntimeError {
    pub(crate) module: String,
    pub(crate) what: &'static str,
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module `{}`: {}", self.module, self.what)
    }
}

impl std::error::Error for RuntimeError {}

/// Runs the modules one after the other and returns the value of each.
pub(crate) fn run(program: &Program) -> Result<BTreeMap<String, i64>, RuntimeError> {
    let mut values = BTreeMap::new();
    for module in &program.modules {
        let value = evaluate(module, &values).map_err(|what| RuntimeError { module: module.name.clone(), what })?;
        values.insert(module.name.clone(), value);
    }
    Ok(values)
}

fn evaluate(module: &Object, values: &BTreeMap<String, i64>) -> Result<i64, &'static str> {
    let mut stack: Vec<i64> = Vec::new();
    for instruction in &module.code {
        let value = match instruction {
            Instruction::Push(number) => *number,
            Instruction::Load(name) => *values.get(name).ok_or("it uses a module that did not run before it")?,
            operator => {
                let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else { return Err("the object code is damaged") };
                let result = match operator {
                    Instruction::Add => left.checked_add(right),
                    Instruction::Subtract => left.checked_sub(right),
                    Instruction::Multiply => left.checked_mul(right),
                    _ if right == 0 => return Err("division by zero"),
                    _ => left.checked_div(right),
                };
                result.ok_or("the result has more than 64 bits")?
            }
        };
        stack.push(value);
    }
    match stack[..] {
        [value] => Ok(value),
        _ => Err("the object code is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiler::compile;
    use crate::linker::link;

    fn run_sources(sources: &[(&str, &str)]) -> Result<BTreeMap<String, i64>, RuntimeError> {
        let object =
            |&(name, source): &(&str, &str)| Object { name: name.into(), code: compile(source).expect("a sound source") };
        run(&link(sources.iter().map(object).collect()).expect("a sound program"))
    }

    #[test]
    fn modules_have_the_values_of_their_expressions() {
        let values =
            run_sources(&[("area", "width * (height - 1) / 2"), ("width", "7"), ("height", "width + 4")]).expect("values");
        assert_eq!(values["area"], 35);
    }

    #[test]
    fn what_can_not_be_computed_fails_by_name() {
        for (source, what) in [("1 / 0", "division by zero"), ("9223372036854775807 + 1", "the result has more than 64 bits")] {
            assert_eq!(run_sources(&[("m", source)]), Err(RuntimeError { module: "m".into(), what }));
        }
        let damaged = Program { modules: vec![Object { name: "m".into(), code: vec![Instruction::Add] }] };
        assert_eq!(run(&damaged).map_err(|error| error.what), Err("the object code is damaged"));
    }
}
