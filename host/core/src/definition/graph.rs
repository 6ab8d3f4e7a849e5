//! What steps depend on: names become positions, and circles are found.

use std::collections::{BTreeSet, HashMap};

use super::diagnostic::{Report, did_you_mean, list, quote};
use super::step::Draft;
use crate::id::StepIndex;

/// Steps that a message names of a circle; a longer one is cut in the middle.
const MAX_NAMED: usize = 12;

/// The positions of the steps that each step depends on, in the order of the steps.
pub(super) fn resolve(steps: &[Draft<'_>], report: &mut Report<'_>) -> Vec<Vec<StepIndex>> {
    let positions: HashMap<_, _> = steps.iter().enumerate().map(|(at, step)| (step.name, at)).collect();
    let mut depends = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let mut seen = BTreeSet::new();
        let mut known = Vec::new();
        for (name, span) in &step.depends {
            match positions.get(name) {
                Some(&dependency) if dependency == at => {
                    report.add(span.clone(), format!("step {} depends on itself", quote(name)), "leave it out".to_owned());
                }
                Some(&dependency) if seen.insert(dependency) => known.push((dependency, span.clone())),
                Some(_) => {
                    let message = format!("step {} depends on {} twice", quote(step.name), quote(name));
                    report.add(span.clone(), message, "leave one out".to_owned());
                }
                None => {
                    let others = || steps.iter().map(|other| other.name).filter(|other| *other != step.name);
                    let help = match report.nearest(name, others()) {
                        Some(nearest) => did_you_mean(nearest),
                        None if steps.len() == 1 => "there is no other step".to_owned(),
                        None => format!("the other steps are {}", list(others(), "and")),
                    };
                    report.add_absence(span.clone(), format!("there is no step {}", quote(name)), help);
                }
            }
        }
        depends.push(known);
    }
    let edges: Vec<Vec<usize>> = depends.iter().map(|known| known.iter().map(|(to, _)| *to).collect()).collect();
    for circle in circles(&edges) {
        let (first, second) = (circle[0], circle[1 % circle.len()]);
        let span = depends[first].iter().find(|(to, _)| *to == second).map_or(0..0, |(_, span)| span.clone());
        let message = format!("steps depend on each other in a circle: {}", show(&circle, steps));
        report.add(span, message, "remove one of these dependencies".to_owned());
    }
    depends.into_iter().map(|known| known.into_iter().filter_map(|(to, _)| position(to)).collect()).collect()
}

/// Circles that share no step, each from its first step in the order of the text. Without all of them there is none.
fn circles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut circles = Vec::new();
    let mut done = vec![false; edges.len()];
    loop {
        // Whoever depends on finished steps only is finished, too; who is left at the end is in a circle or behind one.
        finish_all_possible(edges, &mut done);
        let Some(start) = done.iter().position(|done| !done) else { return circles };
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        let entry = loop {
            if let Some(entry) = path.iter().position(|&passed| passed == at) {
                break entry;
            }
            path.push(at);
            // An unfinished step depends on an unfinished one, so this walk ends only where it has been.
            let Some(&next) = edges[at].iter().find(|&&to| !done[to]) else { return circles };
            at = next;
        };
        let mut circle = path.split_off(entry);
        let least = circle.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(least, _)| least);
        circle.rotate_left(least);
        for &at in &circle {
            done[at] = true;
        }
        circles.push(circle);
    }
}

/// Marks every step as done that depends on done steps only, until there is no more.
fn finish_all_possible(edges: &[Vec<usize>], done: &mut [bool]) {
    let mut dependents = vec![Vec::new(); edges.len()];
    let mut open: Vec<usize> = vec![0; edges.len()];
    for (from, to) in edges.iter().enumerate().filter(|(from, _)| !done[*from]) {
        for &to in to.iter().filter(|to| !done[**to]) {
            dependents[to].push(from);
            open[from] += 1;
        }
    }
    let mut ready: Vec<usize> = (0..edges.len()).filter(|&at| !done[at] && open[at] == 0).collect();
    while let Some(at) = ready.pop() {
        done[at] = true;
        for &dependent in &dependents[at] {
            open[dependent] -= 1;
            if open[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
}

/// A circle as `a → b → a`.
fn show(circle: &[usize], steps: &[Draft<'_>]) -> String {
    let mut names: Vec<_> = circle.iter().chain(circle.first()).map(|&at| steps[at].name.to_owned()).collect();
    if names.len() > MAX_NAMED {
        let cut = names.len() - MAX_NAMED;
        names.splice(MAX_NAMED / 2..MAX_NAMED / 2 + cut, [format!("({cut} more)")]);
    }
    names.join(" → ")
}

fn position(at: usize) -> Option<StepIndex> {
    u16::try_from(at).ok().map(StepIndex)
}
