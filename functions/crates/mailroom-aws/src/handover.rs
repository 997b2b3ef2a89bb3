//! Where inbound messages go: to the bucket, then to the job queue. And the poll queue, by which fetch starts itself again.

mod batch;

use std::collections::{HashSet, VecDeque};
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use mailroom_core::error_chain::Chain;
use mailroom_core::inbound::job::{FlowJob, JobId};
use mailroom_core::inbound::schedule::{MAX_DELAY, PollRequest};
use mailroom_core::ports::{Handover, PortError};
use mailroom_core::profile::ProfileId;

use self::batch::{FifoOrder, PendingEntry, next_batch};
use crate::client::Clients;
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};
use crate::objects::Objects;
use crate::send_queue::SendQueue;

/// The content type of an object whose own cannot be the value of a header.
const UNKNOWN_CONTENT_TYPE: &str = "application/octet-stream";

/// The bucket for messages, the job queue, the poll queue and the send queue.
#[derive(Debug)]
pub struct HandoverQueue {
    clients: Clients,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    objects: Objects,
    job_queue_url: String,
    poll_queue_url: String,
    send_queue: SendQueue,
}

/// The URLs of the queues that fetch writes to.
#[derive(Debug, Clone, Copy)]
pub struct QueueUrls<'a> {
    /// The default job queue.
    pub job: &'a str,
    /// The poll queue.
    pub poll: &'a str,
    /// The send queue.
    pub send: &'a str,
}

/// The error codes with which SQS says that a queue takes no messages from us, whatever they are.
const REFUSALS: [&str; 9] = [
    "AccessDenied",
    "AccessDeniedException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "InvalidAddress",
    "KMS.AccessDeniedException",
    "KMS.DisabledException",
    "KMS.NotFoundException",
    "KMS.InvalidStateException",
];

/// What the queue did with one queue message of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryResult {
    /// The queue has it.
    Taken,
    /// The queue did not take it now, and may later.
    Busy,
    /// The queue will never take it: the message is at fault.
    Refused,
}

impl HandoverQueue {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, bucket: &str, queues: QueueUrls<'_>) -> Self {
        Self {
            clients: clients.clone(),
            sqs: OnceLock::new(),
            objects: Objects::new(clients, bucket),
            job_queue_url: queues.job.to_owned(),
            poll_queue_url: queues.poll.to_owned(),
            send_queue: SendQueue::new(clients, queues.send),
        }
    }

    fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.sqs.get_or_init(|| aws_sdk_sqs::Client::new(&self.clients.config))
    }

    /// Sends all queue messages, in order within a group, and returns the indexes of those that were taken.
    ///
    /// What the queue does not take now is tried again a few times. Behind one that is refused, the rest of its group is
    /// not sent.
    async fn deliver(
        &self,
        queue: &str,
        mut waiting: VecDeque<PendingEntry<'_>>,
    ) -> Result<Vec<usize>, PortError> {
        let mut taken = Vec::new();
        let mut refused_groups = HashSet::new();
        let mut tries = 1;
        while !waiting.is_empty() {
            let batch = next_batch(&mut waiting);
            let answers = match self.send_batch(queue, &batch).await {
                Ok(answers) => answers,
                // The caller has to learn what was taken, or it is sent twice.
                Err(error) if !taken.is_empty() => {
                    tracing::warn!(queue, error = %Chain(&error), "the queue took only some of the messages");
                    break;
                }
                Err(error) => return Err(error),
            };
            let mut busy = Vec::new();
            for (message, answer) in batch.into_iter().zip(answers) {
                match answer {
                    EntryResult::Taken => taken.push(message.index),
                    EntryResult::Busy => busy.push(message),
                    EntryResult::Refused => refused_groups.extend(message.fifo.map(|order| order.group)),
                }
            }
            waiting.retain(|message| message.fifo.is_none_or(|order| !refused_groups.contains(order.group)));
            if !busy.is_empty() {
                if tries == PARTIAL_TRIES {
                    break;
                }
                back_off(tries).await;
                tries += 1;
                busy.into_iter().rev().for_each(|message| waiting.push_front(message));
            }
        }
        Ok(taken)
    }

    /// Sends one batch, and returns a result for each of its queue messages.
    async fn send_batch(
        &self,
        queue: &str,
        batch: &[PendingEntry<'_>],
    ) -> Result<Vec<EntryResult>, PortError> {
        let entries =
            batch.iter().enumerate().map(|(n, message)| entry(n, message)).collect::<Result<_, _>>()?;
        let sent = self
            .sqs()
            .send_message_batch()
            .queue_url(queue)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| match error.code() {
            Some(code) if REFUSALS.contains(&code) => {
                PortError::QueueRefused { queue: queue.to_owned(), code: code.to_owned() }
            }
            Some(_) | None => unavailable("SendMessageBatch")(error),
        })?;
        let mut answers = vec![EntryResult::Busy; batch.len()];
        let mut answer = |id: &str, what| {
            if let Some(slot) = id.parse().ok().and_then(|n: usize| answers.get_mut(n)) {
                *slot = what;
            }
        };
        for entry in &sent.successful {
            answer(&entry.id, EntryResult::Taken);
        }
        for failed in &sent.failed {
            if failed.sender_fault {
                tracing::error!(queue, code = failed.code, "the queue will never take a message");
                answer(&failed.id, EntryResult::Refused);
            } else {
                tracing::warn!(queue, code = failed.code, "the queue did not take a message");
            }
        }
        Ok(answers)
    }
}

