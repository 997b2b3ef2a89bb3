//! The OpenAPI document and the function say the same.

use std::time::{Duration, Instant};

use mailroom_tests::api::{Api, Reply, event};
use mailroom_tests::lambda::Outcome;
use mailroom_tests::schemathesis;
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::{settings, settings_with};

/// Requests that a run has to make at least.
const CASES: u64 = 1000;

/// What Schemathesis cannot know from the document.
const CONFIG: &str = r#"
# Most requests follow from the document alone, whatever the seed. These come on top, by chance.
[generation]
max-examples = 20

# The stack of these scenarios lets everybody in.
[checks]
ignored_auth.enabled = false

# A version that is made up is an old one. Another type of login needs a secret of its own, unless one is stored, and
# another server the secret again.
[[operations]]
include-operation-id = ["deleteProfile", "putProfile"]
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 412, 422]
negative_data_rejection.expected-statuses = ["4xx"]

# A message is not moved to the mailbox that is polled: no schema compares two fields.
[[operations]]
include-operation-id = ["createProfile", "testSettings"]
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", 409, 422]

# What is left out stays as it is stored, so what is stored decides which members a login may have.
[[operations]]
include-operation-id = "patchProfile"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 412, 422]
negative_data_rejection.expected-statuses = ["4xx"]

[[operations]]
include-operation-id = "testProfile"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 422]

# What a connect link presets may be any part of a profile, but for what its owner brings; the rest decides what is needed.
[[operations]]
include-operation-id = "createConnectLink"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 422]

# A ticket and a state are given out, and cannot be made up: everything else ends on a page that says so.
[[operations]]
include-operation-id = ["startSignIn", "finishSignIn"]
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400]

# An address that is made up is looked for in the DNS of the world.
[[operations]]
include-operation-id = "findSettings"
enabled = false

# Which keys are attachments of this profile's messages, its id in the path decides: a schema cannot say so.
[[operations]]
include-operation-id = "sendMessage"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 422]
"#;

fn document(api: &Api) -> Value {
    api.get("/openapi.json").expect(200).body
}

/// Every operation of the document: path, method, and what is said of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation))
    };
    paths.iter().flat_map(of).collect()
}

/// Makes up requests from the document, and holds the answers against it.
fn try_all(seed: u64) {
    println!("seed {seed}");
    let world = World::new();
    let api = world.api();
    for n in 0..3 {
        let changes = json!({"name": format!("Support {n}"), "listen": n > 0});
        let _ = api.post("/profiles", &settings_with(&world, &changes)).expect(201);
    }
    let begun = Instant::now();
    let report = schemathesis::run(world.stack(), seed, CONFIG);
    println!("{} cases in {:.0} s", report.cases, begun.elapsed().as_secs_f64());
    assert!(report.passed, "{}", report.output);
    assert!(report.cases >= CASES, "{}", report.output);
}

#[test]
fn what_the_document_allows_is_served_and_all_else_refused() {
    try_all(20_261_101);
}

#[test]
fn what_the_document_allows_is_served_and_all_else_refused_whatever_the_seed() {
    try_all(u64::from(ulid::Ulid::generate().random() as u32));
}

#[test]
fn every_operation_of_the_document_is_known_to_the_function() {
    let world = World::new();
    let api = world.api();
    let profile = api.post("/profiles", &settings(&world)).expect(201).id();
    let mut operations = operations(&document(&api));
    assert!(operations.len() >= 17, "{}", operations.len());
    // What removes comes last.
    operations.sort_by_key(|(_, method, _)| method == "DELETE");
    for (path, method, operation) in &operations {
        let id = if path.starts_with("/profiles") { profile.as_str() } else { "example" };
        let path = path.replace("{id}", id);
        let body = operation.get("requestBody").map(|_| settings(&world).to_string());
        let answer = api.call(method, &path, &[], body.as_ref().map(String::as_bytes));
        assert!(!answer.text.contains("This path does not exist"), "{method} {path}");
        let known = operation["responses"].as_object().unwrap();
        assert!(known.contains_key(&answer.status.to_string()), "{method} {path}: {}", answer.status);
        if method == "DELETE" && path == format!("/profiles/{profile}") {
            assert_eq!(answer.status, 204);
        }
    }
}

