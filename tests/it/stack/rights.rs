//! What the roles in the template grant is what the functions need, and the table in infra/README.md says so.
//!
//! That each call of each scenario is allowed is checked when its world is dropped. Here the other direction: a grant that
//! nothing needs is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::profile::ProfileId;
use mailroom_local::toolbox::Toolbox;
use mailroom_tests::api::event;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::rights::{Permission, Role};
use mailroom_tests::smtp_server::{Fault, Options, Step};
use mailroom_tests::world::{World, message};
use serde_json::{Value, json};

/// What stands before and after the table in infra/README.md.
const MARK: &str = "<!-- rights -->";

const LIMIT: Duration = Duration::from_secs(28);

/// What is granted and not needed on the way of [`walk`]: the function, the action, and when it is needed.
const RARE: [(&str, &str, &str); 14] = [
    ("*", "logs:CreateLogStream", "Lambda writes the function's log"),
    ("*", "logs:PutLogEvents", "Lambda writes the function's log"),
    ("*", "sqs:ReceiveMessage", "Lambda reads the queue for the function"),
    ("*", "sqs:DeleteMessage", "Lambda reads the queue for the function"),
    ("*", "sqs:GetQueueAttributes", "Lambda reads the queue for the function"),
    ("fetch", "sqs:ChangeMessageVisibility", "Lambda returns what a run did not handle"),
    ("audit", "sqs:ChangeMessageVisibility", "Lambda returns what a run did not handle"),
    ("*", "secretsmanager:PutSecretValue", "a provider replaces a refresh token when it is used"),
    ("api", "secretsmanager:RestoreSecret", "a removal that was cut off in the middle is taken back"),
    ("fetch", "scheduler:CreateSchedule", "a run finds that the schedule of an interval in use is missing"),
    ("fetch", "iam:PassRole", "a run finds that the schedule of an interval in use is missing"),
    ("fetch", "scheduler:DeleteSchedule", "a run finds the schedule of an interval that nobody uses"),
    ("api", "s3:PutObject", "a client uploads a file by an address that the function has signed"),
    ("send", "s3:ListBucket", "S3 tells what is missing from what is forbidden"),
];

