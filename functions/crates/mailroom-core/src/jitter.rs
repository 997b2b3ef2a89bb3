//! Pauses that differ from each other, so that what failed together is not tried again together.

use time::{Duration, OffsetDateTime};

/// The part of a pause that it may be longer: a fifth.
const SPREAD: i32 = 5;

/// A pause that begins at `now`, and is up to a fifth longer: never shorter, because a server may have named it.
///
/// The nanoseconds at which two profiles fail are as good as dice, and a test can throw them again.
#[must_use]
pub fn jittered(pause: Duration, now: OffsetDateTime) -> Duration {
    let dice = scattered(u64::from(now.nanosecond()) ^ now.unix_timestamp().unsigned_abs().rotate_left(32));
    let thousandths = i32::try_from(dice % 1000).unwrap_or_default();
    pause.saturating_add(pause / SPREAD / 1000 * thousandths)
}

/// Numbers in step, such as the fences of every fourth lease, as numbers that are not. (The end of SplitMix64.)
#[must_use]
pub(crate) const fn scattered(turn: u64) -> u64 {
    let mixed = (turn ^ (turn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_thousand_that_fail_together_are_tried_again_over_a_fifth_of_the_pause() {
        let pause = Duration::minutes(5);
        let failed = |n: i64| datetime!(2026-11-01 12:00 UTC) + Duration::microseconds(n * 37);
        let mut seconds = [0_u32; 60];
        for n in 0..1000 {
            let longer = jittered(pause, failed(n)) - pause;
            let second = usize::try_from(longer.whole_seconds()).unwrap();
            seconds[second] += 1;
        }
        assert!(seconds.iter().all(|count| (1..50).contains(count)), "{seconds:?}");
    }

    #[test]
    fn the_longest_pause_is_a_pause() {
        assert_eq!(jittered(Duration::MAX, OffsetDateTime::UNIX_EPOCH), Duration::MAX);
        assert_eq!(jittered(Duration::ZERO, OffsetDateTime::UNIX_EPOCH), Duration::ZERO);
    }
}
