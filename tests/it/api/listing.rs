//! Lists stay correct while profiles come and go.

use mailroom_tests::api::Api;
use mailroom_tests::world::World;
use serde_json::json;

use super::settings_with;

fn page(api: &Api, query: &str) -> (Vec<String>, Option<String>) {
    let page = api.get(&format!("/profiles?{query}")).expect(200).body;
    let names =
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned());
    (names.collect(), page["next"].as_str().map(str::to_owned))
}

#[test]
fn pages_neither_skip_nor_repeat_while_profiles_come_and_go() {
    let world = World::new();
    let api = world.api();
    let make = |n: usize| {
        let settings = settings_with(&world, &json!({"name": format!("{n:02}"), "listen": false}));
        api.post("/profiles", &settings).expect(201).id()
    };
    let ids: Vec<String> = (0..7).map(make).collect();
    let (first, next) = page(&api, "limit=3");
    assert_eq!(first, ["06", "05", "04"]);
    // The last of the page goes, one of the next page goes, and a new one comes.
    let _ = api.delete(&format!("/profiles/{}", ids[4])).expect(204);
    let _ = api.delete(&format!("/profiles/{}", ids[2])).expect(204);
    make(7);
    let (second, next) = page(&api, &format!("limit=3&cursor={}", next.unwrap()));
    assert_eq!(second, ["03", "01", "00"]);
    if let Some(next) = next {
        assert_eq!(page(&api, &format!("limit=3&cursor={next}")), (vec![], None));
    }
    assert_eq!(page(&api, "").0, ["07", "06", "05", "03", "01", "00"]);
}

#[test]
fn names_logins_and_hosts_are_searched_in_any_case() {
    let world = World::new();
    let api = world.api();
    for (name, login, host) in [
        ("Support \u{dc}bersee", "a@one.example", "imap.one.example"),
        ("Sales", "overseas@two.example", "imap.two.example"),
        ("100%", "c@three.example", "imap.three.example"),
    ] {
        let settings = settings_with(
            &world,
            &json!({
                "name": name, "imap_host": host, "smtp_host": host.replace("imap", "smtp"),
                "auth": {"type": "plain", "login": login, "password": world.password()},
            }),
        );
        let _ = api.post("/profiles", &settings).expect(201);
    }
    for (query, expected) in [
        ("support", &["Support \u{dc}bersee"][..]),
        ("%C3%BCbersee", &["Support \u{dc}bersee"]),
        ("OVERSEAS%40two", &["Sales"]),
        ("smtp.three", &["100%"]),
        ("100%25", &["100%"]),
        ("example", &["100%", "Sales", "Support \u{dc}bersee"]),
        ("nobody", &[]),
    ] {
        assert_eq!(page(&api, &format!("q={query}")).0, expected, "{query}");
    }
    // A search in pages, and what an edit makes of it.
    let (first, next) = page(&api, "q=example&limit=2");
    assert_eq!(first, ["100%", "Sales"]);
    assert_eq!(
        page(&api, &format!("q=example&limit=2&cursor={}", next.unwrap())).0,
        ["Support \u{dc}bersee"]
    );
    let id = api.get("/profiles?q=sales").body["items"][0]["id"].as_str().unwrap().to_owned();
    let _ = api.patch(&format!("/profiles/{id}"), &json!({"name": "Orders"})).expect(200);
    assert_eq!((page(&api, "q=sales").0.len(), page(&api, "q=orders").0.len()), (0, 1));
}

#[test]
fn a_list_can_be_of_one_state_flow_schema_or_kind() {
    let world = World::new();
    let api = world.api();
    let _ = api.post("/flow-schemas", &json!({"id": "orders", "name": "Orders"})).expect(201);
    for (name, listen, flow_schema) in
        [("a", true, "orders"), ("b", false, "orders"), ("c", true, "add-to-queue"), ("d", false, "orders")]
    {
        let changes = json!({"name": name, "listen": listen, "flow_schema_id": flow_schema});
        let _ = api.post("/profiles", &settings_with(&world, &changes)).expect(201);
    }
    for (query, expected) in [
        ("state=off", &["d", "b"][..]),
        ("state=pending", &["c", "a"]),
        ("state=ok", &[]),
        ("listen=true&flow_schema_id=orders", &["a"]),
        ("flow_schema_id=orders", &["d", "b", "a"]),
        ("listen=false&q=b", &["b"]),
    ] {
        assert_eq!(
            page(&api, query),
            (expected.iter().map(|name| (*name).to_owned()).collect(), None),
            "{query}"
        );
    }
    let (first, next) = page(&api, "listen=false&limit=1");
    assert_eq!(first, ["d"]);
    assert_eq!(page(&api, &format!("listen=false&limit=1&cursor={}", next.unwrap())).0, ["b"]);
    let wrong = api.get("/profiles?state=fine&listen=yes&flow_schema_id=%20").expect(400);
    assert_eq!(wrong.fields(), ["state", "flow_schema_id", "listen"]);
}
