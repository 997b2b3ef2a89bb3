//! What nobody may repeat: the passwords and client secrets of the scenarios, searched for wherever anything is written.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_local::dovecot::Dovecot;

/// A secret that no server takes.
pub const CANARY: &str = "Canary-7f3d1c9e";

/// Secrets that were found out on the way: tokens, and what clients have.
static WATCHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Has these searched for too, from now on.
pub fn watch(secrets: impl IntoIterator<Item = String>) {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.extend(secrets.into_iter().filter(|secret| secret.len() >= 20));
}

/// Holds a text against the secrets, as they are and as they go over the wire.
///
/// # Panics
/// When one of them is in it.
#[track_caller]
pub fn assert_kept(place: &str, text: &str) {
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for secret in [CANARY, Dovecot::PASSWORD].into_iter().chain(watched.iter().map(String::as_str)) {
        assert!(!holds(text, secret), "{place} gives a secret away: {text}");
    }
}

/// Whether a text holds a secret, as it is or as it goes over the wire.
#[must_use]
pub fn holds(text: &str, secret: &str) -> bool {
    // Base64 of the secret wherever it begins: the middle is the same in each third of cases.
    let coded = (0..3).map(|skip| {
        let coded = STANDARD.encode(format!("{}{secret}", "x".repeat(skip)));
        coded.chars().skip(4).take(12).collect::<String>()
    });
    coded.chain([secret.to_owned()]).any(|form| text.contains(&form))
}
