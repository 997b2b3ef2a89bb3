//! How the messages of a page belong to those before them: their conversations, and what reports are about.

use std::collections::BTreeSet;

use mailroom_core::conversation::{self, MessageKey, Thread};
use mailroom_core::inbound::job::{FlowJob, ReportedOutbound};
use mailroom_core::ports::{Conversations, PortError};
use mailroom_core::profile::ProfileId;
use time::OffsetDateTime;

/// Says of each job which conversation its message is part of, and which message of ours its report is about.
///
/// The messages are noted before their jobs are sent, so that a message that is handed over again is in the conversation
/// that it was in.
pub(crate) async fn place<C: Conversations>(
    conversations: &C,
    profile: ProfileId,
    threads: &[Thread],
    jobs: &mut [FlowJob],
    now: OffsetDateTime,
) -> Result<(), PortError> {
    let keys: BTreeSet<&MessageKey> = threads.iter().flat_map(Thread::keys).collect();
    let keys: Vec<MessageKey> = keys.into_iter().cloned().collect();
    let mut known = conversations.known_messages(profile, &keys).await?;
    let new = conversation::place(threads, &mut known);
    known.extend(conversations.note_messages(profile, &new, now).await?);
    for (job, thread) in jobs.iter_mut().zip(threads) {
        job.conversation_id = thread.conversation(&known);
        if let Some(report) = &mut job.report
            && report.outbound.is_none()
        {
            report.outbound =
                thread.reported_outbound(&known).map(|id| ReportedOutbound { message: id.to_string() });
        }
    }
    Ok(())
}
