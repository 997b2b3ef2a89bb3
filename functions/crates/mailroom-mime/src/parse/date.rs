//! The `Date` field (RFC 5322 §3.3), and what systems write there instead.
//!
//! mail-parser counts on the order of the parts, and makes a wrong date of what has another. A wrong date is worse
//! than none: here a part is known by its form.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// The date, in the sender's zone. Without a zone, or with one that says nothing (§4.3), UTC.
pub(super) fn parse(value: &str) -> Option<OffsetDateTime> {
    if let Ok(date) = OffsetDateTime::parse(value.trim(), &Rfc3339) {
        return Some(date).filter(is_likely);
    }
    let mut parts = Parts::default();
    let plain = without_comments(value);
    // Obsolete syntax allows spaces around colons (§4.3).
    let plain = plain.split(':').map(str::trim).collect::<Vec<_>>().join(":");
    // `24-Nov-2026`, as in IMAP; a zone's minus stands before a digit, and after a space or a digit.
    for token in plain.split([' ', '\t', ',', ';']).filter(|token| !token.is_empty()) {
        if let Some(day) = iso_day(token) {
            (parts.year, parts.month, parts.day) = (Some(day.year()), Some(day.month()), Some(day.day()));
        } else if token.split('-').count() == 3 && token.contains(|c: char| c.is_ascii_alphabetic()) {
            token.split('-').for_each(|part| parts.take(part));
        } else {
            parts.take(token);
        }
    }
    let day = Date::from_calendar_date(parts.year?, parts.month?, parts.day?).ok()?;
    let date = day.with_time(parts.clock()?).assume_offset(parts.offset.unwrap_or(UtcOffset::UTC));
    Some(date).filter(is_likely)
}

/// A year before 1900 is a mistake, and RFC 3339 cannot write one of five digits.
fn is_likely(date: &OffsetDateTime) -> bool {
    (1900..=9999).contains(&date.year())
}

fn without_comments(value: &str) -> String {
    let mut depth = 0_u32;
    value
        .chars()
        .map(|c| match c {
            '(' => {
                depth += 1;
                ' '
            }
            ')' => {
                depth = depth.saturating_sub(1);
                ' '
            }
            _ if depth > 0 => ' ',
            c => c,
        })
        .collect()
}

#[derive(Default)]
struct Parts {
    day: Option<u8>,
    month: Option<Month>,
    year: Option<i32>,
    time: Option<Time>,
    offset: Option<UtcOffset>,
    half: Option<Half>,
    /// Whether the month's name stands behind the day.
    is_month_sure: bool,
}

/// The half of the day that a 12-hour clock shows.
#[derive(Clone, Copy)]
enum Half {
    Morning,
    Afternoon,
}

impl Parts {
    /// The time on a 24-hour clock.
    fn clock(&self) -> Option<Time> {
        let time = self.time?;
        match (self.half, time.hour()) {
            (Some(Half::Afternoon), hour @ 1..=11) => time.replace_hour(hour + 12).ok(),
            (Some(Half::Morning), 12) => time.replace_hour(0).ok(),
            (Some(Half::Morning | Half::Afternoon) | None, _) => Some(time),
        }
    }

    fn take(&mut self, token: &str) {
        if let Some(half) = half(token) {
            self.half = self.half.or(Some(half));
            return;
        }
        if token.starts_with(['+', '-']) {
            self.offset = self.offset.or_else(|| offset(token));
        } else if token.contains(':') && token.starts_with(|c: char| c.is_ascii_digit()) {
            // `10:00:00+0100` and `06:09PM`: the zone and the half of the day without a space.
            let end =
                token.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(token.len());
            let (clock, zone) = token.split_at(end);
            self.half = self.half.or_else(|| half(zone));
            self.time = self.time.or_else(|| time(clock));
            self.offset = self.offset.or_else(|| offset(zone));
        } else if token.starts_with(|c: char| c.is_ascii_digit()) {
            self.number(token);
        } else if let Some(month) = month(token) {
            // Before the day, a name may be that of a weekday: `mar., 3 nov.`
            if self.month.is_none() || (self.day.is_some() && self.time.is_none() && !self.is_month_sure) {
                self.month = Some(month);
                self.is_month_sure = self.day.is_some();
            }
        } else if let Some(hours) = zone(token) {
            self.offset = self.offset.or_else(|| UtcOffset::from_hms(hours, 0, 0).ok());
        } else if let Some((name, sign)) = token.find(['+', '-']).and_then(|at| token.split_at_checked(at)) {
            // `GMT+0200`
            if zone(name) == Some(0) {
                self.offset = self.offset.or_else(|| offset(sign));
            }
        }
    }

