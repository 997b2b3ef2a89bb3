//! What an owner's edit of a profile does to what we know of its mailbox.

use time::OffsetDateTime;

use crate::credential_scope::out_of_scope;
use crate::health::{ProfileState, SkippedSeen, Status};
use crate::inbound::cursor::Cursor;
use crate::oauth2::Authorization;
use crate::profile::{Profile, Settings};

/// Whether the cursor of before still means something after an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the same mailbox of the same login on the same server: the cursor stays, and so does a run that is at it.
    Same,
    /// It is that mailbox of that login on a server with another name: the cursor stays until the server has shown
    /// whether the mailbox is the same, and a run that still reads under the old name must not move it.
    Unconfirmed,
    /// It is another mailbox: it begins again at `start_from`, and a run that still reads the old one must not move the
    /// new cursor.
    Another,
}

/// When an edited profile is polled next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextPoll {
    /// At once: the edit changed something that a poll depends on, and its owner waits to see what comes of it.
    Now,
    /// By its schedule, if it listens.
    Scheduled,
}

/// An edited profile, to be stored if nobody was quicker.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// The profile as it shall be, with the next version.
    pub profile: Profile,
    /// What becomes of its cursor.
    pub place: Place,
    /// When it is polled next.
    pub next_poll: NextPoll,
}

/// Applies the settings of `wanted` to `current`: id, times of creation, version and state are `current`'s.
///
/// A sign-in goes with the client, the provider, the login and the servers that it was for.
///
/// A change of anything that a poll depends on clears the error and the pause, so that the very next poll tries it.
#[must_use]
pub fn edit(current: &Profile, wanted: Profile, now: OffsetDateTime) -> Edit {
    let stays = out_of_scope(current, &wanted.settings).sign_in.is_empty();
    let authorization = current.authorization.clone().filter(|_| stays);
    edited(current, Profile { authorization, ..wanted }, now)
}

/// A profile after a sign-in or a sign-out: an edit, so that the next poll tries it at once.
#[must_use]
pub fn signed(
    current: &Profile,
    secret_version: Option<String>,
    authorization: Option<Authorization>,
    now: OffsetDateTime,
) -> Edit {
    edited(current, Profile { secret_version, authorization, ..current.clone() }, now)
}

fn edited(current: &Profile, wanted: Profile, now: OffsetDateTime) -> Edit {
    let place = place_of(current, &wanted);
    let named_at = match place {
        Place::Same | Place::Unconfirmed => current.listens_since,
        Place::Another => None,
    };
    let mut profile = Profile {
        id: current.id,
        version: current.version + 1,
        created_at: current.created_at,
        updated_at: now,
        listens_since: named_at.or(wanted.settings.listen.then_some(now)),
        cursor: match place {
            Place::Same => current.cursor,
            Place::Unconfirmed => current.cursor.map(|cursor| Cursor { moved_at: Some(now), ..cursor }),
            Place::Another => None,
        },
        deferred: match place {
            Place::Same | Place::Unconfirmed => current.deferred.clone(),
            Place::Another => Vec::new(),
        },
        held_back: match place {
            Place::Same | Place::Unconfirmed => current.held_back,
            Place::Another => None,
        },
        declined: current.declined.filter(|_| place != Place::Another),
        overdue: match place {
            Place::Same | Place::Unconfirmed => current.overdue.clone(),
            Place::Another => None,
        },
        skipped_seen: match place {
            Place::Same | Place::Unconfirmed => current.skipped_seen,
            Place::Another => SkippedSeen::default(),
        },
        unsearched_at: current.unsearched_at.filter(|_| place != Place::Another),
        repeats_up_to: current.repeats_up_to.filter(|_| place != Place::Another),
        audit: current.audit.clone().filter(|_| place != Place::Another),
        status: current.status.clone(),
        sending: current.sending.clone(),
        ..wanted
    };
    let only_words = Profile {
        settings: Settings {
            name: current.settings.name.clone(),
            description: current.settings.description.clone(),
            ..profile.settings.clone()
        },
        version: current.version,
        updated_at: current.updated_at,
        ..profile.clone()
    } == *current;
    if !only_words {
        profile.status = Status {
            state: if profile.settings.listen { ProfileState::Pending } else { ProfileState::Off },
            not_before: None,
            error: None,
            ..profile.status
        };
    }
    let next_poll = if !only_words && can_be_polled(&profile) { NextPoll::Now } else { NextPoll::Scheduled };
    Edit { profile, place, next_poll }
}

/// Whether a poll has anything to try: the profile listens, and has what a login needs.
#[must_use]
pub const fn can_be_polled(profile: &Profile) -> bool {
    profile.settings.listen && profile.is_authorized()
}

