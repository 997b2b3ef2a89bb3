"""Tells everybody who writes that the message has arrived: a Lambda function on Mailroom's job queue.

Environment: MAILROOM_API is the URL of the API; MAILROOM_API_TOKEN a token for it, where it asks for one.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any, TypedDict

from flow_job import FlowJob


class Record(TypedDict):
    messageId: str
    body: str


class Batch(TypedDict):
    """What SQS hands over."""

    Records: list[Record]


class Failure(TypedDict):
    itemIdentifier: str


class Failures(TypedDict):
    """Which of it comes again; the event source mapping needs ReportBatchItemFailures."""

    batchItemFailures: list[Failure]


def handler(batch: Batch, _context: object) -> Failures:
    failures: list[Failure] = []
    for record in batch["Records"]:
        # What follows a failure comes again with it: so the jobs of a conversation stay in order.
        if not failures:
            try:
                handle(json.loads(record["body"]))
                continue
            except Exception as error:
                # What failed, and the queue's id: the words of some errors quote the job, and it holds people's mail.
                print(f"queue message {record['messageId']} failed: {type(error).__name__}")
        failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def handle(job: FlowJob) -> None:
    message = job["message"]
    # A person wrote it, and no field of it forbids an answer.
    if job["version"] != 1 or job["kind"] != "message" or not message.get("answerable"):
        return
    to = [one for one in message["reply_to"] or message["from"] if one["address"]]
    if not to:
        return
    subject = message["subject"] or ""
    written = message.get("reply_text") or message["text"] or ""
    answer: dict[str, Any] = {
        "to": to,
        "from_name": job["profile_name"],
        "subject": subject if subject.lower().startswith("re:") else f"Re: {subject}",
        "text": f"Thank you, your message has arrived:\n\n{quoted(written)}\n",
        "auto_submitted": True,
    }
    if message["message_id"]:
        answer["in_reply_to"] = message["message_id"]
        answer["references"] = [*message["references"], message["message_id"]]
    post(f"/profiles/{job['profile_id']}/messages", job["job_id"], answer)


def post(path: str, key: str, body: dict[str, Any]) -> None:
    """Posts a message once, however often: the key is the job's id."""
    headers = {"content-type": "application/json", "idempotency-key": key}
    if token := os.environ.get("MAILROOM_API_TOKEN"):
        headers["authorization"] = f"Bearer {token}"
    url = os.environ["MAILROOM_API"] + path
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20):
            pass
    except urllib.error.HTTPError as error:
        # A conflict with no field is the loop guard's: it holds the answer back now and later.
        if error.code == 409 and "errors" not in json.load(error):
            return
        print(f"the API answered {error.code}")
        raise


def quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.rstrip().split("\n"))
