# Made from flow-job.v1.json by datamodel-code-generator; a test compares them.

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict


class Spam(TypedDict):
    """
    What the filter of the mailbox's own provider says. Known are Microsoft, Fastmail and Yandex. Null at any other server, where the filter says nothing, of oversize and quarantined messages, and in jobs made before it was added. Null is no verdict.
    """

    verdict: Literal['spam', 'not_spam']
    """
    What the filter calls the message.
    """
    score: float | None
    """
    The number behind it, on the provider's own scale; null where it gives none. Microsoft and Fastmail: spam from 5 on.
    """


Sha256: TypeAlias = str


class StoredObject(TypedDict):
    bucket: str
    key: str


MessageId: TypeAlias = str
"""
Without angle brackets (RFC 5322 section 3.6.4).
"""


class Address(TypedDict):
    """
    At least one of the two is there.
    """

    name: str | None
    """
    The display name, decoded.
    """
    address: str | None
    """
    local@domain, as written.
    """


Addresses: TypeAlias = list[Address]


HeaderItem: TypeAlias = str


Header: TypeAlias = list[HeaderItem | str]


class Automatic(TypedDict):
    """
    Why a program wrote it, from Auto-Submitted, the type of a report, and the fields by which systems tell that. Null for people.
    """

    reason: Literal['vacation', 'receipt', 'delay', 'delivery_report', 'complaint', 'generated', 'list']
    """
    vacation: it answers by itself. receipt: a read receipt (RFC 8098). delay: a message is late and still on its way. delivery_report: any other report of delivery (RFC 3464). complaint: RFC 5965. generated: a program tells something on its own. list: a mailing list or bulk.
    """


UnsubscribeItem: TypeAlias = str


class List(TypedDict):
    """
    The mailing list that sent it (RFC 2369, 2919, 8058). Null without any of its fields.
    """

    id: str | None
    """
    List-Id without angle brackets.
    """
    post: str | None
    """
    The first URI of List-Post; null where nobody may post.
    """
    unsubscribe: list[UnsubscribeItem]
    """
    The URIs of List-Unsubscribe, in order.
    """
    one_click: bool
    """
    Whether a POST of List-Unsubscribe=One-Click to the first https URI unsubscribes (RFC 8058).
    """


Flag: TypeAlias = str


Label: TypeAlias = str


class Gmail(TypedDict):
    """
    What Gmail keeps of the message, from its IMAP extension X-GM-EXT-1. Null from every other server, and where the message was not fetched.
    """

    thread_id: str | None
    """
    X-GM-THRID, in decimal; Gmail's API writes the same number in hexadecimal.
    """
    message_id: str | None
    """
    X-GM-MSGID, likewise.
    """
    labels: list[Label]
    """
    X-GM-LABELS, decoded. Gmail's own begin with a backslash, such as \\Inbox.
    """


class Original(TypedDict):
    """
    The message that the report is about, from the copy or the header that it returns, else from its Original-Message-ID, In-Reply-To or References. Null where it tells nothing.
    """

    message_id: MessageId | None
    subject: str | None
    """
    Decoded (RFC 2047).
    """
    to: Addresses


class Outbound(TypedDict):
    """
    The outbound message of the same profile that the report is about: its status shows which recipients bounced (delivery with the action failed). It is found by the Message-ID of original: Mailroom's own, which holds a proof that only Mailroom makes, or the one that the server named when it took the message (Amazon SES, Outlook.com). Null for any other message, for one whose Message-ID its provider replaced without saying so, and for one sent before this was added.
    """

    message: str
    """
    Its id: GET /profiles/{profile_id}/messages/{message}.
    """


Result: TypeAlias = str | None


CalendarText: TypeAlias = str | None


CalendarTime: TypeAlias = str | None


class Attendee(TypedDict):
    name: CalendarText
    """
    The display name.
    """
    address: CalendarText
    """
    local@domain, or another URI.
    """
    status: CalendarText
    """
    PARTSTAT: NEEDS-ACTION, ACCEPTED, DECLINED, TENTATIVE, DELEGATED or another word; null where it is not given, which means NEEDS-ACTION.
    """


