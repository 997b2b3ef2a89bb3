//! Changes in the mailbox that a profile wants after the hand-over and that failed.
//!
//! No message is lost by that: the jobs are out. But the owner expects their messages to be marked or moved, so what
//! failed is stored with the cursor, told in a warning with the server's words, and tried again once nothing new is left
//! to hand over. Until it succeeds, the changes of new messages join it untried: a server that falls silent at each change
//! must not hold up the messages.

use time::{Duration, OffsetDateTime};

use crate::inbound::cursor::{Uid, UidValidity};
use crate::jitter::jittered;
use crate::owner_error::OwnerError;

/// The most messages of a profile whose changes are kept, of either kind.
pub const MAX_OVERDUE: usize = 500;

/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::minutes(5);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::hours(1);

/// Why a change in the mailbox failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeFailure {
    /// What the owner is told, with the server's words.
    pub error: OwnerError,
    /// The messages that were copied to the other mailbox all the same, and are still to be removed from this one.
    pub copied: Vec<Uid>,
    /// Whether the session can do nothing else any more.
    pub session_ended: bool,
}

/// The changes of a mailbox that are still to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueChanges {
    /// The UIDVALIDITY that the UIDs belong to.
    pub uid_validity: Option<UidValidity>,
    /// The messages that nothing was done to, ascending.
    pub untouched: Vec<Uid>,
    /// The messages that were copied to another mailbox and are still to be removed from this one, ascending.
    pub copied: Vec<Uid>,
    /// How many others there were when the list was full. They stay as they are.
    pub left_out: u64,
    /// Why the last try failed, with the server's words.
    pub error: String,
    /// When the first one failed.
    pub since: OffsetDateTime,
    /// How many tries have failed.
    pub tries: u32,
    /// When the next try is due.
    pub due_at: OffsetDateTime,
    /// The version of the profile that failed. After an edit the next try is due at once.
    pub version: u64,
}

impl OverdueChanges {
    /// No change yet, after a first failure at `now`.
    #[must_use]
    pub fn new(
        uid_validity: Option<UidValidity>,
        version: u64,
        failure: &ChangeFailure,
        now: OffsetDateTime,
    ) -> Self {
        let none = Self {
            uid_validity,
            untouched: Vec::new(),
            copied: Vec::new(),
            left_out: 0,
            error: String::new(),
            since: now,
            tries: 0,
            due_at: now,
            version,
        };
        none.failed(version, failure, now)
    }

    /// The same after one more failure at `now`.
    #[must_use]
    pub fn failed(mut self, version: u64, failure: &ChangeFailure, now: OffsetDateTime) -> Self {
        let pause = (FIRST_PAUSE * 2_i32.pow(self.tries.min(10))).min(LONGEST_PAUSE);
        self.tries = self.tries.saturating_add(1);
        self.due_at = now.saturating_add(jittered(pause, now));
        self.version = version;
        self.error.clone_from(&failure.error.message);
        self.untouched.retain(|uid| !failure.copied.contains(uid));
        self.left_out += join(&mut self.copied, &failure.copied);
        self
    }

    /// Adds messages that nothing was done to.
    pub fn add(&mut self, uids: &[Uid]) {
        let new: Vec<Uid> = uids.iter().filter(|uid| !self.copied.contains(uid)).copied().collect();
        self.left_out += join(&mut self.untouched, &new);
    }

    /// How many messages wait.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.untouched.len() + self.copied.len()
    }
}

/// Adds UIDs to a list, as far as they fit, and returns how many do not.
fn join(list: &mut Vec<Uid>, new: &[Uid]) -> u64 {
    list.extend(new);
    list.sort_unstable();
    list.dedup();
    let over = list.len().saturating_sub(MAX_OVERDUE);
    list.truncate(MAX_OVERDUE);
    u64::try_from(over).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::owner_error::ErrorCode;

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn uids(numbers: impl IntoIterator<Item = u32>) -> Vec<Uid> {
        numbers.into_iter().filter_map(Uid::new).collect()
    }

    fn failure(copied: &[Uid]) -> ChangeFailure {
        let error = OwnerError::new(ErrorCode::ImapMailbox, "There is no such mailbox.");
        ChangeFailure { error, copied: copied.to_vec(), session_ended: false }
    }

    #[test]
    fn the_tries_become_rarer_up_to_one_an_hour_and_never_end() {
        let mut overdue = OverdueChanges::new(None, 1, &failure(&[]), NOW);
        for (tries, minutes) in (1..).zip([5, 10, 20, 40, 60, 60, 60]) {
            let pause = (overdue.due_at - NOW).whole_minutes();
            assert!((minutes..=minutes * 6 / 5).contains(&pause), "{pause}");
            assert_eq!(overdue.tries, tries);
            overdue = overdue.failed(1, &failure(&[]), NOW);
        }
    }

    #[test]
    fn what_was_copied_is_not_copied_again() {
        let mut overdue = OverdueChanges::new(None, 1, &failure(&uids([4])), NOW);
        overdue.add(&uids([7, 3, 4]));
        assert_eq!((&overdue.untouched, &overdue.copied), (&uids([3, 7]), &uids([4])));
        let overdue = overdue.failed(1, &failure(&uids([3])), NOW);
        assert_eq!((&overdue.untouched, &overdue.copied), (&uids([7]), &uids([3, 4])));
    }

    #[test]
    fn the_list_is_bounded_and_what_does_not_fit_is_counted() {
        let mut overdue = OverdueChanges::new(None, 1, &failure(&[]), NOW);
        overdue.add(&uids(1..=490));
        overdue.add(&uids(480..=600));
        assert_eq!((overdue.count(), overdue.left_out), (500, 100));
    }
}
