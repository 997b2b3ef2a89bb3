//! What a report says: about delivery (RFC 3464), a complaint (RFC 5965), a receipt (RFC 8098).
//!
//! [`fields`] reads what is written for programs, [`written`] what mail servers write in their own words, [`original`]
//! which message it is about. A report is what its writer claims, as any other message.

mod fields;
mod original;
pub(super) mod written;

use mailroom_core::inbound::job::{
    AutomaticReason, Complaint, Kind, MessageContent, Receipt, Report, ReportedAction, ReportedRecipient,
};

use super::header::Block;
use super::limits::MAX_REPORTED;
use super::multipart::{Leaf, Tree};
use super::{date, param};

/// Bytes of a part that is written for programs: a hundred recipients with long answers.
const MAX_FIELDS_BYTES: usize = 128 * 1024;

/// What a message says as a report; `None` for any other message. `content` is complete but for its attachments.
pub(super) fn of(content: &MessageContent, kind: Kind, block: &Block<'_>, tree: &Tree<'_>) -> Option<Report> {
    let reason = content.automatic.as_ref()?.reason;
    let part = |names: &[&str]| tree.leaves.iter().find(|leaf| names.contains(&leaf.head.media_type()));
    let receipt = part(&["message/disposition-notification", "message/global-disposition-notification"]);
    let mut report = Report { original: original::of(content, block, tree), ..Report::default() };
    match reason {
        AutomaticReason::Complaint => {
            report.complaint = Some(part(&["message/feedback-report"]).map(complaint).unwrap_or_default());
        }
        AutomaticReason::Receipt => report.receipt = Some(receipt.map(read_receipt).unwrap_or_default()),
        AutomaticReason::Delay | AutomaticReason::DeliveryReport => {
            report.delivery = Some(delivery(content, kind, tree, receipt));
        }
        AutomaticReason::Vacation | AutomaticReason::Generated | AutomaticReason::List => return None,
    }
    if let Some(id) = receipt.and_then(original_id) {
        report.original.get_or_insert_default().message_id = Some(id);
    }
    Some(report)
}

/// The outcome for each recipient: from the delivery status, from a receipt that refuses, or from the text.
fn delivery(
    content: &MessageContent,
    kind: Kind,
    tree: &Tree<'_>,
    receipt: Option<&Leaf<'_>>,
) -> Vec<ReportedRecipient> {
    let action = if kind == Kind::Bounce { ReportedAction::Failed } else { ReportedAction::Delayed };
    let is_status = |leaf: &&Leaf<'_>| {
        matches!(leaf.head.media_type(), "message/delivery-status" | "message/global-delivery-status")
    };
    let mut found = Vec::new();
    for status in tree.leaves.iter().filter(is_status).take(MAX_REPORTED) {
        fields::groups(&read(status), |group| found.extend(recipient(group)));
    }
    if let (true, Some(receipt)) = (found.is_empty(), receipt) {
        fields::groups(&read(receipt), |group| {
            found.extend(recipient(group).map(|one| ReportedRecipient { action: Some(action), ..one }));
        });
    }
    if found.is_empty() {
        let text = content.text.as_deref().unwrap_or_default();
        let own = content.from.iter().chain(&content.sender).chain(&content.to);
        let own: Vec<&str> = own.filter_map(|address| address.address.as_deref()).collect();
        found = written::recipients(text, &own, action);
        if let ([], Some(failed)) = (found.as_slice(), written::failed_recipients(content)) {
            found = failed
                .map(|one| ReportedRecipient {
                    recipient: Some(one),
                    action: Some(action),
                    ..ReportedRecipient::default()
                })
                .collect();
        }
    }
    found.truncate(MAX_REPORTED);
    found
}

/// A part that is written for programs, decoded as far as it is read.
fn read<'a>(leaf: &Leaf<'a>) -> std::borrow::Cow<'a, [u8]> {
    let body = leaf.body.get(..MAX_FIELDS_BYTES).unwrap_or(leaf.body);
    leaf.head.transfer.decode(body).bytes
}

/// The recipient of a group of fields; `None` for the group about the report itself.
fn recipient(group: &Block<'_>) -> Option<ReportedRecipient> {
    let address = |name: &str| group.first(name).as_deref().and_then(fields::address);
    let original_recipient = address("Original-Recipient");
    let recipient = address("Final-Recipient").or_else(|| address("X-Actual-Recipient"));
    let action = group.first("Action");
    if recipient.is_none() && original_recipient.is_none() && action.is_none() {
        return None;
    }
    let diagnostic = group.first("Diagnostic-Code").as_deref().and_then(fields::untyped);
    let status = group.first("Status").as_deref().and_then(fields::status);
    Some(ReportedRecipient {
        recipient: recipient.or_else(|| original_recipient.clone()),
        original_recipient,
        action: action.as_deref().and_then(fields::action),
        status: status.or_else(|| diagnostic.as_deref().and_then(fields::status)),
        diagnostic,
        remote_mta: group.first("Remote-MTA").as_deref().and_then(fields::untyped),
    })
}

fn complaint(leaf: &Leaf<'_>) -> Complaint {
    let mut complaint = Complaint::default();
    let word = |value: String| param::word(&value).map(str::to_owned);
    fields::groups(&read(leaf), |group| {
        let first = |name: &str| group.first(name);
        let kind = first("Feedback-Type").and_then(word).map(|kind| kind.to_ascii_lowercase());
        complaint.feedback_type = complaint.feedback_type.take().or(kind);
        complaint.source_ip = complaint.source_ip.take().or_else(|| first("Source-IP").and_then(word));
        let arrived = first("Arrival-Date").or_else(|| first("Received-Date"));
        complaint.arrived_at = complaint.arrived_at.or_else(|| arrived.as_deref().and_then(date::parse));
        let recipients = group.all("Original-Rcpt-To");
        complaint.recipients.extend(recipients.filter_map(|field| fields::address(&field.unfolded())));
    });
    complaint.recipients.truncate(MAX_REPORTED);
    complaint
}

fn read_receipt(leaf: &Leaf<'_>) -> Receipt {
    let mut receipt = Receipt::default();
    fields::groups(&read(leaf), |group| {
        let address = |name: &str| group.first(name).as_deref().and_then(fields::address);
        receipt.recipient = receipt.recipient.take().or_else(|| address("Final-Recipient"));
        receipt.original_recipient =
            receipt.original_recipient.take().or_else(|| address("Original-Recipient"));
        if let Some(disposition) = group.first("Disposition") {
            let disposition = disposition.to_ascii_lowercase();
            receipt.automatic = disposition.trim_start().starts_with("automatic-action");
            let kind = disposition.split(';').nth(1).and_then(|kind| kind.split(['/', ',']).next());
            receipt.disposition = kind.and_then(param::word).map(str::to_owned);
        }
    });
    receipt
}

/// The message that a receipt is for (RFC 8098 §3.2.5).
fn original_id(leaf: &Leaf<'_>) -> Option<String> {
    let mut id = None;
    fields::groups(&read(leaf), |group| {
        let ids = super::ids::Ids::read(group, "Original-Message-ID").ids;
        id = id.take().or_else(|| ids.into_iter().next());
    });
    id
}

#[cfg(test)]
mod tests;
