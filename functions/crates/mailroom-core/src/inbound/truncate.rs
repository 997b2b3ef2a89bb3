//! Making a job small enough for a queue.
//!
//! What is cut first is what a flow misses least, or finds again: the raw message has everything. The order:
//!
//! 1. the HTML body, down to [`HTML_KEPT`]; then the text and the reply text, down to [`TEXT_KEPT`]
//! 2. header fields: long values, then fields from the end (`Received` and what flows route by stand at the top)
//! 3. attendees of events, then events but the first; addresses beyond [`ADDRESSES_KEPT`] of a field, the blind copies first, the senders last; recipients of a report
//!    beyond as many
//! 4. what enclosed messages have attached, and attachments beyond [`ATTACHMENTS_KEPT`]
//! 5. the rest of the HTML body, then of the text, then of the reply text
//! 6. names and ids that are longer than any valid one
//! 7. the rest of every list
//!
//! Each step cuts no more than is still too much. Sizes are those of the JSON, in which a quotation mark takes two
//! bytes and a control character six.

use serde::Serialize;
use time::OffsetDateTime;

use crate::inbound::job::{Address, Attachment, CalendarEvent, FlowJob, MessageContent, Report};

/// Bytes of HTML that are cut only after header fields and long lists.
pub const HTML_KEPT: usize = 16 * 1024;

/// Bytes of text that are cut only after header fields and long lists: a long letter.
pub const TEXT_KEPT: usize = 64 * 1024;

/// Bytes of a header field's value that are cut only with the field itself.
pub const HEADER_VALUE_KEPT: usize = 1024;

/// Header fields that are dropped only after addresses and attachments.
pub const HEADERS_KEPT: usize = 20;

/// Addresses of one field that are dropped only after the bodies.
pub const ADDRESSES_KEPT: usize = 50;

/// Attachments that are dropped only after the bodies.
pub const ATTACHMENTS_KEPT: usize = 200;

/// Bytes of a name or id: an address or a message id has at most 998 (RFC 5322 §2.1.1).
pub const NAME_KEPT: usize = 1000;

/// The job with its JSON cut to at most [`FlowJob::MAX_BYTES`], and `truncated` set if that took anything away. A job
/// that fits is returned as it is. Always succeeds.
#[must_use]
pub fn truncate(mut job: FlowJob) -> FlowJob {
    let unprintable = drop_unprintable_dates(&mut job);
    let mut cutter = Cutter { over: json_size(&job).saturating_sub(FlowJob::MAX_BYTES) };
    let too_large = cutter.over > 0;
    if too_large {
        let message = &mut job.message;
        cut_bodies(&mut cutter, message, HTML_KEPT, TEXT_KEPT);
        cut_headers(&mut cutter, message);
        cut_calendar(&mut cutter, &mut job.calendar, 1);
        cut_addresses(&mut cutter, message, ADDRESSES_KEPT);
        cut_report(&mut cutter, job.report.as_mut(), ADDRESSES_KEPT);
        for enclosed in message.attachments.iter_mut().rev().filter_map(|one| one.message.as_mut()) {
            cutter.drop_tail(&mut enclosed.attachments, 0);
        }
        cutter.drop_tail(&mut message.attachments, ATTACHMENTS_KEPT);
        cut_bodies(&mut cutter, message, 0, 0);
        cut_names(&mut cutter, &mut job);
        cut_lists(&mut cutter, &mut job.message);
        cut_report(&mut cutter, job.report.as_mut(), 0);
        cut_calendar(&mut cutter, &mut job.calendar, 0);
    }
    job.message.truncated |= unprintable || too_large;
    job
}

fn cut_bodies(cutter: &mut Cutter, message: &mut MessageContent, html: usize, text: usize) {
    cutter.cut_option(&mut message.html, html);
    cutter.cut_option(&mut message.text, text);
    cutter.cut_option(&mut message.reply_text, text);
}

fn cut_headers(cutter: &mut Cutter, message: &mut MessageContent) {
    for (name, value) in message.headers.iter_mut().rev() {
        cutter.cut(value, HEADER_VALUE_KEPT);
        cutter.cut(name, HEADER_VALUE_KEPT);
    }
    cutter.drop_tail(&mut message.headers, HEADERS_KEPT);
}

