//! Arguments of commands: strings, mailbox names, sets of UIDs.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use mailroom_core::inbound::cursor::Uid;
use mailroom_core::server::Mailbox;

const MODIFIED_BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// A mailbox name as an argument: modified UTF-7 (RFC 3501 §5.1.3), quoted.
///
/// IMAP4rev2 servers take UTF-8 once it is enabled; all servers understand modified UTF-7.
pub(super) fn mailbox(mailbox: &Mailbox) -> String {
    quoted(&modified_utf7(mailbox.as_str()))
}

/// Whether a string can be sent quoted (RFC 9051 §9, `quoted`); any other needs a literal.
pub(super) fn is_quotable(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

/// A quoted string. The text must be [`is_quotable`].
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A name from a server, quoted without decoding it. `None` when it needs a literal.
pub(super) fn quoted_bytes(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().filter(|text| is_quotable(text)).map(quoted)
}

/// A set of UIDs (RFC 9051 §9, `sequence-set`). Consecutive UIDs become ranges, which name only these UIDs.
pub(super) fn uid_set(uids: impl IntoIterator<Item = Uid>) -> String {
    let mut sorted: Vec<u32> = uids.into_iter().map(Uid::get).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in sorted {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == uid => *end = uid,
            Some(_) | None => ranges.push((uid, uid)),
        }
    }
    let mut set = String::new();
    for (first, last) in ranges {
        let comma = if set.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ =
            if first == last { write!(set, "{comma}{first}") } else { write!(set, "{comma}{first}:{last}") };
    }
    set
}

fn modified_utf7(name: &str) -> String {
    fn shift(out: &mut String, units: &mut Vec<u8>) {
        if !units.is_empty() {
            out.push('&');
            MODIFIED_BASE64.encode_string(&*units, out);
            out.push('-');
            units.clear();
        }
    }
    let mut out = String::with_capacity(name.len());
    let mut units = Vec::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            shift(&mut out, &mut units);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            units.extend(c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    shift(&mut out, &mut units);
    out
}

/// Decodes a mailbox name: from modified UTF-7 (RFC 3501 §5.1.3), or from UTF-8, which IMAP4rev2 servers send. A name
/// that is neither stays as it is.
pub(super) fn mailbox_name(encoded: &[u8]) -> String {
    let text = String::from_utf8_lossy(encoded);
    from_modified_utf7(&text).unwrap_or_else(|| text.into_owned())
}

fn from_modified_utf7(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (coded, after) = shifted.split_once('-')?;
        if coded.is_empty() {
            out.push('&');
        } else {
            let bytes = MODIFIED_BASE64.decode(coded).ok()?;
            let unit = |pair: &[u8]| Some(u16::from_be_bytes(pair.try_into().ok()?));
            let units = bytes.chunks(2).map(unit).collect::<Option<Vec<u16>>>()?;
            out.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_encoded_as_the_rfc_shows() {
        for (name, encoded) in [
            ("INBOX", "INBOX"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Gelöschte & Objekte", "Gel&APY-schte &- Objekte"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("📥", "&2D3c5Q-"),
        ] {
            assert_eq!(modified_utf7(name), encoded);
        }
        let odd = Mailbox::parse(r#"a "b\c"#).unwrap();
        assert_eq!(mailbox(&odd), r#""a \"b\\c""#);
    }

    #[test]
    fn sets_name_what_was_asked_for_and_nothing_else() {
        let set = |uids: &[u32]| uid_set(uids.iter().filter_map(|uid| Uid::new(*uid)));
        assert_eq!(set(&[7]), "7");
        assert_eq!(set(&[9, 7, 8, 8, 12, 1]), "1,7:9,12");
        assert_eq!(set(&[u32::MAX, u32::MAX - 1]), "4294967294:4294967295");
    }

    proptest! {
        #[test]
        fn names_survive_the_round_trip(name: String) {
            let encoded = modified_utf7(&name);
            prop_assert!(is_quotable(&encoded));
            prop_assert_eq!(mailbox_name(encoded.as_bytes()), name);
        }
    }
}
