//! What the header says beside the letter: whether a program wrote it and why, whether it may be answered, where it was
//! delivered, which list sent it, how important it is called.
//!
//! All of it is what the message claims; nothing is verified.

use mailroom_core::inbound::job::{
    Address, Automatic, AutomaticReason, Importance, Kind, MailingList, MessageContent,
};

use super::header::{Block, Field};
use super::kind;
use super::limits::MAX_ID_BYTES;
use super::multipart::{Leaf, Tree};

/// URIs of `List-Unsubscribe`: RFC 2369 §3.2 shows two.
const MAX_UNSUBSCRIBE: usize = 10;

/// How much of a delivery report is searched for its actions.
const MAX_STATUS_BYTES: usize = 16 * 1024;

/// The fields by which servers say where they delivered a message: qmail, Postfix and Gmail; Postfix; Exim.
const DELIVERED: [&str; 3] = ["Delivered-To", "X-Original-To", "Envelope-To"];

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// Delivery, with a `delayed` among its actions or without.
    Delivery {
        delayed: bool,
    },
    Receipt,
    Complaint,
}

impl Report {
    /// By the types of a report's parts, and the `report-type` that its header names.
    pub(super) fn of(tree: &Tree<'_>, report_type: Option<&str>) -> Option<Self> {
        let part = |names: &[&str]| tree.leaves.iter().find(|leaf| names.contains(&leaf.head.media_type()));
        if part(&["message/feedback-report"]).is_some() {
            return Some(Self::Complaint);
        }
        if let Some(status) = part(&["message/delivery-status", "message/global-delivery-status"]) {
            return Some(Self::Delivery { delayed: is_delayed(status) });
        }
        if part(&["message/disposition-notification"]).is_some() {
            return Some(Self::Receipt);
        }
        Self::named(report_type)
    }

    /// By `report-type` alone (RFC 6522 §3).
    pub(super) fn named(report_type: Option<&str>) -> Option<Self> {
        match report_type?.to_ascii_lowercase().as_str() {
            "feedback-report" => Some(Self::Complaint),
            "delivery-status" => Some(Self::Delivery { delayed: false }),
            "disposition-notification" => Some(Self::Receipt),
            _ => None,
        }
    }
}

fn is_delayed(status: &Leaf<'_>) -> bool {
    let body = status.body.get(..MAX_STATUS_BYTES).unwrap_or(status.body);
    let decoded = status.head.transfer.decode(body);
    String::from_utf8_lossy(&decoded.bytes).lines().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("action")
                && value.trim().to_ascii_lowercase().starts_with("delayed")
        })
    })
}

/// Fills in what the header says. `kind` and `report` are what the message was found to be; its addresses are there
/// already.
pub(super) fn fill(content: &mut MessageContent, block: &Block<'_>, kind: Kind, report: Option<Report>) {
    content.list = list(block);
    content.automatic = reason(block, kind, report).map(|reason| Automatic { reason });
    content.answerable = Some(content.automatic.is_none() && is_answerable(block, content));
    let delivered: Vec<String> = delivered(block).collect();
    content.subaddress = delivered.iter().find_map(|address| subaddress(address)).or_else(|| {
        let mut to = content.to.iter().chain(&content.cc);
        match (to.next(), to.next()) {
            (Some(Address { address: Some(only), .. }), None) if delivered.is_empty() => subaddress(only),
            _ => None,
        }
    });
    content.delivered_to = delivered.into_iter().next();
    content.importance = importance(block);
}

/// Why a program wrote a message: what it is first, then what it says of itself.
fn reason(block: &Block<'_>, kind: Kind, report: Option<Report>) -> Option<AutomaticReason> {
    match (report, kind) {
        (Some(Report::Complaint), _) => Some(AutomaticReason::Complaint),
        (_, Kind::Bounce) => Some(AutomaticReason::DeliveryReport),
        (Some(Report::Receipt), _) => Some(AutomaticReason::Receipt),
        (Some(Report::Delivery { delayed: true }), _) => Some(AutomaticReason::Delay),
        (Some(Report::Delivery { delayed: false }), _) => Some(AutomaticReason::DeliveryReport),
        (None, Kind::AutoReply) if kind::is_response(block) => Some(AutomaticReason::Vacation),
        // A mail server, in its own words.
        (None, Kind::AutoReply) => Some(AutomaticReason::Delay),
        (None, Kind::Message | Kind::Oversize | Kind::Quarantined) => claimed(block),
    }
}

/// What a message that is no report and no reply says of itself.
fn claimed(block: &Block<'_>) -> Option<AutomaticReason> {
    if let Some(keyword) = kind::auto_submitted(block) {
        let replied = keyword == "auto-replied";
        return Some(if replied { AutomaticReason::Vacation } else { AutomaticReason::Generated });
    }
    // Vixie's cron and its heirs.
    if block.all("X-Cron-Env").next().is_some() {
        return Some(AutomaticReason::Generated);
    }
    let bulk = block
        .all("Precedence")
        .any(|field| matches!(field.unfolded().to_ascii_lowercase().as_str(), "list" | "bulk" | "junk"));
    let fields = ["List-Id", "List-Post", "List-Unsubscribe"];
    let listed = fields.iter().any(|name| block.all(name).next().is_some());
    (bulk || listed).then_some(AutomaticReason::List)
}

