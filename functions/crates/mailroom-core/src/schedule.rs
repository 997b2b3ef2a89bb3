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
