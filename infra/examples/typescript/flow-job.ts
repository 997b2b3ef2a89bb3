// Made from flow-job.v1.json by generate.mjs; a test compares them.

/**
 * Without angle brackets (RFC 5322 section 3.6.4).
 */
export type MessageId = string;
/**
 * @maxItems 1000
 */
export type Addresses = Address[];
/**
 * Decoded, without any path; null where it has none.
 */
export type Filename = string | null;
/**
 * type/subtype, lower case, as the message says: it may lie.
 */
export type ContentType = string;
export type Sha256 = string;

/**
 * What a flow receives for a message. At most 261120 bytes of JSON: what is cut to get there sets message.truncated, and is whole in raw. Fields may be added to version 1: pass over those that you do not know.
 */
export interface FlowJob {
  /**
   * The version of this format.
   */
  version: 1;
  /**
   * The same for equal messages of one profile, for ever: whoever sees it twice has handled it.
   */
  job_id: string;
  /**
   * The flow schema to start.
   */
  flow_schema_id: string;
  /**
   * The profile that received the message: a ULID.
   */
  profile_id: string;
  /**
   * The profile's name.
   */
  profile_name: string;
  /**
   * The profile's login at the mail server.
   */
  login: string;
  /**
   * The IMAP mailbox, in UTF-8.
   */
  mailbox: string;
  /**
   * The mailbox's UIDVALIDITY; null from a server that has none.
   */
  uid_validity: number | null;
  /**
   * The message's UID in the mailbox.
   */
  uid: number;
  /**
   * When it arrived (INTERNALDATE); null where the server does not say.
   */
  received_at: string | null;
  /**
   * When it was fetched.
   */
  fetched_at: string;
  /**
   * message: from someone. auto_reply: from a program that answers messages (RFC 3834), receipts and notices of delay included. bounce: a message was not delivered (RFC 3464). oversize: above the profile's limit, headers only. quarantined: failed again and again, where it lies only.
   */
  kind: "message" | "auto_reply" | "bounce" | "oversize" | "quarantined";
  /**
   * The same for all messages of a thread in a profile. Jobs of one conversation come in order. It is that of the first known message among those that the message names: in References, the oldest first, in In-Reply-To, and in what a report returns. Known is what came in or went out through the profile within a year, by its Message-ID or the one that the server gave it. If none is known, it comes from the first id of References, else of In-Reply-To, else from the message's own.
   */
  conversation_id: string;
  message: Message;
  /**
   * The message as it came, an object in S3; null where it was not fetched.
   */
  raw: StoredObject | null;
  /**
   * What a report says: every bounce, and every auto_reply that is a notice of delay or delivery, a receipt or a complaint (see message.automatic). Null for any other message, and in jobs made before it was added. It is what the message claims: anybody can write a report.
   */
  report?: Report | null;
  /**
   * The events of its text/calendar parts, else of its application/ics parts: invitations, answers and cancellations (RFC 5546). Empty without any, and of oversize and quarantined messages; absent from jobs made before it was added. It is what the message claims: the sender need not be the organizer.
   *
   * @maxItems 50
   */
  calendar?: CalendarEvent[];
  /**
   * smime: encrypted by S/MIME (RFC 8551). pgp: by OpenPGP (RFC 3156), or its text is (RFC 9580). What it says is in its attachments or its text, as it came. Null where it is not encrypted, of oversize and quarantined messages, and in jobs made before it was added.
   */
  encrypted?: "smime" | "pgp" | null;
  /**
   * What the mailbox's own provider found out about the sender, from the Authentication-Results that it wrote itself (RFC 8601 section 5). Known are Gmail, Microsoft, iCloud, Yahoo, AOL, Fastmail, Zoho, GMX, WEB.DE and Yandex, and the servers that the profile names in trusted_authserv_ids: of those the topmost field of a message counts. Null at any other server, where the provider wrote none, of oversize and quarantined messages, and in jobs made before it was added. Null is no verdict.
   */
  authentication?: Authentication | null;
  /**
   * What the filter of the mailbox's own provider says. Known are Microsoft, Fastmail and Yandex. Null at any other server, where the filter says nothing, of oversize and quarantined messages, and in jobs made before it was added. Null is no verdict.
   */
  spam?: {
    /**
     * What the filter calls the message.
     */
    verdict: "spam" | "not_spam";
    /**
     * The number behind it, on the provider's own scale; null where it gives none. Microsoft and Fastmail: spam from 5 on.
     */
    score: number | null;
  } | null;
  /**
   * The job of kind `quarantined` that was sent for this message before it could be read; null for others.
   */
  supersedes?: Sha256 | null;
  /**
   * Whether this job may have been sent before, by a run that crashed. FIFO queues drop most repeats.
   */
  redelivered?: boolean;
}
export interface Message {
  message_id: MessageId | null;
  /**
   * @maxItems 200
   */
  in_reply_to: MessageId[];
  /**
   * Oldest first.
   *
   * @maxItems 200
   */
  references: MessageId[];
  /**
   * The Date field, in the sender's zone; null where it is missing or no date.
   */
  date: string | null;
  /**
   * Decoded (RFC 2047).
   */
  subject: string | null;
  from: Addresses;
  sender: Addresses;
  reply_to: Addresses;
  to: Addresses;
  cc: Addresses;
  bcc: Addresses;
  /**
   * The plain text body, lines ending in LF, format=flowed unwrapped (RFC 3676). Made from the HTML where no part is plain text (text_source says so); null where the message has no body.
   */
  text: string | null;
  /**
   * The HTML body; null where the message has none. Not sanitized: it can hold scripts and trackers.
   */
  html: string | null;
  /**
   * The keyword of the Auto-Submitted field (RFC 3834 section 5), lower case: auto-generated where a program wrote the message on its own, auto-replied where it answers one. null where the field is missing or says no. Whatever it is, do not answer such a message automatically. Absent from jobs made before it was added.
   */
  auto_submitted?: string | null;
  /**
   * Whether something was left out, because of its length or number.
   */
  truncated: boolean;
  /**
   * All header fields in order: name as written, value unfolded and decoded.
   *
   * @maxItems 1000
   */
  headers: [string, string][];
  /**
   * @maxItems 1000
   */
  attachments: Attachment[];
  /**
   * Bytes of the message.
   */
  size: number;
  /**
   * Of the raw message; where there is none, a digest that stands for it.
   */
  sha256: string;
  /**
   * plain: text is the message's own. html: text was made from the HTML. Null where there is no text.
   */
  text_source?: "plain" | "html" | null;
  /**
   * What was written in this message, from text or html: without quoted history, attribution lines, signatures and disclaimers; answers between quotes are all there. Null where nothing of it is left, as in a bare forward, or where it cannot be told: read text then.
   */
  reply_text?: string | null;
  /**
   * Why a program wrote it, from Auto-Submitted, the type of a report, and the fields by which systems tell that. Null for people.
   */
  automatic?: {
    /**
     * vacation: it answers by itself. receipt: a read receipt (RFC 8098). delay: a message is late and still on its way. delivery_report: any other report of delivery (RFC 3464). complaint: RFC 5965. generated: a program tells something on its own. list: a mailing list or bulk.
     */
    reason: "vacation" | "receipt" | "delay" | "delivery_report" | "complaint" | "generated" | "list";
  } | null;
  /**
   * Whether an automatic answer is in order (RFC 3834 section 2): a person wrote it, it has a sender, and no field forbids it. Null where the header was not read.
   */
  answerable?: boolean | null;
  /**
   * The address it was delivered to: the topmost of Delivered-To, X-Original-To and Envelope-To. Null where no server wrote one.
   */
  delivered_to?: string | null;
  /**
   * What follows the first + in the local part (RFC 5233) of the address it came to: of the first of those three fields that has a +, or, without any of them, of the only recipient in To and Cc. Null without a +.
   */
  subaddress?: string | null;
  /**
   * The mailing list that sent it (RFC 2369, 2919, 8058). Null without any of its fields.
   */
  list?: {
    /**
     * List-Id without angle brackets.
     */
    id: string | null;
    /**
     * The first URI of List-Post; null where nobody may post.
     */
    post: string | null;
    /**
     * The URIs of List-Unsubscribe, in order.
     *
     * @maxItems 10
     */
    unsubscribe: string[];
    /**
     * Whether a POST of List-Unsubscribe=One-Click to the first https URI unsubscribes (RFC 8058).
     */
    one_click: boolean;
  } | null;
  /**
   * From Importance, else X-Priority, else Priority; null without any.
   */
  importance?: "high" | "normal" | "low" | null;
  /**
   * The message's IMAP flags and keywords when it was fetched (RFC 9051 section 2.3.2), such as \Seen and $Forwarded; without \Recent. Null where the message was not fetched, or the server told none.
   *
   * @maxItems 100
   */
  flags?: string[] | null;
  /**
   * What Gmail keeps of the message, from its IMAP extension X-GM-EXT-1. Null from every other server, and where the message was not fetched.
   */
  gmail?: {
    /**
     * X-GM-THRID, in decimal; Gmail's API writes the same number in hexadecimal.
     */
    thread_id: string | null;
    /**
     * X-GM-MSGID, likewise.
     */
    message_id: string | null;
    /**
     * X-GM-LABELS, decoded. Gmail's own begin with a backslash, such as \Inbox.
     *
     * @maxItems 100
     */
    labels: string[];
  } | null;
  /**
   * How many more attachments the message has than are stored by themselves (the first 100) and listed in attachments. They are in the raw message.
   */
  attachments_omitted?: number;
}
/**
 * At least one of the two is there.
 */
