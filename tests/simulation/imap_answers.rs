//! What a mail server answers to each command.

use std::collections::BTreeSet;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::mailboxes::{Account, Mailbox, Stored};
use crate::scenario::Poison;

/// INTERNALDATE (RFC 9051 §9, `date-time`).
const INTERNALDATE: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:space]-[month repr:short]-[year] [hour]:[minute]:[second] +0000");

/// A date of a search (RFC 9051 §9, `date`).
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[day padding:none]-[month repr:short]-[year]");

/// What a client sees of a mailbox: messages have numbers, and these change only when the client is told.
#[derive(Debug, Default)]
pub(crate) struct View {
    mailbox: String,
    uids: Vec<u32>,
    writable: bool,
}

/// What the server does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Goes,
    Closes,
    Hangs,
}

/// An answer: untagged responses and the tagged one.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

impl Answer {
    pub(crate) fn plain(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), then: Then::Goes }
    }

    fn say(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// Answers a command. `leaves_out`: the server says OK and leaves half of the messages out.
pub(crate) fn answer(
    account: &mut Account,
    view: &mut View,
    tag: &str,
    command: &str,
    leaves_out: bool,
) -> Answer {
    let mut said = Answer::plain("");
    let words: Vec<&str> = command.split(' ').collect();
    let capabilities = if account.habits.has_move { "IMAP4rev1 UIDPLUS MOVE" } else { "IMAP4rev1 UIDPLUS" };
    let result = match words.as_slice() {
        ["CAPABILITY"] => {
            said.say(&format!("* CAPABILITY {capabilities} SASL-IR AUTH=PLAIN ID\r\n"));
            "OK done".to_owned()
        }
        ["LOGIN", ..] | ["AUTHENTICATE", _, _] => format!("OK [CAPABILITY {capabilities} ID] logged in"),
        ["ID", ..] => {
            said.say("* ID NIL\r\n");
            "OK done".to_owned()
        }
        ["NOOP"] => {
            tell_changes(account, view, &mut said);
            "OK done".to_owned()
        }
        ["LOGOUT"] => {
            said.say("* BYE logging out\r\n");
            "OK done".to_owned()
        }
        ["LIST", ..] => {
            said.say("* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n");
            "OK done".to_owned()
        }
        ["EXAMINE", "\"Sent\"" | "Sent"] => {
            said.say(&format!("* {} EXISTS\r\n", account.sent.len()));
            "OK [READ-ONLY] done".to_owned()
        }
        ["UID", "SEARCH", "HEADER", "Message-ID", id] => {
            let found = if account.sent.contains(unquoted(id)) { " 1" } else { "" };
            said.say(&format!("* SEARCH{found}\r\n"));
            "OK done".to_owned()
        }
        ["APPEND", ..] => {
            account.sent.extend(message_id(command));
            "OK done".to_owned()
        }
        [verb @ ("EXAMINE" | "SELECT"), name] => open(account, view, verb, name, &mut said),
        ["UID", "SEARCH", criteria @ ..] => search(account, view, criteria, &mut said),
        ["UID", "FETCH", set, ..] => {
            let uids = in_set(view, set);
            fetch(account, view, uids, command, leaves_out, &mut said)
        }
        ["FETCH", set, ..] => {
            let uids = numbered(view, set);
            fetch(account, view, uids, command, leaves_out, &mut said)
        }
        ["UID", "STORE", set, ..] => store(account, view, set, command),
        ["UID", "MOVE", set, name] if account.habits.has_move => {
            move_to(account, view, set, name, true, &mut said)
        }
        ["UID", "COPY", set, name] => move_to(account, view, set, name, false, &mut said),
        ["UID", "EXPUNGE", set] => expunge(account, view, set, &mut said),
        _ => "BAD Unknown command".to_owned(),
    };
    if said.then == Then::Goes {
        said.say(&format!("{tag} {result}\r\n"));
    }
    said
}

/// The Message-ID of a message with its headers.
pub(crate) fn message_id(message: &str) -> Option<String> {
    let line = message.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:"))?;
    line.split_once(':').map(|(_, id)| id.trim().to_owned())
}

fn unquoted(name: &str) -> &str {
    name.trim_matches('"')
}

fn open(account: &mut Account, view: &mut View, verb: &str, name: &str, said: &mut Answer) -> String {
    let habits = account.habits;
    let Some(mailbox) = account.mailbox(unquoted(name)) else {
        return "NO [NONEXISTENT] Mailbox doesn't exist".to_owned();
    };
    view.mailbox = unquoted(name).to_owned();
    view.uids = mailbox.messages.iter().map(|message| message.uid).collect();
    view.writable = verb == "SELECT";
    said.say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n");
    said.say(&format!("* {} EXISTS\r\n* 0 RECENT\r\n", view.uids.len()));
    if habits.says_uid_validity {
        said.say(&format!("* OK [UIDVALIDITY {}] UIDs valid\r\n", mailbox.uid_validity));
    }
    if habits.says_uid_next {
        said.say(&format!("* OK [UIDNEXT {}] Predicted next UID\r\n", mailbox.uid_next));
    }
    format!("OK [READ-{}] done", if view.writable { "WRITE" } else { "ONLY" })
}

/// Tells the client what has changed since it was last told.
fn tell_changes(account: &mut Account, view: &mut View, said: &mut Answer) {
    let Some(mailbox) = account.mailbox(&view.mailbox) else { return };
    let mut number = view.uids.len();
    while number > 0 {
        if mailbox.get(view.uids[number - 1]).is_none() {
            view.uids.remove(number - 1);
            said.say(&format!("* {number} EXPUNGE\r\n"));
        }
        number -= 1;
    }
    let known: BTreeSet<u32> = view.uids.iter().copied().collect();
    let new: Vec<u32> =
        mailbox.messages.iter().map(|message| message.uid).filter(|uid| !known.contains(uid)).collect();
    if !new.is_empty() {
        view.uids.extend(new);
        said.say(&format!("* {} EXISTS\r\n", view.uids.len()));
    }
}

/// The UIDs of a set that the client sees; `n:*` always holds the last one (RFC 9051 §9, `seq-range`).
fn in_set(view: &View, set: &str) -> Vec<u32> {
    let last = view.uids.last().copied().unwrap_or(0);
    let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
    let holds = |uid: u32| {
        set.split(',').any(|part| match part.split_once(':') {
            Some((a, b)) => {
                let (a, b) = (number(a), number(b));
                (a.min(b)..=a.max(b)).contains(&uid)
            }
            None => number(part) == uid,
        })
    };
    view.uids.iter().copied().filter(|uid| holds(*uid)).collect()
}

/// The UIDs of a list of sequence numbers.
fn numbered(view: &View, set: &str) -> Vec<u32> {
    let number = |text: &str| if text == "*" { Some(view.uids.len()) } else { text.parse().ok() };
    let numbers = set.split(',').filter_map(|part| {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        Some(number(from)?..=number(to)?)
    });
    numbers.flatten().filter_map(|number| view.uids.get(number.checked_sub(1)?).copied()).collect()
}

fn search(account: &mut Account, view: &View, criteria: &[&str], said: &mut Answer) -> String {
    let (among, since) = match criteria {
        [] | ["ALL"] => (view.uids.clone(), None),
        ["UID", set] => (in_set(view, set), None),
        [set, "SINCE", day] => (numbered(view, set), Date::parse(day, DAY).ok()),
        _ => return "BAD Unknown search key".to_owned(),
    };
    let Some(mailbox) = account.mailbox(&view.mailbox) else { return "BAD No mailbox selected".to_owned() };
    let is_found = |message: &Stored| since.is_none_or(|since| message.arrived.date() >= since);
    let found = among.into_iter().filter(|uid| mailbox.get(*uid).is_some_and(is_found));
    let found: Vec<String> = found.map(|uid| uid.to_string()).collect();
    said.say(&format!("* SEARCH {}\r\n", found.join(" ")));
    "OK done".to_owned()
}

fn fetch(
    account: &mut Account,
    view: &View,
    mut uids: Vec<u32>,
    command: &str,
    leaves_out: bool,
    said: &mut Answer,
) -> String {
    let Some(mailbox) = account.mailbox(&view.mailbox) else { return "BAD No mailbox selected".to_owned() };
    if leaves_out {
        // Of bodies the last, of a listing the first.
        let half = uids.len() / 2;
        if command.contains("BODY") { uids.truncate(half) } else { drop(uids.drain(..uids.len() - half)) }
    }
    for uid in uids {
        // Deleted since the client was last told: nothing is said of it.
        let Some(message) = mailbox.get(uid) else { continue };
        let number = view.uids.iter().position(|one| *one == uid).map_or(0, |at| at + 1);
        match command.split_once("BODY") {
            None => match message.letter.poison {
                Some(Poison::BreaksListing) if command.contains("RFC822.SIZE") => {
                    return "NO [SERVERBUG] Internal error occurred".to_owned();
                }
                Some(Poison::CutsListing) if command.contains("RFC822.SIZE") => said.then = Then::Closes,
                Some(Poison::Hidden) if command.contains("RFC822.SIZE") => {}
                _ => list(message, number, said),
            },
            Some((_, section)) => match message.letter.poison {
                Some(Poison::Refused | Poison::BreaksListing) => {
                    return "NO [SERVERBUG] Internal error occurred".to_owned();
                }
                Some(Poison::Hidden) => {}
                poison => body(message, number, section, poison, said),
            },
        }
        if said.then != Then::Goes {
            break;
        }
    }
    "OK done".to_owned()
}

/// Flags, size and date.
fn list(message: &Stored, number: usize, said: &mut Answer) {
    let mut flags = Vec::new();
    if message.seen {
        flags.push("\\Seen");
    }
    if message.deleted {
        flags.push("\\Deleted");
    }
    said.say(&format!(
        "* {number} FETCH (UID {} FLAGS ({}) RFC822.SIZE {} INTERNALDATE \"{}\")\r\n",
        message.uid,
        flags.join(" "),
        message.raw.len(),
        internaldate(message.arrived),
    ));
}

fn internaldate(arrived: OffsetDateTime) -> String {
    arrived.format(INTERNALDATE).expect("a date")
}

/// The part of a message that `[…]<offset.length>` asks for.
fn body(message: &Stored, number: usize, section: &str, poison: Option<Poison>, said: &mut Answer) {
    let raw = message.raw.as_slice();
    let section = section.trim_start_matches(".PEEK");
    let header = section.starts_with("[HEADER]");
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
    let all = if header { raw.get(..end).unwrap_or(raw) } else { raw };
    let range = section.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(range, _)| range);
    let mut numbers = range.into_iter().flat_map(|range| range.split('.')).filter_map(|n| n.parse().ok());
    let offset: usize = numbers.next().unwrap_or(0);
    let length: usize = numbers.next().unwrap_or(usize::MAX);
    let bytes =
        all.get(offset.min(all.len())..offset.saturating_add(length).min(all.len())).unwrap_or_default();
    let name = if header { "BODY[HEADER]" } else { "BODY[]" };
    let origin = if range.is_some() { format!("<{offset}>") } else { String::new() };
    said.say(&format!("* {number} FETCH (UID {} {name}{origin} {{{}}}\r\n", message.uid, bytes.len()));
    let then = match poison {
        Some(Poison::Cuts | Poison::CutsListing) => Then::Closes,
        Some(Poison::Hangs) => Then::Hangs,
        Some(Poison::Refused | Poison::BreaksListing | Poison::Hidden) | None => Then::Goes,
    };
    if then == Then::Goes {
        said.bytes.extend_from_slice(bytes);
        said.say(")\r\n");
    } else {
        said.bytes.extend_from_slice(bytes.get(..bytes.len() / 2).unwrap_or_default());
        said.then = then;
    }
}

