//! What goes into commands, and INTERNALDATE out of responses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// `date-time` (RFC 9051 §9), with the day padded by a space.
const DATE_TIME: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[day padding:none]-[month repr:short case_sensitive:false]-[year] [hour padding:none]:[minute]:[second] \
     [offset_hour sign:mandatory][offset_minute]"
);

/// A quoted string (RFC 9051 §9); `None` for what one cannot hold.
pub(crate) fn quoted(text: &str) -> Option<String> {
    let fits = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    fits.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// The name of a mailbox in modified UTF-7 (RFC 3501 §5.1.3), quoted.
pub(crate) fn mailbox(name: &str) -> Option<String> {
    let is_plain = |c: char| (' '..='~').contains(&c);
    let (mut encoded, mut rest) = (String::new(), name);
    while let Some(first) = rest.chars().next() {
        let same = |c: char| is_plain(c) == is_plain(first);
        let (run, after) = rest.split_at(rest.find(|c| !same(c)).unwrap_or(rest.len()));
        if is_plain(first) {
            encoded.push_str(&run.replace('&', "&-"));
        } else {
            let units: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            encoded.push('&');
            encoded.push_str(&STANDARD_NO_PAD.encode(units).replace('/', ","));
            encoded.push('-');
        }
        rest = after;
    }
    quoted(&encoded)
}

/// Reads an INTERNALDATE; `None` for one of another form.
pub(crate) fn date_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.trim_start(), DATE_TIME).ok().map(|at| at.to_offset(UtcOffset::UTC))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn names_are_encoded_as_the_rfc_shows() {
        for (name, encoded) in [
            ("INBOX", "\"INBOX\""),
            ("a & \"b\"\\", r#""a &- \"b\"\\""#),
            ("~peter/mail/台北/日本語", "\"~peter/mail/&U,BTFw-/&ZeVnLIqe-\""),
            ("Entwürfe", "\"Entw&APw-rfe\""),
            ("😀", "\"&2D3eAA-\""),
        ] {
            assert_eq!(mailbox(name).as_deref(), Some(encoded));
        }
        assert_eq!(quoted("a\r\nb"), None);
        assert_eq!(quoted("ü"), None);
    }

    #[test]
    fn dates_are_read_as_servers_write_them() {
        let at = datetime!(2026-11-02 09:44:25 UTC);
        for text in [
            "02-Nov-2026 09:44:25 +0000",
            " 2-Nov-2026 09:44:25 +0000",
            "2-Nov-2026 11:44:25 +0200",
            "02-NOV-2026 04:14:25 -0530",
        ] {
            assert_eq!(date_time(text), Some(at), "{text}");
        }
        for wrong in ["", "02-Nov-2026", "31-Feb-2026 09:44:25 +0000", "NIL", "2026-11-02T09:44:25Z"] {
            assert_eq!(date_time(wrong), None, "{wrong}");
        }
    }
}
