//! What will break on a day that is known, so that the owner can act before; and what has broken beside the polls.

use time::{Date, Duration, OffsetDateTime};

use crate::audit::AuditResult;
use crate::inbound::held_back::Answer;
use crate::oauth2::Oauth2;
use crate::profile::{AfterFetch, Auth, Profile};
use crate::provider::Provider;
use crate::server::Host;

/// How long ahead an owner is warned.
pub const WARNED_AHEAD: Duration = Duration::days(30);

/// How long an owner reads of a hole in what the server lists.
const TOLD_OF_HOLES: Duration = Duration::days(7);

/// Something that will break on a day that is known, or broke on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What kind.
    pub code: WarningCode,
    /// A sentence or two for the owner: what ends or fails, and what to do.
    pub message: String,
    /// When it breaks, or broke.
    pub due: Date,
}

/// What will break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningCode {
    /// The client's secret ends.
    ClientSecretExpires,
    /// The sign-in ends.
    SignInExpires,
    /// What is to be done to messages after their hand-over fails.
    AfterFetchFails,
    /// Too many messages were found again to hand them over without a question.
    ManyMessagesRecovered,
    /// The server may have messages that it neither lists nor searches for.
    ListingIncomplete,
    /// An audit found messages that have no job.
    MessagesMissing,
}

/// What will break within [`WARNED_AHEAD`], or has, by what is known at `now`.
#[must_use]
pub fn warnings(profile: &Profile, now: OffsetDateTime) -> Vec<Warning> {
    let own = [
        many_recovered(profile),
        after_fetch_fails(profile),
        listing_incomplete(profile, now),
        messages_missing(profile),
    ];
    let mut warnings: Vec<Warning> = own.into_iter().flatten().collect();
    let Auth::Oauth2(client) = &profile.settings.auth else { return warnings };
    let near = |due: &Date| *due <= (now + WARNED_AHEAD).date();
    if let Some(due) = client.client_secret_expires_on.filter(near) {
        let verb = if due < now.date() { "ended" } else { "ends" };
        warnings.push(Warning {
            code: WarningCode::ClientSecretExpires,
            message: format!(
                "The client secret {verb} on {due}: make a new one at the provider, and store it with its new date."
            ),
            due,
        });
    }
    if let Some(due) = sign_in_ends(profile, client).map(OffsetDateTime::date).filter(near) {
        warnings.push(Warning {
            code: WarningCode::SignInExpires,
            message: format!(
                "The sign-in ends on {due}, because the provider forgets what is not used: sign in again, or use the profile."
            ),
            due,
        });
    }
    warnings
}

/// What the mail server does not let Mailroom do to messages that are handed over.
fn after_fetch_fails(profile: &Profile) -> Option<Warning> {
    let overdue = profile.overdue.as_ref()?;
    let done = match &profile.settings.after_fetch {
        AfterFetch::Keep => return None,
        AfterFetch::MarkSeen => "marked as read".to_owned(),
        AfterFetch::Move(mailbox) => format!("moved to \"{}\"", mailbox.as_str()),
    };
    let messages = match overdue.count() {
        1 => "1 message was".to_owned(),
        count => format!("{count} messages were"),
    };
    let others = match overdue.left_out {
        0 => String::new(),
        count => format!(" {count} others stay as they are."),
    };
    Some(Warning {
        code: WarningCode::AfterFetchFails,
        message: format!(
            "{messages} handed over and could not be {done}; Mailroom tries again until it succeeds.{others} {}",
            overdue.error
        ),
        due: overdue.since.date(),
    })
}

/// The messages that wait for their owner's answer.
fn many_recovered(profile: &Profile) -> Option<Warning> {
    let held = profile.held_back?;
    let count = match held.more {
        true => format!("At least {} messages", held.count),
        false => format!("{} messages", held.count),
    };
    let then = match held.answer {
        Answer::Awaited => {
            "are held back; new messages go on. POST /profiles/{id}/fetch with {\"accept\": true} has them handed over, with \
             {\"accept\": false} they never are."
        }
        Answer::Accepted => "were held back, and are now handed over.",
    };
    let message = format!(
        "{count} that Mailroom may never have seen were found when the server renumbered the mailbox. They {then}"
    );
    Some(Warning { code: WarningCode::ManyMessagesRecovered, message, due: held.since.date() })
}

/// A hole in what the server lists, for a while after the cursor passed it.
fn listing_incomplete(profile: &Profile, now: OffsetDateTime) -> Option<Warning> {
    let passed_at = profile.unsearched_at.filter(|at| now - *at < TOLD_OF_HOLES)?;
    let message = "The server does not list messages without gaps, and refuses to search for what may be in them: a message may \
                   have been passed without a job. Ask the server's administrator why it refuses UID SEARCH.";
    Some(Warning { code: WarningCode::ListingIncomplete, message: message.to_owned(), due: passed_at.date() })
}

