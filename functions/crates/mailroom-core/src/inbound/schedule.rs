//! What one run checks: the planner's decisions.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::profile::{Profile, RefreshInterval};

/// How many shards an interval's profiles are spread over, so that no partition of the index is hot.
pub const SHARDS: u8 = 16;

/// How many profiles one run polls at once. 250 mailboxes fit 256 MB; 100 leave room for their mail.
pub const BATCH: usize = 100;

/// The longest delay of a queue message.
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

/// A message on the poll queue. A wire format, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PollRequest {
    /// Poll a range of an interval's profiles.
    Range {
        /// The format's version: 1.
        version: u32,
        /// Seconds.
        refresh_interval: u32,
        /// 0 to 15.
        shard: u8,
        /// The range; all of the shard is not sent this way.
        range: Range,
    },
    /// Poll one profile: its page was full, or it has to be polled alone.
    Profile {
        /// The format's version: 1.
        version: u32,
        /// The profile's id.
        profile_id: String,
    },
    /// Plan an interval once more: the later rounds of an interval below a minute.
    Round {
        /// The format's version: 1.
        version: u32,
        /// Seconds.
        refresh_interval: u32,
    },
    /// Forget what was noted about the mail of a profile that is gone: there was more than a request could remove.
    Forget {
        /// The format's version: 1.
        version: u32,
        /// The profile's id.
        profile_id: String,
    },
}

impl PollRequest {
    /// The version of the format that this code writes.
    pub const VERSION: u32 = 1;
}

/// The sort key of a profile in the index, as [`Range`] has it.
#[must_use]
pub fn sort_key(profile: &Profile) -> String {
    let host = profile.imap.as_ref().map_or("", |server| server.host.as_str());
    format!("{host}#{}", profile.id)
}

/// Whether a profile may be polled at `now`: its status asks for no pause.
#[must_use]
pub fn is_due(profile: &Profile, now: OffsetDateTime) -> bool {
    profile.listen && profile.status.not_before.is_none_or(|until| until <= now)
}

/// The delays after which the later rounds of an interval follow, when its schedule fires once a minute.
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
/// `due`: per shard, the profiles that are due, in the order of the index.
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
            let request = PollRequest::Range {
                version: PollRequest::VERSION,
                refresh_interval: interval.seconds(),
                shard,
                range,
            };
            (request, Duration::from_secs((spread * n / count).as_secs()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn only_the_intervals_we_keep_are_intervals() {
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
                PollRequest::Profile { .. } | PollRequest::Round { .. } | PollRequest::Forget { .. } => 0,
            })
            .sum();
        assert_eq!(covered, 351);
    }

    #[test]
    fn delays_stay_within_what_a_queue_can() {
        let due: Vec<_> = (0..16).map(|shard| (shard, vec!["k".to_owned(); 1000])).collect();
        assert!(batches(interval(86_400), &due).iter().all(|(_, delay)| *delay < MAX_DELAY));
    }

    #[test]
    fn poll_requests_of_every_version_shipped_are_still_read() {
        for (wire, expected) in [
            (
                r#"{"kind":"range","version":1,"refresh_interval":300,"shard":3,"range":{"from":"a#1","to":"b#2"}}"#,
                PollRequest::Range {
                    version: 1,
                    refresh_interval: 300,
                    shard: 3,
                    range: Range { from: "a#1".to_owned(), to: "b#2".to_owned() },
                },
            ),
            (
                r#"{"kind":"profile","version":1,"profile_id":"01JDC"}"#,
                PollRequest::Profile { version: 1, profile_id: "01JDC".to_owned() },
            ),
            (
                r#"{"kind":"round","version":1,"refresh_interval":10}"#,
                PollRequest::Round { version: 1, refresh_interval: 10 },
            ),
            (
                r#"{"kind":"forget","version":1,"profile_id":"01JDC"}"#,
                PollRequest::Forget { version: 1, profile_id: "01JDC".to_owned() },
            ),
        ] {
            assert_eq!(serde_json::from_str::<PollRequest>(wire).unwrap(), expected);
            assert_eq!(serde_json::to_string(&expected).unwrap(), wire);
        }
    }
}
