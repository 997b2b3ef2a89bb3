//! More mailboxes than one page counts.

use mailroom_core::flow::FlowSchemaId;
use mailroom_core::profile::{Auth, Profile, ProfileId, Settings};
use mailroom_core::server::{Host, Security, Server};
use mailroom_tests::world::World;
use time::OffsetDateTime;

/// What one page counts, and some more.
const MANY: u32 = 1_050;

/// How long the page may take; the emulator answers many times slower than AWS.
const PAGE_TIME: std::time::Duration = std::time::Duration::from_secs(15);

#[test]
fn of_more_than_a_page_counts_those_in_one_state_are_found_all_the_same() {
    let world = World::new();
    let table = world.stack().table();
    let imap = Server {
        host: Host::parse("127.0.0.1").unwrap(),
        port: 993.try_into().unwrap(),
        security: Security::Tls,
    };
    let flow = FlowSchemaId::parse("add-to-queue").unwrap();
    for n in 0..MANY {
        let auth = Auth::Plain { login: format!("number-{n}@example.com") };
        let mut settings = Settings::listening(&format!("Number {n}"), imap.clone(), auth, flow.clone());
        // The first is the oldest, so that it comes last.
        settings.listen = n > 0;
        let id = ProfileId::new(ulid::Ulid::from_parts(u64::from(n) + 1, 0));
        let profile = Profile::new(id, settings, OffsetDateTime::now_utc());
        world.handle().block_on(table.create(&profile)).unwrap();
    }
    let begun = std::time::Instant::now();
    let page = |query: &str| world.api().get(&format!("/console{query}")).expect(200).text;
    let first = page("");
    assert!(begun.elapsed() < PAGE_TIME, "{:?}", begun.elapsed());
    for words in ["1000</span> All", "These counts are of 1000 mailboxes, the newest", "Page 1 of 20"] {
        assert!(first.contains(words), "{words}: {first}");
    }
    assert!(!first.contains("Not listening</a>") && !first.contains(">Number 0<"));
    let off = page("?state=off");
    assert!(off.contains(">Number 0<"), "{off}");
    assert!(page("?q=Number%200").contains(">Number 0<"));
    let older = first.split("href=\"console?").find(|part| part.starts_with("after=")).unwrap();
    let older = page(&format!("?{}", older.split('"').next().unwrap().replace("&amp;", "&")));
    assert!(older.contains("50</span> All") && older.contains("Back to the newest"), "{older}");
}
