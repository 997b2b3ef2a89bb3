//! Which conversation a message belongs to: that of the messages that it names, as far as they are known.
//!
//! What a message names need not reach back to the beginning: phones name its parent alone, and some servers replace the
//! Message-ID of what is sent through them. So each message, in or out, is noted with its conversation under its own id,
//! and one that goes out also under the id that the server says it gave it. A message that names none that is known is in
//! the conversation that its own header names ([`ConversationId::new`]).

use std::collections::{HashMap, HashSet};

use time::Duration;

use crate::inbound::job::{ConversationId, Digest, MessageContent, Report};
use crate::outbound::message::{Message, MessageId, OutboundId};
use crate::profile::ProfileId;

/// How long a message is known: longer than people take to answer. Each message of a conversation is noted again, so that
/// one that goes on has no end.
pub const KNOWN_TIME: Duration = Duration::days(365);

/// The last of the ids in `References` that are looked up, beside the first: the nearest are known if any is.
const LATEST_REFERENCES: usize = 8;

/// The ids in `In-Reply-To` that are looked up. Few messages have more than one.
const PARENTS: usize = 2;

/// The domain of the ids of Amazon SES, below which each region has one of its own.
const SES: &str = "amazonses.com";

/// What a message is noted under: its Message-ID, or its digest if it has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKey(String);

impl MessageKey {
    /// The key of a Message-ID without angle brackets.
    #[must_use]
    pub fn of(message_id: &str) -> Self {
        // Amazon SES reports the left side alone. The right side says nothing but the region.
        let region = |domain: &str| {
            let domain = domain.to_ascii_lowercase();
            domain.strip_suffix(SES).is_some_and(|region| region.is_empty() || region.ends_with('.'))
        };
        match message_id.rsplit_once('@') {
            Some((id, domain)) if region(domain) => Self(format!("{id}@{SES}")),
            Some(_) | None => Self(message_id.to_owned()),
        }
    }

    /// The key of the Message-ID that a server gave a message, from its reply to the final dot; `None` where the reply
    /// names none.
    ///
    /// Exchange Online and Outlook.com say `250 2.0.0 OK <id@domain> [Hostname=…]`, as do some relays; Amazon SES says
    /// `250 Ok 0107018f9a2b3c4d-1f2e3d4c-0000-4a5b-8c6d-7e8f9a0b1c2d-000000`.
    #[must_use]
    pub fn reported(reply: &str) -> Option<Self> {
        let named = |word: &str| {
            let (_, rest) = word.split_once('<')?;
            let (id, _) = rest.split_once('>')?;
            let id = MessageId::parse(id).ok().filter(|id| id.as_str().contains('@'))?;
            Some(Self::of(id.as_str()))
        };
        let of_ses = |word: &str| is_ses_id(word).then(|| Self::of(&format!("{word}@{SES}")));
        reply.split_ascii_whitespace().find_map(|word| named(word).or_else(|| of_ses(word)))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a word is the left side of an id of Amazon SES: hexadecimal digits in groups of these lengths.
fn is_ses_id(word: &str) -> bool {
    let groups = word.split('-').map(|group| {
        let hexadecimal = group.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hexadecimal { group.len() } else { 0 }
    });
    groups.eq([16, 8, 4, 4, 4, 12, 6])
}

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMessage {
    /// The conversation that it is part of.
    pub conversation: ConversationId,
    /// Its id, if Mailroom sent it.
    pub outbound: Option<OutboundId>,
}

/// What is known of messages, each by its key.
pub type KnownMessages = HashMap<MessageKey, KnownMessage>;

/// A message's own key, and the messages that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    own: MessageKey,
    /// The first that is known decides.
    named: Vec<MessageKey>,
    /// The message that it reports about.
    reported: Option<MessageKey>,
    /// The conversation if none of them is known.
    otherwise: ConversationId,
}

impl Thread {
    /// The thread of a message that came in. A report belongs to the conversation of the message that it is about, unless
    /// it names another.
    #[must_use]
    pub fn of(profile: ProfileId, message: &MessageContent, report: Option<&Report>, digest: Digest) -> Self {
        let MessageContent { references, in_reply_to, message_id, .. } = message;
        let original = report.and_then(|report| report.original.as_ref()?.message_id.as_deref());
        Self {
            named: named(references, in_reply_to, original),
            reported: original.map(MessageKey::of),
            own: message_id.as_deref().map_or_else(|| MessageKey(digest.to_hex()), MessageKey::of),
            otherwise: ConversationId::new(profile, references, in_reply_to, message_id.as_deref(), digest),
        }
    }

    /// The thread of a message that goes out.
    #[must_use]
    pub fn of_outbound(profile: ProfileId, message_id: &MessageId, message: &Message) -> Self {
        let text = |id: &MessageId| id.as_str().to_owned();
        let references: Vec<String> = message.references.iter().map(text).collect();
        let in_reply_to: Vec<String> = message.in_reply_to.iter().map(text).collect();
        let root = references.first().or_else(|| in_reply_to.first());
        Self {
            otherwise: ConversationId::of_root(profile, root.map_or(message_id.as_str(), String::as_str)),
            named: named(&references, &in_reply_to, None),
            reported: None,
            own: MessageKey::of(message_id.as_str()),
        }
    }

    /// The message's own key.
    #[must_use]
    pub const fn own(&self) -> &MessageKey {
        &self.own
    }

    /// What is looked up of the message: its own key, then those of the messages that it names.
    pub fn keys(&self) -> impl Iterator<Item = &MessageKey> {
        std::iter::once(&self.own).chain(&self.named)
    }

    /// The conversation of the message. What is known of the message itself comes first: it has the same one each time.
    #[must_use]
    pub fn conversation(&self, known: &KnownMessages) -> ConversationId {
        let found = self.keys().find_map(|key| known.get(key));
        found.map_or_else(|| self.otherwise.clone(), |message| message.conversation.clone())
    }

    /// The message of ours that the message reports about.
    #[must_use]
    pub fn reported_outbound(&self, known: &KnownMessages) -> Option<OutboundId> {
        known.get(self.reported.as_ref()?)?.outbound.clone()
    }
}

/// The messages that one names, in the order in which they decide.
fn named(references: &[String], in_reply_to: &[String], original: Option<&str>) -> Vec<MessageKey> {
    let latest = references.len().saturating_sub(LATEST_REFERENCES).max(1);
    let references = references.iter().take(1).chain(references.iter().skip(latest));
    let ids = references.chain(in_reply_to.iter().take(PARENTS)).map(String::as_str).chain(original);
    let mut seen = HashSet::new();
    ids.map(MessageKey::of).filter(|key| seen.insert(key.clone())).collect()
}

/// Finds conversations for messages that came in, in their order, and returns those that are still to be noted. A message
/// may name one that came just before it.
pub fn place(threads: &[Thread], known: &mut KnownMessages) -> Vec<(MessageKey, KnownMessage)> {
    let mut new = Vec::new();
    for thread in threads {
        let conversation = thread.conversation(known);
        if !known.contains_key(&thread.own) {
            let message = KnownMessage { conversation, outbound: None };
            known.insert(thread.own.clone(), message.clone());
            new.push((thread.own.clone(), message));
        }
    }
    new
}

#[cfg(test)]
mod tests;
