//! The sieve of Eratosthenes over a segment, with memory for the segment and for the primes up to its root only.

/// The primes from `first` to `end` - 1, in order.
pub(crate) fn primes(first: u64, end: u64) -> impl Iterator<Item = u64> {
    let first = first.max(2);
    let mut composite = vec![false; end.saturating_sub(first) as usize];
    for prime in up_to((end.max(1) - 1).isqrt()) {
        let start = (prime * prime).max(first.next_multiple_of(prime));
        for multiple in (start..end).step_by(prime as usize) {
            composite[(multiple - first) as usize] = true;
        }
    }
    composite.into_iter().enumerate().filter(|(_, composite)| !composite).map(move |(place, _)| first + place as u64)
}

/// The primes up to `last`.
fn up_to(last: u64) -> Vec<u64> {
    let mut composite = vec![false; last as usize + 1];
    let mut found = Vec::new();
    for number in 2..=last {
        if !composite[number as usize] {
            found.push(number);
            (number * number..=last).step_by(number as usize).for_each(|multiple| composite[multiple as usize] = true);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_hold_what_trial_division_finds() {
        let by_division = |number: u64| number > 1 && (2..=number.isqrt()).all(|divisor| !number.is_multiple_of(divisor));
        for (first, end) in
            [(0, 0), (0, 1), (0, 2), (0, 3), (2, 4), (0, 1_000), (113, 127), (9_409, 9_410), (1_000_000, 1_001_000)]
        {
            let expected: Vec<_> = (first..end).filter(|&number| by_division(number)).collect();
            assert_eq!(primes(first, end).collect::<Vec<_>>(), expected, "{first}..{end}");
        }
    }

    /// OEIS A006880: the number of primes below powers of ten.
    #[test]
    fn the_segments_add_up_to_the_known_counts() {
        let count =
            |limit: u64| (0..limit).step_by(7_000).map(|first| primes(first, limit.min(first + 7_000)).count()).sum::<usize>();
        assert_eq!([10, 1_000, 100_000, 1_000_000].map(count), [4, 168, 9_592, 78_498]);
    }
}
