//! What a server lists of a mailbox, and what shows that it leaves messages out.
//!
//! Exchange Online lists a message minutes late, while it is scanned, or never. The cursor must not pass it in silence.
//! Messages are numbered without gaps (RFC 9051 §2.3.1.2), so that where two neighbours of a listing have adjacent numbers
//! nothing is between them, though UIDs are missing. Elsewhere the server is asked once more, and to search. What may be
//! hidden behind the last message listed is not passed. The server is asked for it where EXISTS counts more messages than
//! the last one's number, and once an hour where no number shows whether it does.

use time::OffsetDateTime;

use crate::inbound::cursor::Uid;

/// One message of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its UID.
    pub uid: Uid,
    /// Its message sequence number; `None` where that may have changed since.
    pub number: Option<u32>,
    /// Whether `\Seen` is set.
    pub seen: bool,
    /// RFC822.SIZE in bytes. Some servers estimate.
    pub size: u64,
    /// INTERNALDATE; `None` where it cannot be read.
    pub arrived: Option<OffsetDateTime>,
}

/// The messages of a window of UIDs, ascending and without repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The messages have UIDs above this one; 0: from the beginning.
    pub above: u32,
    /// How many messages are there up to `above`, where that is known.
    pub below: Option<u32>,
    /// The highest UID of the window. The listing shows nothing of those above.
    pub through: u32,
    /// The messages, the lowest UIDs first.
    pub messages: Vec<Listed>,
    /// The messages that are there and not listed; `None` while the server was not asked for them.
    pub hidden: Option<Vec<Uid>>,
    /// Whether the server refused to search for them.
    pub unsearched: bool,
}

/// What a server says when it is asked again for a part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relisted {
    /// The messages that it lists now.
    pub messages: Vec<Listed>,
    /// The messages that a search finds.
    pub found: Vec<Uid>,
    /// Whether the server refused to search: it may hide messages all the same.
    pub unsearched: bool,
}

impl Listing {
    /// The UIDs between which messages may be hidden, if the cursor moves from one UID to another: above the first, up to
    /// the second. `None` where nothing can be, or the server was asked already.
    #[must_use]
    pub fn doubt(&self, from: u32, to: u32) -> Option<(u32, u32)> {
        if self.hidden.is_some() { None } else { self.hole(from, to) }
    }

    /// The hull of the UIDs at which messages may be hidden, whether or not the server was asked for them.
    fn hole(&self, from: u32, to: u32) -> Option<(u32, u32)> {
        let mut doubt: Option<(u32, u32)> = None;
        let mut note = |above: u32, through: u32| {
            doubt = Some((doubt.map_or(above.max(from), |(above, _)| above), through));
        };
        let (mut before, mut count) = (self.above, if self.above == 0 { Some(0) } else { self.below });
        for message in self.messages.iter().take_while(|message| message.uid.get() <= to) {
            let uid = message.uid.get();
            let missing = uid > from.max(before).saturating_add(1);
            let adjacent = count.is_some_and(|count| message.number == count.checked_add(1));
            if missing && !adjacent {
                note(before, uid - 1);
            }
            (before, count) = (uid, message.number);
        }
        if to > before.max(from) {
            note(before, to);
        }
        doubt
    }

    /// Whether there are messages behind the last one of the listing, which shows the end of a mailbox with `exists`
    /// messages; `None` where no number tells.
    #[must_use]
    pub fn hides_the_end(&self, exists: u32) -> Option<bool> {
        let last = self.messages.last().map_or(self.below, |last| last.number);
        last.map(|last| last < exists)
    }

    /// Takes over what the server said when it was asked again.
    pub fn complete(&mut self, relisted: Relisted) {
        for message in relisted.messages {
            if let Err(at) = self.messages.binary_search_by_key(&message.uid, |listed| listed.uid) {
                // Its number may be of a later time than those of its neighbours.
                self.messages.insert(at, Listed { number: None, ..message });
            }
        }
        self.unsearched |= relisted.unsearched;
        let mut hidden = relisted.found;
        hidden.retain(|uid| self.messages.binary_search_by_key(uid, |listed| listed.uid).is_err());
        hidden.sort_unstable();
        hidden.dedup();
        self.hidden = Some(hidden);
    }

