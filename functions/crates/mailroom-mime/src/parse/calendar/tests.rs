//! Invitations as the large systems write them, and calendars that are broken.

use mailroom_core::inbound::job::{Address, CalendarEvent};
use proptest::prelude::*;

use crate::parse::parse_message;

fn events(calendar: &str) -> Vec<CalendarEvent> {
    let raw = format!("Content-Type: text/calendar; charset=utf-8; method=REQUEST\n\n{calendar}");
    parse_message(raw.as_bytes()).calendar
}

/// An event with these lines, in a calendar with these.
fn event(calendar: &str, lines: &str) -> CalendarEvent {
    let text =
        format!("BEGIN:VCALENDAR\nVERSION:2.0\n{calendar}BEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n");
    let [event] = &events(&text)[..] else { panic!("one event wanted") };
    event.clone()
}

const BERLIN: &str = "BEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T030000\n\
    TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\n\
    BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n\
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n";

#[test]
fn an_invitation_of_exchange_says_who_what_when_and_where() {
    let lines = "ORGANIZER;CN=Ann Miller:mailto:ann@a.example\n\
        ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=\"Bob; B\":mailto:bob@b.exa\n mple\n\
        SUMMARY;LANGUAGE=de-DE:Grüße\\, alle\nDTSTART;TZID=W. Europe Standard Time:20260702T090000\n\
        DTEND;TZID=W. Europe Standard Time:20260702T100000\nRRULE:FREQ=WEEKLY;COUNT=3;BYDAY=TH\nUID:0400\n\
        SEQUENCE:2\nSTATUS:CONFIRMED\nLOCATION:Raum 1";
    let event = event(&format!("METHOD:REQUEST\n{BERLIN}"), lines);
    assert_eq!(event.method.as_deref(), Some("REQUEST"));
    assert_eq!((event.uid.as_deref(), event.sequence), (Some("0400"), Some(2)));
    assert_eq!(event.summary.as_deref(), Some("Grüße, alle"));
    assert_eq!(event.starts_at.as_deref(), Some("2026-07-02T09:00:00+02:00"));
    assert_eq!(event.ends_at.as_deref(), Some("2026-07-02T10:00:00+02:00"));
    assert_eq!(event.time_zone.as_deref(), Some("Europe/Berlin"));
    let ann = Address { name: Some("Ann Miller".to_owned()), address: Some("ann@a.example".to_owned()) };
    assert_eq!(event.organizer, Some(ann));
    let [bob] = &event.attendees[..] else { panic!() };
    assert_eq!((bob.name.as_deref(), bob.address.as_deref()), (Some("Bob; B"), Some("bob@b.example")));
    assert_eq!(bob.status.as_deref(), Some("NEEDS-ACTION"));
    assert_eq!(event.recurrence.as_deref(), Some("FREQ=WEEKLY;COUNT=3;BYDAY=TH"));
    assert_eq!((event.status.as_deref(), event.location.as_deref()), (Some("CONFIRMED"), Some("Raum 1")));
}

#[test]
fn times_are_dates_instants_or_local() {
    for (start, end, wanted) in [
        (
            "DTSTART:20261102T090000Z",
            "DTEND:20261102T100000Z",
            ["2026-11-02T09:00:00+00:00", "2026-11-02T10:00:00+00:00", "-"],
        ),
        ("DTSTART;VALUE=DATE:20261102", "DTEND;VALUE=DATE:20261103", ["2026-11-02", "2026-11-03", "-"]),
        ("DTSTART;VALUE=DATE:20261102", "DURATION:P1D", ["2026-11-02", "2026-11-03", "-"]),
        (
            "DTSTART;TZID=America/New_York:20261102T090000",
            "DURATION:PT90M",
            ["2026-11-02T09:00:00-05:00", "2026-11-02T10:30:00-05:00", "America/New_York"],
        ),
        (
            "DTSTART:20261102T090000",
            "DTEND:20261102T100000",
            ["2026-11-02T09:00:00", "2026-11-02T10:00:00", "-"],
        ),
        ("DTSTART;TZID=Ours:20261102T090000", "", ["2026-11-02T09:00:00", "-", "Ours"]),
        ("DTSTART:99999999T999999", "DTEND:x", ["-", "-", "-"]),
    ] {
        let event = event("", &format!("UID:1\n{start}\n{end}"));
        let found = [event.starts_at, event.ends_at, event.time_zone];
        assert_eq!(found.map(|one| one.unwrap_or_else(|| "-".to_owned())), wanted, "{start} {end}");
    }
}

