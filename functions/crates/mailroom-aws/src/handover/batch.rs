//! Which queue messages go into one batch (`SendMessageBatch`): a decision without I/O.

use std::collections::{HashSet, VecDeque};

/// The most entries of a batch.
const BATCH_ENTRIES: usize = 10;

/// The most bytes of a batch. AWS takes 1 MiB since 2025; regions and emulators that lag take 256 KiB.
const BATCH_BYTES: usize = 256 * 1024;

/// A queue message's group and id on a FIFO queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct FifoOrder<'a> {
    /// `MessageGroupId`: queue messages of one group are delivered in order.
    pub(super) group: &'a str,
    /// `MessageDeduplicationId`: a repeat within 5 minutes is dropped.
    pub(super) id: &'a str,
}

/// A queue message that is not sent yet: an entry of a later batch.
#[derive(Debug)]
pub(super) struct PendingEntry<'a> {
    /// The index in the caller's list.
    pub(super) index: usize,
    /// The group and the deduplication id; `None` on a standard queue.
    pub(super) fifo: Option<FifoOrder<'a>>,
    /// How long the queue keeps it before it can be received.
    pub(super) delay_seconds: Option<i32>,
    /// The body of the queue message.
    pub(super) body: String,
}

/// Takes the next batch from the entries that wait: as much as fits, and of each group only the first queue message.
///
/// A batch can fail in part. With two queue messages of a group in it, the second could be taken without the first, and
/// would be ahead of it for good. One that is larger than a batch is a batch of its own: the queue decides about it.
pub(super) fn next_batch<'a>(waiting: &mut VecDeque<PendingEntry<'a>>) -> Vec<PendingEntry<'a>> {
    let mut batch: Vec<PendingEntry<'a>> = Vec::new();
    let mut bytes = 0;
    let mut groups = HashSet::new();
    let mut others = VecDeque::with_capacity(waiting.len());
    for message in waiting.drain(..) {
        let first_of_group = message.fifo.is_none_or(|order| groups.insert(order.group));
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
        let mut waiting: VecDeque<PendingEntry<'_>> = messages
            .iter()
            .enumerate()
            .map(|(index, (group, size))| PendingEntry {
                index,
                fifo: group.map(|group| FifoOrder { group, id: "" }),
                delay_seconds: None,
                body: "x".repeat(*size),
            })
            .collect();
        let mut batches = Vec::new();
        while !waiting.is_empty() {
            batches.push(next_batch(&mut waiting).iter().map(|message| message.index).collect());
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
