//! Many clients at once: what is left is what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use mailroom_tests::api::Api;
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::{settings, settings_with};

const CLIENTS: u64 = 20;

/// Profiles that each client makes.
const EACH: u64 = 10;

const INTERVALS: [u32; 8] = [10, 30, 60, 120, 300, 600, 3600, 7200];

/// Where profiles end: all the other intervals are only passed through.
const LAST: [u32; 4] = [10, 120, 300, 3600];

/// Chance, from a seed (`SplitMix64`): the same seed, the same choices.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }

    fn one_of(&mut self, intervals: &[u32]) -> u32 {
        intervals[self.next(intervals.len())]
    }
}

/// What should be left of a profile: its interval, if it listens.
type Expected = BTreeMap<String, Option<u32>>;

/// One client's work: makes profiles, changes them, and removes some. Returns those that are left.
fn work(api: &Api, settings: &Value, mut chance: Chance) -> Expected {
    let mut left = Expected::new();
    for _ in 0..EACH {
        let mut wanted = settings.clone();
        wanted["refresh_interval"] = json!(chance.one_of(&INTERVALS));
        let id = api.post("/profiles", &wanted).expect(201).id();
        let path = format!("/profiles/{id}");
        let change = |patch: Value| drop(api.patch(&path, &patch).expect(200));
        let mut listen = true;
        if chance.next(2) == 0 {
            change(json!({"refresh_interval": chance.one_of(&INTERVALS)}));
        }
        if chance.next(3) == 0 {
            listen = chance.next(3) == 0;
            change(json!({"listen": false}));
            if listen {
                change(json!({"listen": true}));
            }
        }
        let interval = chance.one_of(&LAST);
        change(json!({"refresh_interval": interval}));
        if chance.next(3) == 0 {
            let _ = api.delete(&path).expect(204);
        } else {
            left.insert(id, listen.then_some(interval));
        }
    }
    left
}

/// The names of the secrets that cost money, however many.
fn secrets(world: &World) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut page = json!({"MaxResults": 100});
    loop {
        let listed = world.aws().call("secretsmanager", "secretsmanager.ListSecrets", &page);
        let secrets = listed["SecretList"].as_array().unwrap().iter();
        let costly = secrets.filter(|secret| secret["DeletedDate"].is_null());
        names.extend(costly.map(|secret| secret["Name"].as_str().unwrap().to_owned()));
        if listed["NextToken"].is_null() {
            return names;
        }
        page["NextToken"] = listed["NextToken"].clone();
    }
}

/// Holds everything that there is in AWS against the profiles that should be there.
fn assert_whole(world: &World, left: &Expected) {
    let mut profiles = Expected::new();
    let mut registered = BTreeSet::new();
    for item in world.aws().items(&world.stack().table) {
        let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let number = |pointer: &str| text(pointer).parse::<u32>().unwrap();
        match (text("/PK/S"), text("/SK/S")) {
            (owner, "PROFILE") => {
                let interval =
                    item["listen"]["BOOL"].as_bool().unwrap().then(|| number("/refresh_interval/N"));
                assert_eq!(item.get("poll_key").is_some(), interval.is_some(), "{item}");
                profiles.insert(owner.trim_start_matches("PROFILE#").to_owned(), interval);
            }
            // One that is struck off keeps its count.
            ("INTERVALS", _) if item["joined_at"].is_null() => {}
            ("INTERVALS", seconds) => drop(registered.insert(seconds.parse::<u32>().unwrap())),
            ("FLOW#add-to-queue", "FLOW") => {}
            _ => panic!("{item} should not be there"),
        }
    }
    assert_eq!(&profiles, left, "the profiles");

    let prefix = &world.stack().secret_prefix;
    let expected: BTreeSet<_> = left.keys().map(|id| format!("{prefix}{id}")).collect();
    assert_eq!(secrets(world), expected, "the secrets");

    // The default interval is registered once it is used, and is never struck off.
    let mut used: BTreeSet<u32> = left.values().filter_map(|interval| *interval).collect();
    used.remove(&300);
    registered.remove(&300);
    assert_eq!(registered, used, "the intervals that are registered");
    let mut schedules: Vec<_> = used.iter().map(|interval| format!("refresh-{interval}")).collect();
    schedules.sort();
    assert_eq!(world.schedule_names(), schedules, "the schedules");
}

