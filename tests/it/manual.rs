//! The documents tell the truth: the commands that they show run as they are written, one after the other.
//!
//! The scenarios do what a reader does besides: they set the variables that a section asks for to a mailbox of their own,
//! and sign in with a browser. In the commands for operators, which are for AWS, two things are replaced: the function's
//! name, because a world's stack has a `NamePrefix` of its own, and `aws sqs`, because version 1 of the AWS command line
//! asks `AWS_ENDPOINT_URL` for every service but SQS.

use std::time::{Duration, Instant};
use std::{fs, thread};

use mailroom_local::dovecot::Dovecot;
use mailroom_local::toolbox::Toolbox;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::readme::Commands;
use mailroom_tests::shell::Shell;
use mailroom_tests::world::World;
use serde_json::{Value, json};

/// How long a message may take through the queue, the function and the server.
const SENT_TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn every_command_of_the_api_manual_prints_what_the_manual_shows() {
    let world = World::for_programs();
    world.deliver(&with_attachment());
    let mut shell = Shell::new(&world);
    let mut section = String::new();
    for commands in document("functions/api/README.md") {
        let printed = shell.run_as_shown(&commands);
        if commands.section != section {
            section.clone_from(&commands.section);
            match section.as_str() {
                "API" => set_mailbox(&mut shell, &world),
                "Signing in with OAuth2" => set_client(&mut shell, &world),
                _ => {}
            }
        }
        if commands.text.contains("/authorize ") {
            sign_in(&world, printed.trim());
        }
    }
    assert_eq!(section, "Profiles", "the manual has other sections with commands than this scenario expects");
}

#[test]
fn the_commands_for_operators_do_what_the_document_says() {
    let world = World::for_programs();
    let profile = world.api().post("/profiles", &settings(&world)).expect(201).id();
    let mut shell = Shell::new(&world);
    let stack = world.stack();
    shell.set(&[
        ("AWS_ENDPOINT_URL", &stack.endpoint),
        ("AWS_DEFAULT_REGION", &stack.region),
        ("AWS_ACCESS_KEY_ID", &stack.account),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("API", &world.public_url()),
        ("PROFILE", &profile),
        ("BUCKET", &stack.bucket),
        ("SEND_QUEUE_URL", &stack.queues.send),
    ]);
    let mut blocks = document("infra/README.md");
    blocks.extend(document("functions/audit/README.md"));
    let block = |section: &str, first: &str| {
        let mut in_section = blocks.iter().filter(|commands| commands.section == section);
        let commands = in_section.find(|commands| commands.first_line().starts_with(first));
        let commands = commands.unwrap_or_else(|| panic!("no block in \"{section}\" begins with {first}"));
        let text = commands.text.replace("mailroom-fetch", &stack.functions.fetch.name);
        let text = text.replace("mailroom-audit", &stack.functions.audit.name);
        text.replace("aws sqs send-message", "aws sqs send-message --endpoint-url $AWS_ENDPOINT_URL")
    };

    let printed = shell.run(&block("Deploy to AWS", "echo"));
    assert!(printed.contains("\"batchItemFailures\"") && printed.contains("ApiId"), "{printed}");

    world.deliver(&with_attachment());
    let _ = world.api().call("POST", &format!("/profiles/{profile}/fetch"), &[], None).expect(202);
    let printed = shell.run(&block("Jobs with the AWS command line", "export"));
    assert!(printed.contains("\"subject\": \"Where is my order?\""), "{printed}");

    let printed = shell.run(&block("Whether a message is missing", "echo"));
    assert!(printed.contains("\"result\": \"fine\""), "{printed}");

    let _ = shell.run(&block("Flows that send by the queue", "aws sqs send-message"));
    await_sent(&world, &profile, "order-4711-shipped");

    let message = json!({"to": [{"address": "ann@example.org"}], "subject": "Your order", "text": "Soon."});
    let path = format!("/profiles/{profile}/messages");
    let id = world.api().post(&path, &message).expect(202).id();
    await_sent(&world, &profile, &id);
    shell.set(&[("MESSAGE", &id)]);
    let printed = shell.run(&block("Messages that were given up", "aws s3 cp"));
    assert!(printed.contains("\"status\":\"queued\"") && !printed.contains(&id), "{printed}");

    shell.set(&[("CLIENT_SECRET", "the-secret-of-the-consoles-client")]);
    let of_console = document("infra/CONSOLE.md");
    let store = of_console.iter().find(|commands| commands.section == "Who may use it").unwrap();
    assert!(shell.run(&store.text).contains("mailroom/console-client-secret"));

    let _ = shell.run(&block("Roll back", "aws lambda put-function-concurrency"));
}

/// The commands of a document.
fn document(file: &str) -> Vec<Commands> {
    Commands::of(&fs::read_to_string(Toolbox::root().join(file)).unwrap())
}

/// What a reader sets in the manual's section on the API.
fn set_mailbox(shell: &mut Shell, world: &World) {
    set_ports(shell, world.servers().dovecot());
    shell.set(&[("LOGIN", world.login()), ("PASSWORD", world.password())]);
}

/// What a reader sets in the manual's section on OAuth2.
fn set_client(shell: &mut Shell, world: &World) {
    let client = world.sign_in_client();
    set_ports(shell, world.open_id().dovecot(Mechanism::Xoauth2));
    shell.set(&[
        ("CLIENT_ID", &client.id),
        ("CLIENT_SECRET", &client.secret),
        ("DISCOVERY_URL", &world.open_id().provider().issuer()),
        ("SCOPES", "[\"openid\", \"email\", \"offline_access\", \"mail\"]"),
    ]);
}

fn set_ports(shell: &mut Shell, server: &Dovecot) {
    let ports = server.ports();
    shell.set(&[("IMAP_HOST", "127.0.0.1"), ("IMAP_PORT", &ports.imaps.to_string())]);
    shell.set(&[("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", &ports.submission.to_string())]);
}

/// What a reader does with the address that a sign-in begins at.
fn sign_in(world: &World, url: &str) {
    let mut agent = world.agent();
    let back = world.consent(&mut agent, url, world.login());
    let page = agent.open(&back, None);
    assert_eq!(page.status, 200, "{}", page.text);
}

/// The settings of a profile that fetches and sends.
fn settings(world: &World) -> Value {
    let ports = world.servers().dovecot().ports();
    json!({
        "name": "Support", "flow_schema_id": "add-to-queue", "start_from": "all",
        "imap_host": "127.0.0.1", "imap_port": ports.imaps, "smtp_host": "127.0.0.1", "smtp_port": ports.submission,
        "auth": {"type": "plain", "login": world.login(), "password": world.password()},
    })
}

fn await_sent(world: &World, profile: &str, id: &str) {
    let begun = Instant::now();
    loop {
        let status = world.api().get(&format!("/profiles/{profile}/messages/{id}"));
        if status.body["status"] == "sent" {
            return;
        }
        assert!(begun.elapsed() < SENT_TIMEOUT, "{}\n{}", status.text, world.servers().emulator_log());
        thread::sleep(Duration::from_millis(200));
    }
}

fn with_attachment() -> Vec<u8> {
    b"From: Ann <ann@example.org>\r\nTo: support@example.com\r\nSubject: Where is my order?\r\n\
      Message-ID: <2@example.org>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
      Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello?\r\n--b\r\nContent-Type: text/csv\r\n\
      Content-Disposition: attachment; filename=order-4711.csv\r\n\r\n1,lamp\r\n--b--\r\n"
        .to_vec()
}
