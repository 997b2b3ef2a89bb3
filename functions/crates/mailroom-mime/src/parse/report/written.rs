//! Reports in a mail server's own words: Exim, qmail, sendmail, Postfix, Exchange, Gmail, Yahoo and their like.
//!
//! Most put each address at the beginning of a line, and the reason beside it or below it. Where no line begins so, the
//! address stands behind words such as `unknown user`, and else in the answer of the remote server.

use std::collections::HashSet;

use mailroom_core::inbound::job::{MessageContent, ReportedAction, ReportedRecipient};

use super::fields::{self, MAX_VALUE_BYTES};
use crate::parse::charset;
use crate::parse::limits::MAX_REPORTED;

/// How much of a text is searched: a report is short, and what follows it is the message.
const MAX_SEARCHED_BYTES: usize = 16 * 1024;

/// Lines of a reason.
const MAX_REASON_LINES: usize = 12;

/// Bytes between a label, or the beginning of an answer, and the address.
const MAX_WORDS_BYTES: usize = 60;

/// How the line begins behind which the returned message stands, without what decorates it.
const RETURNS: [&str; 21] = [
    "below this line is a copy",
    "original message",
    "this is a copy of",
    "the header of the original",
    "here is a copy",
    "returned mail",
    "start of returned message",
    "unsent message",
    "a copy of the original message",
    "a copy of your message",
    "copy of your message",
    "message headers",
    "message header",
    "forwarded message",
    "the header and top",
    "the first",
    "old message",
    "returned message",
    "undelivered message",
    "included is a copy",
    "original-nachricht",
];

/// Words before an address that could not be reached.
const LABELS: [&str; 25] = [
    "failed recipient",
    "undeliverable address",
    "error-for:",
    "recipient:",
    "recipients:",
    "unknown user",
    "user unknown",
    "userid:",
    "undeliverable",
    "mailbox exceeds",
    "mailbox is full",
    "message to",
    "mail to",
    "addressed to",
    "generated from",
    "delivered to",
    "delivery to",
    "email address",
    "local mailbox",
    "account",
    "user:",
    "rcpt to:",
    "not listed",
    "attempts:",
    "was addressed",
];

/// How programs that are no mail servers by their names begin a report, without what decorates it, and what follows
/// soon.
const OPENINGS: [(&str, &str); 9] = [
    ("failed recipients", ""),
    ("message from interscan", "could not be delivered"),
    ("non-delivery report", "could not be delivered"),
    ("votre message n'a pas pu etre delivre a", ""),
    ("your message could not be delivered to", ""),
    ("your message with subject", "could not be delivered to the following recipient"),
    ("could not deliver message to the following recipient", ""),
    ("unable to deliver message to the following", ""),
    ("this is an advisory-only email", "has been postponed"),
];

/// How soon.
const MAX_OPENING_BYTES: usize = 500;

/// Whether a text begins as only a program's report does, and names who was not reached or, with `encloses`, returns
/// the message.
pub(in crate::parse) fn opens_as_report(text: &str, encloses: bool) -> bool {
    let opening = text.get(..text.floor_char_boundary(MAX_OPENING_BYTES)).unwrap_or(text).to_lowercase();
    let opening = opening.replace(['\r', '\n'], " ");
    let plain = undecorated(&opening);
    let begins = OPENINGS.iter().any(|(first, then)| plain.starts_with(first) && plain.contains(then));
    let names = |line: &str| {
        let labelled = || label(line).and_then(|at| line.get(at..)).and_then(address_soon).is_some();
        leading_address(line).is_some() || labelled()
    };
    begins && (encloses || searched(text).lines().any(names))
}

/// The recipients that a text names, and what it says of them. `own` are the addresses of the report itself.
pub(super) fn recipients(text: &str, own: &[&str], action: ReportedAction) -> Vec<ReportedRecipient> {
    let text = text.get(..end_of_report(text)).unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut found: Vec<Found<'_>> = Vec::new();
    let mut seen = HashSet::new();
    let mut is_new = |address: &str| !is_servers(address, own) && seen.insert(address.to_ascii_lowercase());
    for (n, line) in lines.iter().enumerate() {
        if let Some((address, rest)) = leading_address(line).filter(|(address, _)| is_new(address)) {
            found.push(Found { address, rest, line: n });
        }
    }
    for find in [label, |line: &str| is_answer(line).then_some(0)] {
        if !found.is_empty() {
            break;
        }
        for (n, line) in lines.iter().enumerate() {
            let behind = find(line).and_then(|at| line.get(at..));
            if let Some(address) = behind.and_then(address_soon).filter(|address| is_new(address)) {
                found.push(Found { address, rest: line, line: n });
            }
        }
    }
    found.truncate(MAX_REPORTED);
    let alone = found.len() == 1;
    let starts: Vec<usize> = found.iter().map(|one| one.line).collect();
    found.iter().map(|one| one.described(&lines, &starts, alone, action)).collect()
}