/// RFC 3834 §2: there is an address to answer, it is a person's by its name, and nothing forbids an answer.
fn is_answerable(block: &Block<'_>, content: &MessageContent) -> bool {
    let null_path = block.first("Return-Path").is_some_and(|path| path.replace([' ', '\t'], "") == "<>");
    let suppressed = block.all("X-Auto-Response-Suppress").any(|field| {
        let value = field.unfolded().to_ascii_lowercase();
        value.split(',').any(|kind| matches!(kind.trim(), "all" | "oof" | "autoreply"))
    });
    let answered =
        content.reply_to.iter().chain(&content.from).find_map(|address| address.address.as_deref());
    !null_path && !suppressed && answered.is_some_and(is_persons)
}

/// Whether an address can be a person's, by its local part (RFC 3834 §2, and what senders call what they do not read).
fn is_persons(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let local: String = local.to_ascii_lowercase();
    let joined: String = local.chars().filter(char::is_ascii_alphanumeric).collect();
    let unread = ["noreply", "donotreply", "nepasrepondre", "mailerdaemon"];
    !domain.is_empty()
        && !local.starts_with("owner-")
        && !local.ends_with("-request")
        && local != "postmaster"
        && !unread.iter().any(|name| joined.contains(name))
}

/// The addresses of the fields of [`DELIVERED`], topmost first: the last server writes on top.
fn delivered(block: &Block<'_>) -> impl Iterator<Item = String> {
    let named = |field: &&Field<'_>| DELIVERED.iter().any(|name| field.is(name));
    block.fields.iter().filter(named).filter_map(|field| {
        let value = field.unfolded();
        let address = value.trim().trim_start_matches('<').trim_end_matches('>');
        let (local, domain) = address.rsplit_once('@')?;
        let one = !local.is_empty() && !domain.is_empty() && !address.contains([' ', '\t', ',', '<']);
        (one && address.len() <= MAX_ID_BYTES).then(|| address.to_owned())
    })
}

/// What follows the first `+` of the local part (RFC 5233 §4).
fn subaddress(address: &str) -> Option<String> {
    let (local, _) = address.rsplit_once('@')?;
    let (user, detail) = local.split_once('+')?;
    (!user.is_empty() && !detail.is_empty() && detail.len() <= MAX_ID_BYTES).then(|| detail.to_owned())
}

/// The list that sent a message; `None` without anything that says so.
fn list(block: &Block<'_>) -> Option<MailingList> {
    let id = block.first("List-Id").and_then(|value| {
        let bracketed = value.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(id, _)| id);
        let id = bracketed.unwrap_or(&value).trim();
        (!id.is_empty() && id.len() <= MAX_ID_BYTES).then(|| id.to_owned())
    });
    let unsubscribe: Vec<String> = block
        .all("List-Unsubscribe")
        .flat_map(|field| uris(&field.unfolded()))
        .take(MAX_UNSUBSCRIBE)
        .collect();
    let post = block.first("List-Post").and_then(|value| uris(&value).into_iter().next());
    let asked = block.first("List-Unsubscribe-Post").is_some_and(|value| {
        value.replace([' ', '\t'], "").eq_ignore_ascii_case("List-Unsubscribe=One-Click")
    });
    let one_click = asked && unsubscribe.iter().any(|uri| uri.starts_with("https://"));
    let listed = id.is_some() || post.is_some() || !unsubscribe.is_empty();
    listed.then_some(MailingList { id, post, unsubscribe, one_click })
}

/// The URIs in angle brackets (RFC 2369 §2), without the spaces that folding leaves in them. Only what mail and the web
/// open.
fn uris(value: &str) -> Vec<String> {
    let bracketed = value.split('<').skip(1).filter_map(|text| text.split_once('>').map(|(uri, _)| uri));
    let clean = |uri: &str| uri.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let opens = |uri: &String| {
        let scheme = uri.split(':').next().unwrap_or_default().to_ascii_lowercase();
        uri.len() <= MAX_ID_BYTES && matches!(scheme.as_str(), "mailto" | "https" | "http")
    };
    bracketed.map(clean).filter(opens).take(MAX_UNSUBSCRIBE).collect()
}

/// `Importance` (RFC 4021 §2.1.54), else `X-Priority` from 1 to 5, else `Priority` (RFC 4021 §2.1.53).
fn importance(block: &Block<'_>) -> Option<Importance> {
    let value = |name: &str| block.first(name).map(|value| value.trim().to_ascii_lowercase());
    let level = |name: &str| match value(name)?.as_str() {
        "high" | "urgent" => Some(Importance::High),
        "normal" => Some(Importance::Normal),
        "low" | "non-urgent" => Some(Importance::Low),
        _ => None,
    };
    let number = || match value("X-Priority")?.chars().next()? {
        '1' | '2' => Some(Importance::High),
        '3' => Some(Importance::Normal),
        '4' | '5' => Some(Importance::Low),
        _ => None,
    };
    level("Importance").or_else(number).or_else(|| level("Priority"))
}

#[cfg(test)]
mod tests;
