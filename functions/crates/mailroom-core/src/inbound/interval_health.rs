//! How the profiles of an interval are doing, in numbers: what whoever runs Mailroom is shown and woken by.

use time::{Duration, OffsetDateTime};

use crate::health::ProfileState;
use crate::profile::Profile;

/// Intervals without a successful poll after which a profile counts as not reached.
const PATIENCE: i32 = 3;

/// Numbers of profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntervalHealth {
    /// Those that listen.
    pub listening: usize,
    /// Those whose last poll failed for a reason that passes by itself, or that wait for their server.
    pub failing: usize,
    /// Those whose owner has to act: settings that are refused, or a sign-in that is gone.
    pub need_owner: usize,
    /// Those that no poll has reached for three intervals, although their owners need not act.
    pub not_reached: usize,
    /// Messages that could not be read, and are tried again.
    pub deferred_messages: usize,
}

impl IntervalHealth {
    /// Counts profiles of one interval.
    #[must_use]
    pub fn of<'a>(profiles: impl IntoIterator<Item = &'a Profile>, now: OffsetDateTime) -> Self {
        let mut health = Self::default();
        for profile in profiles {
            health.listening += 1;
            health.deferred_messages += profile.deferred.len();
            let interval = i64::from(profile.settings.refresh_interval.seconds());
            let patience = Duration::seconds(interval) * PATIENCE;
            match profile.status.state {
                ProfileState::Failing | ProfileState::Throttled => {
                    health.failing += 1;
                    let since = profile.status.error.as_ref().map(|error| error.since);
                    health.not_reached += usize::from(since.is_some_and(|since| now - since > patience));
                }
                ProfileState::Misconfigured | ProfileState::ReauthorizationRequired => health.need_owner += 1,
                ProfileState::Pending => {
                    health.not_reached += usize::from(now - profile.updated_at > patience);
                }
                ProfileState::Ok | ProfileState::Off => {}
            }
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use time::macros::datetime;

    use super::*;
    use crate::flow::FlowSchemaId;
    use crate::health::CurrentError;
    use crate::owner_error::ErrorCode;
    use crate::profile::{Auth, ProfileId, Settings};
    use crate::server::{Host, Security, Server};

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn profile(state: ProfileState, since: Duration) -> Profile {
        let server = Server {
            host: Host::parse("imap.example.com").unwrap(),
            port: NonZeroU16::new(993).unwrap(),
            security: Security::Tls,
        };
        let auth = Auth::Plain { login: "a".to_owned() };
        let settings = Settings::listening("a", server, auth, FlowSchemaId::parse("flow").unwrap());
        let id = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut profile = Profile::new(id, settings, NOW - since);
        profile.status.state = state;
        profile.status.error = Some(CurrentError {
            code: ErrorCode::ImapConnect,
            message: "There is no connection.".to_owned(),
            since: NOW - since,
            count: 1,
        });
        profile
    }

    #[test]
    fn who_is_not_reached_is_told_from_who_waits_for_an_owner() {
        let (short, long) = (Duration::minutes(14), Duration::minutes(16));
        let profiles = [
            profile(ProfileState::Failing, short),
            profile(ProfileState::Failing, long),
            profile(ProfileState::Throttled, long),
            profile(ProfileState::Pending, short),
            profile(ProfileState::Pending, long),
            profile(ProfileState::Misconfigured, long),
            profile(ProfileState::ReauthorizationRequired, long),
            profile(ProfileState::Ok, long),
        ];
        let expected =
            IntervalHealth { listening: 8, failing: 3, need_owner: 2, not_reached: 3, deferred_messages: 0 };
        assert_eq!(IntervalHealth::of(&profiles, NOW), expected);
    }
}