/// The mailbox, if the client may change it.
fn writable<'a>(account: &'a mut Account, view: &View) -> Option<&'a mut Mailbox> {
    if view.writable { account.mailbox(&view.mailbox) } else { None }
}

const NOT_WRITABLE: &str = "NO [CANNOT] The mailbox is open for reading only";

fn store(account: &mut Account, view: &View, set: &str, command: &str) -> String {
    let uids = in_set(view, set);
    let Some(mailbox) = writable(account, view) else { return NOT_WRITABLE.to_owned() };
    for message in mailbox.messages.iter_mut().filter(|message| uids.contains(&message.uid)) {
        message.seen |= command.contains("\\Seen");
        message.deleted |= command.contains("\\Deleted");
    }
    "OK done".to_owned()
}

fn move_to(
    account: &mut Account,
    view: &mut View,
    set: &str,
    name: &str,
    removes: bool,
    said: &mut Answer,
) -> String {
    let uids = in_set(view, set);
    let Some(mailbox) = writable(account, view) else { return NOT_WRITABLE.to_owned() };
    let there: Vec<Stored> = mailbox.messages.iter().filter(|one| uids.contains(&one.uid)).cloned().collect();
    if removes {
        mailbox.messages.retain(|message| !uids.contains(&message.uid));
    }
    let Some(target) = account.mailbox(unquoted(name)) else {
        return "NO [TRYCREATE] No such mailbox".to_owned();
    };
    for message in there {
        target.add(message.letter, message.seen, message.arrived);
    }
    tell_changes(account, view, said);
    "OK done".to_owned()
}

fn expunge(account: &mut Account, view: &mut View, set: &str, said: &mut Answer) -> String {
    let uids = in_set(view, set);
    let Some(mailbox) = writable(account, view) else { return NOT_WRITABLE.to_owned() };
    mailbox.messages.retain(|message| !(message.deleted && uids.contains(&message.uid)));
    tell_changes(account, view, said);
    "OK done".to_owned()
}