#[test]
fn a_path_takes_the_methods_of_the_document_and_no_other() {
    let world = World::new();
    let api = world.api();
    let operations = operations(&document(&api));
    let mut refused = 0;
    for (path, ..) in &operations {
        let mut allowed: Vec<&str> = operations
            .iter()
            .filter(|(other, ..)| other == path)
            .map(|(_, method, _)| method.as_str())
            .collect();
        allowed.sort_unstable();
        let path = path.replace("{id}", "01JDCABCDEFGHJKMNPQRSTVWXY");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let answer = api.call(method, &path, &[], None).expect(405);
            let mut named: Vec<&str> = answer.headers["allow"].split(", ").collect();
            named.sort_unstable();
            assert_eq!(named, allowed, "{method} {path}");
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            refused += 1;
        }
        // A browser's question; API Gateway answers it too, where origins are configured.
        let outcome = world.api_function().invoke(event("OPTIONS", &path, None), Duration::from_secs(10));
        let Outcome::Answered(answer) = outcome else { panic!("{outcome:?}") };
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(204), &Value::Null), "{answer}");
    }
    assert!(refused > 50, "{refused}");
    let _ = api.get("/no/such/path").expect(404);
}

#[test]
fn what_is_public_is_as_it_says() {
    let world = World::new();
    let api = world.api();
    let document = document(&api);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let schema: Value = serde_json::from_str(mailroom_core::inbound::job::FLOW_JOB_SCHEMA).unwrap();
    let served = |reply: Reply| {
        assert_eq!(reply.headers["content-type"], "application/json");
        reply.body
    };
    assert_eq!(served(api.get("/schemas/flow-job.v1.json").expect(200)), schema);
    assert_eq!(served(api.get("/health").expect(200)), json!({"status": "ok"}));
}

#[test]
fn every_answer_fits_the_schema_that_the_document_gives_it() {
    let world = World::new();
    let api = world.api();
    let document = document(&api);
    let fits = |path: &str, method: &str, reply: Reply| {
        let content = document["paths"][path][method]["responses"][reply.status.to_string()].clone();
        let content = match content["$ref"].as_str() {
            Some(target) => document.pointer(target.trim_start_matches('#')).unwrap().clone(),
            None => content,
        };
        let essence = reply.headers["content-type"].as_str();
        let mut schema = content["content"][essence]["schema"].clone();
        assert!(schema.is_object(), "{method} {path} {} {essence}", reply.status);
        schema["components"] = document["components"].clone();
        let validator = jsonschema::draft202012::options().build(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(&reply.body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{method} {path}: {errors:?} in {}", reply.text);
        reply
    };
    let made = fits("/profiles", "post", api.post("/profiles", &settings(&world)).expect(201));
    let path = format!("/profiles/{}", made.id());
    fits("/profiles/{id}", "get", api.get(&path).expect(200));
    fits("/profiles", "get", api.get("/profiles").expect(200));
    fits("/profiles/{id}", "patch", api.patch(&path, &json!({"name": "B"})).expect(200));
    fits("/profiles/{id}", "patch", api.patch(&path, &json!({"name": 7, "colour": 1})).expect(422));
    fits("/profiles/{id}/test", "post", api.post(&format!("{path}/test"), &json!({})).expect(200));
    fits("/profiles/test", "post", api.post("/profiles/test", &json!({"auth": {}})).expect(422));
    fits("/flow-schemas", "get", api.get("/flow-schemas").expect(200));
    fits("/providers", "get", api.get("/providers").expect(200));
    for (address, status) in [("ann@fastmail.com", 200), ("ann@tuta.com", 200), ("ann", 422)] {
        let found = api.post("/autoconfig", &json!({"address": address})).expect(status);
        fits("/autoconfig", "post", found);
    }
    fits("/profiles", "get", api.get("/profiles?limit=0").expect(400));
}