fn cut_addresses(cutter: &mut Cutter, message: &mut MessageContent, kept: usize) {
    let fields = [
        &mut message.bcc,
        &mut message.cc,
        &mut message.to,
        &mut message.reply_to,
        &mut message.sender,
        &mut message.from,
    ];
    for field in fields {
        cutter.drop_tail(field, kept);
    }
}

fn cut_names(cutter: &mut Cutter, job: &mut FlowJob) {
    let message = &mut job.message;
    for attachment in &mut message.attachments {
        cut_attachment(cutter, attachment);
    }
    let lists = [
        &mut message.bcc,
        &mut message.cc,
        &mut message.to,
        &mut message.reply_to,
        &mut message.sender,
        &mut message.from,
    ];
    for Address { name, address } in lists.into_iter().flatten() {
        cutter.cut_option(name, NAME_KEPT);
        cutter.cut_option(address, NAME_KEPT);
    }
    for id in message.references.iter_mut().rev().chain(&mut message.in_reply_to) {
        cutter.cut(id, NAME_KEPT);
    }
    cutter.cut_option(&mut message.subject, NAME_KEPT);
    cutter.cut_option(&mut message.message_id, NAME_KEPT);
    cutter.cut_option(&mut message.delivered_to, NAME_KEPT);
    cutter.cut_option(&mut message.subaddress, NAME_KEPT);
    if let Some(list) = &mut message.list {
        for uri in list.unsubscribe.iter_mut().rev().chain(&mut list.post).chain(&mut list.id) {
            cutter.cut(uri, NAME_KEPT);
        }
    }
    let names = [&mut job.profile_name, &mut job.mailbox, &mut job.login, &mut message.sha256];
    for name in names {
        cutter.cut(name, NAME_KEPT);
    }
    // Mailroom's own ids are short: only a job that it did not write has long ones.
    let ids = [&mut job.flow_schema_id, &mut job.profile_id, job.job_id.text(), job.conversation_id.text()];
    for id in ids {
        cutter.cut(id, NAME_KEPT);
    }
    if let Some(raw) = &mut job.raw {
        cutter.cut(&mut raw.bucket, NAME_KEPT);
        cutter.cut(&mut raw.key, NAME_KEPT);
    }
}

/// Drops recipients of a report; with none left to keep, cuts its texts as well.
fn cut_report(cutter: &mut Cutter, report: Option<&mut Report>, kept: usize) {
    let Some(report) = report else { return };
    if let Some(delivery) = &mut report.delivery {
        cutter.drop_tail(delivery, kept);
    }
    if let Some(complaint) = &mut report.complaint {
        cutter.drop_tail(&mut complaint.recipients, kept);
    }
    if let Some(original) = &mut report.original {
        cutter.drop_tail(&mut original.to, kept);
        if kept == 0 {
            cutter.cut_option(&mut original.subject, NAME_KEPT);
            cutter.cut_option(&mut original.message_id, NAME_KEPT);
        }
    }
    // What is left are words, which the reader of reports keeps short.
}

/// Drops attendees, the later events first, and then events.
fn cut_calendar(cutter: &mut Cutter, calendar: &mut Vec<CalendarEvent>, kept: usize) {
    for event in calendar.iter_mut().rev() {
        cutter.drop_tail(&mut event.attendees, kept);
    }
    cutter.drop_tail(calendar, kept);
}

fn cut_attachment(cutter: &mut Cutter, attachment: &mut Attachment) {
    if let Some(enclosed) = &mut attachment.message {
        cutter.cut_option(&mut enclosed.subject, NAME_KEPT);
        cutter.cut_option(&mut enclosed.message_id, NAME_KEPT);
        for Address { name, address } in &mut enclosed.from {
            cutter.cut_option(name, NAME_KEPT);
            cutter.cut_option(address, NAME_KEPT);
        }
        cutter.drop_tail(&mut enclosed.from, 1);
    }
    for value in attachment.parameters.values_mut() {
        cutter.cut(value, NAME_KEPT);
    }
    let Attachment { filename, content_id, charset, disposition, sha256, .. } = attachment;
    for text in [filename, content_id, charset, disposition, sha256] {
        cutter.cut_option(text, NAME_KEPT);
    }
    cutter.cut(&mut attachment.content_type, NAME_KEPT);
    cutter.cut(&mut attachment.key, NAME_KEPT);
}

