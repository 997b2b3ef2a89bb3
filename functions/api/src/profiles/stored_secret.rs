//! Whether what is stored of a login may serve a change, or has to be entered again.

use mailroom_contract::problem::Problems;
use mailroom_core::credential_scope::{Target, out_of_scope};
use mailroom_core::profile::{Profile, Settings};

use crate::http::problem::ApiError;
use crate::profiles::create::secret_field;

/// Refuses settings that lead the stored password or client's secret further than it was entered for.
pub(crate) fn require_scope(current: &Profile, wanted: &Settings) -> Result<(), ApiError> {
    let targets = out_of_scope(current, wanted).secret;
    if targets.is_empty() {
        return Ok(());
    }
    let message = format!(
        "is required, because {}: the stored secret counts only for the servers and the provider that it was entered for",
        changes(&targets)
    );
    Err(ApiError::Fields(Problems::one(secret_field(&wanted.auth), message)))
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