export interface Address {
  /**
   * The display name, decoded.
   */
  name: string | null;
  /**
   * local@domain, as written.
   */
  address: string | null;
}
export interface Attachment {
  filename: Filename;
  content_type: ContentType;
  /**
   * Decoded bytes.
   */
  size: number;
  /**
   * Without angle brackets: what cid: links in the HTML name.
   */
  content_id: string | null;
  /**
   * Whether it is meant to be shown in the body.
   */
  inline: boolean;
  /**
   * The object's key in raw.bucket.
   */
  key: string;
  /**
   * The charset that Content-Type names, lower case: the object holds the bytes as they came. Null where the field names none.
   */
  charset?: string | null;
  /**
   * The parameters of Content-Type other than name and charset, names in lower case, values decoded (RFC 2231), such as {"method": "REQUEST"}.
   */
  parameters?: {
    [k: string]: string;
  };
  /**
   * Of the object. Null in jobs made before it was added.
   */
  sha256?: Sha256 | null;
  /**
   * The type of Content-Disposition (RFC 2183), lower case: inline, attachment or another word. Null where the field is missing.
   */
  disposition?: string | null;
  /**
   * What an enclosed message (message/rfc822, message/global) says of itself; the object is all of it. Null for anything else.
   */
  message?: EnclosedMessage | null;
}
export interface EnclosedMessage {
  /**
   * Decoded (RFC 2047).
   */
  subject: string | null;
  from: Addresses;
  /**
   * Its Date field; null where it is missing or no date.
   */
  date: string | null;
  message_id: MessageId | null;
  /**
   * Its own attachments, which have no objects of their own. A message among them is listed, and not opened.
   *
   * @maxItems 50
   */
  attachments: {
    filename: Filename;
    content_type: ContentType;
    /**
     * Decoded bytes.
     */
    size: number;
    /**
     * Without angle brackets.
     */
    content_id: string | null;
    /**
     * Whether it is meant to be shown in the body.
     */
    inline: boolean;
  }[];
}
export interface StoredObject {
  bucket: string;
  key: string;
}
/**
 * Exactly one of delivery, complaint and receipt is not null.
 */
