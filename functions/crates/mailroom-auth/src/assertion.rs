//! What a client with a key signs (RFC 7523): who it is, or for whom it acts.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use crate::discovery::ClientSecretKind;

/// How long an assertion is valid. It is used at once.
const LIFETIME: Duration = Duration::minutes(5);

/// What a client authenticates with.
pub(crate) enum ClientKey {
    /// No secret: a public client.
    Nothing,
    /// A `client_secret`.
    Secret(SecretString),
    /// A private key, by which the client signs assertions.
    Key(Box<Signer>),
}

/// A private key, and what the provider recognizes it by.
pub(crate) struct Signer {
    pair: Pair,
    /// The `kid` that a key file names.
    id: Option<String>,
    /// The SHA-1 and SHA-256 fingerprints of the certificate, by which Microsoft recognizes a key.
    fingerprints: Option<(String, String)>,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a secret that looks like a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// It cannot be read.
    #[error(
        "The client secret looks like a private key and cannot be read: it must be PEM, in PKCS#8 (`openssl pkcs8 -topk8 -nodes`)."
    )]
    /// The PEM cannot be read.
    Unreadable,
    /// The key is of a kind that is not supported.
    #[error("The client's private key must be RSA with 2048 to 4096 bits, P-256 or Ed25519.")]
    Kind,
    /// Signing failed.
    #[error("The client's private key cannot sign.")]
    Signing,
}

/// The fields of a Google service account's key file that matter here.
#[derive(Deserialize)]
struct KeyFile {
    private_key: SecretString,
    private_key_id: Option<String>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5t: Option<&'a str>,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    x5t_s256: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    iat: i64,
    exp: i64,
    jti: &'a str,
}

/// What an assertion states.
pub(crate) struct Assertion<'a> {
    /// The client that signs (`iss`).
    pub(crate) client_id: &'a str,
    /// Whom the assertion is about (`sub`): the client itself, or a user.
    pub(crate) subject: &'a str,
    /// The provider that is to accept it (`aud`).
    pub(crate) audience: &'a str,
    /// The scopes that are asked for, where the assertion names them (Google).
    pub(crate) scope: Option<&'a str>,
    /// When it is issued, by the provider's clock.
    pub(crate) at: OffsetDateTime,
}

impl ClientKey {
    /// Reads a client's secret: a text, a private key in PEM (with its certificate, where the provider knows it by that),
    /// or Google's key file of a service account.
    pub(crate) fn read(secret: Option<&SecretString>) -> Result<Self, KeyError> {
        let Some(secret) = secret else { return Ok(Self::Nothing) };
        let text = secret.expose_secret();
        if text.contains("-----BEGIN") && !text.trim_start().starts_with('{') {
            return Signer::read(text, None).map(Box::new).map(Self::Key);
        }
        // Any other JSON is a secret like any other text.
        match serde_json::from_str::<KeyFile>(text) {
            Ok(file) => Signer::read(file.private_key.expose_secret(), file.private_key_id)
                .map(Box::new)
                .map(Self::Key),
            Err(_) => Ok(Self::Secret(secret.clone())),
        }
    }

    /// The kind of secret, which decides how the client authenticates.
    pub(crate) const fn kind(&self) -> ClientSecretKind {
        match self {
            Self::Nothing => ClientSecretKind::None,
            Self::Secret(_) => ClientSecretKind::Text,
            Self::Key(_) => ClientSecretKind::PrivateKey,
        }
    }
}

impl Signer {
    fn read(pem: &str, id: Option<String>) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Unreadable)?;
        let fingerprints = CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|certificate| {
            let of = |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &certificate));
            (of(&digest::SHA1_FOR_LEGACY_USE_ONLY), of(&digest::SHA256))
        });
        Ok(Self { pair: Pair::read(&der)?, id, fingerprints })
    }

    /// Signs an assertion: a JWT in the compact form (RFC 7515 §3.1).
    pub(crate) fn sign(&self, assertion: &Assertion<'_>) -> Result<SecretString, KeyError> {
        let prints = self.fingerprints.as_ref();
        let header = Header {
            alg: self.pair.algorithm(),
            typ: "JWT",
            kid: self.id.as_deref(),
            x5t: prints.map(|(sha1, _)| sha1.as_str()),
            x5t_s256: prints.map(|(_, sha256)| sha256.as_str()),
        };
        let at = assertion.at.unix_timestamp();
        let claims = Claims {
            iss: assertion.client_id,
            sub: assertion.subject,
            aud: assertion.audience,
            scope: assertion.scope,
            iat: at,
            exp: at + LIFETIME.whole_seconds(),
            jti: &Ulid::generate().to_string(),
        };
        let part = |json: Result<String, _>| json.map(|json| URL_SAFE_NO_PAD.encode(json));
        let header = part(serde_json::to_string(&header)).map_err(|_| KeyError::Signing)?;
        let claims = part(serde_json::to_string(&claims)).map_err(|_| KeyError::Signing)?;
        let signed = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes())?);
        Ok(SecretString::from(format!("{signed}.{signature}")))
    }
}

