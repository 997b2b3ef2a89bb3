//! Fetching bodies: small ones many at a time, large ones in chunks.
//!
//! No announced size decides how much memory is used. Every FETCH has an offset and a length
//! (`BODY.PEEK[]<0.262144>`), so that no literal is larger than a chunk; a message that fills its chunk is continued.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mailroom_core::inbound::cursor::Uid;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Progress;
use super::encode::uid_set;
use super::error::{ImapError, Malformed, Step};
use super::frame::Tag;
use super::marks::Marks;
use super::response::{Content, Fetch, Response, SearchResult, Section};
use super::session::{Session, UIDS_PER_COMMAND};

/// A message with a smaller announced size is fetched together with others, and at first up to this many bytes.
const SMALL: u64 = 256 * 1024;

/// The chunk, in bytes, by which a large message is fetched. Not smaller, because Exchange renders the whole message
/// for each chunk.
const CHUNK: u64 = 1024 * 1024;

/// Chunks of one message requested at once: 40 MB/s at a round trip of 100 ms.
const CHUNKS_IN_FLIGHT: usize = 4;

/// The most bytes of a header block that are fetched; servers accept messages with a tenth of it.
const MAX_HEADER: u64 = 256 * 1024;

/// How many messages, spread over the mailbox, are considered to see whether the server gives any.
const SAMPLES: u64 = 8;

/// What is fetched of a message to see whether the server gives it at all.
const SAMPLE: u64 = 512;

/// The most bytes that a usual header block has.
const USUAL_HEADER: u64 = 64 * 1024;

/// The most bytes that one call may receive when `expected` bytes were announced: servers estimate sizes, and messages
/// may grow. A server that lies must not fill the memory that all sessions share.
const fn byte_budget(expected: u64) -> u64 {
    expected.saturating_mul(2).saturating_add(4 * 1024 * 1024)
}

/// A message's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The message's UID.
    pub uid: Uid,
    /// The first bytes, or all.
    pub bytes: Vec<u8>,
    /// Whether `bytes` is the whole message: `false` when it was cut at the limit.
    pub complete: bool,
    /// Its flags and labels.
    pub marks: Marks,
}

/// Told of the bytes of messages that arrive; `false` where there is no room for them.
pub type Charge<'a> = dyn FnMut(u64) -> bool + Send + 'a;

/// What one call receives.
struct Intake<'a, 'b> {
    /// The bytes that may still arrive, and who pays for them.
    bytes_left: u64,
    charge: &'a mut Charge<'b>,
    /// What the server says of messages, in whatever response.
    marks: BTreeMap<Uid, Marks>,
}

