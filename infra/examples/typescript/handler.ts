// Tells everybody who writes that the message has arrived: a Lambda function on Mailroom's job queue.
//
// Environment: MAILROOM_API is the URL of the API; MAILROOM_API_TOKEN a token for it, where it asks for one.

import type { Address, FlowJob } from "./flow-job.ts";

/** What SQS hands over. */
interface Batch {
  Records: { messageId: string; body: string }[];
}

/** Which of it comes again; the event source mapping needs `ReportBatchItemFailures`. */
interface Failures {
  batchItemFailures: { itemIdentifier: string }[];
}

export async function handler(batch: Batch): Promise<Failures> {
  const batchItemFailures: { itemIdentifier: string }[] = [];
  for (const { messageId, body } of batch.Records) {
    // What follows a failure comes again with it: so the jobs of a conversation stay in order.
    if (batchItemFailures.length === 0) {
      try {
        await handle(JSON.parse(body) as FlowJob);
        continue;
      } catch (error) {
        // What failed, and the queue's id: the words of some errors quote the job, and it holds people's mail.
        console.error(`queue message ${messageId} failed: ${error instanceof Error ? error.name : typeof error}`);
      }
    }
    batchItemFailures.push({ itemIdentifier: messageId });
  }
  return { batchItemFailures };
}

async function handle(job: FlowJob): Promise<void> {
  // A person wrote it, and no field of it forbids an answer.
  if (job.version !== 1 || job.kind !== "message" || job.message.answerable !== true) return;
  const { message } = job;
  const askedFor = message.reply_to.length > 0 ? message.reply_to : message.from;
  const to = askedFor.filter((one: Address) => one.address !== null);
  if (to.length === 0) return;
  const subject = message.subject ?? "";
  const answer = {
    to,
    from_name: job.profile_name,
    subject: /^re:/i.test(subject) ? subject : `Re: ${subject}`,
    text: `Thank you, your message has arrived:\n\n${quoted(message.reply_text ?? message.text ?? "")}\n`,
    auto_submitted: true,
    ...(message.message_id !== null && {
      in_reply_to: message.message_id,
      references: [...message.references, message.message_id],
    }),
  };
  await post(`/profiles/${job.profile_id}/messages`, job.job_id, answer);
}

/** Posts a message once, however often: the key is the job's id. */
async function post(path: string, key: string, body: object): Promise<void> {
  const headers: Record<string, string> = { "content-type": "application/json", "idempotency-key": key };
  const token = process.env.MAILROOM_API_TOKEN;
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(`${process.env.MAILROOM_API}${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  });
  if (response.ok) return;
  const problem = (await response.json().catch(() => ({}))) as { errors?: unknown[] };
  // A conflict with no field is the loop guard's: it holds the answer back now and later.
  if (response.status === 409 && !problem.errors) return;
  console.error(`the API answered ${response.status}`);
  throw new Error("not accepted");
}

function quoted(text: string): string {
  return text.trimEnd().split("\n").map((line) => `> ${line}`.trimEnd()).join("\n");
}