impl Pair {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open")]
    fn read(der: &PrivateKeyDer<'_>) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let bytes = der.secret_der();
        match der {
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes).map(Self::Rsa).map_err(|_| KeyError::Kind),
            PrivateKeyDer::Pkcs8(_) => RsaKeyPair::from_pkcs8(bytes)
                .map(Self::Rsa)
                .or_else(|_| {
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &random).map(Self::P256)
                })
                .or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes).map(Self::Ed25519))
                .map_err(|_| KeyError::Kind),
            // SEC 1, which ring does not read, and kinds that may be added later.
            _ => Err(KeyError::Unreadable),
        }
    }

    /// The name of the algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).map_err(|_| KeyError::Signing)?;
                Ok(signature)
            }
            Self::P256(pair) => {
                pair.sign(&random, text).map(|s| s.as_ref().to_vec()).map_err(|_| KeyError::Signing)
            }
            Self::Ed25519(pair) => Ok(pair.sign(text).as_ref().to_vec()),
        }
    }
}

/// The claims of a token that has just come from the provider over TLS, which is as good as its signature (OpenID Connect
/// Core §3.1.3.7).
pub(crate) fn claims<T: for<'de> Deserialize<'de>>(token: &str) -> Option<T> {
    let mut parts = token.split('.');
    let (_, claims) = (parts.next()?, parts.next()?);
    let claims = claims.trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(claims).or_else(|_| STANDARD.decode(claims)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn assertion() -> Assertion<'static> {
        Assertion { client_id: "c", subject: "a@b", audience: "https://t", scope: Some("mail"), at: AT }
    }

    fn signer(secret: &str) -> Box<Signer> {
        match ClientKey::read(Some(&SecretString::from(secret))).unwrap() {
            ClientKey::Key(signer) => signer,
            ClientKey::Nothing | ClientKey::Secret(_) => panic!("not a key"),
        }
    }

    #[test]
    fn a_key_signs_what_its_public_half_verifies() {
        let key = rcgen::KeyPair::generate().unwrap();
        let signer = signer(&key.serialize_pem());
        let token = signer.sign(&assertion()).unwrap();
        let (signed, signature) = token.expose_secret().rsplit_once('.').unwrap();
        let Pair::P256(pair) = &signer.pair else { panic!("another kind") };
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let said: Value = claims(token.expose_secret()).unwrap();
        assert_eq!(
            (&said["iss"], &said["sub"], &said["scope"]),
            (&json!("c"), &json!("a@b"), &json!("mail"))
        );
        assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 300);
    }

    #[test]
    fn a_certificate_beside_the_key_and_a_key_files_id_are_named() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let header = |signer: &Signer| {
            let token = signer.sign(&assertion()).unwrap();
            let header = token.expose_secret().split('.').next().unwrap().to_owned();
            serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
        };
        let both = header(&signer(&format!("{}{}", key.serialize_pem(), certificate.pem())));
        assert!(both["x5t"].is_string() && both["x5t#S256"].is_string(), "{both}");
        let file =
            json!({"type": "service_account", "private_key": key.serialize_pem(), "private_key_id": "k1"});
        let named = header(&signer(&file.to_string()));
        assert_eq!((&named["kid"], &named["alg"]), (&json!("k1"), &json!("ES256")));
    }

    #[test]
    fn any_other_text_is_a_secret_and_a_broken_key_is_reported() {
        let read = |text: &str| ClientKey::read(Some(&SecretString::from(text)));
        assert!(matches!(read("s3cret"), Ok(ClientKey::Secret(_))));
        assert!(matches!(read("{\"a\": 1}"), Ok(ClientKey::Secret(_))));
        assert!(matches!(read("-----BEGIN PRIVATE KEY-----\nnonsense"), Err(KeyError::Unreadable)));
        assert!(matches!(ClientKey::read(None), Ok(ClientKey::Nothing)));
    }
}