class CalendarEvent(TypedDict):
    method: CalendarText
    """
    What the message asks for, in upper case: REQUEST invites or changes, REPLY answers, CANCEL calls it off. Null where neither the calendar nor its part names one.
    """
    uid: CalendarText
    """
    The event's id, the same in every message about it.
    """
    sequence: int | None
    """
    Grows with each change of the event; null where it is not given, which means 0.
    """
    summary: CalendarText
    """
    Its title, on one line.
    """
    starts_at: CalendarTime
    """
    2026-11-02 for whole days; 2026-11-02T09:00:00+01:00 where the zone is known; 2026-11-02T09:00:00 where it is not, or is meant to be the reader's. Null without a time that can be read.
    """
    ends_at: CalendarTime
    """
    The same, from DTEND or DURATION. Of whole days it is the day after the last. Null without both.
    """
    time_zone: CalendarText
    """
    The zone of starts_at: its IANA name, such as Europe/Berlin, else the name that the calendar gives it. Null for UTC, whole days, and times of the reader.
    """
    organizer: Address | None
    """
    Who invites; null where the event names nobody.
    """
    attendees: list[Attendee]
    """
    Who is invited; of a REPLY, who answers.
    """
    status: CalendarText
    """
    CONFIRMED, TENTATIVE or CANCELLED; null where it is not given.
    """
    recurrence: CalendarText
    """
    The rule by which it recurs (RFC 5545 section 3.3.10), such as FREQ=WEEKLY;COUNT=3; null where it does not.
    """
    recurrence_id: CalendarTime
    """
    The start of the one instance of a series that is meant; null where it is the event, or the whole series.
    """
    location: CalendarText
    """
    Where it takes place, on one line.
    """


class ReportedRecipient(TypedDict):
    recipient: str | None
    """
    The address that the server tried (Final-Recipient).
    """
    original_recipient: str | None
    """
    The address that the sender gave (Original-Recipient); null where the report does not say it.
    """
    action: Literal['failed', 'delayed', 'delivered', 'relayed', 'expanded'] | None
    """
    What the server did (RFC 3464 section 2.3.3); null for any other word.
    """
    status: str | None
    """
    The enhanced status code (RFC 3463): 5 is for good, 4 for now. Null where the report has none.
    """
    diagnostic: str | None
    """
    What the remote server said (Diagnostic-Code), on one line; null where the report does not say it.
    """
    remote_mta: str | None
    """
    The server that said it (Remote-MTA); null where the report does not name it.
    """


Recipient: TypeAlias = str


class Complaint(TypedDict):
    feedback_type: str | None
    """
    Feedback-Type, lower case: abuse, not-spam, opt-out or another word.
    """
    recipients: list[Recipient]
    """
    Original-Rcpt-To: who complains. Empty where the provider hides it, as most do.
    """
    source_ip: str | None
    """
    Source-IP; null without it.
    """
    arrived_at: str | None
    """
    Arrival-Date, else Received-Date; null without both.
    """


class Receipt(TypedDict):
    recipient: str | None
    """
    Final-Recipient.
    """
    original_recipient: str | None
    """
    Original-Recipient; null without it.
    """
    disposition: str | None
    """
    What was done with the message, lower case: displayed, deleted, dispatched, processed or another word. Null without the field.
    """
    automatic: bool
    """
    Whether a program did it, and not the reader.
    """


Filename: TypeAlias = str | None
"""
Decoded, without any path; null where it has none.
"""


ContentType: TypeAlias = str
"""
type/subtype, lower case, as the message says: it may lie.
"""


class Attachment1(TypedDict):
    filename: Filename
    content_type: ContentType
    size: int
    """
    Decoded bytes.
    """
    content_id: str | None
    """
    Without angle brackets.
    """
    inline: bool
    """
    Whether it is meant to be shown in the body.
    """


