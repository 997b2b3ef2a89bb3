//! What goes into one batch: a decision without I/O.

use std::collections::{HashSet, VecDeque};

/// Entries of one batch.
const BATCH_ENTRIES: usize = 10;

/// Bytes of one batch. AWS takes 1 MiB since 2025; regions and emulators that lag take 256 KiB.
const BATCH_BYTES: usize = 256 * 1024;

/// A queue message's group and id on a FIFO queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct FifoOrder<'a> {
    /// Queue messages of one group are delivered in order.
    pub(super) group: &'a str,
    /// A repeat of an id within 5 minutes is dropped.
    pub(super) id: &'a str,
}

/// A queue message that waits to be sent.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    /// Its place in the caller's list.
    pub(super) place: usize,
    /// `None` on a standard queue.
    pub(super) order: Option<FifoOrder<'a>>,
    /// Seconds until it can be received.
    pub(super) delay: Option<i32>,
    /// Its body.
    pub(super) body: String,
}

/// Takes the next batch from what waits: as much as fits, and of each group only the first queue message.
///
/// A batch can fail in part. With two queue messages of a group in it, the second could be taken without the first, and
/// would be ahead of it for good. One that is larger than a batch is a batch of its own: the queue decides about it.
pub(super) fn next_batch<'a>(waiting: &mut VecDeque<Waiting<'a>>) -> Vec<Waiting<'a>> {
    let mut batch: Vec<Waiting<'a>> = Vec::new();
    let mut bytes = 0;
    let mut groups = HashSet::new();
    let mut others = VecDeque::with_capacity(waiting.len());
    for message in waiting.drain(..) {
        let first_of_group = message.order.is_none_or(|order| groups.insert(order.group));
        let fits = batch.len() < BATCH_ENTRIES && bytes + message.body.len() <= BATCH_BYTES;
        if first_of_group && (fits || batch.is_empty()) {
            bytes += message.body.len();
            batch.push(message);
        } else {
            others.push_back(message);
        }
    }
    *waiting = others;
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(messages: &[(Option<&'static str>, usize)]) -> Vec<Vec<usize>> {
        let mut waiting: VecDeque<Waiting<'_>> = messages
            .iter()
            .enumerate()
            .map(|(place, (group, size))| Waiting {
                place,
                order: group.map(|group| FifoOrder { group, id: "" }),
                delay: None,
                body: "x".repeat(*size),
            })
            .collect();
        let mut batches = Vec::new();
        while !waiting.is_empty() {
            batches.push(next_batch(&mut waiting).iter().map(|message| message.place).collect());
        }
        batches
    }

    #[test]
    fn batches_keep_both_bounds() {
        let lengths = |sizes: &[usize]| {
            let messages: Vec<_> = sizes.iter().map(|size| (None, *size)).collect();
            batches(&messages).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[1; 25]), [10, 10, 5]);
        assert_eq!(lengths(&[100_000; 5]), [2, 2, 1]);
        assert_eq!(lengths(&[300_000, 1]), [1, 1]);
        assert!(lengths(&[]).is_empty());
    }

    #[test]
    fn a_batch_holds_one_message_of_a_group() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(batches(&[(a, 1), (a, 1), (b, 1), (a, 1), (b, 1)]), [vec![0, 2], vec![1, 4], vec![3]]);
    }

    #[test]
    fn a_small_message_never_overtakes_a_large_one_of_its_group() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(batches(&[(b, 200_000), (a, 100_000), (a, 1)]), [vec![0], vec![1], vec![2]]);
    }
}
