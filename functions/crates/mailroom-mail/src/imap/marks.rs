//! What a server keeps beside a message: its flags and keywords (RFC 9051 §2.3.2), and on Gmail its ids and labels.

use mailroom_core::inbound::job::Gmail;

use super::encode;
use super::lexer::Value;

/// Flags and labels that are kept of a message each; people use a few.
const MAX_MARKS: usize = 100;

/// Bytes of a flag or label. Gmail allows 225 characters.
const MAX_MARK_BYTES: usize = 1000;

/// What Gmail gives where it announces `X-GM-EXT-1`.
pub(super) const GMAIL_ITEMS: &str = " X-GM-THRID X-GM-MSGID X-GM-LABELS";

/// The flags, keywords and labels of a message when it was fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Flags and keywords as the server writes them, but `\Recent`, which says something of the session. `None` where
    /// it sent none, not even an empty list.
    pub flags: Option<Vec<String>>,
    /// Of Gmail alone.
    pub gmail: Option<Gmail>,
}

impl Marks {
    /// Takes what a later response says.
    pub(super) fn update(&mut self, later: Self) {
        self.flags = later.flags.or(self.flags.take());
        let Some(Gmail { thread_id, message_id, labels }) = later.gmail else { return };
        let gmail = self.gmail.get_or_insert_default();
        gmail.thread_id = thread_id.or(gmail.thread_id.take());
        gmail.message_id = message_id.or(gmail.message_id.take());
        if !labels.is_empty() {
            gmail.labels = labels;
        }
    }

    pub(super) fn set_flags(&mut self, flags: &[&[u8]]) {
        let known = flags.iter().filter(|flag| !flag.eq_ignore_ascii_case(b"\\Recent"));
        self.flags = Some(sound(known.map(|flag| String::from_utf8_lossy(flag).into_owned())));
    }

    /// Takes one of Gmail's items. What is none of them, or makes no sense, is passed over.
    pub(super) fn take_gmail(&mut self, name: &[u8], value: Value<'_>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("X-GM-THRID") {
            self.gmail.get_or_insert_default().thread_id = decimal(&value);
        } else if is("X-GM-MSGID") {
            self.gmail.get_or_insert_default().message_id = decimal(&value);
        } else if is("X-GM-LABELS") {
            let labels = value.into_texts().unwrap_or_default();
            self.gmail.get_or_insert_default().labels =
                sound(labels.iter().map(|label| encode::mailbox_name(label)));
        }
    }
}

/// A number of 64 bits without a sign, as it is written.
fn decimal(value: &Value<'_>) -> Option<String> {
    let digits = value.atom().and_then(|digits| std::str::from_utf8(digits).ok())?;
    digits.parse::<u64>().ok().map(|number| number.to_string())
}

fn sound(marks: impl Iterator<Item = String>) -> Vec<String> {
    let is_sound =
        |mark: &String| (1..=MAX_MARK_BYTES).contains(&mark.len()) && !mark.chars().any(char::is_control);
    marks.filter(is_sound).take(MAX_MARKS).collect()
}
