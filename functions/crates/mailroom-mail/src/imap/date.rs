//! INTERNALDATE (RFC 9051 §9, `date-time`): reading every form that servers write, and writing one.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

const MONTHS: [(&str, Month); 12] = [
    ("Jan", Month::January),
    ("Feb", Month::February),
    ("Mar", Month::March),
    ("Apr", Month::April),
    ("May", Month::May),
    ("Jun", Month::June),
    ("Jul", Month::July),
    ("Aug", Month::August),
    ("Sep", Month::September),
    ("Oct", Month::October),
    ("Nov", Month::November),
    ("Dec", Month::December),
];

/// Writes `17-Jul-1996 09:44:25 +0000`: in UTC, without fractions of a second. Years have four digits.
pub(super) fn format(at: OffsetDateTime) -> String {
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(at);
    let month = MONTHS.iter().find(|(_, month)| *month == at.month()).map_or("Jan", |(name, _)| *name);
    let (hour, minute, second) = at.to_hms();
    format!("{:02}-{month}-{:04} {hour:02}:{minute:02}:{second:02} +0000", at.day(), at.year())
}

/// Writes `17-Jul-1996`: the day in UTC.
pub(super) fn format_day(at: OffsetDateTime) -> String {
    let whole = format(at);
    whole.split(' ').next().unwrap_or_default().to_owned()
}

/// Reads `17-Jul-1996 02:44:25 -0700`, with the day padded by a space or not at all. The result is in UTC; `None` for any other form.
pub(super) fn parse(text: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.split_ascii_whitespace();
    let (date, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }

    let mut date = date.splitn(3, '-');
    let (day, month, year) = (number(date.next()?, 2)?, date.next()?, date.next()?);
    let date = Date::from_calendar_date(
        i32::try_from(number(year, 4)?).ok()?,
        month_named(month)?,
        u8::try_from(day).ok()?,
    );

    let mut time = time.splitn(3, ':').map(|part| number(part, 2).and_then(|n| u8::try_from(n).ok()));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // A leap second is the last of its minute: nothing here needs more than that.
    let time = Time::from_hms(hour, minute, second.min(if second == 60 { 59 } else { second }));

    let local = OffsetDateTime::new_in_offset(date.ok()?, time.ok()?, offset(zone)?);
    local.checked_to_offset(UtcOffset::UTC)
}

/// Reads a number of at most `digits` digits, without a sign.
fn number(text: &str, digits: usize) -> Option<u32> {
    let fine = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

fn month_named(name: &str) -> Option<Month> {
    MONTHS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, month)| *month)
}

/// Reads a zone: `+hhmm` or `-hhmm`.
fn offset(zone: &str) -> Option<UtcOffset> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2).filter(|_| digits.len() == 4)?;
    let hours = i8::try_from(number(hours, 2)?).ok()?;
    let minutes = i8::try_from(number(minutes, 2)?).ok()?;
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn dates_as_servers_write_them() {
        let good = [
            ("17-Jul-1996 02:44:25 -0700", datetime!(1996-07-17 09:44:25 UTC)),
            (" 1-Jul-1996 02:44:25 +0000", datetime!(1996-07-01 02:44:25 UTC)),
            ("1-jul-1996 02:44:25 +0530", datetime!(1996-06-30 21:14:25 UTC)),
            ("01-Jan-1970 00:00:00 +0000", datetime!(1970-01-01 00:00:00 UTC)),
            ("31-Dec-2016 23:59:60 +0000", datetime!(2016-12-31 23:59:59 UTC)),
        ];
        for (text, date) in good {
            assert_eq!(parse(text.as_bytes()), Some(date), "{text}");
        }
        for bad in [
            "",
            "NIL",
            "17-Jul-1996",
            "17-Jul-1996 02:44:25",
            "32-Jul-1996 02:44:25 +0000",
            "17-Jux-1996 02:44:25 +0000",
            "17-Jul-1996 25:44:25 +0000",
            "17-Jul-1996 02:44:61 +0000",
            "17-Jul-1996 02:44:25 GMT",
            "17-Jul-1996 02:44:25 +9900",
            "+1-Jul-1996 02:44:25 +0000",
            "17-Jul-1996 02:44:25 +ü0",
            "1-Jan-0000 00:00:00 ü",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn dates_as_we_write_them() {
        let at = datetime!(2026-11-03 00:04:05.678 +01:30);
        assert_eq!(format(at), "02-Nov-2026 22:34:05 +0000");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_date_or_none(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_we_write_is_read_alike(seconds in 0_i64..253_402_300_800, offset in -14_i8..15) {
            let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let offset = UtcOffset::from_hms(offset, 0, 0).unwrap();
            prop_assert_eq!(parse(format(at).as_bytes()), Some(at));
            let elsewhere = at.checked_to_offset(offset).unwrap_or(at);
            prop_assert_eq!(format(elsewhere), format(at));
        }

        #[test]
        fn any_numbers_are_a_date_or_none(text in "[0-9]{1,4}-(Jan|Dec)-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [-+][0-9]{4}") {
            let _ = parse(text.as_bytes());
        }
    }
}
