//! Whether what is stored of a login may serve a change, or has to be entered again.

use mailroom_contract::problem::Problems;
use mailroom_core::credential_scope::{Target, out_of_scope};
use mailroom_core::profile::{Profile, Settings};

use crate::http::problem::ApiError;
use crate::profiles::create::{SMTP_PASSWORD, secret_field};

/// What a request brings of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given {
    /// The password or the client's secret.
    pub(crate) secret: bool,
    /// The password for the SMTP server alone.
    pub(crate) smtp_password: bool,
}

/// Refuses settings that lead a stored secret further than it was entered for, or need one that is not stored.
pub(crate) fn require_scope(current: &Profile, wanted: &Settings, given: Given) -> Result<(), ApiError> {
    let mut problems = Problems::default();
    let found = out_of_scope(current, wanted);
    let stored = [
        (given.secret, secret_field(&wanted.auth), found.secret),
        (given.smtp_password, SMTP_PASSWORD, found.smtp_secret),
    ];
    for (given, field, targets) in stored {
        if !given && !targets.is_empty() {
            let message = format!(
                "is required, because {}: the stored secret counts only for the servers and the provider that it was entered for",
                changes(&targets)
            );
            problems.add(field, message);
        }
    }
    let comes_to_be = current.settings.smtp_auth.is_none() && wanted.smtp_auth.is_some();
    if comes_to_be && !given.smtp_password {
        problems.add(SMTP_PASSWORD, "is required: no password for the SMTP server alone is stored");
    }
    problems.none_or().map_err(ApiError::Fields)
}

/// `imap_host and imap_port change`.
fn changes(targets: &[Target]) -> String {
    let names: Vec<&str> = targets.iter().map(|target| target.field()).collect();
    match names.as_slice() {
        [one] => format!("{one} changes"),
        [others @ .., last] => format!("{} and {last} change", others.join(", ")),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_named() {
        use Target::{DiscoveryUrl, ImapHost, ImapPort};
        assert_eq!(changes(&[ImapHost]), "imap_host changes");
        assert_eq!(changes(&[ImapHost, ImapPort]), "imap_host and imap_port change");
        assert_eq!(
            changes(&[ImapHost, ImapPort, DiscoveryUrl]),
            "imap_host, imap_port and auth.discovery_url change"
        );
    }
}