#[test]
fn one_instance_of_a_series_is_called_off() {
    let event = event("METHOD:CANCEL\n", "UID:1\nSTATUS:CANCELLED\nRECURRENCE-ID:20261109T090000Z");
    assert_eq!(event.method.as_deref(), Some("CANCEL"));
    assert_eq!(event.recurrence_id.as_deref(), Some("2026-11-09T09:00:00+00:00"));
}

#[test]
fn the_same_calendar_in_two_parts_is_told_once() {
    let calendar = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nEND:VEVENT\nEND:VCALENDAR\n";
    let part = |kind: &str| format!("--b\nContent-Type: {kind}; method=REQUEST\n\n{calendar}");
    let message = |parts: &[&str]| {
        let parts: String = parts.iter().map(|kind| part(kind)).collect();
        let raw = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nHello\n{parts}--b--\n");
        parse_message(raw.as_bytes()).calendar
    };
    assert_eq!(message(&["text/calendar", "application/ics"]).len(), 1);
    assert_eq!(message(&["text/calendar", "text/calendar"]).len(), 1);
    let alone = message(&["application/ics"]);
    assert_eq!(alone[0].method.as_deref(), Some("REQUEST"));
    assert_eq!(message(&["text/plain"]), []);
}

#[test]
fn a_calendar_that_is_broken_or_huge_gives_what_it_can() {
    assert_eq!(events(""), []);
    assert_eq!(events("BEGIN:VCALENDAR\n"), []);
    assert_eq!(event("", "UID:1\nno line of a calendar\nSUMMARY:a").summary.as_deref(), Some("a"));
    let many = "BEGIN:VEVENT\nUID:1\nEND:VEVENT\n".repeat(10)
        + &(0..20_000).map(|n| format!("BEGIN:VEVENT\nUID:{n}\nEND:VEVENT\n")).collect::<String>();
    assert_eq!(events(&format!("BEGIN:VCALENDAR\n{many}END:VCALENDAR\n")).len(), 50);
    assert!(events(&format!("BEGIN:VCALENDAR\n{}", "BEGIN:VEVENT\n".repeat(100_000))).len() <= 50);
    let guests = "ATTENDEE;CN=\"a:mailto:b@c.example\n".repeat(5000);
    assert!(event("", &format!("UID:1\n{guests}")).attendees.len() <= 200);
}

fn nearly_a_calendar() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "BEGIN:VEVENT\n", "END:VEVENT\n", "BEGIN:VTIMEZONE\nTZID:x\n", "END:VTIMEZONE\n", "DTSTART", ";TZID=x", ";VALUE=DATE", ":",
            "20261102T090000", "Z", "\n", "DTEND:", "99999999T999999", "-0001", "DURATION:P", "9999999999W", "-PT1H\n", "RRULE:FREQ=WEEKLY",
            ";UNTIL=", ";COUNT=99999999999", "ATTENDEE;CN=\"", "\"", ":mailto:a@b.example\n", "RECURRENCE-ID:", "SEQUENCE:", "\\", "\\n", "ü", "\r\n ",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,10}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn no_calendar_makes_it_fail(text in nearly_a_calendar()) {
        let found = events(&format!("BEGIN:VCALENDAR\n{text}"));
        let json = serde_json::to_string(&found).unwrap();
        prop_assert!(!json.contains("\\u00"), "{}", json);
    }
}