fn ask(world: &World, method: &str, path: &str, body: Option<&Value>) -> Value {
    let Outcome::Answered(answer) = world.api_function().invoke(event(method, path, body), LIMIT) else {
        panic!("{method} {path}: {}", world.api_function().log());
    };
    assert!(answer["statusCode"].as_u64().unwrap() < 300, "{method} {path}: {answer}");
    answer["body"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

/// Has a message come back.
fn bounce(world: &World, profile: ProfileId, sent: &str) {
    let path = format!("/profiles/{profile}/messages/{sent}");
    let about = ask(world, "GET", &path, None);
    let about = about["message_id"].as_str().unwrap();
    let report = format!(
        "From: MAILER-DAEMON@example.org\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; example.org\r\n\r\n\
         Final-Recipient: rfc822; ann@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {about}\r\n\r\n--b--\r\n"
    );
    world.deliver(report.as_bytes());
    world.aws().send(&world.stack().queues.poll, &PollRequest::Profile(profile).to_json());
    let _ = world.run_poll_queue(Duration::from_secs(30));
    let _ = world.send_all();
    assert_eq!(
        ask(world, "GET", &path, None)["recipients"][0]["status"],
        "bounced",
        "{}",
        world.lambda().log()
    );
}

/// Has an audit planned, and another find a message that the cursor has passed.
fn audit(world: &World, profile: ProfileId) {
    let auditor = world.repairing_audit_function();
    for hour in 0..24 {
        let event = json!({"scheduled_at": format!("2026-11-27T{hour:02}:30:00Z")});
        assert!(matches!(auditor.invoke(event, LIMIT), Outcome::Answered(_)), "{}", auditor.log());
    }
    let last = world.stored(profile).cursor.unwrap().last_uid;
    world.deliver(&message("a message without a job"));
    world.push_cursor(profile, last + 1);
    let found = world.audit_by(&auditor, profile);
    assert_eq!(found["missing"], 1, "{}", auditor.log());
}

/// Does once what owners, schedules, messages and flows have the functions do.
fn walk(world: &World) {
    let smtp = world.smtp_server(&Options::default());
    let queue = world.make_queue("orders");
    let schema = json!({"id": "orders", "name": "Orders", "queue_url": queue});
    let _ = ask(world, "POST", "/flow-schemas", Some(&schema));
    let _ = ask(world, "GET", "/flow-schemas", None);
    let settings = json!({
        "name": "Support",
        "imap_host": "127.0.0.1", "imap_port": world.servers().dovecot().ports().imaps,
        "smtp_host": smtp.address().to_string(), "smtp_port": smtp.submission(), "smtp_security": "starttls",
        "flow_schema_id": "orders", "start_from": "all", "refresh_interval": 900,
        "auth": {"type": "plain", "login": world.login(), "password": world.password()},
    });
    let _ = ask(world, "POST", "/profiles/test", Some(&settings));
    let id = ask(world, "POST", "/profiles", Some(&settings))["id"].as_str().unwrap().to_owned();
    let profile = ProfileId::parse(&id).unwrap();
    world.deliver(&message("a walk"));
    let _ = world.run_poll_queue(Duration::from_secs(30));
    world.aws().send(&world.stack().queues.poll, &PollRequest::Profile(profile).to_json());
    let _ = world.run_poll_queue(Duration::from_secs(30));
    assert_eq!(world.aws().drain(&queue).len(), 1, "{}", world.lambda().log());
    let of_flow = json!({"flow_schema_id": "add-to-queue"});
    let _ = ask(world, "PATCH", &format!("/profiles/{id}"), Some(&of_flow));
    world.deliver(&message("another walk"));
    world.aws().send(&world.stack().queues.poll, &PollRequest::Profile(profile).to_json());
    let _ = world.run_poll_queue(Duration::from_secs(30));
    assert_eq!(world.jobs().len(), 1, "{}", world.lambda().log());
    world.poll();

    for path in ["/profiles", "/profiles?q=support", &format!("/profiles/{id}")] {
        let _ = ask(world, "GET", path, None);
    }
    let _ = ask(world, "POST", &format!("/profiles/{id}/fetch"), Some(&json!({})));
    let _ = ask(world, "POST", &format!("/profiles/{id}/test"), None);
    let mut patched = json!({"refresh_interval": 300, "auth": settings["auth"]});
    let _ = ask(world, "PATCH", &format!("/profiles/{id}"), Some(&patched));
    patched["refresh_interval"] = json!(600);
    let _ = ask(world, "PATCH", &format!("/profiles/{id}"), Some(&patched));

    world.put_object(&format!("mail/{id}/out/a.txt"), b"attached".to_vec());
    let attachment =
        json!({"key": format!("mail/{id}/out/a.txt"), "filename": "a.txt", "content_type": "text/plain"});
    let outbound = json!({
        "to": [{"address": "ann@example.org"}], "subject": "An answer", "text": "Hello.", "attachments": [attachment],
    });
    smtp.fault_times(Step::Data, Fault::Reply("452 4.3.1 No room"), 1);
    let sent = ask(world, "POST", &format!("/profiles/{id}/messages"), Some(&outbound));
    let _ = world.send_all();
    let sent = sent["id"].as_str().unwrap();
    world.hurry(profile, sent);
    let _ = world.send_all();
    let _ = ask(world, "GET", &format!("/profiles/{id}/messages/{sent}"), None);
    bounce(world, profile, sent);
    let automatic = json!({
        "to": [{"address": "bob@example.org"}], "subject": "Re: a walk", "text": "It is on its way.",
        "auto_submitted": true, "in_reply_to": "<a-walk@example.org>",
    });
    let _ = ask(world, "POST", &format!("/profiles/{id}/messages"), Some(&automatic));
    let mut queued = automatic;
    (queued["profile_id"], queued["id"]) = (json!(id), json!("by-queue"));
    world.aws().send(&world.stack().queues.send, &queued.to_string());
    let _ = world.send_all();
    world.aws().send(&world.stack().queues.send, "not a message");
    let _ = world.send_all();

    audit(world, profile);
    let _ = ask(world, "DELETE", &format!("/profiles/{id}?purge=true"), None);
    let _ = ask(world, "DELETE", "/flow-schemas/orders", None);
}

/// A resource pattern as people read it: without account and region, and by what it is rather than its generated name.
fn readable(world: &World, pattern: &str) -> String {
    let stack = world.stack();
    let rest = pattern.splitn(6, ':').last().unwrap_or(pattern);
    let (service, rest) = match pattern.split(':').nth(2) {
        Some("s3") => ("bucket ", rest.replacen(&stack.bucket, "", 1)),
        Some("sqs") if rest == "*" => ("", "queues in `ExtraJobQueueArns`".to_owned()),
        Some("sqs") => ("queue ", rest.to_owned()),
        _ if rest == "*" => ("", "all".to_owned()),
        _ => ("", rest.to_owned()),
    };
    let rest = rest.replace(&stack.table, "").replace(&stack.secret_prefix, "SECRET_PREFIX");
    let rest = rest.trim_start_matches('/').trim_end_matches('/');
    let rest = if rest.starts_with("role/") { "role of the schedules" } else { rest };
    format!("{service}{rest}").trim().replace(&format!("m{}", stack.account), "mailroom").replace("//", "/")
}

/// All of a function's environment is 4 KB, of which `CaBundle` may take 3,000 bytes.
fn environment_fits(environment: &BTreeMap<String, String>) {
    // At AWS the URL of a queue is longer than the emulator's by about this much.
    const LONGER_URL: usize = 40;
    let length = |(name, value): (&String, &String)| {
        let url = if name.ends_with("_URL") { LONGER_URL } else { 0 };
        name.len() + url + if name == "MAILROOM_CA_BUNDLE" { 0 } else { value.len() }
    };
    let total: usize = environment.iter().map(length).sum();
    assert!(total <= 4096 - 3000, "without CaBundle the environment has {total} bytes: {environment:?}");
}

#[test]
fn each_grant_is_needed_or_explained_and_the_table_lists_it() {
    let world = World::new();
    walk(&world);
    let needed = world.proxy().needed();
    let functions = &world.stack().functions;
    let mut table = String::from("| function | on | may | |\n|---|---|---|---|\n");
    let (mut unexplained, mut explained) = (Vec::new(), BTreeSet::new());
    for (function, deployed) in [
        ("fetch", &functions.fetch),
        ("api", &functions.api),
        ("send", &functions.send),
        ("audit", &functions.audit),
    ] {
        let mut rows: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
        for grant in Role::of(world.aws(), &deployed.name).grants() {
            let used = needed.iter().any(|(by, permission)| *by == deployed.name && grant.allows(permission));
            let rare =
                RARE.iter().find(|(by, action, _)| ["*", function].contains(by) && *action == grant.action);
            let why = match (used, rare) {
                (true, _) => "",
                (false, Some(rare)) => {
                    explained.insert(rare);
                    rare.2
                }
                (false, None) => {
                    unexplained.push((function, grant.action.clone(), grant.resource.clone()));
                    continue;
                }
            };
            let on = readable(&world, &grant.resource);
            let action = grant.action.split_once(':').map_or("", |(_, action)| action).to_owned();
            rows.entry((on, why)).or_default().push(action);
        }
        for ((on, why), actions) in rows {
            table.push_str(&format!("| `{function}` | {on} | {} | {why} |\n", actions.join(", ")));
        }
    }
    assert_eq!(unexplained, [], "the roles grant what nothing needs");
    let idle: Vec<_> = RARE.iter().filter(|rare| !explained.contains(rare)).collect();
    assert!(idle.is_empty(), "explained, but needed on the way or not granted: {idle:?}");
    for deployed in [&functions.fetch, &functions.api, &functions.send, &functions.audit] {
        environment_fits(&deployed.environment);
    }
    let readme = fs::read_to_string(Toolbox::root().join("infra/README.md")).unwrap();
    let shown = readme.split(MARK).nth(1).unwrap_or_default().trim();
    assert_eq!(shown, table.trim(), "put this between the marks in infra/README.md:\n{table}");
}

#[test]
fn what_a_role_does_not_allow_is_seen() {
    let world = World::new();
    let stack = world.stack();
    let role = Role::of(world.aws(), &stack.functions.send.name);
    let permission = |action: &str, resource: String| Permission {
        action: action.to_owned(),
        resource,
        context: Vec::new(),
    };
    let object = |key: &str| format!("arn:aws:s3:::{}/{key}", stack.bucket);
    assert!(role.allows(&permission("s3:GetObject", object("mail/1/out/2.json"))));
    for (action, resource) in [
        ("s3:GetObject", object("code/api.zip")),
        ("s3:PutObject", object("mail/1/out/2.json")),
        ("dynamodb:Scan", format!("arn:aws:dynamodb:us-east-1:{}:table/{}", stack.account, stack.table)),
        (
            "secretsmanager:GetSecretValue",
            format!("arn:aws:secretsmanager:us-east-1:{}:secret:db", stack.account),
        ),
    ] {
        assert!(!role.allows(&permission(action, resource.clone())), "{action} on {resource}");
    }

    // A role may be passed to EventBridge Scheduler alone, and nothing is listed by a pattern of ARNs.
    let role = Role::of(world.aws(), &stack.functions.api.name);
    let mut pass = permission("iam:PassRole", stack.schedule_role_arn.clone());
    for (service, allowed) in [("scheduler.amazonaws.com", true), ("lambda.amazonaws.com", false)] {
        pass.context = Vec::from([("iam:PassedToService".to_owned(), service.to_owned())]);
        assert_eq!(role.allows(&pass), allowed, "{service}");
    }
    let denied = format!("arn:aws:scheduler:us-east-1:{}:*", stack.account);
    assert!(!role.allows(&permission("scheduler:ListSchedules", denied)));
}
