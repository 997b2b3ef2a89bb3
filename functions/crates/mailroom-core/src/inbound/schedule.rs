//! Which profiles an invocation polls, and what the poll queue carries to the others.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::health::{ProfileState, Status};
use crate::inbound::cursor::{Cursor, UidValidity};
use crate::invalid::Invalid;
use crate::profile::{Profile, ProfileId, RefreshInterval};

/// How many shards an interval's profiles are spread over, so that no partition of the index is hot.
pub const SHARDS: u8 = 16;

/// How many profiles one invocation polls at once. 250 mailboxes fit 256 MB; 100 leave room for their messages.
pub const BATCH: usize = 100;

/// The longest delay of a queue message (SQS: 15 minutes).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// A range of an interval's profiles in the order of the index, both ends included: `imap_host#id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first sort key.
    pub from: String,
    /// The last sort key.
    pub to: String,
}

/// Where a cursor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The UIDVALIDITY.
    pub uid_validity: Option<u32>,
    /// The last handled UID.
    pub last_uid: u32,
}

impl From<&Cursor> for Position {
    fn from(cursor: &Cursor) -> Self {
        Self { uid_validity: cursor.uid_validity.map(UidValidity::get), last_uid: cursor.last_uid }
    }
}

/// What a message on the poll queue asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollRequest {
    /// Poll a range of an interval's profiles.
    Range {
        /// The interval.
        interval: RefreshInterval,
        /// The shard, below [`SHARDS`].
        shard: u8,
        /// The profiles of the shard.
        range: Range,
    },
    /// Poll one profile: there is more in its mailbox, or it has to be polled alone.
    Profile(ProfileId),
    /// Poll one profile if its cursor still stands where it stood before a page was handed over: then the run crashed, and
    /// its jobs have to be sent again before the queue forgets them.
    Check {
        /// The profile.
        profile: ProfileId,
        /// The stored UIDVALIDITY and UID; `None` before the first move.
        position: Option<Position>,
    },
    /// Poll one profile when its pause ends, if it is still this pause.
    Retry {
        /// The profile.
        profile: ProfileId,
        /// The end of its pause, in whole seconds.
        not_before: OffsetDateTime,
    },
    /// Plan an interval again: the later rounds of an interval below a minute.
    Round(RefreshInterval),
    /// Remove what is left of the ledger of a profile that no longer exists.
    Forget(ProfileId),
}

/// The body of a queue message, without its version. A wire format: a change needs a new [`PollRequest::VERSION`].
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Body {
    Range {
        /// Seconds.
        refresh_interval: u32,
        shard: u8,
        range: Range,
    },
    Profile {
        profile_id: String,
    },
    Check {
        profile_id: String,
        position: Option<Position>,
    },
    Retry {
        profile_id: String,
        /// Seconds since 1970.
        not_before: i64,
    },
    Round {
        /// Seconds.
        refresh_interval: u32,
    },
    Forget {
        profile_id: String,
    },
}

/// Why a message on the poll queue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PollRequestError {
    /// It is not JSON, or lacks a field, or has one too many.
    #[error("the message is not a poll request")]
    Malformed(#[source] serde_json::Error),
    /// It has another version than [`PollRequest::VERSION`], or none.
    #[error("the poll request does not have version {version}", version = PollRequest::VERSION)]
    Version,
    /// The interval does not exist.
    #[error("refresh_interval {0}")]
    Interval(Invalid),
    /// The profile's id is not one.
    #[error("profile_id {0}")]
    ProfileId(Invalid),
    /// The end of the pause is no time.
    #[error("not_before is not a time")]
    Time,
}

impl PollRequest {
    /// The version of the format.
    pub const VERSION: u32 = 1;

    /// Reads the body of a queue message.
    ///
    /// # Errors
    /// When the body is not what [`Self::to_json`] writes.
    pub fn read(body: &str) -> Result<Self, PollRequestError> {
        let mut fields: Map<String, Value> =
            serde_json::from_str(body).map_err(PollRequestError::Malformed)?;
        if fields.remove("version") != Some(Self::VERSION.into()) {
            return Err(PollRequestError::Version);
        }
        let body = serde_json::from_value(Value::Object(fields)).map_err(PollRequestError::Malformed)?;
        let interval = |seconds| RefreshInterval::from_seconds(seconds).map_err(PollRequestError::Interval);
        let profile = |id: String| ProfileId::parse(&id).map_err(PollRequestError::ProfileId);
        Ok(match body {
            Body::Range { refresh_interval, shard, range } => {
                Self::Range { interval: interval(refresh_interval)?, shard, range }
            }
            Body::Profile { profile_id } => Self::Profile(profile(profile_id)?),
            Body::Check { profile_id, position } => Self::Check { profile: profile(profile_id)?, position },
            Body::Retry { profile_id, not_before } => {
                let time = OffsetDateTime::from_unix_timestamp(not_before);
                Self::Retry {
                    profile: profile(profile_id)?,
                    not_before: time.map_err(|_| PollRequestError::Time)?,
                }
            }
            Body::Round { refresh_interval } => Self::Round(interval(refresh_interval)?),
            Body::Forget { profile_id } => Self::Forget(profile(profile_id)?),
        })
    }