/// The addresses of `X-Failed-Recipients`, which Exim and Gmail write.
pub(super) fn failed_recipients(content: &MessageContent) -> Option<impl Iterator<Item = String>> {
    let field = content.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("X-Failed-Recipients"));
    field.map(|(_, value)| {
        let addresses = value.split([',', ' ']).filter_map(first_address);
        addresses.map(str::to_owned).take(MAX_REPORTED)
    })
}

/// Where the server's own words end, and what it returns begins.
pub(super) fn end_of_report(text: &str) -> usize {
    let mut at = 0;
    for line in searched(text).split_inclusive('\n') {
        let lower = line.trim().to_ascii_lowercase();
        let plain = undecorated(&lower);
        let decorated = plain.len() < lower.len() || plain.ends_with(':');
        let copied = ["received: from", "return-path:"].iter().any(|field| lower.starts_with(field));
        let returns = RETURNS.iter().any(|beginning| plain.starts_with(beginning));
        let follows = plain.starts_with("original message") || plain.starts_with("message headers");
        if copied || (returns && (decorated || follows)) {
            return at;
        }
        at += line.len();
    }
    at
}

fn searched(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_SEARCHED_BYTES)).unwrap_or(text)
}

/// A text without the characters that draw a rule or a list before it.
fn undecorated(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || "-*=_#>+|".contains(c))
}

/// An address in a report.
struct Found<'a> {
    address: &'a str,
    /// What follows it on its line.
    rest: &'a str,
    line: usize,
}

impl Found<'_> {
    fn described(
        &self,
        lines: &[&str],
        starts: &[usize],
        alone: bool,
        action: ReportedAction,
    ) -> ReportedRecipient {
        let mut diagnostic = self.reason(lines, starts);
        if !is_answer(&diagnostic) {
            let key = self.address.to_ascii_lowercase();
            let named = |line: &&&str| is_answer(line) && line.to_ascii_lowercase().contains(&key);
            let answer = lines.iter().find(named);
            let answer = answer.or_else(|| lines.iter().find(|line| alone && is_answer(line)));
            if let Some(answer) = answer {
                if !diagnostic.is_empty() {
                    diagnostic.push(' ');
                }
                diagnostic.push_str(answer.trim());
            }
        }
        let expanded = ["(expanded from", "(generated from"].iter().find_map(|words| {
            let (_, behind) = diagnostic.split_once(words)?;
            first_address(behind.split(')').next()?).map(str::to_owned)
        });
        let mut diagnostic = charset::clean_line(&diagnostic);
        charset::cut(&mut diagnostic, MAX_VALUE_BYTES);
        ReportedRecipient {
            recipient: Some(self.address.to_owned()),
            original_recipient: expanded,
            action: Some(action),
            status: fields::status(&diagnostic),
            remote_mta: remote(&diagnostic),
            diagnostic: (!diagnostic.is_empty()).then_some(diagnostic),
        }
    }

    /// What stands beside the address, and below it up to an empty line or the next address. Behind an empty line, only
    /// the answer of a server is about this address.
    fn reason(&self, lines: &[&str], starts: &[usize]) -> String {
        let rest = self.rest.trim_start_matches([':', '-', ' ']).trim();
        let blank =
            |line: &&str| line.is_empty() || ["---", "===", "***"].iter().any(|rule| line.starts_with(rule));
        let below = lines.iter().enumerate().skip(self.line + 1).take(MAX_REASON_LINES);
        let mut below = below.take_while(|(n, _)| !starts.contains(n)).map(|(_, line)| line.trim());
        let mut reason: Vec<&str> = if rest.is_empty() { Vec::new() } else { vec![rest] };
        reason.extend(below.by_ref().take_while(|line| !blank(line)));
        if reason.is_empty() {
            let next: Vec<&str> = below.skip_while(blank).take_while(|line| !blank(line)).collect();
            if next.iter().any(|line| is_answer(line)) {
                reason = next;
            }
        }
        reason.join(" ")
    }
}

