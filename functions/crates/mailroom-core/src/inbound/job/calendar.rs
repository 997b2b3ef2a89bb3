//! What a job says of the events in a message.

use serde::{Deserialize, Serialize};

use super::address::Address;

/// An event of a calendar part (RFC 5545, RFC 5546). Words are spelt as in the RFCs, such as `REQUEST`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarEvent {
    /// What the message asks for: `REQUEST` invites, `REPLY` answers, `CANCEL` calls it off.
    pub method: Option<String>,
    /// The event's id, the same in every message about it.
    pub uid: Option<String>,
    /// Grows with each change of the event.
    pub sequence: Option<i64>,
    /// Its title.
    pub summary: Option<String>,
    /// A date for whole days, else RFC 3339; without an offset where the zone is not known.
    pub starts_at: Option<String>,
    /// The same. Of whole days, the day after the last.
    pub ends_at: Option<String>,
    /// The zone of `starts_at`: its IANA name where it is known.
    pub time_zone: Option<String>,
    /// Who invites.
    pub organizer: Option<Address>,
    /// Who is invited.
    pub attendees: Vec<Attendee>,
    /// `CONFIRMED`, `TENTATIVE` or `CANCELLED`.
    pub status: Option<String>,
    /// The rule by which it recurs (RFC 5545 §3.3.10).
    pub recurrence: Option<String>,
    /// The start of the one instance that is meant; none where it is the event, or the whole series.
    pub recurrence_id: Option<String>,
    /// Where it takes place.
    pub location: Option<String>,
}

/// A person who is invited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendee {
    /// The display name.
    pub name: Option<String>,
    /// `local@domain`, or another URI.
    pub address: Option<String>,
    /// `PARTSTAT`: `NEEDS-ACTION`, `ACCEPTED`, `DECLINED`, `TENTATIVE` or `DELEGATED`.
    pub status: Option<String>,
}