fn entry(id: usize, message: &PendingEntry<'_>) -> Result<SendMessageBatchRequestEntry, PortError> {
    SendMessageBatchRequestEntry::builder()
        .id(id.to_string())
        .message_body(&message.body)
        .set_delay_seconds(message.delay_seconds)
        .set_message_group_id(message.fifo.map(|order| order.group.to_owned()))
        .set_message_deduplication_id(message.fifo.map(|order| order.id.to_owned()))
        .build()
        .map_err(unavailable("SendMessageBatch"))
}

/// The JSON of a queue message, free of the two characters that SQS refuses and JSON does not escape.
///
/// A message may hold them. The replacement has as many bytes, so what fits still fits.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, PortError> {
    let text = serde_json::to_string(value).map_err(|error| PortError::Corrupt(error.to_string()))?;
    Ok(free_of_refused(text))
}

fn free_of_refused(text: String) -> String {
    let refused = ['\u{fffe}', '\u{ffff}'];
    if text.contains(refused) { text.replace(refused, "\u{fffd}") } else { text }
}

/// Messages name any content type they like, and not all of these can be the value of a header.
fn header_value(content_type: &str) -> &str {
    let fits = (1..=255).contains(&content_type.len());
    let plain = content_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if fits && plain { content_type } else { UNKNOWN_CONTENT_TYPE }
}

impl Handover for HandoverQueue {
    fn bucket(&self) -> &str {
        self.objects.bucket()
    }

    async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        if key.is_empty() {
            return Err(PortError::Corrupt("an object has no key".to_owned()));
        }
        self.objects.put(key, header_value(content_type), bytes).await
    }

    async fn send(&self, queue: Option<&str>, jobs: &[FlowJob]) -> Result<Vec<JobId>, PortError> {
        let queue = queue.unwrap_or(&self.job_queue_url);
        let ordered = queue.ends_with(".fifo");
        let waiting = jobs
            .iter()
            .enumerate()
            .map(|(index, job)| {
                let order = FifoOrder { group: job.conversation_id.as_str(), id: job.job_id.as_str() };
                Ok(PendingEntry {
                    index,
                    fifo: ordered.then_some(order),
                    delay_seconds: None,
                    body: json(job)?,
                })
            })
            .collect::<Result<_, PortError>>()?;
        let taken = self.deliver(queue, waiting).await?;
        Ok(taken.into_iter().filter_map(|index| jobs.get(index)).map(|job| job.job_id.clone()).collect())
    }

    async fn request_send(&self, profile: ProfileId, request: &str) -> Result<(), PortError> {
        let request = free_of_refused(request.to_owned());
        self.send_queue.send(&profile.to_string(), &request).await
    }

    async fn request(&self, requests: &[(PollRequest, Duration)]) -> Result<(), PortError> {
        let waiting = requests
            .iter()
            .enumerate()
            .map(|(index, (request, delay))| {
                let seconds = i32::try_from((*delay).min(MAX_DELAY).as_secs()).ok();
                Ok(PendingEntry { index, fifo: None, delay_seconds: seconds, body: request.to_json() })
            })
            .collect::<Result<_, PortError>>()?;
        let taken = match self.deliver(&self.poll_queue_url, waiting).await {
            // The poll queue belongs to Mailroom, so the owner of a mailbox cannot repair it.
            Err(error @ PortError::QueueRefused { .. }) => {
                return Err(unavailable("SendMessageBatch")(error));
            }
            other => other?,
        };
        if taken.len() == requests.len() {
            Ok(())
        } else {
            Err(left_over("SendMessageBatch", requests.len() - taken.len()))
        }
    }
}

/// The poll queue alone, for a function that hands nothing over.
#[derive(Debug)]
pub struct PollQueue {
    clients: Clients,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    url: String,
}

impl PollQueue {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, url: &str) -> Self {
        Self { clients: clients.clone(), sqs: OnceLock::new(), url: url.to_owned() }
    }

    /// Puts a request on the poll queue.
    ///
    /// # Errors
    /// When the queue does not take it.
    pub async fn request(&self, request: &PollRequest) -> Result<(), PortError> {
        let sqs = self.sqs.get_or_init(|| aws_sdk_sqs::Client::new(&self.clients.config));
        let send = sqs.send_message().queue_url(&self.url).message_body(request.to_json());
        send.send().await.map_err(unavailable("SendMessage"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
