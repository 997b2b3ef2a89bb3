//! The queues as SQS keeps them: FIFO with a short memory, and standard ones that deliver at least once.

use std::collections::BTreeMap;
use std::time::Duration;

use mailroom_core::inbound::schedule::{MAX_DELAY, PollRequest};

use crate::clock;

/// How long a FIFO queue knows a deduplication id.
const DEDUPLICATION: Duration = Duration::from_secs(300);

/// The poll queue's visibility timeout and `maxReceiveCount` (infra/template.yaml).
const VISIBILITY: Duration = Duration::from_secs(720);
const MAX_RECEIVES: u32 = 5;

/// The job queue: FIFO, deduplicated within each group.
#[derive(Debug, Default)]
pub(crate) struct JobQueue {
    /// When a job of this group with this deduplication id was taken.
    taken: BTreeMap<(String, String), Duration>,
    pub(crate) count: usize,
}

impl JobQueue {
    /// Takes a job; whether it is one that flows will see. A repeat within [`DEDUPLICATION`] is taken and dropped.
    pub(crate) fn send(&mut self, group: &str, id: &str) -> bool {
        let now = clock::elapsed();
        let key = (group.to_owned(), id.to_owned());
        if self.taken.get(&key).is_some_and(|at| now < *at + DEDUPLICATION) {
            return false;
        }
        self.taken.insert(key, now);
        self.count += 1;
        true
    }
}

/// A queue message of the poll queue.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) id: u32,
    pub(crate) body: String,
    visible_at: Duration,
    receives: u32,
}

/// The poll queue, with its dead letters.
#[derive(Debug, Default)]
pub(crate) struct PollQueue {
    messages: Vec<Queued>,
    pub(crate) dead: Vec<String>,
    last_id: u32,
}

impl PollQueue {
    pub(crate) fn send(&mut self, request: &PollRequest, delay: Duration) {
        self.last_id += 1;
        // Whole seconds, as the service counts.
        let delay = Duration::from_secs(delay.min(MAX_DELAY).as_secs());
        self.messages.push(Queued {
            id: self.last_id,
            body: request.to_json(),
            visible_at: clock::elapsed() + delay,
            receives: 0,
        });
    }

    /// When the next queue message becomes visible.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.messages.iter().map(|message| message.visible_at).min()
    }

    /// A queue message that is visible; it is not for a while then. One that came too often goes to the dead letters.
    pub(crate) fn receive(&mut self) -> Option<Queued> {
        let now = clock::elapsed();
        loop {
            let at = self.messages.iter().position(|message| message.visible_at <= now)?;
            if self.messages[at].receives == MAX_RECEIVES {
                let message = self.messages.remove(at);
                self.dead.push(message.body);
                continue;
            }
            let message = &mut self.messages[at];
            message.receives += 1;
            message.visible_at = now + VISIBILITY;
            return Some(message.clone());
        }
    }

    /// Handled: it does not come again.
    pub(crate) fn delete(&mut self, id: u32) {
        self.messages.retain(|message| message.id != id);
    }
}
