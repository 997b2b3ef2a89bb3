//! How a poll lists a mailbox: window by window, and around a message that breaks each listing it is in.
//!
//! Where the server fails at a window, the window is halved until one UID is left. If the server then gives another message
//! of the mailbox, the message at this UID is taken for one that cannot be read: it is deferred, and those behind it go on.
//! If not, it is the server that fails.

use super::stage::State;
use super::trouble::{SessionIs, suspicious};
use super::{Poll, WINDOW};
use crate::inbound::cursor::Uid;
use crate::inbound::failure::Failure;
use crate::inbound::listing::Listing;
use crate::inbound::step::Moment;
use crate::owner_error::{ErrorClass, OwnerError};

/// A window with fewer messages is followed by a wider one, because UIDs may have large gaps.
const SPARSE: usize = 1_000;

/// The most sessions of a poll that a listing may end.
const MAX_ENDED: u32 = 16;

impl Poll {
    /// Whether to open the mailbox without listing it, so that a failure shows whether it is the listing's.
    pub(super) fn lists_alone(&self) -> bool {
        self.trouble.through.is_some() || suspicious(&self.profile.status).is_some()
    }

    /// The mailbox is open.
    pub(super) fn opened(&mut self, moment: Moment) {
        match &self.trouble.alone {
            Some((uid, _)) => self.ask_for_another(*uid),
            None => self.plan(moment),
        }
    }

    /// A window is listed.
    pub(super) fn listed(&mut self, mut listing: Listing, moment: Moment) {
        if listing.messages.len() < SPARSE {
            self.width = self.width.saturating_mul(8);
        }
        if let Some((_, listed)) = &mut self.mailbox {
            listing.below = listed.as_ref().and_then(|before| before.count_up_to(listing.above));
            *listed = Some(listing);
        }
        self.plan(moment);
    }

    /// Lists a window above a UID: half of what is left of one that the server does not list.
    pub(super) fn list_above(&mut self, above: u32) {
        let width = match self.trouble.through {
            Some(through) if above < through => ((through - above) / 2).max(1),
            Some(_) => {
                self.trouble.through = None;
                self.width = WINDOW;
                WINDOW
            }
            None => self.width,
        };
        self.state = State::List { above, width };
    }

    /// The server failed at a window.
    pub(super) fn list_failed(&mut self, error: OwnerError, session: SessionIs, moment: Moment) {
        let State::List { above, width } = self.state else { return };
        if session == SessionIs::Over {
            self.trouble.ended += 1;
        }
        let server = self.profile.settings.imap.clone();
        let first = above.checked_add(1).and_then(Uid::new);
        let (Some(server), Some(first), ErrorClass::Transient) = (server, first, error.code.class()) else {
            return self.end_in(Failure::Owner(error), moment);
        };
        if moment.left.is_zero() || self.trouble.ended > MAX_ENDED {
            return self.end_in(Failure::Owner(error), moment);
        }
        self.trouble.through = Some(above.saturating_add(width));
        if width == 1 {
            self.trouble.alone = Some((first, error));
        }
        match (session, &self.trouble.alone) {
            (SessionIs::Over, _) => self.state = State::Open(server),
            (SessionIs::Open, Some(_)) => self.ask_for_another(first),
            (SessionIs::Open, None) => self.list_above(above),
        }
    }

    /// The server gave another message than the one that it does not list, or none. `false`: there is no such message.
    pub(super) fn judge_unlistable(&mut self, given: bool, moment: Moment) -> bool {
        let Some((uid, error)) = self.trouble.alone.take() else { return false };
        if !given {
            self.end_in(Failure::Owner(error), moment);
            return true;
        }
        if let Some((_, listing)) = &mut self.mailbox {
            let (above, through) = (uid.get() - 1, uid.get());
            *listing = Some(Listing { above, through, hidden: Some(vec![uid]), ..Listing::default() });
        }
        self.plan(moment);
        true
    }
}
