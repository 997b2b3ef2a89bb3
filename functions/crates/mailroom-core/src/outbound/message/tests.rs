use super::*;

fn profile() -> ProfileId {
    ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()
}

#[test]
fn addresses_are_those_of_the_standards_in_any_script() {
    for (good, wire) in [
        ("ann@example.org", "ann@example.org"),
        ("a+b.c!#$%&'*/=?^_`{|}~-@x-y.example", "a+b.c!#$%&'*/=?^_`{|}~-@x-y.example"),
        ("\"a b\"@example.org", "\"a b\"@example.org"),
        ("root@localhost", "root@localhost"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:db8::1]", "ann@[IPv6:2001:db8::1]"),
        ("ann@m\u{fc}ller.example", "ann@xn--mller-kva.example"),
        ("ann@\u{4f8b}\u{5b50}.example", "ann@xn--fsqu00a.example"),
        ("j\u{f6}rg@m\u{fc}ller.example", "j\u{f6}rg@m\u{fc}ller.example"),
    ] {
        let address = EmailAddress::parse(good).unwrap_or_else(|_| panic!("{good}"));
        assert_eq!(address.wire(), wire);
    }
    let long = format!("{}@example.org", "a".repeat(65));
    let longer = format!("a@{}.example", "b".repeat(64));
    for bad in [
        "",
        "<>",
        "ann",
        "@example.org",
        "ann@",
        "ann@example..org",
        ".ann@example.org",
        "ann.@example.org",
        "a b@example.org",
        "Ann <ann@example.org>",
        "<ann@example.org>",
        "ann@example.org\r\nBcc: eve@example.org",
        "ann\0@example.org",
        "ann@exa\u{85}mple.org",
        "ann@example.org,bob@example.org",
        "ann@[300.0.0.1]",
        "ann@[x]",
        "ann@-example.org",
        "ann@exa_mple.org",
        &long,
        &longer,
    ] {
        assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
    }
    let address = |text| EmailAddress::parse(text).unwrap();
    assert_eq!(address("Ann@Example.ORG").key(), address("ann@example.org").key());
    assert!(address("j\u{f6}rg@example.org").is_international());
    assert!(!address("ann@m\u{fc}ller.example").is_international());
}

#[test]
fn a_header_text_is_one_line() {
    assert!(HeaderText::parse("Gr\u{fc}\u{df}e, \u{1f4e7}", 100).is_ok());
    for bad in ["a\r\nBcc: b", "a\nb", "a\rb", "a\0", "\u{85}", "\u{2028}", "\u{1b}[31m", &"x".repeat(101)] {
        assert!(HeaderText::parse(bad, 100).is_err(), "{bad:?}");
    }
}

#[test]
fn message_ids_are_taken_with_and_without_brackets() {
    let id = MessageId::parse("<4711@example.org>").unwrap();
    assert_eq!((id.as_str(), id.to_string().as_str()), ("4711@example.org", "<4711@example.org>"));
    assert_eq!(MessageId::parse("4711@example.org").unwrap(), id);
    for bad in ["", "<>", "<a b>", "<a\r\nb>", "<a> <b>", "a>", "\u{fc}@x", &"x".repeat(901)] {
        assert!(MessageId::parse(bad).is_err(), "{bad:?}");
    }
    let from = EmailAddress::parse("j\u{f6}rg@m\u{fc}ller.example").unwrap();
    let ours = MessageId::of(profile(), &OutboundId::parse("a").unwrap(), &from);
    assert_eq!(MessageId::parse(&ours.to_string()).unwrap(), ours);
    assert_ne!(ours, MessageId::of(profile(), &OutboundId::parse("b").unwrap(), &from));
}

#[test]
fn a_message_id_of_ours_names_its_message_to_its_profile_alone() {
    let id = OutboundId::parse("order-4711_a").unwrap();
    let ours = MessageId::of(profile(), &id, &EmailAddress::parse("ann@a.example").unwrap());
    assert_eq!(ours.outbound(profile()), Some(id));
    assert_eq!(ours.outbound(ProfileId::new(Ulid::from(8))), None);
    let text = ours.as_str();
    for other in [
        text.replace("4711", "4712"),
        text.replace('.', "_"),
        text.split_once('.').unwrap().1.to_owned(),
        "a@b.example".to_owned(),
    ] {
        assert_eq!(MessageId::parse(&other).unwrap().outbound(profile()), None, "{other}");
    }
}

#[test]
fn only_objects_of_the_profile_are_attached() {
    let own = format!("mail/{}/", profile());
    assert!(ObjectKey::parse(&format!("{own}0a1b/0"), profile()).is_ok());
    assert!(ObjectKey::parse(&format!("{own}0a1b.eml"), profile()).is_ok());
    for bad in [
        "",
        "mail/01ARZ3NDEKTSV4RRFFQ69G5FAW/0a1b/0",
        &own,
        &format!("{own}../x"),
        &format!("{own}a//b"),
        &format!("/{own}a"),
        &format!("{own}a b"),
        &format!("{own}{}", "a".repeat(500)),
        &format!("mail/{}x/a", profile()),
    ] {
        assert!(ObjectKey::parse(bad, profile()).is_err(), "{bad}");
    }
}

#[test]
fn media_types_are_those_that_can_be_attached() {
    assert_eq!(MediaType::parse("Application/PDF").unwrap().as_str(), "application/pdf");
    for bad in ["", "pdf", "a/b/c", "a/", "text/plain ", "multipart/mixed", "message/partial", "a/b\r\n"] {
        assert!(MediaType::parse(bad).is_err(), "{bad:?}");
    }
}
