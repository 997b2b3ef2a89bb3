//! Fetching bodies: small ones many at a time, large ones in chunks.
//!
//! No size that a server tells is trusted with memory. Everything is asked for with an offset and a length
//! (`BODY.PEEK[]<0.262144>`), so that no literal is larger than a chunk; a message that fills its chunk is continued.

use std::collections::{BTreeMap, VecDeque};

use mailroom_core::inbound::cursor::Uid;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Answer;
use super::encode::uid_set;
use super::error::{ImapError, Malformed, Step};
use super::frame::Tag;
use super::response::{Content, Fetch, Response, Section};
use super::session::{Session, UIDS_PER_COMMAND};

/// A message announced with less is small: asked for with many others, and at first no further than this.
const SMALL: u64 = 256 * 1024;

/// A large message is asked for in chunks of this size. Exchange renders the whole message for each.
const CHUNK: u64 = 1024 * 1024;

/// Chunks of one message under way at once: at 100 ms of round trip, 40 MB/s.
const CHUNKS_IN_FLIGHT: usize = 4;

/// The most of a header block that is fetched; servers accept a tenth of it.
const MAX_HEADER: u64 = 256 * 1024;

/// What a header block is expected to have at the most.
const USUAL_HEADER: u64 = 64 * 1024;

/// What the answers to one call may have altogether, when this was expected of them: servers estimate sizes, and a
/// few messages may have grown. A server that lies must not fill the memory that all sessions share.
const fn allowed(expected: u64) -> u64 {
    expected.saturating_mul(2).saturating_add(4 * 1024 * 1024)
}

/// A message's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its UID.
    pub uid: Uid,
    /// The bytes, or the first of them.
    pub bytes: Vec<u8>,
    /// Whether these are all: `false` where there are more than were allowed.
    pub complete: bool,
}

/// Bytes that one call may still bring.
struct Allowance(u64);

impl Allowance {
    fn take(&mut self, bytes: usize) -> Result<(), Malformed> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0 = self.0.checked_sub(bytes).ok_or(Malformed::Sizes)?;
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Fetches whole messages, given with their announced sizes (RFC822.SIZE), each up to `max_bytes_each`.
    ///
    /// A message that is gone is left out; one that is only missing from the answer is an error. The order is that of
    /// `messages`. All together may have twice what was
    /// announced and 4 MiB, and not more: a caller that can afford more announces more.
    ///
    /// # Errors
    /// Unless the server has said OK to all of it.
    pub async fn fetch(
        &mut self,
        messages: &[(Uid, u64)],
        max_bytes_each: u64,
    ) -> Result<Vec<Fetched>, ImapError> {
        let announced = messages.iter().map(|(_, size)| (*size).min(max_bytes_each));
        let mut allowance = Allowance(allowed(announced.fold(0, u64::saturating_add)));
        let small: Vec<Uid> =
            messages.iter().filter(|(_, size)| *size < SMALL).map(|(uid, _)| *uid).collect();
        let mut bodies: BTreeMap<Uid, Vec<u8>> = BTreeMap::new();
        for batch in small.chunks(UIDS_PER_COMMAND) {
            self.first_bytes(batch, Section::Whole, SMALL, &mut allowance, &mut bodies).await?;
        }

        let mut fetched = Vec::with_capacity(messages.len());
        for &(uid, size) in messages {
            let start = if size < SMALL { bodies.remove(&uid) } else { Some(Vec::new()) };
            let whole = match start {
                Some(start) if size < SMALL && length(&start) < SMALL => Some(start),
                // One more than allowed, to see whether there is more.
                Some(start) => {
                    self.rest(uid, size, start, max_bytes_each.saturating_add(1), &mut allowance).await?
                }
                None => None,
            };
            let Some(mut bytes) = whole else { continue };
            if bytes.is_empty() && size > 0 {
                return Err(ImapError::Malformed { step: Step::Fetch, what: Malformed::Empty });
            }
            let complete = length(&bytes) <= max_bytes_each;
            bytes.truncate(usize::try_from(max_bytes_each).unwrap_or(usize::MAX));
            fetched.push(Fetched { uid, bytes, complete });
        }
        self.confirm_gone(messages.iter().map(|(uid, _)| *uid), &fetched).await?;
        Ok(fetched)
    }

    /// Fetches header blocks, each up to 256 KiB. A message that is gone is left out.
    ///
    /// # Errors
    /// Unless the server has said OK to all of it.
    pub async fn fetch_headers(&mut self, uids: &[Uid]) -> Result<Vec<Fetched>, ImapError> {
        let count = u64::try_from(uids.len()).unwrap_or(u64::MAX);
        let mut allowance = Allowance(allowed(count.saturating_mul(USUAL_HEADER)));
        let mut headers = BTreeMap::new();
        for batch in uids.chunks(UIDS_PER_COMMAND) {
            self.first_bytes(batch, Section::Header, MAX_HEADER, &mut allowance, &mut headers).await?;
        }
        let fetched = uids.iter().filter_map(|uid| {
            let bytes = headers.remove(uid)?;
            let complete = length(&bytes) < MAX_HEADER;
            Some(Fetched { uid: *uid, bytes, complete })
        });
        let fetched: Vec<Fetched> = fetched.collect();
        self.confirm_gone(uids.iter().copied(), &fetched).await?;
        Ok(fetched)
    }

