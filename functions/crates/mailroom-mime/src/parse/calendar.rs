//! The events of calendar parts (RFC 5545, RFC 6047).
//!
//! calcard stays here. It reads past lines that are none, knows the names that Windows gives to time zones, and takes
//! linear time: it is the parser of a mail server.

use calcard::common::PartialDateTime;
use calcard::common::timezone::Tz;
use calcard::icalendar::timezone::TzResolver;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarEntry, ICalendarParameterName, ICalendarProperty, ICalendarValue,
};
use mailroom_core::inbound::job::{Address, Attendee, CalendarEvent};

use super::attachment::Part;
use super::charset;

/// Bytes of a calendar that are read: a thousand attendees.
const MAX_CALENDAR_BYTES: usize = 256 * 1024;

/// Events of a message. An invitation has one, and one for each changed instance of a series.
const MAX_EVENTS: usize = 50;

/// Attendees of an event.
const MAX_ATTENDEES: usize = 200;

/// Bytes of a text.
const MAX_TEXT_BYTES: usize = 1000;

/// The events among a message's parts, each once, and whether something was left out. The same calendar is often there
/// as a form of the text and as a file.
pub(super) fn of(parts: &[Part<'_>]) -> (Vec<CalendarEvent>, bool) {
    let of_type = |wanted: &'static str| parts.iter().filter(move |part| part.content_type == wanted);
    let mut read = Reader::default();
    of_type("text/calendar").for_each(|part| read.part(part));
    if read.events.is_empty() {
        of_type("application/ics").for_each(|part| read.part(part));
    }
    (read.events, read.cut)
}

#[derive(Default)]
struct Reader {
    events: Vec<CalendarEvent>,
    cut: bool,
}

impl Reader {
    fn part(&mut self, part: &Part<'_>) {
        let bytes = part.bytes.get(..MAX_CALENDAR_BYTES).unwrap_or(&part.bytes);
        self.cut |= bytes.len() < part.bytes.len();
        let text = charset::decode(bytes, part.charset.as_deref()).text;
        let Ok(calendar) = ICalendar::parse(&text) else { return };
        let zones = calendar.build_tz_resolver();
        let method = calendar.components.iter().find_map(|one| self.text(one, &ICalendarProperty::Method));
        let method = method.or_else(|| part.parameters.get("method").cloned());
        let method = method.map(|method| method.to_ascii_uppercase());
        for component in calendar.components.iter().filter(|one| one.component_type.is_event()) {
            if self.events.len() == MAX_EVENTS {
                self.cut = true;
                return;
            }
            let event = self.event(component, method.clone(), &zones);
            let same = |known: &CalendarEvent| {
                known.uid == event.uid
                    && known.recurrence_id == event.recurrence_id
                    && known.sequence == event.sequence
                    && known.method == event.method
            };
            if !self.events.iter().any(same) {
                self.events.push(event);
            }
        }
    }

    fn event(
        &mut self,
        event: &ICalendarComponent,
        method: Option<String>,
        zones: &TzResolver<&str>,
    ) -> CalendarEvent {
        let start = event.property(&ICalendarProperty::Dtstart);
        let starts = start.and_then(|entry| Moment::of(entry, zones));
        let ends = event.property(&ICalendarProperty::Dtend).and_then(|entry| Moment::of(entry, zones));
        let recurrence = event.property(&ICalendarProperty::Rrule).and_then(|entry| entry.values.first());
        let recurrence = match recurrence {
            Some(ICalendarValue::RecurrenceRule(rule)) => self.cleaned(&rule.to_string()),
            _ => None,
        };
        let sequence = event.property(&ICalendarProperty::Sequence).and_then(|entry| entry.values.first());
        let mut attendees = event.properties(&ICalendarProperty::Attendee);
        let listed = attendees.by_ref().take(MAX_ATTENDEES).map(|entry| self.attendee(entry)).collect();
        self.cut |= attendees.next().is_some();
        let organizer = event.property(&ICalendarProperty::Organizer).map(|entry| self.attendee(entry));
        CalendarEvent {
            method,
            uid: self.text(event, &ICalendarProperty::Uid),
            sequence: sequence.and_then(ICalendarValue::as_integer),
            summary: self.text(event, &ICalendarProperty::Summary),
            ends_at: ends.or_else(|| duration(event, starts.as_ref()?)).map(|moment| moment.shown()),
            time_zone: start.and_then(|entry| self.zone(entry, zones)),
            starts_at: starts.map(|moment| moment.shown()),
            organizer: organizer.map(|Attendee { name, address, .. }| Address { name, address }),
            attendees: listed,
            status: self.text(event, &ICalendarProperty::Status),
            recurrence,
            recurrence_id: event
                .property(&ICalendarProperty::RecurrenceId)
                .and_then(|entry| Moment::of(entry, zones))
                .map(|moment| moment.shown()),
            location: self.text(event, &ICalendarProperty::Location),
        }
    }

    fn attendee(&mut self, entry: &ICalendarEntry) -> Attendee {
        let mut parameter = |name| {
            let text = entry.parameters(name).find_map(|value| value.as_text());
            text.and_then(|text| self.cleaned(text))
        };
        let (name, status) =
            (parameter(&ICalendarParameterName::Cn), parameter(&ICalendarParameterName::Partstat));
        let address = entry.calendar_address().and_then(|address| self.cleaned(address));
        Attendee { name, address, status }
    }

    /// The zone that a time is in, by its IANA name where the calendar or Windows' table tells it.
    fn zone(&mut self, entry: &ICalendarEntry, zones: &TzResolver<&str>) -> Option<String> {
        let written = entry.tz_id()?;
        let known = zones.resolve(written).and_then(|zone| zone.name());
        self.cleaned(known.as_deref().unwrap_or(written))
    }

    fn text(&mut self, component: &ICalendarComponent, name: &ICalendarProperty) -> Option<String> {
        let text = component.property(name)?.values.first()?.as_text()?;
        self.cleaned(text)
    }

    fn cleaned(&mut self, text: &str) -> Option<String> {
        let mut text = charset::clean_line(text);
        self.cut |= charset::cut(&mut text, MAX_TEXT_BYTES);
        (!text.is_empty()).then_some(text)
    }
}

/// A time with its zone, or a date.
struct Moment {
    written: PartialDateTime,
    zone: Tz,
    /// What is added to it.
    later: i64,
}

impl Moment {
    fn of(entry: &ICalendarEntry, zones: &TzResolver<&str>) -> Option<Self> {
        let written = entry.values.first()?.as_partial_date_time()?.clone();
        let zone = zones.resolve_or_default(entry.tz_id());
        let moment = Self { written, zone, later: 0 };
        (moment.written.has_date() && !moment.shown().is_empty()).then_some(moment)
    }

    /// Empty for what is no time.
    fn shown(&self) -> String {
        let mut whole = self.written.clone();
        let is_date = !whole.has_time();
        if is_date {
            (whole.hour, whole.minute, whole.second) = (Some(0), Some(0), Some(0));
        }
        let moment = whole.to_date_time_with_tz(self.zone);
        let seconds = std::time::Duration::from_secs(self.later.unsigned_abs());
        let Some(moment) = moment.map(|moment| moment + seconds) else { return String::new() };
        if is_date {
            moment.date_naive().to_string()
        } else if self.zone.is_floating() && !whole.has_zone() {
            format!("{:?}", moment.naive_local())
        } else {
            moment.to_rfc3339()
        }
    }
}

/// When an event ends that says how long it takes.
fn duration(event: &ICalendarComponent, starts: &Moment) -> Option<Moment> {
    let entry = event.property(&ICalendarProperty::Duration)?;
    let ICalendarValue::Duration(duration) = entry.values.first()? else { return None };
    let later = duration.as_seconds();
    // Ten years: beyond that nothing is meant.
    (0..=315_360_000).contains(&later).then(|| Moment {
        written: starts.written.clone(),
        zone: starts.zone,
        later,
    })
}

#[cfg(test)]
mod tests;
