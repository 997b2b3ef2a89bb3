//! Fields that are written for programs: groups of them, with empty lines between (RFC 3464 §2.1).

use mailroom_core::inbound::job::ReportedAction;

use crate::parse::charset;
use crate::parse::header::{Block, line_at};
use crate::parse::limits::MAX_REPORTED;

/// Bytes of a value: the longest answer of a server that anybody reads.
pub(super) const MAX_VALUE_BYTES: usize = 1000;

/// Hands each group of fields to `each`, no more than a report may have recipients.
pub(super) fn groups(data: &[u8], mut each: impl FnMut(&Block<'_>)) {
    let (mut at, mut left) = (0, MAX_REPORTED + 1);
    while at < data.len() && left > 0 {
        let block = Block::read(data, at, |_| false);
        if block.body <= at {
            // A line that is no field, and none follows.
            let Some((_, next)) = line_at(data, at) else { return };
            at = next;
            continue;
        }
        at = block.body;
        if !block.fields.is_empty() {
            left -= 1;
            each(&block);
        }
    }
}

/// The address of `rfc822; ann@example.org` (§2.3.1), without brackets and comments.
pub(super) fn address(value: &str) -> Option<String> {
    let text = untyped(value)?;
    let text = match text.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((bracketed, _)) => bracketed,
        None => text.split(" (").next().unwrap_or_default(),
    };
    let text = text.trim().trim_matches(['<', '>']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// A value without the type before its semicolon, such as `smtp` or `dns`, on one line.
pub(super) fn untyped(value: &str) -> Option<String> {
    let typed = value.split_once(';').filter(|(kind, _)| {
        let kind = kind.trim();
        kind.len() <= 20 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let mut text = charset::clean_line(typed.map_or(value, |(_, text)| text));
    charset::cut(&mut text, MAX_VALUE_BYTES);
    (!text.is_empty()).then_some(text)
}

/// `Failed (a comment)` (§2.3.3).
pub(super) fn action(value: &str) -> Option<ReportedAction> {
    let word: String = value.trim().chars().take_while(char::is_ascii_alphabetic).collect();
    match word.to_ascii_lowercase().as_str() {
        "failed" => Some(ReportedAction::Failed),
        "delayed" => Some(ReportedAction::Delayed),
        "delivered" => Some(ReportedAction::Delivered),
        "relayed" => Some(ReportedAction::Relayed),
        "expanded" => Some(ReportedAction::Expanded),
        _ => None,
    }
}

/// The first enhanced status code (RFC 3463 §2) in a text. What stands in an IP address or a version is none.
pub(super) fn status(text: &str) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let code = words.map(|word| word.trim_end_matches('.')).find(|word| {
        let mut numbers = word.split('.');
        let class = numbers.next().is_some_and(|class| ["2", "4", "5"].contains(&class));
        let short = |number: &str| (1..=3).contains(&number.len());
        let detail = numbers.next().is_some_and(short) && numbers.next().is_some_and(short);
        class && detail && numbers.next().is_none()
    });
    code.map(str::to_owned)
}
