//! The keys of sessions, in one secret: the newest seals, and the one before it still opens, so that a new key signs
//! nobody out. The secret is made when the first person signs in. To delete it signs everybody out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_aws::named_secret::NamedSecret;
use mailroom_core::ports::PortError;
use mailroom_lambda::clock;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::session::sealed::SessionKey;

/// How old a key may be that seals. Longer than any session, so that one key before it is enough.
const KEY_LIFETIME: time::Duration = time::Duration::days(30);

/// How long keys are kept in memory, so that a deleted secret is noticed.
const CACHE_LIFETIME: Duration = Duration::from_secs(60);

/// How soon the secret is read again for a key that is not known: a forged cookie must not cost a read each time.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// A key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
struct StoredKey {
    id: String,
    key: String,
    /// In seconds since 1970.
    made_at: i64,
}

/// The secret's JSON: the newest key first.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    keys: Vec<StoredKey>,
}

/// The keys, ready for use.
struct KeyRing {
    stored: Stored,
    keys: Vec<(String, SessionKey)>,
}

impl KeyRing {
    fn parse(text: &SecretString) -> Option<Self> {
        // serde's error would quote the secret.
        Self::of(serde_json::from_str(text.expose_secret()).ok()?)
    }

    fn of(stored: Stored) -> Option<Self> {
        let key =
            |key: &StoredKey| Some((key.id.clone(), SessionKey::new(&STANDARD.decode(&key.key).ok()?)?));
        let keys = stored.keys.iter().map(key).collect::<Option<Vec<_>>>()?;
        Some(Self { stored, keys })
    }

    /// The same with a new key, and of the old ones the newest.
    fn with_new_key(&self, now: OffsetDateTime) -> Option<Self> {
        let random = SystemRandom::new();
        let (mut id, mut key) = ([0; 6], [0; SessionKey::LENGTH]);
        random.fill(&mut id).ok()?;
        random.fill(&mut key).ok()?;
        let new = StoredKey { id: hex::encode(id), key: STANDARD.encode(key), made_at: now.unix_timestamp() };
        let keys = [new].into_iter().chain(self.stored.keys.first().cloned()).collect();
        Self::of(Stored { keys })
    }

    fn text(&self) -> Result<SecretString, PortError> {
        let text = serde_json::to_string(&self.stored).map(SecretString::from);
        text.map_err(|error| PortError::Corrupt(error.to_string()))
    }

    fn key(&self, id: &str) -> Option<&SessionKey> {
        self.keys.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }

    /// Whether the newest key has sealed for long enough.
    fn is_due(&self, now: OffsetDateTime) -> bool {
        let made_at = self.stored.keys.first().map_or(0, |key| key.made_at);
        now.unix_timestamp() - made_at > KEY_LIFETIME.whole_seconds()
    }

    fn seal(&self, plain: &[u8], context: &str) -> Option<String> {
        let (id, key) = self.keys.first()?;
        Some(format!("{id}.{}", key.seal(plain, context)?))
    }

    fn open(&self, sealed: &str, context: &str) -> Option<Vec<u8>> {
        let (id, sealed) = sealed.split_once('.')?;
        self.key(id)?.open(sealed, context)
    }
}

/// The keys of this deployment.
pub(super) struct SessionKeys {
    secret: NamedSecret,
    /// What is sealed along, and has to be the same when it is opened.
    context: String,
    kept: Mutex<Option<(Arc<KeyRing>, Instant)>>,
}

impl SessionKeys {
    pub(super) fn new(secret: NamedSecret, context: String) -> Self {
        Self { secret, context, kept: Mutex::default() }
    }

    /// Seals a session.
    pub(super) async fn seal(&self, plain: &[u8]) -> Result<String, PortError> {
        let now = clock::now();
        let ring = match self.ring(|_| true).await? {
            Some(ring) if ring.is_due(now) => self.replace(&ring, now).await?,
            Some(ring) => ring,
            None => self.create(now).await?,
        };
        ring.seal(plain, &self.context).ok_or_else(|| no_key("seals"))
    }