#[test]
fn two_hundred_profiles_from_twenty_clients_at_once_end_as_they_should() {
    let seed = ulid::Ulid::generate().random() as u64;
    println!("seed {seed}");
    let world = World::new();
    let (api, settings) = (world.api(), settings(&world));
    let begun = Instant::now();
    let left: Expected = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let chance = Chance(seed.wrapping_add(n << 32));
                let (api, settings) = (&api, &settings);
                scope.spawn(move || work(api, settings, chance))
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    println!("{} of 200 profiles are left after {:.1} s", left.len(), begun.elapsed().as_secs_f64());
    assert!((60..190).contains(&left.len()), "{}", left.len());
    assert_whole(&world, &left);
    assert!(world.aws().schedules(&world.stack().schedule_group).contains(&"refresh-300".to_owned()));

    // And when all are gone, nothing is left.
    for id in left.keys() {
        let _ = api.delete(&format!("/profiles/{id}")).expect(204);
    }
    assert_whole(&world, &Expected::new());
}

/// Has every client send its request in the same moment. Returns how many were answered with each status.
fn at_once(request: impl Fn(u64) -> u16 + Sync) -> BTreeMap<u16, usize> {
    let barrier = Barrier::new(usize::try_from(CLIENTS).unwrap());
    let mut count = BTreeMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let (barrier, request) = (&barrier, &request);
                scope.spawn(move || {
                    barrier.wait();
                    request(n)
                })
            })
            .collect();
        for client in clients {
            *count.entry(client.join().unwrap()).or_default() += 1;
        }
    });
    count
}

/// What Secrets Manager holds of the version that the profile's item names.
fn stored_password(world: &World, id: &str) -> String {
    let items = world.aws().items(&world.stack().table);
    let item = items.iter().find(|item| item["PK"]["S"] == format!("PROFILE#{id}")).unwrap();
    let version = item["secret_version"]["S"].as_str().unwrap();
    let name = format!("{}{id}", world.stack().secret_prefix);
    let secret = world.aws().call(
        "secretsmanager",
        "secretsmanager.GetSecretValue",
        &json!({"SecretId": name, "VersionId": version}),
    );
    let secret: Value = serde_json::from_str(secret["SecretString"].as_str().unwrap()).unwrap();
    secret["password"].as_str().unwrap().to_owned()
}

#[test]
fn of_twenty_that_replace_one_version_one_wins() {
    let world = World::new();
    let api = world.api();
    let id = api.post("/profiles", &settings(&world)).expect(201).id();
    let path = format!("/profiles/{id}");
    for version in 1..=5 {
        let tag = format!("\"{version}\"");
        let count = at_once(|n| {
            let auth =
                json!({"type": "plain", "login": world.login(), "password": format!("word {version} {n}")});
            let body =
                settings_with(&world, &json!({"name": format!("{version} {n}"), "auth": auth})).to_string();
            api.call("PUT", &path, &[("if-match", &tag)], Some(body.as_bytes())).status
        });
        assert_eq!(count, BTreeMap::from([(200, 1), (412, usize::try_from(CLIENTS).unwrap() - 1)]));
        let stored = api.get(&path).expect(200);
        assert_eq!(stored.headers["etag"], format!("\"{}\"", version + 1));
        // The winner's password, and no loser's.
        assert_eq!(stored_password(&world, &id), format!("word {}", stored.body["name"].as_str().unwrap()));
    }
}

#[test]
fn twenty_that_change_the_password_of_one_profile_leave_one_that_can_be_read() {
    let world = World::new();
    let api = world.api();
    let id = api.post("/profiles", &settings(&world)).expect(201).id();
    let path = format!("/profiles/{id}");
    let count = at_once(|n| {
        let patch = json!({"name": format!("{n}"), "auth": {"password": format!("word {n}")}});
        api.patch(&path, &patch).status
    });
    // Who names no version is made to wait, and not told to read it again.
    assert_eq!(count, BTreeMap::from([(200, usize::try_from(CLIENTS).unwrap())]));
    let stored = api.get(&path).expect(200).body;
    assert_eq!(stored["version"], 1 + CLIENTS);
    assert_eq!(stored_password(&world, &id), format!("word {}", stored["name"].as_str().unwrap()));
}