export interface Report {
  /**
   * The outcome for each recipient: from a delivery status (RFC 3464), or read from what a mail server wrote in its own words. Empty where the report names nobody.
   *
   * @maxItems 100
   */
  delivery: ReportedRecipient[] | null;
  /**
   * A recipient called the message spam (RFC 5965).
   */
  complaint: Complaint | null;
  /**
   * A recipient's program says what was done with the message (RFC 8098).
   */
  receipt: Receipt | null;
  /**
   * The message that the report is about, from the copy or the header that it returns, else from its Original-Message-ID, In-Reply-To or References. Null where it tells nothing.
   */
  original: {
    message_id: MessageId | null;
    /**
     * Decoded (RFC 2047).
     */
    subject: string | null;
    to: Addresses;
  } | null;
  /**
   * The outbound message of the same profile that the report is about: its status shows which recipients bounced (delivery with the action failed). It is found by the Message-ID of original: Mailroom's own, which holds a proof that only Mailroom makes, or the one that the server named when it took the message (Amazon SES, Outlook.com). Null for any other message, for one whose Message-ID its provider replaced without saying so, and for one sent before this was added.
   */
  outbound: {
    /**
     * Its id: GET /profiles/{profile_id}/messages/{message}.
     */
    message: string;
  } | null;
}
export interface ReportedRecipient {
  /**
   * The address that the server tried (Final-Recipient).
   */
  recipient: string | null;
  /**
   * The address that the sender gave (Original-Recipient); null where the report does not say it.
   */
  original_recipient: string | null;
  /**
   * What the server did (RFC 3464 section 2.3.3); null for any other word.
   */
  action: "failed" | "delayed" | "delivered" | "relayed" | "expanded" | null;
  /**
   * The enhanced status code (RFC 3463): 5 is for good, 4 for now. Null where the report has none.
   */
  status: string | null;
  /**
   * What the remote server said (Diagnostic-Code), on one line; null where the report does not say it.
   */
  diagnostic: string | null;
  /**
   * The server that said it (Remote-MTA); null where the report does not name it.
   */
  remote_mta: string | null;
}
export interface Complaint {
  /**
   * Feedback-Type, lower case: abuse, not-spam, opt-out or another word.
   */
  feedback_type: string | null;
  /**
   * Original-Rcpt-To: who complains. Empty where the provider hides it, as most do.
   *
   * @maxItems 100
   */
  recipients: string[];
  /**
   * Source-IP; null without it.
   */
  source_ip: string | null;
  /**
   * Arrival-Date, else Received-Date; null without both.
   */
  arrived_at: string | null;
}
export interface Receipt {
  /**
   * Final-Recipient.
   */
  recipient: string | null;
  /**
   * Original-Recipient; null without it.
   */
  original_recipient: string | null;
  /**
   * What was done with the message, lower case: displayed, deleted, dispatched, processed or another word. Null without the field.
   */
  disposition: string | null;
  /**
   * Whether a program did it, and not the reader.
   */
  automatic: boolean;
}
export interface CalendarEvent {
  /**
   * What the message asks for, in upper case: REQUEST invites or changes, REPLY answers, CANCEL calls it off. Null where neither the calendar nor its part names one.
   */
  method: string | null;
  /**
   * The event's id, the same in every message about it.
   */
  uid: string | null;
  /**
   * Grows with each change of the event; null where it is not given, which means 0.
   */
  sequence: number | null;
  /**
   * Its title, on one line.
   */
  summary: string | null;
  /**
   * 2026-11-02 for whole days; 2026-11-02T09:00:00+01:00 where the zone is known; 2026-11-02T09:00:00 where it is not, or is meant to be the reader's. Null without a time that can be read.
   */
  starts_at: string | null;
  /**
   * The same, from DTEND or DURATION. Of whole days it is the day after the last. Null without both.
   */
  ends_at: string | null;
  /**
   * The zone of starts_at: its IANA name, such as Europe/Berlin, else the name that the calendar gives it. Null for UTC, whole days, and times of the reader.
   */
  time_zone: string | null;
  /**
   * Who invites; null where the event names nobody.
   */
  organizer: Address | null;
  /**
   * Who is invited; of a REPLY, who answers.
   *
   * @maxItems 200
   */
  attendees: {
    /**
     * The display name.
     */
    name: string | null;
    /**
     * local@domain, or another URI.
     */
    address: string | null;
    /**
     * PARTSTAT: NEEDS-ACTION, ACCEPTED, DECLINED, TENTATIVE, DELEGATED or another word; null where it is not given, which means NEEDS-ACTION.
     */
    status: string | null;
  }[];
  /**
   * CONFIRMED, TENTATIVE or CANCELLED; null where it is not given.
   */
  status: string | null;
  /**
   * The rule by which it recurs (RFC 5545 section 3.3.10), such as FREQ=WEEKLY;COUNT=3; null where it does not.
   */
  recurrence: string | null;
  /**
   * The start of the one instance of a series that is meant; null where it is the event, or the whole series.
   */
  recurrence_id: string | null;
  /**
   * Where it takes place, on one line.
   */
  location: string | null;
}
/**
 * Each is a word such as pass, fail, softfail, neutral, none, temperror and permerror; null where the provider does not say it.
 */
export interface Authentication {
  /**
   * Whether the server that sent it may send for the domain of the return path (RFC 7208).
   */
  spf: string | null;
  /**
   * Whether a signature of it is valid (RFC 6376): pass, if one of several is.
   */
  dkim: string | null;
  /**
   * Whether one of the two belongs to the domain in From (RFC 7489): what to trust a sender by.
   */
  dmarc: string | null;
  /**
   * Whether the servers that passed it on vouch for it (RFC 8617).
   */
  arc: string | null;
}
