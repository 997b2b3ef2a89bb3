//! Takes jobs off the job queue and shows them.

use std::time::Duration;

use crate::demo::stopped;
use crate::job_summary;
use crate::problem::{Problem, call_failed};
use crate::progress::say;
use crate::stack::Stack;

/// How long one receive waits, in seconds.
const WAIT_SECONDS: i32 = 2;

/// When to stop showing jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// Once everything that is there has been shown.
    #[default]
    Shown,
    /// When the person presses Ctrl-C.
    Stopped,
}

/// Shows the jobs on the stack's queue, and removes each from it, as a flow does that has handled it: left there, a queue
/// hands a job out five times at most.
///
/// # Errors
/// When the queue does not answer.
pub async fn run(stack: &Stack, until: Until, print: &impl Fn(&str)) -> Result<(), Problem> {
    tokio::select! {
        result = show(stack, until, print) => result,
        () = stopped() => Ok(()),
    }
}

async fn show(stack: &Stack, until: Until, print: &impl Fn(&str)) -> Result<(), Problem> {
    let sqs = aws_sdk_sqs::Client::new(stack.clients().sdk_config());
    let mut count = 0;
    if until == Until::Stopped {
        say("Jobs are shown as they come, and removed from the queue; Ctrl-C ends this.");
    }
    loop {
        let receive = sqs.receive_message().queue_url(&stack.queues.job).max_number_of_messages(10);
        let answer =
            receive.wait_time_seconds(WAIT_SECONDS).send().await.map_err(call_failed("ReceiveMessage"))?;
        for message in answer.messages() {
            count += 1;
            job_summary::show(message.body().unwrap_or_default(), count, print)?;
            if let Some(handle) = message.receipt_handle() {
                let delete = sqs.delete_message().queue_url(&stack.queues.job).receipt_handle(handle);
                delete.send().await.map_err(call_failed("DeleteMessage"))?;
            }
        }
        if answer.messages().is_empty() {
            match until {
                Until::Shown if count == 0 => {
                    say("No job is on the queue. Wait for the next with: cargo local jobs --follow");
                    return Ok(());
                }
                Until::Shown => {
                    say("✓ shown, and removed from the queue");
                    return Ok(());
                }
                // An emulator may answer at once in place of waiting.
                Until::Stopped => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}