    /// Whether the cursor passes a hole that nothing was searched for, if it moves from one UID to another.
    #[must_use]
    pub fn passes_unsearched(&self, from: u32, to: u32) -> bool {
        self.unsearched && self.hole(from, to).is_some()
    }

    /// How many messages are there up to `uid`, where the listing tells.
    #[must_use]
    pub fn count_up_to(&self, uid: u32) -> Option<u32> {
        let at = self.messages.iter().find(|message| message.uid.get() == uid);
        let is_whole = uid == self.through && self.hidden == Some(Vec::new());
        match at.or(self.messages.last().filter(|_| is_whole)) {
            Some(message) => message.number,
            None if is_whole && self.above == 0 => Some(0),
            None if is_whole => self.below,
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(above: u32, messages: &[(u32, u32)]) -> Listing {
        let listed = |(uid, number): &(u32, u32)| Listed {
            uid: Uid::new(*uid).unwrap(),
            number: Some(*number).filter(|number| *number > 0),
            seen: false,
            size: 1,
            arrived: None,
        };
        let messages = messages.iter().map(listed).collect();
        Listing { above, through: above + 10_000, messages, ..Listing::default() }
    }

    #[test]
    fn a_hole_shows_in_the_numbers() {
        // The cursor, the messages with their numbers, and what has to be asked for.
        type Case<'a> = (u32, &'a [(u32, u32)], Option<(u32, u32)>);
        let cases: [Case<'_>; 9] = [
            // No UID is missing.
            (5, &[(6, 3), (7, 4)], None),
            // UIDs are missing, and no number.
            (5, &[(6, 3), (9, 4), (20, 5)], None),
            // A number is missing too.
            (5, &[(6, 3), (9, 5), (20, 6)], Some((6, 8))),
            // Nobody knows what is below the first one (servers that leave out the first of three).
            (5720, &[(5722, 2), (5723, 3), (5724, 4)], Some((5720, 5721))),
            // From the beginning it is known.
            (0, &[(7, 1), (9, 2)], None),
            (0, &[(7, 2), (9, 3)], Some((0, 6))),
            // The hull of several.
            (0, &[(7, 1), (9, 3), (12, 5)], Some((7, 11))),
            // Numbers that make no sense, or none.
            (5, &[(6, 3), (9, 3)], Some((6, 8))),
            (5, &[(6, 0), (9, 0)], Some((6, 8))),
        ];
        for (above, messages, expected) in cases {
            let to = messages.last().unwrap().0;
            assert_eq!(listing(above, messages).doubt(above, to), expected, "{messages:?}");
        }
    }

    #[test]
    fn what_the_cursor_does_not_pass_is_not_in_doubt() {
        let listing = listing(5, &[(6, 3), (9, 5)]);
        assert_eq!(listing.doubt(5, 6), None);
        assert_eq!(listing.doubt(9, 9), None);
        // A window that ends above the last message.
        assert_eq!(listing.doubt(9, 40), Some((9, 40)));
    }

    #[test]
    fn what_is_found_and_not_listed_is_hidden() {
        let mut first = listing(5, &[(9, 5)]);
        let uid = |n| Uid::new(n).unwrap();
        let now = listing(5, &[(7, 4)]).messages;
        first.complete(Relisted {
            messages: now,
            found: vec![uid(8), uid(6), uid(9), uid(7)],
            unsearched: false,
        });
        assert_eq!(first.hidden, Some(vec![uid(6), uid(8)]));
        let uids: Vec<u32> = first.messages.iter().map(|message| message.uid.get()).collect();
        assert_eq!(uids, [7, 9]);
        // It is not asked again.
        assert_eq!(first.doubt(5, 9), None);
        assert!(!first.passes_unsearched(5, 9));
    }

    #[test]
    fn a_hole_that_a_server_does_not_search_is_passed_and_told() {
        for (now, told) in
            [(&[][..], true), (&[(7, 4), (8, 4)][..], true), (&[(6, 3), (7, 4), (8, 5)][..], false)]
        {
            let mut holed = listing(5, &[(9, 5)]);
            let messages = listing(5, now).messages;
            holed.complete(Relisted { messages, found: Vec::new(), unsearched: true });
            assert_eq!((holed.doubt(5, 9), holed.passes_unsearched(5, 9)), (None, told), "{now:?}");
        }
    }
}