    /// Makes sure that what was asked for and did not come is gone. A server short of memory says OK to a FETCH and
    /// leaves messages out; taken for deleted, they would be lost.
    ///
    /// NOOP first: only then does a server tell of what others have removed (RFC 9051 §7.5.1).
    async fn confirm_gone(
        &mut self,
        asked: impl Iterator<Item = Uid>,
        fetched: &[Fetched],
    ) -> Result<(), ImapError> {
        let missing: Vec<Uid> = asked.filter(|uid| !fetched.iter().any(|mail| mail.uid == *uid)).collect();
        for uids in missing.chunks(UIDS_PER_COMMAND) {
            self.connection.begin()?;
            let noop = self.connection.command("NOOP");
            let set = uid_set(uids.iter().copied());
            let tag = self.connection.command(&format!("UID FETCH {set} (UID FLAGS)"));
            self.connection.flush(Step::Fetch).await?;
            self.connection.complete(noop, Step::Fetch, |_| Ok(())).await?;
            let mut there = false;
            let sink = |response| {
                if let Response::Fetch(fetch) = response {
                    there |= fetch.uid.is_some_and(|uid| uids.contains(&uid));
                }
                Ok(())
            };
            self.connection.complete(tag, Step::Fetch, sink).await?;
            if there {
                return Err(ImapError::Malformed { step: Step::Fetch, what: Malformed::Empty });
            }
        }
        Ok(())
    }

    /// Fetches the first `most` bytes of a section of several messages, by one command.
    async fn first_bytes(
        &mut self,
        uids: &[Uid],
        section: Section,
        most: u64,
        allowance: &mut Allowance,
        bodies: &mut BTreeMap<Uid, Vec<u8>>,
    ) -> Result<(), ImapError> {
        self.connection.begin()?;
        self.connection.max_literal = most;
        let name = match section {
            Section::Whole => "",
            Section::Header => "HEADER",
        };
        let set = uid_set(uids.iter().copied());
        let tag = self.connection.command(&format!("UID FETCH {set} (UID BODY.PEEK[{name}]<0.{most}>)"));
        self.connection.flush(Step::Fetch).await?;
        let sink = |response| {
            let Some((uid, content)) = content(response) else { return Ok(()) };
            if content.section != section || content.origin.unwrap_or(0) != 0 || !uids.contains(&uid) {
                return Ok(());
            }
            if let Some(bytes) = content.bytes {
                allowance.take(bytes.len())?;
                bodies.insert(uid, bytes);
            }
            Ok(())
        };
        self.connection.complete(tag, Step::Fetch, sink).await.map(drop)
    }

    /// Fetches a message from where `bytes` ends, until it ends or has `most` bytes. `None`: it is gone.
    ///
    /// Up to the announced size, several chunks are asked for at once; from there on one by one, until one comes
    /// short. A message of whose middle there is nothing was deleted meanwhile.
    async fn rest(
        &mut self,
        uid: Uid,
        announced: u64,
        mut bytes: Vec<u8>,
        most: u64,
        allowance: &mut Allowance,
    ) -> Result<Option<Vec<u8>>, ImapError> {
        self.connection.begin()?;
        self.connection.max_literal = CHUNK;
        // What was announced is what the caller has room for; it is not touched before it is filled.
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
                let uid = uid.get();
                let tag =
                    self.connection.command(&format!("UID FETCH {uid} (UID BODY.PEEK[]<{next}.{size}>)"));
                asked.push_back(Chunk { tag, offset: next, size, bytes: None, done: false });
                next += size;
            }
            if asked.is_empty() {
                break;
            }
            self.connection.flush(Step::Fetch).await?;
            self.chunk(uid, &mut asked, allowance).await?;
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

    /// Reads until one of the chunks asked for is done.
    ///
    /// Dovecot 2.3.19 works on several FETCH commands at once, so that a chunk can come before the end of the command
    /// for the one before it: it is known by its origin, and not by the order.
    async fn chunk(
        &mut self,
        uid: Uid,
        asked: &mut VecDeque<Chunk>,
        allowance: &mut Allowance,
    ) -> Result<(), ImapError> {
        let tags: Vec<Tag> = asked.iter().filter(|chunk| !chunk.done).map(|chunk| chunk.tag).collect();
        let sink = |response| {
            let Some((theirs, content)) = content(response) else { return Ok(()) };
            let (Some(bytes), Section::Whole) = (content.bytes, content.section) else { return Ok(()) };
            if theirs != uid {
                return Ok(());
            }
            let origin = content.origin.unwrap_or(0);
            let chunk = asked.iter_mut().find(|chunk| chunk.offset == origin).ok_or(Malformed::Fetch)?;
            if length(&bytes) > chunk.size {
                return Err(Malformed::LongLiteral);
            }
            allowance.take(bytes.len())?;
            chunk.bytes = Some(bytes);
            Ok(())
        };
        match self.connection.answer(&tags, Step::Fetch, sink).await? {
            Answer::Done(tag, _) => {
                for chunk in asked.iter_mut().filter(|chunk| chunk.tag == tag) {
                    chunk.done = true;
                }
                Ok(())
            }
            Answer::Continuation(_) => {
                Err(ImapError::Malformed { step: Step::Fetch, what: Malformed::Continuation })
            }
        }
    }
}

/// A part of a message that was asked for.
struct Chunk {
    tag: Tag,
    offset: u64,
    size: u64,
    /// What came; `None` where there is nothing at this offset.
    bytes: Option<Vec<u8>>,
    /// Whether its command is done.
    done: bool,
}

/// What is known of a message's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is not yet read.
    Ahead,
    /// It is read, or enough is.
    Reached,
    /// The message was deleted meanwhile.
    Gone,
}

fn content(response: Response) -> Option<(Uid, Content)> {
    let Response::Fetch(fetch) = response else { return None };
    let Fetch { uid, content, .. } = *fetch;
    Some((uid?, content?))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