EnclosedMessage = TypedDict(
    'EnclosedMessage',
    {
        'subject': str | None,
        'from': Addresses,
        'date': str | None,
        'message_id': MessageId | None,
        'attachments': list[Attachment1],
    },
)


class Report(TypedDict):
    """
    Exactly one of delivery, complaint and receipt is not null.
    """

    delivery: list[ReportedRecipient] | None
    """
    The outcome for each recipient: from a delivery status (RFC 3464), or read from what a mail server wrote in its own words. Empty where the report names nobody.
    """
    complaint: Complaint | None
    """
    A recipient called the message spam (RFC 5965).
    """
    receipt: Receipt | None
    """
    A recipient's program says what was done with the message (RFC 8098).
    """
    original: Original | None
    """
    The message that the report is about, from the copy or the header that it returns, else from its Original-Message-ID, In-Reply-To or References. Null where it tells nothing.
    """
    outbound: Outbound | None
    """
    The outbound message of the same profile that the report is about: its status shows which recipients bounced (delivery with the action failed). It is found by the Message-ID of original: Mailroom's own, which holds a proof that only Mailroom makes, or the one that the server named when it took the message (Amazon SES, Outlook.com). Null for any other message, for one whose Message-ID its provider replaced without saying so, and for one sent before this was added.
    """


class Authentication(TypedDict):
    """
    Each is a word such as pass, fail, softfail, neutral, none, temperror and permerror; null where the provider does not say it.
    """

    spf: Result
    """
    Whether the server that sent it may send for the domain of the return path (RFC 7208).
    """
    dkim: Result
    """
    Whether a signature of it is valid (RFC 6376): pass, if one of several is.
    """
    dmarc: Result
    """
    Whether one of the two belongs to the domain in From (RFC 7489): what to trust a sender by.
    """
    arc: Result
    """
    Whether the servers that passed it on vouch for it (RFC 8617).
    """


class Attachment(TypedDict):
    filename: Filename
    content_type: ContentType
    size: int
    """
    Decoded bytes.
    """
    content_id: str | None
    """
    Without angle brackets: what cid: links in the HTML name.
    """
    inline: bool
    """
    Whether it is meant to be shown in the body.
    """
    key: str
    """
    The object's key in raw.bucket.
    """
    charset: NotRequired[str | None]
    """
    The charset that Content-Type names, lower case: the object holds the bytes as they came. Null where the field names none.
    """
    parameters: NotRequired[dict[str, str]]
    """
    The parameters of Content-Type other than name and charset, names in lower case, values decoded (RFC 2231), such as {"method": "REQUEST"}.
    """
    sha256: NotRequired[Sha256 | None]
    """
    Of the object. Null in jobs made before it was added.
    """
    disposition: NotRequired[str | None]
    """
    The type of Content-Disposition (RFC 2183), lower case: inline, attachment or another word. Null where the field is missing.
    """
    message: NotRequired[EnclosedMessage | None]
    """
    What an enclosed message (message/rfc822, message/global) says of itself; the object is all of it. Null for anything else.
    """


Message = TypedDict(
    'Message',
    {
        'message_id': MessageId | None,
        'in_reply_to': list[MessageId],
        'references': list[MessageId],
        'date': str | None,
        'subject': str | None,
        'from': Addresses,
        'sender': Addresses,
        'reply_to': Addresses,
        'to': Addresses,
        'cc': Addresses,
        'bcc': Addresses,
        'text': str | None,
        'html': str | None,
        'auto_submitted': NotRequired[str | None],
        'truncated': bool,
        'headers': list[Header],
        'attachments': list[Attachment],
        'size': int,
        'sha256': Sha256,
        'text_source': NotRequired[Literal['plain', 'html'] | None],
        'reply_text': NotRequired[str | None],
        'automatic': NotRequired[Automatic | None],
        'answerable': NotRequired[bool | None],
        'delivered_to': NotRequired[str | None],
        'subaddress': NotRequired[str | None],
        'list': NotRequired[List | None],
        'importance': NotRequired[Literal['high', 'normal', 'low'] | None],
        'flags': NotRequired[list[Flag] | None],
        'gmail': NotRequired[Gmail | None],
        'attachments_omitted': NotRequired[int],
    },
)