fn cut_lists(cutter: &mut Cutter, message: &mut MessageContent) {
    cutter.drop_tail(&mut message.headers, 0);
    // The root of the conversation is the first: it is kept longest.
    cutter.drop_tail(&mut message.references, 0);
    cutter.drop_tail(&mut message.in_reply_to, 0);
    cutter.drop_tail(&mut message.attachments, 0);
    if let Some(flags) = &mut message.flags {
        cutter.drop_tail(flags, 0);
    }
    if let Some(gmail) = &mut message.gmail {
        cutter.drop_tail(&mut gmail.labels, 0);
        cutter.cut_option(&mut gmail.thread_id, NAME_KEPT);
        cutter.cut_option(&mut gmail.message_id, NAME_KEPT);
    }
    if let Some(list) = &mut message.list {
        cutter.drop_tail(&mut list.unsubscribe, 0);
    }
    cut_addresses(cutter, message, 0);
}

/// RFC 3339 has no years before 0 and no offsets of seconds or of a day: a job with such a date cannot be written.
fn drop_unprintable_dates(job: &mut FlowJob) -> bool {
    let unprintable = |date: &OffsetDateTime| {
        let (hours, _, seconds) = date.offset().as_hms();
        !(0..=9999).contains(&date.year()) || seconds != 0 || hours.unsigned_abs() > 23
    };
    let mut dropped = false;
    let enclosed = job.message.attachments.iter_mut().filter_map(|one| one.message.as_mut());
    let enclosed = enclosed.map(|message| &mut message.date);
    let complaint = job.report.as_mut().and_then(|report| report.complaint.as_mut());
    let complaint = complaint.map(|complaint| &mut complaint.arrived_at);
    let own = [&mut job.received_at, &mut job.message.date];
    for date in own.into_iter().chain(enclosed).chain(complaint) {
        dropped |= date.take_if(|date| unprintable(date)).is_some();
    }
    if unprintable(&job.fetched_at) {
        // The clock is broken, and the contract requires a time.
        job.fetched_at = OffsetDateTime::UNIX_EPOCH;
        dropped = true;
    }
    dropped
}

/// Cuts until nothing is too much.
struct Cutter {
    /// Bytes of JSON by which the job is still too large.
    over: usize,
}

impl Cutter {
    /// Cuts the end of `text`, but no further than to `kept` bytes of JSON.
    fn cut(&mut self, text: &mut String, kept: usize) {
        if self.over == 0 || text.len() * LONGEST_ESCAPE <= kept {
            return;
        }
        let size = escaped_size(text);
        let target = size.saturating_sub(self.over).max(kept);
        if target >= size {
            return;
        }
        let mut end = 0;
        let mut left = target;
        for c in text.chars() {
            let Some(rest) = left.checked_sub(escaped(c)) else { break };
            left = rest;
            end += c.len_utf8();
        }
        text.truncate(end);
        self.over = self.over.saturating_sub(size - (target - left));
    }

    fn cut_option(&mut self, text: &mut Option<String>, kept: usize) {
        if let Some(text) = text {
            self.cut(text, kept);
        }
    }

    /// Drops elements from the end, but none of the first `kept`.
    fn drop_tail<T: Serialize>(&mut self, list: &mut Vec<T>, kept: usize) {
        while self.over > 0 && list.len() > kept {
            let Some(last) = list.pop() else { return };
            let comma = usize::from(!list.is_empty());
            self.over = self.over.saturating_sub(json_size(&last) + comma);
        }
    }
}

/// The most bytes of JSON that one byte of text takes: `\u0000`.
const LONGEST_ESCAPE: usize = 6;

/// Bytes of a character in a JSON string, as `serde_json` writes it.
const fn escaped(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => LONGEST_ESCAPE,
        c => c.len_utf8(),
    }
}

fn escaped_size(text: &str) -> usize {
    text.chars().map(escaped).sum()
}

/// Bytes of the value as JSON, without writing it anywhere.
fn json_size(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        // Everything in a job can be written once its dates can; a job that cannot is not sent either.
        Err(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests;