    /// The body of the queue message, in JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let body = match self {
            Self::Range { interval, shard, range } => {
                Body::Range { refresh_interval: interval.seconds(), shard: *shard, range: range.clone() }
            }
            Self::Profile(id) => Body::Profile { profile_id: id.to_string() },
            Self::Check { profile, position } => {
                Body::Check { profile_id: profile.to_string(), position: *position }
            }
            Self::Retry { profile, not_before } => {
                Body::Retry { profile_id: profile.to_string(), not_before: not_before.unix_timestamp() }
            }
            Self::Round(interval) => Body::Round { refresh_interval: interval.seconds() },
            Self::Forget(id) => Body::Forget { profile_id: id.to_string() },
        };
        // Numbers and strings always serialize.
        let mut value = serde_json::to_value(body).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("version".to_owned(), Self::VERSION.into());
        }
        value.to_string()
    }
}

/// The sort key of a profile in the index, as [`Range`] has it.
#[must_use]
pub fn sort_key(profile: &Profile) -> String {
    let host = profile.settings.imap.as_ref().map_or("", |server| server.host.as_str());
    format!("{host}#{}", profile.id)
}

/// Whether a profile is polled at `now`: it listens, and no pause is due.
#[must_use]
pub fn is_due(profile: &Profile, now: OffsetDateTime) -> bool {
    profile.settings.listen && profile.status.not_before.is_none_or(|until| until <= now)
}

/// The longest interval whose own polls follow the end of a pause closely enough.
const SHORT_INTERVAL: Duration = Duration::from_secs(300);

/// The request to poll a profile when the pause in its status ends, if its interval would leave it waiting for much
/// longer. What only a sign-in ends needs none.
///
/// Polls that are asked for one by one are many invocations where a large provider fails: a short interval does without.
#[must_use]
pub fn retry(profile: &Profile, status: &Status, now: OffsetDateTime) -> Option<(PollRequest, Duration)> {
    let not_before = status.not_before?;
    let waits = status.state != ProfileState::ReauthorizationRequired
        && Duration::from_secs(u64::from(profile.settings.refresh_interval.seconds())) > SHORT_INTERVAL;
    waits.then(|| (PollRequest::Retry { profile: profile.id, not_before }, delay_until(not_before, now)))
}

/// What a [`PollRequest::Retry`] that was received at `now` leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryIs {
    /// The pause has ended: the profile is polled.
    Due,
    /// A queue does not wait for so long at once: the request goes back to it with this delay.
    Early(Duration),
    /// The profile was polled or edited since, or has another pause.
    Void,
}

/// Whether a profile is polled for a [`PollRequest::Retry`] with this `not_before`.
#[must_use]
pub fn retry_is(profile: &Profile, not_before: OffsetDateTime, now: OffsetDateTime) -> RetryIs {
    let same =
        profile.status.not_before.map(OffsetDateTime::unix_timestamp) == Some(not_before.unix_timestamp());
    match same && profile.settings.listen {
        false => RetryIs::Void,
        true if is_due(profile, now) => RetryIs::Due,
        true => RetryIs::Early(delay_until(not_before, now)),
    }
}

/// The delay of a queue message that is received at a time or, where that is too far ahead, before it.
fn delay_until(time: OffsetDateTime, now: OffsetDateTime) -> Duration {
    let left = Duration::try_from(time - now).unwrap_or_default();
    // In whole seconds, and not too early by a part of one.
    Duration::from_secs(left.as_secs() + 1).min(MAX_DELAY)
}

/// The delays after which an interval below a minute is planned again, since its schedule fires once a minute.
#[must_use]
pub fn later_rounds(interval: RefreshInterval) -> Vec<Duration> {
    let step = interval.seconds();
    if step >= 60 {
        return Vec::new();
    }
    (1..60 / step).map(|round| Duration::from_secs(u64::from(round * step))).collect()
}