impl<'a, 'b> Intake<'a, 'b> {
    /// For messages that were announced with so many bytes.
    const fn new(expected: u64, charge: &'a mut Charge<'b>) -> Self {
        Self { bytes_left: byte_budget(expected), charge, marks: BTreeMap::new() }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Malformed> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Malformed::Sizes)?;
        if (self.charge)(bytes) { Ok(()) } else { Err(Malformed::NoRoom) }
    }

    /// The message's content, if the response has one. What else it says of one of these messages is noted.
    fn content(&mut self, response: Response, uids: &[Uid]) -> Option<(Uid, Content)> {
        let Response::Fetch(fetch) = response else { return None };
        let Fetch { uid, content, marks, .. } = *fetch;
        let uid = uid.filter(|uid| uids.contains(uid))?;
        self.marks.entry(uid).or_default().update(marks);
        Some((uid, content?))
    }

    fn marks(&mut self, uid: Uid) -> Marks {
        self.marks.remove(&uid).unwrap_or_default()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Fetches whole messages, given with their announced sizes (RFC822.SIZE), each up to `max_bytes_each`.
    ///
    /// A message that no longer exists is left out; one that exists but is missing from the response is an error. The
    /// order is that of `messages`. Together they may have at most twice the announced bytes and 4 MiB; each byte that
    /// arrives is charged.
    ///
    /// # Errors
    /// When the server does not complete every command with OK, or there is no room for what it sends.
    pub async fn fetch(
        &mut self,
        messages: &[(Uid, u64)],
        max_bytes_each: u64,
        charge: &mut Charge<'_>,
    ) -> Result<Vec<Fetched>, ImapError> {
        let announced = messages.iter().map(|(_, size)| (*size).min(max_bytes_each));
        let mut intake = Intake::new(announced.fold(0, u64::saturating_add), charge);
        let small: Vec<Uid> =
            messages.iter().filter(|(_, size)| *size < SMALL).map(|(uid, _)| *uid).collect();
        let mut bodies: BTreeMap<Uid, Vec<u8>> = BTreeMap::new();
        for batch in small.chunks(UIDS_PER_COMMAND) {
            self.fetch_first_bytes(batch, Section::Whole, SMALL, &mut intake, &mut bodies).await?;
        }

        let mut fetched = Vec::with_capacity(messages.len());
        for &(uid, size) in messages {
            let start = if size < SMALL { bodies.remove(&uid) } else { Some(Vec::new()) };
            let whole = match start {
                Some(start) if size < SMALL && length(&start) < SMALL => Some(start),
                // One byte above the limit, to see whether the message is longer.
                Some(start) => {
                    self.fetch_rest(uid, size, start, max_bytes_each.saturating_add(1), &mut intake).await?
                }
                None => None,
            };
            let Some(mut bytes) = whole else { continue };
            if bytes.is_empty() && size > 0 {
                return Err(ImapError::Malformed { step: Step::Fetch, what: Malformed::Empty });
            }
            let complete = length(&bytes) <= max_bytes_each;
            bytes.truncate(usize::try_from(max_bytes_each).unwrap_or(usize::MAX));
            fetched.push(Fetched { uid, bytes, complete, marks: intake.marks(uid) });
        }
        self.confirm_gone(messages.iter().map(|(uid, _)| *uid), &fetched).await?;
        Ok(fetched)
    }

    /// Fetches header blocks, each up to 256 KiB. A message that no longer exists is left out. Each byte that arrives is
    /// charged.
    ///
    /// # Errors
    /// When the server does not complete every command with OK, or there is no room for what it sends.
    pub async fn fetch_headers(
        &mut self,
        uids: &[Uid],
        charge: &mut Charge<'_>,
    ) -> Result<Vec<Fetched>, ImapError> {
        let count = u64::try_from(uids.len()).unwrap_or(u64::MAX);
        let mut intake = Intake::new(count.saturating_mul(USUAL_HEADER), charge);
        let mut headers = BTreeMap::new();
        for batch in uids.chunks(UIDS_PER_COMMAND) {
            self.fetch_first_bytes(batch, Section::Header, MAX_HEADER, &mut intake, &mut headers).await?;
        }
        let fetched = uids.iter().filter_map(|uid| {
            let bytes = headers.remove(uid)?;
            let complete = length(&bytes) < MAX_HEADER;
            Some(Fetched { uid: *uid, bytes, complete, marks: intake.marks(*uid) })
        });
        let fetched: Vec<Fetched> = fetched.collect();
        self.confirm_gone(uids.iter().copied(), &fetched).await?;
        Ok(fetched)
    }

    /// Whether the server gives the first bytes of a message other than these, of the `exists` in the mailbox: of one of
    /// several, chosen by `turn`. Where there is no other, the header of the first of these counts.
    ///
    /// # Errors
    /// When the session cannot be used any more. A command that is refused gives nothing.
    pub async fn fetch_another(&mut self, than: &[Uid], exists: u32, turn: u64) -> Result<bool, ImapError> {
        let mut others = Vec::new();
        if exists > 0 {
            let spread = (0..SAMPLES).map(|n| 1 + u64::from(exists - 1) * n / (SAMPLES - 1));
            let spread: BTreeSet<u64> = spread.collect();
            let numbers: Vec<String> = spread.into_iter().map(|n| n.to_string()).collect();
            let numbers = numbers.join(",");
            let sink = |response| {
                if let Response::Fetch(fetch) = response {
                    others.extend(fetch.uid);
                }
                Ok(())
            };
            refused_is_nothing(self.fetch_items(&format!("FETCH {numbers} (UID)"), sink).await)?;
        }
        others.retain(|uid| !than.contains(uid));
        let chosen = turn % u64::try_from(others.len()).unwrap_or(1).max(1);
        let other = usize::try_from(chosen).ok().and_then(|at| others.get(at).copied());
        let (uid, section, name) = match (other, than.first()) {
            (Some(other), _) => (other, Section::Whole, ""),
            (None, Some(first)) => (*first, Section::Header, "HEADER"),
            (None, None) => return Ok(false),
        };
        self.connection.max_literal = SAMPLE;
        let mut given = false;
        let sink = |response| {
            if let Some((theirs, content)) = content(response) {
                given |= theirs == uid
                    && content.section == section
                    && content.bytes.is_some_and(|bytes| !bytes.is_empty());
            }
            Ok(())
        };
        let command = format!("UID FETCH {} (UID BODY.PEEK[{name}]<0.{SAMPLE}>)", uid.get());
        refused_is_nothing(self.fetch_items(&command, sink).await)?;
        Ok(given)
    }

    /// Runs a FETCH command.
    async fn fetch_items(
        &mut self,
        command: &str,
        sink: impl FnMut(Response) -> Result<(), Malformed>,
    ) -> Result<(), ImapError> {
        self.connection.begin_operation()?;
        let tag = self.connection.command(command);
        self.connection.flush(Step::Fetch).await?;
        self.connection.complete(tag, Step::Fetch, sink).await.map(drop)
    }

    /// Checks that the messages missing from a response no longer exist. A server out of memory completes a FETCH with OK
    /// and leaves messages out (924 of 1,000, measured in November 2026); taken for deleted, they would be lost.
    ///
    /// NOOP comes first: a server may not report what other clients expunged during a FETCH (RFC 9051 §7.5.1). Dovecot
    /// sends the FETCH response ahead of NOOP's OK, so that the responses to all three commands count. Exchange Online
    /// finds in a search what it does not give to a FETCH, for minutes or for ever.
    async fn confirm_gone(
        &mut self,
        asked: impl Iterator<Item = Uid>,
        fetched: &[Fetched],
    ) -> Result<(), ImapError> {
        let missing: Vec<Uid> =
            asked.filter(|uid| !fetched.iter().any(|message| message.uid == *uid)).collect();
        for uids in missing.chunks(UIDS_PER_COMMAND) {
            self.connection.begin_operation()?;
            let noop = self.connection.command("NOOP");
            let set = uid_set(uids.iter().copied());
            let fetch = self.connection.command(&format!("UID FETCH {set} (UID FLAGS)"));
            let search = self.connection.command(&format!("UID SEARCH UID {set}"));
            self.connection.flush(Step::Fetch).await?;
            let mut there = false;
            for tag in [noop, fetch, search] {
                let sink = |response| {
                    match response {
                        Response::Fetch(fetch) => there |= fetch.uid.is_some_and(|uid| uids.contains(&uid)),
                        Response::Search(SearchResult::Found(found)) => {
                            there |= found.iter().any(|uid| uids.contains(uid));
                        }
                        // In doubt it is there.
                        Response::Search(SearchResult::Unreadable) => there = true,
                        Response::Status(..)
                        | Response::Exists(_)
                        | Response::Tagged(..)
                        | Response::Continuation(_)
                        | Response::Capability(_)
                        | Response::List(_)
                        | Response::Unseen(_)
                        | Response::Expunge
                        | Response::Other => {}
                    }
                    Ok(())
                };
                self.connection.complete(tag, Step::Fetch, sink).await?;
            }
            if there {
                return Err(ImapError::Malformed { step: Step::Fetch, what: Malformed::Empty });
            }
        }
        Ok(())
    }

    /// Fetches the first `most` bytes of a section of several messages, with one command.
    async fn fetch_first_bytes(
        &mut self,
        uids: &[Uid],
        section: Section,
        most: u64,
        intake: &mut Intake<'_, '_>,
        bodies: &mut BTreeMap<Uid, Vec<u8>>,
    ) -> Result<(), ImapError> {
        self.connection.begin_operation()?;
        self.connection.max_literal = most;
        let name = match section {
            Section::Whole => "",
            Section::Header => "HEADER",
        };
        let set = uid_set(uids.iter().copied());
        let marks = self.marks_asked_for();
        let command = format!("UID FETCH {set} (UID FLAGS{marks} BODY.PEEK[{name}]<0.{most}>)");
        let tag = self.connection.command(&command);
        self.connection.flush(Step::Fetch).await?;
        let sink = |response| {
            let Some((uid, content)) = intake.content(response, uids) else { return Ok(()) };
            if content.section != section || content.origin.unwrap_or(0) != 0 {
                return Ok(());
            }
            if let Some(bytes) = content.bytes {
                intake.take(bytes.len())?;
                bodies.insert(uid, bytes);
            }
            Ok(())
        };
        self.connection.complete(tag, Step::Fetch, sink).await.map(drop)
    }

    /// Fetches the rest of a message after `bytes`, up to `most` bytes in all. `None`: it no longer exists.
    ///
    /// Up to the announced size, several chunks are requested at once; beyond it one by one, until one is shorter than
    /// requested. A message without bytes at an offset below its size was deleted in the meantime.
    async fn fetch_rest(
        &mut self,
        uid: Uid,
        announced: u64,
        mut bytes: Vec<u8>,
        most: u64,
        intake: &mut Intake<'_, '_>,
    ) -> Result<Option<Vec<u8>>, ImapError> {
        self.connection.begin_operation()?;
        self.connection.max_literal = CHUNK;
        // The caller has memory for the announced size; the pages are not touched before they are filled.
        let expected = announced.min(most).saturating_sub(length(&bytes));
        bytes.reserve_exact(usize::try_from(expected).unwrap_or(0));
        let mut asked: VecDeque<Chunk> = VecDeque::new();
        let mut next = length(&bytes);
        let mut end = if next >= most { End::Reached } else { End::Ahead };
        loop {
            while end == End::Ahead
                && next < most
                && asked.len() < CHUNKS_IN_FLIGHT
                && (asked.is_empty() || next <= announced)
            {
                let size = CHUNK.min(most - next);
                let marks =
                    if next == 0 { format!(" FLAGS{}", self.marks_asked_for()) } else { String::new() };
                let command = format!("UID FETCH {} (UID{marks} BODY.PEEK[]<{next}.{size}>)", uid.get());
                let tag = self.connection.command(&command);
                asked.push_back(Chunk { tag, offset: next, size, bytes: None, done: false });
                next += size;
            }
            if asked.is_empty() {
                break;
            }
            self.connection.flush(Step::Fetch).await?;
            self.read_chunk(uid, &mut asked, intake).await?;
            while let Some(chunk) = asked.pop_front_if(|chunk| chunk.done) {
                if end != End::Ahead {
                    continue;
                }
                match chunk.bytes {
                    Some(more) => {
                        bytes.extend_from_slice(&more);
                        end = if length(&more) < chunk.size { End::Reached } else { End::Ahead };
                    }
                    None if chunk.offset > 0 && chunk.offset >= announced => end = End::Reached,
                    None => end = End::Gone,
                }
            }
        }
        Ok((end != End::Gone).then_some(bytes))
    }

    /// Reads until one of the requested chunks is complete.
    ///
    /// Dovecot 2.3.19 runs several FETCH commands at once, so that a chunk can arrive before the tagged OK of the command
    /// for the chunk before it: chunks are matched by their origin octet, not by order.
    async fn read_chunk(
        &mut self,
        uid: Uid,
        asked: &mut VecDeque<Chunk>,
        intake: &mut Intake<'_, '_>,
    ) -> Result<(), ImapError> {
        let tags: Vec<Tag> = asked.iter().filter(|chunk| !chunk.done).map(|chunk| chunk.tag).collect();
        let sink = |response| {
            let Some((_, content)) = intake.content(response, &[uid]) else { return Ok(()) };
            let (Some(bytes), Section::Whole) = (content.bytes, content.section) else { return Ok(()) };
            let origin = content.origin.unwrap_or(0);
            let chunk = asked.iter_mut().find(|chunk| chunk.offset == origin).ok_or(Malformed::Fetch)?;
            if length(&bytes) > chunk.size {
                return Err(Malformed::LongLiteral);
            }
            intake.take(bytes.len())?;
            chunk.bytes = Some(bytes);
            Ok(())
        };
        match self.connection.progress(&tags, Step::Fetch, sink).await? {
            Progress::Completed(tag, _) => {
                for chunk in asked.iter_mut().filter(|chunk| chunk.tag == tag) {
                    chunk.done = true;
                }
                Ok(())
            }
            Progress::ContinuationRequest(_) => {
                Err(ImapError::Malformed { step: Step::Fetch, what: Malformed::Continuation })
            }
        }
    }
}

/// A requested part of a message.
struct Chunk {
    tag: Tag,
    offset: u64,
    size: u64,
    /// The received bytes; `None` when the message has none at this offset.
    bytes: Option<Vec<u8>>,
    /// Whether its command is completed.
    done: bool,
}

/// Whether the end of a message is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The end is not read yet.
    Ahead,
    /// The end is read, or enough bytes are.
    Reached,
    /// The message was deleted in the meantime.
    Gone,
}

/// The content of a response that has one.
fn content(response: Response) -> Option<(Uid, Content)> {
    let Response::Fetch(fetch) = response else { return None };
    let Fetch { uid, content, .. } = *fetch;
    Some((uid?, content?))
}

fn refused_is_nothing(result: Result<(), ImapError>) -> Result<(), ImapError> {
    match result {
        Err(ImapError::Refused { .. }) => Ok(()),
        result => result,
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
