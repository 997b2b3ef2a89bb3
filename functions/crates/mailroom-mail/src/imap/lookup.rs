//! Looking up where a mailbox ends, where its new messages begin, and what a listing leaves out.

use mailroom_core::inbound::cursor::Uid;
use mailroom_core::inbound::listing::Relisted;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};

use super::date;
use super::error::{ImapError, Step};
use super::response::{Response, SearchResult};
use super::session::{ListingBuilder, Session, list_command};

/// How many messages one command looks at. That many numbers of ten digits fit the longest line that is read.
const LOOKED_AT: u32 = 5_000;

/// What a command of [`Session::list_again`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    List,
    Search,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// The highest UID in use; `None` where the server does not say.
    ///
    /// # Errors
    /// When the server does not complete the command with OK.
    pub async fn find_last(&mut self) -> Result<Option<Uid>, ImapError> {
        let mut last = None;
        self.look("FETCH * (UID)", |response| {
            if let Response::Fetch(fetch) = response {
                last = last.max(fetch.uid);
            }
        })
        .await?;
        Ok(last)
    }

    /// The lowest UID among the messages that arrived at `since` or later, of the `exists` in the mailbox; `None` where
    /// there is none. Messages of the two days before may count too: SINCE is by day, in the server's zone.
    ///
    /// Goes back from the end, by sequence numbers, until a part has no such message: of a million messages, those that
    /// are old cost one round trip.
    ///
    /// # Errors
    /// When the server completes neither SEARCH nor FETCH with OK.
    pub async fn find_start(&mut self, since: OffsetDateTime, exists: u32) -> Result<Option<Uid>, ImapError> {
        let day = since.saturating_sub(time::Duration::days(2));
        let (mut first, mut last) = (None, exists);
        while last > 0 {
            let from = last.saturating_sub(LOOKED_AT - 1).max(1);
            let part = if last == exists { format!("{from}:*") } else { format!("{from}:{last}") };
            let found = match self.search_since(&part, day).await? {
                Some(found) => found,
                None => self.dated_since(&part, since).await?,
            };
            let Some(lowest) = found.into_iter().min() else { break };
            first = Some(first.map_or(lowest, |first: Uid| first.min(lowest)));
            last = from - 1;
        }
        Ok(first)
    }

    /// Lists the messages above a UID up to another once more, and searches for them, in one flight.
    ///
    /// NOOP comes first, as in [`Session::fetch`]: what was expunged since is not hidden.
    ///
    /// # Errors
    /// When the server does not complete the listing with OK. One that refuses to search finds nothing, and that is told.
    pub async fn list_again(&mut self, above: u32, through: u32) -> Result<Relisted, ImapError> {
        self.connection.begin_operation()?;
        let mut tags = vec![(self.connection.command("NOOP"), Asked::List)];
        let width = through.saturating_sub(above);
        if let Some(command) = list_command(above, width) {
            tags.push((self.connection.command(&command), Asked::List));
        }
        let mut from = above;
        while from < through {
            let to = from.saturating_add(LOOKED_AT).min(through);
            let command = format!("UID SEARCH UID {}:{to}", from + 1);
            tags.push((self.connection.command(&command), Asked::Search));
            from = to;
        }
        self.connection.flush(Step::List).await?;
        let mut listing = ListingBuilder::new(above, width);
        let (mut found, mut unsearched) = (Vec::new(), false);
        for (tag, asked) in tags {
            let sink = |response| {
                if let Response::Search(SearchResult::Found(uids)) = response {
                    found.extend(uids);
                } else {
                    listing.record(response);
                }
                Ok(())
            };
            match (asked, self.connection.complete(tag, Step::List, sink).await) {
                (_, Ok(_)) => {}
                (Asked::Search, Err(ImapError::Refused { reply, .. })) if !reply.is_throttling() => {
                    unsearched = true;
                }
                (_, Err(error)) => return Err(error),
            }
        }
        found.retain(|uid| (above.saturating_add(1)..=through).contains(&uid.get()));
        Ok(Relisted { messages: listing.into_listing().messages, found, unsearched })
    }

    /// The UIDs of what a search finds; `None` where the server does not search.
    async fn search_since(&mut self, part: &str, day: OffsetDateTime) -> Result<Option<Vec<Uid>>, ImapError> {
        let mut found: Option<Vec<Uid>> = None;
        let mut unreadable = false;
        let command = format!("UID SEARCH {part} SINCE {}", date::format_day(day));
        let searched = self.look(&command, |response| match response {
            Response::Search(SearchResult::Found(uids)) => found.get_or_insert_default().extend(uids),
            Response::Search(SearchResult::Unreadable) => unreadable = true,
            Response::Tagged(..)
            | Response::Status(..)
            | Response::Continuation(_)
            | Response::Exists(_)
            | Response::Capability(_)
            | Response::Fetch(_)
            | Response::List(_)
            | Response::Unseen(_)
            | Response::Expunge
            | Response::Other => {}
        });
        match searched.await {
            Ok(()) => Ok(found.filter(|_| !unreadable)),
            Err(ImapError::Refused { reply, .. }) if !reply.is_throttling() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The UIDs of the messages that carry such a date.
    async fn dated_since(&mut self, part: &str, since: OffsetDateTime) -> Result<Vec<Uid>, ImapError> {
        let mut found = Vec::new();
        self.look(&format!("FETCH {part} (UID INTERNALDATE)"), |response| {
            if let Response::Fetch(fetch) = response
                && fetch.arrived.is_some_and(|arrived| arrived >= since)
            {
                found.extend(fetch.uid);
            }
        })
        .await?;
        Ok(found)
    }

    /// Runs a command that only looks, and shows its responses to `sink`.
    async fn look(&mut self, command: &str, mut sink: impl FnMut(Response)) -> Result<(), ImapError> {
        self.connection.begin_operation()?;
        let tag = self.connection.command(command);
        self.connection.flush(Step::List).await?;
        let sink = |response| {
            sink(response);
            Ok(())
        };
        self.connection.complete(tag, Step::List, sink).await.map(drop)
    }
}
