//! A session, and the key that seals it: who holds a sealed session can neither read nor change it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

/// How long a person stays signed in.
pub(super) const SESSION_TIME: Duration = Duration::hours(8);

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    id: String,
    name: String,
    /// What the person's rights are decided by, as the claims of a token have it.
    claims: Map<String, Value>,
    /// When it ends, in seconds since 1970.
    until: i64,
}

impl Session {
    /// A session that begins now. `id` is random.
    pub(super) fn new(id: String, name: String, claims: Map<String, Value>, now: OffsetDateTime) -> Self {
        Self { id, name, claims, until: (now + SESSION_TIME).unix_timestamp() }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What people know the person by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_valid_at(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() < self.until
    }

    pub(super) fn ends_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.until).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The person, as API Gateway describes the bearer of a token.
    pub(crate) fn authorizer(&self) -> Value {
        json!({"jwt": {"claims": self.claims, "scopes": null}})
    }
}

/// A key that seals and opens.
pub(super) struct SessionKey {
    key: LessSafeKey,
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

impl SessionKey {
    /// The length of a key, in bytes.
    pub(super) const LENGTH: usize = 32;

    /// The key of these bytes; `None` where they are too many or too few.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, bytes).ok().map(|key| Self { key: LessSafeKey::new(key) })
    }

    /// Seals a text for `context`. A random nonce never repeats within the billions of sessions that a key would need.
    pub(super) fn seal(&self, plain: &[u8], context: &str) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let place = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(place, Aad::from(context), &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed by this key for this context, and not changed since.
    pub(super) fn open(&self, sealed: &str, context: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(context), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn only_what_this_key_has_sealed_for_this_console_is_opened() {
        let (ours, theirs) = (SessionKey::new(&[7; 32]).unwrap(), SessionKey::new(&[8; 32]).unwrap());
        let sealed = ours.seal(b"ann", "https://id.example.com").unwrap();
        assert_eq!(ours.open(&sealed, "https://id.example.com").unwrap(), b"ann");
        assert!(ours.open(&sealed, "https://id.example.org").is_none());
        assert!(theirs.open(&sealed, "https://id.example.com").is_none());
        for at in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(forged == sealed || ours.open(&forged, "https://id.example.com").is_none(), "{at}");
        }
        for none in ["", "A", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAA", "ä"] {
            assert!(ours.open(none, "https://id.example.com").is_none(), "{none}");
        }
        assert!(SessionKey::new(&[7; 31]).is_none());
    }

    #[test]
    fn a_session_ends_after_eight_hours() {
        let now = datetime!(2026-11-01 12:00 UTC);
        let session = Session::new("1".to_owned(), "Ann".to_owned(), Map::new(), now);
        assert!(session.is_valid_at(now) && session.is_valid_at(now + Duration::minutes(479)));
        assert!(!session.is_valid_at(now + Duration::hours(8)));
        assert_eq!(session.ends_at(), now + Duration::hours(8));
    }
}