    /// A day, or a year: of two digits once the day is known (§4.3).
    fn number(&mut self, token: &str) {
        let Ok(number) = token.parse::<i32>() else { return };
        match (self.day, token.len()) {
            (None, 1 | 2) => self.day = u8::try_from(number).ok(),
            (Some(_), 2) if self.year.is_none() => {
                self.year = Some(number + if number < 50 { 2000 } else { 1900 })
            }
            (Some(_), 3) if self.year.is_none() => self.year = Some(number + 1900),
            (_, 4) if self.year.is_none() => self.year = Some(number),
            _ => {}
        }
    }
}

/// `hour:minute[:second[.fraction]]`; a leap second is the one before it.
fn time(clock: &str) -> Option<Time> {
    let mut parts = clock.split([':', '.']);
    let mut next = || parts.next().map(|part| part.parse::<u8>());
    let (hour, minute) = (next()?.ok()?, next()?.ok()?);
    let second = next().transpose().ok()?.unwrap_or(0);
    Time::from_hms(hour, minute, if second == 60 { 59 } else { second }).ok()
}

/// `AM` or `PM`, with or without full stops.
fn half(token: &str) -> Option<Half> {
    match token.replace('.', "").to_ascii_lowercase().as_str() {
        "am" => Some(Half::Morning),
        "pm" => Some(Half::Afternoon),
        _ => None,
    }
}

/// `+hhmm` or `+hh:mm`; `+hmm` and `+hh` from those who drop zeros.
fn offset(token: &str) -> Option<UtcOffset> {
    let digits: String = token.chars().filter(char::is_ascii_digit).collect();
    let sign = if token.starts_with('-') { -1 } else { 1 };
    let number = digits.parse::<i32>().ok()?;
    let minutes = match digits.len() {
        1 | 2 => number * 60,
        3 | 4 => number / 100 * 60 + number % 100,
        _ => return None,
    };
    // No zone is a day away, and RFC 3339 has no way to write one.
    (minutes < 24 * 60).then(|| UtcOffset::from_whole_seconds(sign * minutes * 60).ok())?
}

/// `2026-11-03`, of which no other order is in use.
fn iso_day(token: &str) -> Option<Date> {
    Date::parse(token, format_description!("[year]-[month]-[day]")).ok()
}

/// How the months' names begin, in English and in the languages of programs that know no better.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen"],
    &["feb", "f\u{e9}v", "fev"],
    &["mar", "m\u{e4}r", "mrz", "mrt"],
    &["apr", "abr", "avr"],
    &["may", "mai", "mei", "maj", "mag"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "ao\u{fb}", "aou", "ago"],
    &["sep", "set"],
    &["oct", "okt", "out", "ott"],
    &["nov"],
    &["dec", "dez", "d\u{e9}c", "dic"],
];

fn month(token: &str) -> Option<Month> {
    let token = token.to_lowercase();
    let at = MONTHS.iter().position(|names| names.iter().any(|name| token.starts_with(name)))?;
    Month::try_from(u8::try_from(at + 1).ok()?).ok()
}

/// Hours of a zone's name (§4.3), or of one that means the same everywhere. The military letters, which were written with
/// both signs, and all other names are of no help.
fn zone(token: &str) -> Option<i8> {
    match token.to_ascii_uppercase().as_str() {
        "UT" | "UTC" | "GMT" | "Z" | "WET" => Some(0),
        "CET" | "MET" | "MEZ" | "WEST" => Some(1),
        "CEST" | "MEST" | "MESZ" | "EET" => Some(2),
        "EEST" | "MSK" => Some(3),
        "JST" | "KST" => Some(9),
        "EDT" => Some(-4),
        "EST" | "CDT" => Some(-5),
        "CST" | "MDT" => Some(-6),
        "MST" | "PDT" => Some(-7),
        "PST" => Some(-8),
        _ => None,
    }
}
