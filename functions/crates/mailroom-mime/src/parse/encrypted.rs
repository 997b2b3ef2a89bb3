//! Whether a message is encrypted, and how: S/MIME (RFC 8551) or OpenPGP (RFC 3156, RFC 9580).
//!
//! Only that is said. Nothing is decrypted, and no signature is looked at.

use mailroom_core::inbound::job::Encryption;

use super::multipart::{Head, Tree};

/// How OpenPGP begins a message in a text (RFC 9580 §6.2).
const ARMOR: &str = "-----BEGIN PGP MESSAGE-----";

/// How a message with this head, these parts and this text is encrypted; `None` where it is not.
pub(super) fn of(head: &Head, tree: &Tree<'_>, text: Option<&str>) -> Option<Encryption> {
    if head.media_type() == "multipart/encrypted" {
        let protocol = head.kind.raw("protocol").unwrap_or_default().to_ascii_lowercase();
        let smime = protocol.contains("pkcs7");
        return Some(if smime { Encryption::Smime } else { Encryption::Pgp });
    }
    let smime = tree.leaves.iter().any(|leaf| {
        let cms = matches!(leaf.head.media_type(), "application/pkcs7-mime" | "application/x-pkcs7-mime");
        // Enveloped data is what the type stands for where no parameter says so (RFC 8551 §3.2.2).
        let kind = leaf.head.kind.raw("smime-type").map(str::to_ascii_lowercase);
        let named = kind.as_deref().map(|kind| matches!(kind, "enveloped-data" | "authenveloped-data"));
        cms && named.unwrap_or_else(|| leaf.head.kind.raw("name").is_none_or(|name| !name.ends_with(".p7s")))
    });
    if smime {
        return Some(Encryption::Smime);
    }
    // A text that is nothing else: people write about armor, and quote it.
    text.is_some_and(|text| text.trim_start().starts_with(ARMOR)).then_some(Encryption::Pgp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_message;

    #[test]
    fn encrypted_messages_are_known_by_their_type_or_their_armor() {
        for (raw, wanted) in [
            (
                "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n\
                 --b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\nx\n--b--\n",
                Some(Encryption::Pgp),
            ),
            (
                "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nx",
                Some(Encryption::Smime),
            ),
            ("Content-Type: application/x-pkcs7-mime; name=smime.p7m\n\nx", Some(Encryption::Smime)),
            (
                "Content-Type: application/pkcs7-mime; smime-type=AuthEnveloped-data\n\nx",
                Some(Encryption::Smime),
            ),
            ("Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n\nx", None),
            (
                "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n\
                 --b\n\nHello\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\n\nx\n--b--\n",
                None,
            ),
            (
                "Subject: s\n\n-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n",
                Some(Encryption::Pgp),
            ),
            ("Subject: s\n\nWhat is this?\n-----BEGIN PGP MESSAGE-----\n", None),
            ("Subject: s\n\n-----BEGIN PGP SIGNED MESSAGE-----\n\nHello\n", None),
        ] {
            assert_eq!(parse_message(raw.as_bytes()).encrypted, wanted, "{raw}");
        }
    }
}
