//! The bucket and the queues: where mail goes.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use mailroom_core::job::{FlowJob, JobId};
use mailroom_core::ports::{Handover, PortError};
use mailroom_core::schedule::PollRequest;

use crate::client::Clients;
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

/// Entries of one batch.
const BATCH_ENTRIES: usize = 10;

/// Bytes of one batch. AWS takes 1 MiB since 2025; regions and emulators that lag take 256 KiB.
const BATCH_BYTES: usize = 256 * 1024;

/// The bucket for mail, the job queue and the poll queue.
#[derive(Debug)]
pub struct Outbox {
    clients: Clients,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    bucket: String,
    job_queue_url: String,
    poll_queue_url: String,
}

impl Outbox {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, bucket: &str, job_queue_url: &str, poll_queue_url: &str) -> Self {
        Self {
            clients: clients.clone(),
            sqs: OnceLock::new(),
            s3: OnceLock::new(),
            bucket: bucket.to_owned(),
            job_queue_url: job_queue_url.to_owned(),
            poll_queue_url: poll_queue_url.to_owned(),
        }
    }

    fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.sqs.get_or_init(|| aws_sdk_sqs::Client::new(&self.clients.config))
    }

    fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| {
            let config = aws_sdk_s3::config::Builder::from(&self.clients.config)
                .force_path_style(self.clients.custom_endpoint)
                .build();
            aws_sdk_s3::Client::from_conf(config)
        })
    }

    /// Sends one batch; the positions of the entries that the queue took.
    async fn send_batch(
        &self,
        queue: &str,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Result<HashSet<usize>, PortError> {
        let sent = self
            .sqs()
            .send_message_batch()
            .queue_url(queue)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(unavailable("SendMessageBatch"))?;
        for failed in &sent.failed {
            tracing::warn!(queue, code = failed.code, "the queue refused a message");
        }
        Ok(sent.successful.iter().filter_map(|entry| entry.id.parse().ok()).collect())
    }
}

/// Cuts `items` into batches by count and bytes; an item above the bytes is a batch of its own.
fn batches<T>(items: &[(T, String)]) -> Vec<&[(T, String)]> {
    let mut batches = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take(BATCH_ENTRIES)
            .take_while(|(_, body)| {
                bytes += body.len();
                bytes <= BATCH_BYTES
            })
            .count();
        let (batch, others) = rest.split_at(fitting.max(1));
        batches.push(batch);
        rest = others;
    }
    batches
}

fn entry(id: usize, body: &str) -> aws_sdk_sqs::types::builders::SendMessageBatchRequestEntryBuilder {
    SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(body)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, PortError> {
    serde_json::to_string(value).map_err(|error| PortError::Corrupt(error.to_string()))
}

impl Handover for Outbox {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.s3()
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(unavailable("PutObject"))?;
        Ok(())
    }

    async fn send(&self, queue: Option<&str>, jobs: &[FlowJob]) -> Result<Vec<JobId>, PortError> {
        let queue = queue.unwrap_or(&self.job_queue_url);
        let ordered = queue.ends_with(".fifo");
        let bodies: Vec<(&FlowJob, String)> =
            jobs.iter().map(|job| json(job).map(|body| (job, body))).collect::<Result<_, _>>()?;
        let mut taken = Vec::new();
        for batch in batches(&bodies) {
            let entries = batch
                .iter()
                .enumerate()
                .map(|(n, (job, body))| {
                    let mut entry = entry(n, body);
                    if ordered {
                        entry = entry
                            .message_group_id(job.conversation_id.as_str())
                            .message_deduplication_id(job.job_id.as_str());
                    }
                    entry.build().map_err(unavailable("SendMessageBatch"))
                })
                .collect::<Result<Vec<_>, _>>()?;
            let accepted = self.send_batch(queue, entries).await?;
            taken.extend(
                batch
                    .iter()
                    .enumerate()
                    .filter(|(n, _)| accepted.contains(n))
                    .map(|(_, (job, _))| job.job_id.clone()),
            );
            // Nothing later overtakes what was refused.
            if accepted.len() < batch.len() {
                break;
            }
        }
        Ok(taken)
    }

    async fn request(&self, polls: &[(PollRequest, Duration)]) -> Result<(), PortError> {
        let bodies: Vec<(i32, String)> = polls
            .iter()
            .map(|(request, delay)| {
                let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX).min(900);
                json(request).map(|body| (seconds, body))
            })
            .collect::<Result<_, _>>()?;
        for batch in batches(&bodies) {
            let mut left: HashMap<usize, &(i32, String)> = batch.iter().enumerate().collect();
            for tries in 0..PARTIAL_TRIES {
                let entries = left
                    .iter()
                    .map(|(n, (delay, body))| {
                        entry(*n, body).delay_seconds(*delay).build().map_err(unavailable("SendMessageBatch"))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                let accepted = self.send_batch(&self.poll_queue_url, entries).await?;
                left.retain(|n, _| !accepted.contains(n));
                if left.is_empty() {
                    break;
                }
                back_off(tries).await;
            }
            if !left.is_empty() {
                return Err(left_over("SendMessageBatch", left.len()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_order_and_both_bounds() {
        let items = |sizes: &[usize]| sizes.iter().map(|n| ((), "x".repeat(*n))).collect::<Vec<_>>();
        let lengths = |sizes: &[usize]| batches(&items(sizes)).iter().map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[1; 25]), [10, 10, 5]);
        assert_eq!(lengths(&[100_000; 5]), [2, 2, 1]);
        assert_eq!(lengths(&[300_000, 1]), [1, 1]);
        assert!(lengths(&[]).is_empty());
    }
}