/// The address that a line begins with, and what follows it. Brackets, quotes and the marks of a list may stand before
/// it; behind it there is nothing, or a mark that ends it.
fn leading_address(line: &str) -> Option<(&str, &str)> {
    let start = line.trim_start_matches(|c: char| c.is_whitespace() || "<\"'*[(-".contains(c));
    // Chinese servers name the field before the address.
    let start =
        start.split_once('：').filter(|(name, _)| !name.contains('@')).map_or(start, |(_, rest)| rest);
    // Exchange, of an address that it knows by another name.
    let start = match start.split_once("SMTP=") {
        Some((before, address)) if before.starts_with("c=") => address,
        _ => start,
    };
    let address = address_at(start)?;
    let rest = start.get(address.len()..)?.trim_start_matches(['>', '"', '\'', ']', ')']).trim_start();
    let ended = rest.is_empty()
        || rest.starts_with([':', '<', ',', ';', '('])
        || rest.starts_with("...")
        || rest.starts_with("on ")
        || rest.starts_with("- ");
    let rest = if rest.starts_with([':', '-']) { rest } else { "" };
    ended.then_some((address, rest))
}

/// Where the first of [`LABELS`] in a line ends.
fn label(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    LABELS.iter().filter_map(|label| lower.find(label).map(|at| at + label.len())).min()
}

/// The first address in a text, if few words stand before it.
fn address_soon(text: &str) -> Option<&str> {
    first_address(text).filter(|address| text.find(address).is_some_and(|at| at <= MAX_WORDS_BYTES))
}

/// The first address in a text.
fn first_address(text: &str) -> Option<&str> {
    let words = text.split(|c: char| c.is_whitespace() || "<>\"'()[],;:=：，；（）“”".contains(c));
    words.filter(|word| word.contains('@')).find_map(|word| address_at(word))
}

/// The address that a text begins with.
fn address_at(text: &str) -> Option<&str> {
    let end =
        text.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"'()[],;:\\：，；（）“”".contains(c));
    let word = text.get(..end.unwrap_or(text.len()))?;
    let word = word.split("...").next()?.trim_end_matches(['.', '!', '?']);
    let (local, domain) = word.rsplit_once('@')?;
    let host = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
    let sound = !local.is_empty()
        && !local.contains('@')
        && word.len() <= 320
        && domain.contains('.')
        && domain.chars().all(host)
        && domain.starts_with(char::is_alphanumeric);
    sound.then_some(word)
}

/// Whether an address is the reporting server's or the reader's, and not one that was tried.
fn is_servers(address: &str, own: &[&str]) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    matches!(local.as_str(), "postmaster" | "mailer-daemon")
        || own.iter().any(|own| own.eq_ignore_ascii_case(address))
}

/// Whether a line has a reply code (RFC 5321 §4.2.1) of a refusal, or an enhanced one.
fn is_answer(line: &str) -> bool {
    let code = |word: &str| {
        let digits = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        digits.len() == 3
            && digits.starts_with(['4', '5'])
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    line.split([' ', '-', '\t']).any(code) || fields::status(line).is_some_and(|code| !code.starts_with('2'))
}

/// The server that a reason names: `host mx.example.org [192.0.2.1]`, `192.0.2.1 does not like recipient`.
fn remote(reason: &str) -> Option<String> {
    let lower = reason.to_ascii_lowercase();
    let name = |text: &str| {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'));
        let name = text.get(..end.unwrap_or(text.len()))?.trim_end_matches('.');
        (name.contains('.') && name.len() <= 253).then(|| name.to_owned())
    };
    let behind =
        ["host ", "while talking to ", "connected to ", "remote server ("].iter().find_map(|words| {
            lower.match_indices(words).find_map(|(at, found)| name(reason.get(at + found.len()..)?))
        });
    behind.or_else(|| {
        let before = reason.get(..lower.find(" does not like recipient")?)?;
        name(before.rsplit(' ').next()?)
    })
}
