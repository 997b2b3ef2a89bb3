//! What reports say after a server has taken a message: that it did not reach a recipient.

use time::OffsetDateTime;

use super::state::{Bounce, Delivery, DeliveryState, OutcomeEvent, Phase, RecipientStatus};
use crate::outbound::message::OutboundId;

/// The most bytes of a diagnostic and of a server's name that are kept: a record of a hundred recipients has to stay
/// small.
const MAX_DIAGNOSTIC_BYTES: usize = 500;
const MAX_NAME_BYTES: usize = 100;

/// An outbound message, and for whom a report says that it was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BouncedMessage {
    /// The message's id.
    pub message: OutboundId,
    /// The recipients that it did not reach.
    pub failures: Vec<ReportedFailure>,
}

/// What a report says of a recipient that a message did not reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportedFailure {
    /// What the report calls the recipient: the address that it was sent to, and the one that it was passed on to.
    pub addresses: Vec<String>,
    /// The enhanced status code (RFC 3463).
    pub status: Option<String>,
    /// What the remote server said.
    pub diagnostic: Option<String>,
    /// The server that said it.
    pub remote_mta: Option<String>,
}

fn cut(text: Option<&String>, bytes: usize) -> Option<String> {
    text.map(|text| text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned())
}

impl Delivery {
    /// Notes what a report says of recipients, and whether that is news: then the outcome is to be published once more.
    ///
    /// Only those can bounce whom a server has taken the message for, or may have: of others, nobody can say so. The
    /// message's state stays what it is, because it says what the profile's server did; the first report counts. A run
    /// that sends the message at this moment has it to itself: wait for its end.
    pub fn note_bounces(&mut self, failures: &[ReportedFailure], now: OffsetDateTime) -> bool {
        let mut news = false;
        if self.phase != Phase::Idle {
            return news;
        }
        for failure in failures {
            let is_named =
                |address: &str| failure.addresses.iter().any(|one| one.eq_ignore_ascii_case(address));
            for one in self.recipients.iter_mut().filter(|one| one.bounce.is_none() && is_named(&one.address))
            {
                match one.status {
                    RecipientStatus::Accepted(_) => {}
                    // The report shows that a server had it.
                    RecipientStatus::Uncertain(_) => one.status = RecipientStatus::Accepted(None),
                    RecipientStatus::Waiting(_)
                    | RecipientStatus::WaitingAlone(_)
                    | RecipientStatus::InFlight
                    | RecipientStatus::Rejected(_)
                    | RecipientStatus::Cancelled => continue,
                }
                one.bounce = Some(Bounce {
                    status: cut(failure.status.as_ref(), MAX_NAME_BYTES),
                    diagnostic: cut(failure.diagnostic.as_ref(), MAX_DIAGNOSTIC_BYTES),
                    remote_mta: cut(failure.remote_mta.as_ref(), MAX_NAME_BYTES),
                    reported_at: now,
                });
                news = true;
            }
        }
        if news {
            self.updated_at = now;
            self.outcome_event = OutcomeEvent::Due;
            if self.state() == DeliveryState::Sent && self.sent_at.is_none() {
                // It was uncertain.
                self.sent_at = Some(now);
                (self.error, self.next_at) = (None, None);
            }
        }
        news
    }
}