    /// Opens a session; `None` where it is not one of ours.
    pub(super) async fn open(&self, sealed: &str) -> Result<Option<Vec<u8>>, PortError> {
        let Some((id, _)) = sealed.split_once('.') else { return Ok(None) };
        let ring = self.ring(|ring| ring.key(id).is_some()).await?;
        Ok(ring.and_then(|ring| ring.open(sealed, &self.context)))
    }

    /// The keys as they are stored; read again where those in memory are old or are not what is needed.
    async fn ring(&self, is_enough: impl Fn(&KeyRing) -> bool) -> Result<Option<Arc<KeyRing>>, PortError> {
        let kept = self.kept.lock().ok().and_then(|kept| kept.clone());
        if let Some((ring, since)) = kept {
            let age = clock::instant() - since;
            if age < if is_enough(&ring) { CACHE_LIFETIME } else { RELOAD_INTERVAL } {
                return Ok(Some(ring));
            }
        }
        let Some(text) = self.secret.read().await? else {
            self.keep(None);
            return Ok(None);
        };
        let ring = KeyRing::parse(&text).map(Arc::new).ok_or_else(|| no_key("is stored"))?;
        self.keep(Some(&ring));
        Ok(Some(ring))
    }

    fn keep(&self, ring: Option<&Arc<KeyRing>>) {
        if let Ok(mut kept) = self.kept.lock() {
            *kept = ring.map(|ring| (Arc::clone(ring), clock::instant()));
        }
    }

    async fn create(&self, now: OffsetDateTime) -> Result<Arc<KeyRing>, PortError> {
        let none = KeyRing { stored: Stored { keys: Vec::new() }, keys: Vec::new() };
        let new = none.with_new_key(now).ok_or_else(|| no_key("can be made"))?;
        let created = self.secret.create(&new.text()?).await;
        self.settled(created, new).await
    }

    async fn replace(&self, old: &KeyRing, now: OffsetDateTime) -> Result<Arc<KeyRing>, PortError> {
        let new = old.with_new_key(now).ok_or_else(|| no_key("can be made"))?;
        // Of two processes that replace the same key at once, one wins.
        let replaced = old.stored.keys.first().map_or("", |key| key.id.as_str());
        let token = hex::encode(Sha256::digest(format!("after {replaced}")));
        let stored = self.secret.replace(&new.text()?, &token).await;
        self.settled(stored, new).await
    }

    /// The keys after a write: another process may have been quicker.
    async fn settled(&self, written: Result<(), PortError>, new: KeyRing) -> Result<Arc<KeyRing>, PortError> {
        match written {
            Ok(()) => {
                let new = Arc::new(new);
                self.keep(Some(&new));
                Ok(new)
            }
            Err(PortError::Lost) => {
                self.keep(None);
                self.ring(|_| true).await?.ok_or_else(|| no_key("is stored"))
            }
            Err(error) => Err(error),
        }
    }
}

fn no_key(what: &str) -> PortError {
    PortError::Corrupt(format!("no session key {what}"))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_new_key_signs_nobody_out_and_the_one_after_it_ends_the_first() {
        let now = datetime!(2026-11-01 12:00 UTC);
        let none = KeyRing { stored: Stored { keys: Vec::new() }, keys: Vec::new() };
        let first = none.with_new_key(now).unwrap();
        let sealed = first.seal(b"ann", "c").unwrap();
        assert!(!first.is_due(now + KEY_LIFETIME) && first.is_due(now + KEY_LIFETIME * 2));
        let second =
            KeyRing::parse(&first.with_new_key(now + KEY_LIFETIME).unwrap().text().unwrap()).unwrap();
        assert_eq!(second.open(&sealed, "c").unwrap(), b"ann");
        assert_ne!(second.seal(b"bob", "c").unwrap().split('.').next(), sealed.split('.').next());
        let third = second.with_new_key(now + KEY_LIFETIME * 2).unwrap();
        assert_eq!(third.open(&sealed, "c"), None);
        assert_eq!(third.keys.len(), 2);
        assert!(
            KeyRing::parse(&SecretString::from(
                "{\"keys\": [{\"id\": \"a\", \"key\": \"\", \"made_at\": 1}]}"
            ))
            .is_none()
        );
    }
}