class FlowJob(TypedDict):
    """
    What a flow receives for a message. At most 261120 bytes of JSON: what is cut to get there sets message.truncated, and is whole in raw. Fields may be added to version 1: pass over those that you do not know.
    """

    version: Literal[1]
    """
    The version of this format.
    """
    job_id: Sha256
    """
    The same for equal messages of one profile, for ever: whoever sees it twice has handled it.
    """
    flow_schema_id: str
    """
    The flow schema to start.
    """
    profile_id: str
    """
    The profile that received the message: a ULID.
    """
    profile_name: str
    """
    The profile's name.
    """
    login: str
    """
    The profile's login at the mail server.
    """
    mailbox: str
    """
    The IMAP mailbox, in UTF-8.
    """
    uid_validity: int | None
    """
    The mailbox's UIDVALIDITY; null from a server that has none.
    """
    uid: int
    """
    The message's UID in the mailbox.
    """
    received_at: str | None
    """
    When it arrived (INTERNALDATE); null where the server does not say.
    """
    fetched_at: str
    """
    When it was fetched.
    """
    kind: Literal['message', 'auto_reply', 'bounce', 'oversize', 'quarantined']
    """
    message: from someone. auto_reply: from a program that answers messages (RFC 3834), receipts and notices of delay included. bounce: a message was not delivered (RFC 3464). oversize: above the profile's limit, headers only. quarantined: failed again and again, where it lies only.
    """
    conversation_id: str
    """
    The same for all messages of a thread in a profile. Jobs of one conversation come in order. It is that of the first known message among those that the message names: in References, the oldest first, in In-Reply-To, and in what a report returns. Known is what came in or went out through the profile within a year, by its Message-ID or the one that the server gave it. If none is known, it comes from the first id of References, else of In-Reply-To, else from the message's own.
    """
    message: Message
    raw: StoredObject | None
    """
    The message as it came, an object in S3; null where it was not fetched.
    """
    report: NotRequired[Report | None]
    """
    What a report says: every bounce, and every auto_reply that is a notice of delay or delivery, a receipt or a complaint (see message.automatic). Null for any other message, and in jobs made before it was added. It is what the message claims: anybody can write a report.
    """
    calendar: NotRequired[list[CalendarEvent]]
    """
    The events of its text/calendar parts, else of its application/ics parts: invitations, answers and cancellations (RFC 5546). Empty without any, and of oversize and quarantined messages; absent from jobs made before it was added. It is what the message claims: the sender need not be the organizer.
    """
    encrypted: NotRequired[Literal['smime', 'pgp'] | None]
    """
    smime: encrypted by S/MIME (RFC 8551). pgp: by OpenPGP (RFC 3156), or its text is (RFC 9580). What it says is in its attachments or its text, as it came. Null where it is not encrypted, of oversize and quarantined messages, and in jobs made before it was added.
    """
    authentication: NotRequired[Authentication | None]
    """
    What the mailbox's own provider found out about the sender, from the Authentication-Results that it wrote itself (RFC 8601 section 5). Known are Gmail, Microsoft, iCloud, Yahoo, AOL, Fastmail, Zoho, GMX, WEB.DE and Yandex, and the servers that the profile names in trusted_authserv_ids: of those the topmost field of a message counts. Null at any other server, where the provider wrote none, of oversize and quarantined messages, and in jobs made before it was added. Null is no verdict.
    """
    spam: NotRequired[Spam | None]
    """
    What the filter of the mailbox's own provider says. Known are Microsoft, Fastmail and Yandex. Null at any other server, where the filter says nothing, of oversize and quarantined messages, and in jobs made before it was added. Null is no verdict.
    """
    supersedes: NotRequired[Sha256 | None]
    """
    The job of kind `quarantined` that was sent for this message before it could be read; null for others.
    """
    redelivered: NotRequired[bool]
    """
    Whether this job may have been sent before, by a run that crashed. FIFO queues drop most repeats.
    """