/// The messages that the last audit found without a job.
fn messages_missing(profile: &Profile) -> Option<Warning> {
    let audit = profile.audit.as_ref().filter(|audit| audit.result == AuditResult::Missing)?;
    let messages = match audit.missing {
        1 => "1 message is".to_owned(),
        count => format!("{count} messages are"),
    };
    let message = format!(
        "{messages} in the mailbox that should have started a flow, and have not. The operator of Mailroom is told; the log of \
         the audit names their UIDs."
    );
    Some(Warning { code: WarningCode::MessagesMissing, message, due: audit.at.date() })
}

/// When a sign-in ends if nothing happens: what the provider has said, or what is known of it.
fn sign_in_ends(profile: &Profile, client: &Oauth2) -> Option<OffsetDateTime> {
    let authorization = profile.authorization.as_ref()?;
    let host = client.discovery_url.split_once("://")?.1.split(['/', ':']).next()?;
    let family = Host::parse(host).map_or(Provider::Other, |host| Provider::of(&host));
    let idle = family.idle_limit().map(|limit| authorization.refreshed_at + limit);
    [authorization.expires_at, idle].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use time::macros::{date, datetime};

    use super::*;
    use crate::audit::AuditStatus;
    use crate::flow::FlowSchemaId;
    use crate::oauth2::Authorization;
    use crate::profile::{ProfileId, Settings};
    use crate::provider::Grant;
    use crate::server::{Security, Server};

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn profile(discovery_url: &str, expires_on: Option<Date>, refreshed_at: OffsetDateTime) -> Profile {
        let imap = Server {
            host: Host::parse("imap.example.com").unwrap(),
            port: NonZeroU16::new(993).unwrap(),
            security: Security::Tls,
        };
        let auth = Auth::Oauth2(Oauth2 {
            grant: Grant::AuthorizationCode,
            login: "a@example.com".to_owned(),
            client_id: "c".to_owned(),
            discovery_url: discovery_url.to_owned(),
            scopes: vec![],
            confidential: true,
            client_secret_expires_on: expires_on,
        });
        let id = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut profile = Profile::new(
            id,
            Settings::listening("Support", imap, auth, FlowSchemaId::parse("flow").unwrap()),
            NOW,
        );
        profile.authorization = Some(Authorization {
            since: refreshed_at,
            refreshed_at,
            stored_at: refreshed_at,
            expires_at: None,
        });
        profile
    }

    #[test]
    fn a_hole_that_nobody_could_search_is_told_for_a_while() {
        let mut profile = profile("https://id.example.com", None, NOW);
        let codes = |profile: &Profile, at| -> Vec<WarningCode> {
            warnings(profile, at).into_iter().map(|warning| warning.code).collect()
        };
        assert_eq!(codes(&profile, NOW), []);
        profile.unsearched_at = Some(NOW);
        assert_eq!(codes(&profile, NOW), [WarningCode::ListingIncomplete]);
        assert_eq!(codes(&profile, NOW + TOLD_OF_HOLES), []);
    }

    #[test]
    fn missing_messages_are_warned_of_until_an_audit_finds_none() {
        let mut profile = profile("https://id.example.com", None, NOW);
        for (result, warned) in
            [(AuditResult::Missing, 1), (AuditResult::Inconclusive, 0), (AuditResult::Fine, 0)]
        {
            profile.audit = Some(AuditStatus { at: NOW, result, missing: 2, reason: None, waiting: None });
            let warnings = warnings(&profile, NOW);
            assert_eq!(warnings.len(), warned, "{result:?}");
            assert!(warnings.iter().all(|one| one.code == WarningCode::MessagesMissing), "{warnings:?}");
        }
    }

    #[test]
    fn a_client_secret_is_warned_of_thirty_days_ahead_and_after() {
        let due = |on| warnings(&profile("https://id.example.com", Some(on), NOW), NOW);
        assert!(due(date!(2026 - 12 - 02)).is_empty());
        let warned = due(date!(2026 - 12 - 01));
        assert_eq!((warned.len(), warned[0].code), (1, WarningCode::ClientSecretExpires));
        assert!(warned[0].message.contains("ends on 2026-12-01"), "{}", warned[0].message);
        assert!(due(date!(2026 - 10 - 31))[0].message.contains("ended on"));
    }

    #[test]
    fn a_sign_in_is_warned_of_before_its_provider_forgets_it() {
        let warned = |url: &str, days| warnings(&profile(url, None, NOW - Duration::days(days)), NOW).len();
        let microsoft = "https://login.microsoftonline.com/common/v2.0";
        assert_eq!((warned(microsoft, 59), warned(microsoft, 60)), (0, 1));
        let google = "https://accounts.google.com/.well-known/openid-configuration";
        assert_eq!((warned(google, 149), warned(google, 150)), (0, 1));
        assert_eq!(warned("https://id.example.com:8443/", 1000), 0);
        let mut told = profile("https://id.example.com", None, NOW);
        told.authorization.as_mut().unwrap().expires_at = Some(NOW + Duration::days(7));
        assert_eq!(warnings(&told, NOW)[0].due, date!(2026 - 11 - 08));
    }
}