/// Ranges of at most [`BATCH`] profiles for the poll queue, with the delays that spread them over half the interval,
/// so that a slow batch still ends before the next round.
///
/// `due`: for each shard, the sort keys of the profiles that are due, in the order of the index.
#[must_use]
pub fn batches(interval: RefreshInterval, due: &[(u8, Vec<String>)]) -> Vec<(PollRequest, Duration)> {
    let ranges: Vec<(u8, Range)> = due
        .iter()
        .flat_map(|(shard, keys)| {
            keys.chunks(BATCH).filter_map(|chunk| {
                let (from, to) = (chunk.first()?.clone(), chunk.last()?.clone());
                Some((*shard, Range { from, to }))
            })
        })
        .collect();
    let spread = (Duration::from_secs(u64::from(interval.seconds())) / 2).min(MAX_DELAY);
    let count = u32::try_from(ranges.len()).unwrap_or(u32::MAX).max(1);
    (0u32..)
        .zip(ranges)
        .map(|(n, (shard, range))| {
            let request = PollRequest::Range { interval, shard, range };
            (request, Duration::from_secs((spread * n / count).as_secs()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::flow::FlowSchemaId;
    use crate::profile::{Auth, Settings};
    use crate::server::{Host, Security, Server};

    fn interval(seconds: u32) -> RefreshInterval {
        RefreshInterval::from_seconds(seconds).unwrap()
    }

    #[test]
    fn intervals_below_a_minute_get_their_later_rounds() {
        let seconds = |n| later_rounds(interval(n)).iter().map(Duration::as_secs).collect::<Vec<_>>();
        assert_eq!(seconds(10), [10, 20, 30, 40, 50]);
        assert_eq!(seconds(15), [15, 30, 45]);
        assert_eq!(seconds(20), [20, 40]);
        assert_eq!(seconds(30), [30]);
        assert!(seconds(60).is_empty());
    }

    #[test]
    fn other_intervals_are_refused() {
        for seconds in [0, 1, 9, 11, 25, 45, 59, 61, 90, 86_401, 86_460, u32::MAX] {
            assert!(RefreshInterval::from_seconds(seconds).is_err(), "{seconds}");
        }
    }

    #[test]
    fn batches_cover_every_profile_once_and_end_within_half_the_interval() {
        let keys = |n: usize| (0..n).map(|i| format!("imap.example.com#{i:04}")).collect::<Vec<_>>();
        let due = [(0, keys(250)), (3, keys(0)), (7, keys(101))];
        let batches = batches(interval(300), &due);
        assert_eq!(batches.len(), 5);
        assert!(batches.iter().all(|(_, delay)| *delay < Duration::from_secs(150)));
        let covered: usize = batches
            .iter()
            .map(|(request, _)| match request {
                PollRequest::Range { shard, range, .. } => {
                    let (_, keys) = due.iter().find(|(s, _)| s == shard).unwrap();
                    keys.iter().filter(|key| (&range.from..=&range.to).contains(key)).count()
                }
                PollRequest::Profile(_)
                | PollRequest::Check { .. }
                | PollRequest::Retry { .. }
                | PollRequest::Round(_)
                | PollRequest::Forget(_) => 0,
            })
            .sum();
        assert_eq!(covered, 351);
    }

    #[test]
    fn delays_stay_within_the_limit_of_a_queue() {
        let due: Vec<_> = (0..16).map(|shard| (shard, vec!["k".to_owned(); 1000])).collect();
        assert!(batches(interval(86_400), &due).iter().all(|(_, delay)| *delay < MAX_DELAY));
    }

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    /// A profile with this interval that may not be polled for this many seconds.
    fn paused(refresh_interval: u32, seconds: i64) -> Profile {
        let imap = Server {
            host: Host::parse("imap.example.com").unwrap(),
            port: NonZeroU16::new(993).unwrap(),
            security: Security::Tls,
        };
        let auth = Auth::Plain { login: "ann".to_owned() };
        let settings = Settings {
            refresh_interval: interval(refresh_interval),
            ..Settings::listening("Support", imap, auth, FlowSchemaId::parse("flow").unwrap())
        };
        let mut profile = Profile::new(ProfileId::parse(ID).unwrap(), settings, NOW);
        profile.status.state = ProfileState::Throttled;
        profile.status.not_before = Some(NOW + time::Duration::seconds(seconds));
        profile
    }

    #[test]
    fn only_a_long_interval_asks_for_a_poll_at_the_end_of_a_pause() {
        for (seconds, asks) in [(20, false), (300, false), (360, true), (86_400, true)] {
            let profile = paused(seconds, 90);
            let asked = retry(&profile, &profile.status, NOW);
            assert_eq!(asked.map(|(_, delay)| delay.as_secs()), asks.then_some(91), "{seconds}");
        }
        let mut waits = paused(3600, 90);
        waits.status.state = ProfileState::ReauthorizationRequired;
        assert_eq!(retry(&waits, &waits.status, NOW), None);
        waits.status = Status::default();
        assert_eq!(retry(&waits, &waits.status, NOW), None);
    }

    #[test]
    fn a_pause_longer_than_a_queue_waits_is_waited_for_in_parts() {
        let profile = paused(86_400, 3000);
        let (request, mut delay) = retry(&profile, &profile.status, NOW).unwrap();
        let PollRequest::Retry { not_before, .. } = request else { panic!("{request:?}") };
        let (mut now, mut parts) = (NOW, 0);
        loop {
            (now, parts) = (now + delay, parts + 1);
            match retry_is(&profile, not_before, now) {
                RetryIs::Due => break,
                RetryIs::Early(more) => delay = more,
                RetryIs::Void => panic!("{parts}"),
            }
        }
        assert_eq!((parts, (now - NOW).whole_seconds()), (4, 3001));
        // Polled since, paused again, or edited.
        let other = |change: fn(&mut Profile)| {
            let mut profile = profile.clone();
            change(&mut profile);
            retry_is(&profile, not_before, now)
        };
        let later = |profile: &mut Profile| {
            profile.status.not_before = profile.status.not_before.map(|until| until + time::Duration::SECOND);
        };
        assert_eq!(other(later), RetryIs::Void);
        assert_eq!(other(|profile| profile.status.not_before = None), RetryIs::Void);
        assert_eq!(other(|profile| profile.settings.listen = false), RetryIs::Void);
    }

    const ID: &str = "01JDCABCDEFGHJKMNPQRSTVWXY";

    #[test]
    fn poll_requests_of_every_version_shipped_are_still_read() {
        let profile = ProfileId::parse(ID).unwrap();
        let range = Range { from: "a#1".to_owned(), to: "b#2".to_owned() };
        for (wire, expected) in [
            (
                json!({"kind": "range", "version": 1, "refresh_interval": 300, "shard": 3,
                       "range": {"from": "a#1", "to": "b#2"}}),
                PollRequest::Range { interval: interval(300), shard: 3, range },
            ),
            (json!({"kind": "profile", "version": 1, "profile_id": ID}), PollRequest::Profile(profile)),
            (
                json!({"kind": "check", "version": 1, "profile_id": ID, "position": null}),
                PollRequest::Check { profile, position: None },
            ),
            (
                json!({"kind": "check", "version": 1, "profile_id": ID,
                       "position": {"uid_validity": 7, "last_uid": 9}}),
                PollRequest::Check {
                    profile,
                    position: Some(Position { uid_validity: Some(7), last_uid: 9 }),
                },
            ),
            (
                json!({"kind": "round", "version": 1, "refresh_interval": 10}),
                PollRequest::Round(interval(10)),
            ),
            (json!({"kind": "forget", "version": 1, "profile_id": ID}), PollRequest::Forget(profile)),
            (
                json!({"kind": "retry", "version": 1, "profile_id": ID, "not_before": 1_793_534_400}),
                PollRequest::Retry { profile, not_before: datetime!(2026-11-01 12:00 UTC) },
            ),
        ] {
            assert_eq!(PollRequest::read(&wire.to_string()).unwrap(), expected);
            assert_eq!(serde_json::from_str::<Value>(&expected.to_json()).unwrap(), wire);
        }
    }

    #[test]
    fn a_request_that_cannot_be_read_says_why() {
        let error = |body: Value| PollRequest::read(&body.to_string()).unwrap_err();
        for version in [json!(2), json!("1"), json!(null)] {
            let body = json!({"kind": "of the future", "version": version});
            assert!(matches!(error(body), PollRequestError::Version));
        }
        assert!(matches!(error(json!({"kind": "profile", "profile_id": ID})), PollRequestError::Version));
        for malformed in [
            json!("text"),
            json!({"kind": "profile", "version": 1}),
            json!({"kind": "profile", "version": 1, "profile_id": ID, "more": 1}),
            json!({"kind": "other", "version": 1, "profile_id": ID}),
        ] {
            assert!(matches!(error(malformed), PollRequestError::Malformed(_)));
        }
        let id = error(json!({"kind": "forget", "version": 1, "profile_id": "x"}));
        assert_eq!(id.to_string(), "profile_id must be a ULID of 26 characters");
        let seconds = error(json!({"kind": "round", "version": 1, "refresh_interval": 7}));
        assert!(matches!(seconds, PollRequestError::Interval(_)));
    }
}
