//! The token of a connect link: the right to use it. Only its digest is stored, and what is stored sealed opens with it
//! alone.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

/// The length of the link's id in a token.
const ID_LENGTH: usize = 26;

/// The length of the secret after it: 32 bytes in Base64.
const SECRET_LENGTH: usize = 43;

/// A token: the link's id, and 32 random bytes.
#[derive(Clone)]
pub(crate) struct LinkToken {
    id: Ulid,
    secret: SecretString,
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkToken({})", self.id)
    }
}

/// The system gives no random bytes, or a sealed text does not open.
#[derive(Debug, thiserror::Error)]
#[error("the secrets of a connect link cannot be sealed or opened")]
pub(crate) struct SealError;

impl LinkToken {
    /// A token for a new link.
    pub(crate) fn new(id: Ulid) -> Result<Self, SealError> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SealError)?;
        Ok(Self { id, secret: URL_SAFE_NO_PAD.encode(bytes).into() })
    }

    /// Reads a token; `None` when it has another form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_at_checked(ID_LENGTH)?;
        let id = Ulid::from_string(id).ok().filter(|parsed| parsed.to_string() == id)?;
        let fine = secret.len() == SECRET_LENGTH
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fine.then(|| Self { id, secret: secret.into() })
    }

    /// The link that it is for.
    pub(crate) const fn id(&self) -> Ulid {
        self.id
    }

    /// The text, for the link's address and for the cookie that the browser keeps.
    pub(crate) fn expose(&self) -> SecretString {
        format!("{}{}", self.id, self.secret.expose_secret()).into()
    }

    /// What is stored of it.
    pub(crate) fn digest(&self) -> String {
        hex::encode(self.derive("digest"))
    }

    /// Whether it is the token with this digest. Both are digests, so how long the comparison takes reveals nothing.
    pub(crate) fn has_digest(&self, digest: &str) -> bool {
        self.digest() == digest
    }

    /// Seals a text, so that only this token opens it.
    pub(crate) fn seal(&self, text: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError)?;
        let mut sealed = text.as_bytes().to_vec();
        let key = self.key()?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| SealError)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what it has sealed.
    pub(crate) fn open(&self, sealed: &str) -> Result<SecretString, SealError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        let mut rest = rest.to_vec();
        let key = self.key()?;
        let text = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut rest)
            .map_err(|_| SealError)?;
        Ok(std::str::from_utf8(text).map_err(|_| SealError)?.into())
    }

    fn key(&self) -> Result<LessSafeKey, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.derive("key")).map_err(|_| SealError)?;
        Ok(LessSafeKey::new(key))
    }

    /// The secret is 32 random bytes, so a hash of it is as good as a key derivation.
    fn derive(&self, name: &str) -> [u8; 32] {
        let secret = self.secret.expose_secret();
        Sha256::new().chain_update(name).chain_update([0]).chain_update(secret).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> LinkToken {
        LinkToken::new(Ulid::from_parts(1 << 40, u128::MAX)).unwrap()
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is() {
        let token = token();
        let text = token.expose();
        let again = LinkToken::parse(text.expose_secret()).unwrap();
        assert_eq!((again.id(), again.digest()), (token.id(), token.digest()));
        assert!(again.has_digest(&token.digest()) && !again.has_digest(&self::token().digest()));
        let text = text.expose_secret();
        for wrong in
            ["", &text[1..], &format!("{text}a"), &text.to_lowercase(), &text.replace(&text[68..], "/")]
        {
            assert!(LinkToken::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&text[26..]));
    }

    #[test]
    fn what_a_token_seals_opens_with_it_alone() {
        let (ours, other) = (token(), token());
        let sealed = ours.seal("{\"auth\": {}}").unwrap();
        assert_ne!(sealed, ours.seal("{\"auth\": {}}").unwrap());
        assert_eq!(ours.open(&sealed).unwrap().expose_secret(), "{\"auth\": {}}");
        assert!(other.open(&sealed).is_err() && ours.open("AAAA").is_err() && ours.open("").is_err());
        let changed = format!("{}A", &sealed[..sealed.len() - 1]);
        assert!(changed == sealed || ours.open(&changed).is_err());
    }
}