/// Whether both name the same mailbox. Another port or another way to TLS leads to the same server, and another spelling
/// of a login to the same person: the rare server that tells `A` from `a` has another UIDVALIDITY for each. A host has
/// many names, and only the server behind one can tell whether the mailbox is the same.
fn place_of(current: &Profile, wanted: &Profile) -> Place {
    let host = |profile: &Profile| profile.settings.imap.as_ref().map(|server| server.host.clone());
    let mailbox =
        |profile: &Profile| (profile.settings.mailbox.clone(), profile.settings.auth.login().to_lowercase());
    match (host(current), host(wanted)) {
        (_, _) if mailbox(current) != mailbox(wanted) => Place::Another,
        (before, after) if before == after => Place::Same,
        (Some(_), Some(_)) if current.cursor.is_some() => Place::Unconfirmed,
        _ => Place::Another,
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
    use crate::profile::{Auth, ProfileId, RefreshInterval, Settings};
    use crate::server::{Host, Mailbox, Security, Server};

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn current() -> Profile {
        let imap = Server {
            host: Host::parse("imap.example.com").unwrap(),
            port: NonZeroU16::new(993).unwrap(),
            security: Security::Tls,
        };
        let auth = Auth::Plain { login: "a".to_owned() };
        let flow = FlowSchemaId::parse("flow").unwrap();
        let id = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut profile = Profile::new(id, Settings::listening("Support", imap, auth, flow), NOW);
        profile.secret_version = Some("1".to_owned());
        profile.cursor = Some(Cursor::new(None, 7, NOW));
        profile.status = Status {
            state: ProfileState::Misconfigured,
            last_success_at: Some(NOW),
            not_before: Some(NOW),
            error: Some(CurrentError {
                code: ErrorCode::ImapAuth,
                message: "no".to_owned(),
                since: NOW,
                count: 5,
            }),
            ..Status::default()
        };
        profile
    }

    fn edited(change: impl FnOnce(&mut Profile)) -> Edit {
        let mut wanted = current();
        change(&mut wanted);
        edit(&current(), wanted, NOW + time::Duration::HOUR)
    }

    #[test]
    fn words_change_nothing_else() {
        let Edit { profile, place, next_poll } = edited(|profile| profile.settings.name = "Sales".to_owned());
        assert_eq!((place, profile.version, profile.settings.name.as_str()), (Place::Same, 2, "Sales"));
        assert_eq!(next_poll, NextPoll::Scheduled);
        assert_eq!((profile.status, profile.cursor), (current().status, current().cursor));
        assert_eq!((profile.created_at, profile.updated_at), (NOW, NOW + time::Duration::HOUR));
    }

    #[test]
    fn whatever_a_poll_depends_on_clears_the_error() {
        type Change = fn(&mut Profile);
        let changes: [Change; 4] = [
            |profile| profile.secret_version = Some("2".to_owned()),
            |profile| profile.settings.refresh_interval = RefreshInterval::from_seconds(60).unwrap(),
            |profile| profile.settings.flow_schema_id = Some(FlowSchemaId::parse("other").unwrap()),
            |profile| profile.settings.imap.as_mut().unwrap().port = NonZeroU16::new(143).unwrap(),
        ];
        for change in changes {
            let Edit { profile, place, next_poll } = edited(change);
            assert_eq!((profile.status.state, place), (ProfileState::Pending, Place::Same));
            assert_eq!(next_poll, NextPoll::Now);
            assert_eq!((profile.status.error, profile.status.not_before), (None, None));
            assert_eq!(profile.status.last_success_at, Some(NOW));
            assert_eq!(profile.cursor, current().cursor);
        }
        assert_eq!(edited(|profile| profile.settings.listen = false).profile.status.state, ProfileState::Off);
    }

    #[test]
    fn another_mailbox_begins_again() {
        type Change = fn(&mut Profile);
        let changes: [Change; 2] = [
            |profile| profile.settings.mailbox = Mailbox::parse("Orders").unwrap(),
            |profile| profile.settings.auth = Auth::Plain { login: "b".to_owned() },
        ];
        for change in changes {
            let Edit { profile, place, .. } = edited(change);
            assert_eq!((place, profile.cursor), (Place::Another, None));
            // What arrives from now on is new.
            assert_eq!(profile.listens_since, Some(profile.updated_at));
        }
    }

    #[test]
    fn behind_another_name_of_the_server_the_cursor_waits_to_be_confirmed() {
        let edited = edited(|profile| {
            profile.settings.imap.as_mut().unwrap().host = Host::parse("other.example.com").unwrap();
        });
        let moved = Cursor { moved_at: Some(edited.profile.updated_at), ..current().cursor.unwrap() };
        assert_eq!((edited.place, edited.profile.cursor), (Place::Unconfirmed, Some(moved)));
        assert_eq!(edited.profile.listens_since, Some(NOW));
    }

    #[test]
    fn a_profile_listens_since_it_first_did() {
        let silent =
            Profile { listens_since: None, ..edited(|profile| profile.settings.listen = false).profile };
        let later = NOW + time::Duration::DAY;
        let listening = edit(&Profile { cursor: None, ..silent }, current(), later).profile;
        assert_eq!(listening.listens_since, Some(later));
        // Before the first poll too, a pause is no new beginning.
        let paused = edit(&listening, Profile { settings: silent_settings(), ..listening.clone() }, later);
        let resumed = edit(&paused.profile, current(), later + time::Duration::DAY);
        assert_eq!(resumed.profile.listens_since, Some(later));
    }

    fn silent_settings() -> Settings {
        Settings { listen: false, ..current().settings }
    }

    #[test]
    fn another_spelling_of_the_login_keeps_the_place() {
        let edited = edited(|profile| profile.settings.auth = Auth::Plain { login: "A".to_owned() });
        assert_eq!((edited.place, edited.profile.cursor), (Place::Same, current().cursor));
    }

    #[test]
    fn a_pause_keeps_the_place() {
        let paused = edited(|profile| profile.settings.listen = false);
        assert_eq!((paused.place, paused.profile.cursor), (Place::Same, current().cursor));
        assert_eq!(paused.next_poll, NextPoll::Scheduled);
        let resumed = edit(&paused.profile, current(), NOW);
        assert_eq!(resumed.next_poll, NextPoll::Now);
    }

    #[test]
    fn what_cannot_log_in_is_not_polled_at_once() {
        let edited = edited(|profile| {
            profile.secret_version = None;
            profile.settings.mailbox = Mailbox::parse("Orders").unwrap();
        });
        assert_eq!(edited.next_poll, NextPoll::Scheduled);
    }
}
