//! How well a reader finds the lines that people wrote.

use std::collections::BTreeMap;

/// Lines that are not blank, without white space at their ends: what is counted.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

/// How many of `found` are in `wanted`, each line counted as often as it is there.
fn common(found: &[String], wanted: &[String]) -> usize {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for line in wanted {
        *left.entry(line).or_default() += 1;
    }
    let mut common = 0;
    for line in found {
        if let Some(count) = left.get_mut(line.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    common
}

/// What a reader found in some messages.
#[derive(Debug, Default, Clone, Copy)]
pub struct Score {
    /// The messages.
    pub samples: usize,
    /// Those of which it found what was written and nothing else.
    pub exact: usize,
    /// Those with lines of their author, of which it found none.
    pub missed: usize,
    wanted: usize,
    found: usize,
    common: usize,
}

impl Score {
    /// Counts a message.
    pub fn add(&mut self, found: &[String], wanted: &[String]) {
        self.samples += 1;
        self.exact += usize::from(found == wanted);
        self.missed += usize::from(found.is_empty() && !wanted.is_empty());
        self.wanted += wanted.len();
        self.found += found.len();
        self.common += common(found, wanted);
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            samples: self.samples + other.samples,
            exact: self.exact + other.exact,
            missed: self.missed + other.missed,
            wanted: self.wanted + other.wanted,
            found: self.found + other.found,
            common: self.common + other.common,
        }
    }

    /// The lines of authors that were found, per thousand.
    #[must_use]
    pub fn recall(self) -> usize {
        self.common * 1000 / self.wanted.max(1)
    }

    /// The lines found that are an author's, per thousand.
    #[must_use]
    pub fn precision(self) -> usize {
        self.common * 1000 / self.found.max(1)
    }
}
