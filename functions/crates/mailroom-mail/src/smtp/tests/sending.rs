//! Mail transactions and logins with tokens.

use tokio::io::DuplexStream;

use super::*;
use crate::smtp::{Content, Envelope, Extensions, Reply, Session, TransactionStart, Unsupported};

/// A session with a server that goes on with this transcript after EHLO.
pub(super) async fn session(offers: &str, transcript: &str) -> Session<DuplexStream> {
    let transcript = format!("C: EHLO [127.0.0.1]\nS: 250-smtp.example.com\n{offers}S: 250 OK\n{transcript}");
    let connection = Connection::new(server(&transcript), soon());
    greet_and_log_in(&mut EhloResponse::default(), connection, "[127.0.0.1]", &example(), None).await.unwrap()
}

pub(super) fn to(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn envelope(to: &[String]) -> Envelope<'_> {
    Envelope { from: "support@example.com", to, bytes: 100, content: Content::Ascii }
}

fn said(refused: &[(String, Reply)]) -> Vec<(&str, u16)> {
    refused.iter().map(|(to, reply)| (to.as_str(), reply.code)).collect()
}

#[tokio::test]
async fn one_mail_after_the_other_goes_over_a_session() {
    let one = "C: MAIL FROM:<support@example.com>
        S: 250 OK
        C: RCPT TO:<ann@example.org>
        S: 250 OK
        C: DATA
        S: 354 go on
        C: Subject: x
        C: 
        C: ..
        C: ...a
        C: .
        S: 250 2.0.0 queued\n";
    let mut session = session("", &one.repeat(2)).await;
    let ann = to(&["ann@example.org"]);
    for _ in 0..2 {
        assert!(
            matches!(session.begin(&envelope(&ann)).await, TransactionStart::Ready { refused } if refused.is_empty())
        );
        session.content(b"Subject: x\r\n\r\n.\r\n..a").await.unwrap();
        assert_eq!(session.finish().await.unwrap().code, 250);
    }
}

#[tokio::test]
async fn commands_go_in_one_flight_where_the_server_takes_that() {
    let mut session = session(
        "S: 250-PIPELINING\nS: 250-SIZE 1000\nS: 250-8BITMIME\nS: 250-SMTPUTF8\n",
        "C: MAIL FROM:<support@example.com> SIZE=100 BODY=8BITMIME SMTPUTF8
         C: RCPT TO:<j\u{f6}rg@example.org>
         C: RCPT TO:<bob@example.org>
         C: RCPT TO:<eve@example.org>
         S: 250 OK
         S: 250 OK
         S: 451 4.7.1 later
         S: 550-5.1.1 no
         S: 550 5.1.1 such user
         C: DATA
         S: 354 go on",
    )
    .await;
    let all = to(&["j\u{f6}rg@example.org", "bob@example.org", "eve@example.org"]);
    let begun = session.begin(&Envelope { content: Content::EightBit, ..envelope(&all) }).await;
    let TransactionStart::Ready { refused } = begun else { panic!("{begun:?}") };
    assert_eq!(said(&refused), [("bob@example.org", 451), ("eve@example.org", 550)]);
    assert_eq!(refused[1].1.text, "no such user");
}

#[tokio::test]
async fn a_session_goes_on_after_a_refusal_at_any_command() {
    let bob = to(&["bob@example.org", "eve@example.org"]);
    let mut session = session(
        "",
        "C: MAIL FROM:<support@example.com>
         S: 550 5.7.1 not you
         C: RSET
         S: 250 OK
         C: MAIL FROM:<support@example.com>
         S: 250 OK
         C: RCPT TO:<bob@example.org>
         S: 450 4.2.1 full
         C: RCPT TO:<eve@example.org>
         S: 550 5.1.1 who
         C: RSET
         S: 250 OK
         C: MAIL FROM:<support@example.com>
         S: 250 OK
         C: RCPT TO:<bob@example.org>
         S: 250 OK
         C: RCPT TO:<eve@example.org>
         S: 550 5.1.1 who
         C: DATA
         S: 452 4.3.1 no room
         C: RSET
         S: 250 OK",
    )
    .await;
    let begun = session.begin(&envelope(&bob)).await;
    assert!(matches!(begun, TransactionStart::Refused { ref reply, .. } if reply.code == 550), "{begun:?}");
    let begun = session.begin(&envelope(&bob)).await;
    assert!(
        matches!(begun, TransactionStart::AllRecipientsRejected { ref refused } if refused.len() == 2),
        "{begun:?}"
    );
    let begun = session.begin(&envelope(&bob)).await;
    let TransactionStart::Refused { reply, refused } = begun else { panic!("{begun:?}") };
    assert_eq!((reply.code, said(&refused)), (452, vec![("eve@example.org", 550)]));
}

#[tokio::test]
async fn a_server_is_not_asked_for_what_it_cannot_do() {
    let mut session = session("S: 250-SIZE 99\n", "").await;
    let ann = to(&["ann@example.org"]);
    assert!(matches!(
        session.begin(&envelope(&ann)).await,
        TransactionStart::Unsupported(Unsupported::TooLarge(99))
    ));
    let international = to(&["j\u{f6}rg@example.org"]);
    let small = Envelope { bytes: 9, ..envelope(&international) };
    assert!(matches!(session.begin(&small).await, TransactionStart::Unsupported(Unsupported::International)));
}

#[test]
fn offers_are_read_as_servers_write_them() {
    let read = |lines: &[&str]| Extensions::read(&to(lines));
    assert_eq!(read(&["SIZE 0", "pipelining"]).size, None);
    assert!(read(&["size"]).has_size && read(&["PIPELINING"]).pipelining);
    assert_eq!(
        read(&["SIZE 99999999999999999999999", "SMTPUTF8X"]),
        Extensions { has_size: true, ..Extensions::default() }
    );
}

#[tokio::test]
async fn a_goodbye_in_the_middle_ends_the_session_and_names_the_step() {
    let ann = to(&["ann@example.org"]);
    let mail = "C: MAIL FROM:<support@example.com>\n";
    let rcpt = "S: 250 OK\nC: RCPT TO:<ann@example.org>\n";
    let data = "S: 250 OK\nC: DATA\n";
    for (transcript, step) in [
        (mail.to_owned(), Step::Mail),
        (format!("{mail}{rcpt}"), Step::Recipient),
        (format!("{mail}{rcpt}{data}"), Step::Data),
    ] {
        for (end, expected) in
            [("S: 421 4.3.2 closing", "refused"), ("S: hello", "malformed"), ("", "closed")]
        {
            let mut session = session("", &format!("{transcript}{end}")).await;
            let begun = session.begin(&envelope(&ann)).await;
            let TransactionStart::Broken { error, .. } = begun else { panic!("{begun:?}") };
            let (name, at) = if let SmtpError::Refused { step, .. } = &error {
                ("refused", *step)
            } else if let SmtpError::Malformed { step, .. } = &error {
                ("malformed", *step)
            } else if let SmtpError::HungUp(step) = &error {
                ("closed", *step)
            } else {
                panic!("{error:?}")
            };
            assert_eq!((name, at), (expected, step));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_every_step_and_a_verdict_may_take_its_time() {
    let mail = "C: MAIL FROM:<support@example.com>\n";
    let ready = format!("{mail}S: 250 OK\nC: RCPT TO:<ann@example.org>\nS: 250 OK\nC: DATA\nS: 354 go on\n");
    let ann = to(&["ann@example.org"]);
    let mut quiet = session("", &format!("{mail}silence")).await;
    assert!(matches!(
        quiet.begin(&envelope(&ann)).await,
        TransactionStart::Broken { error: SmtpError::Timeout(Step::Mail), .. }
    ));
    let mut slow = session("", &format!("{ready}C: x\nC: .\nsilence")).await;
    slow.set_deadline(Instant::now() + Duration::from_secs(3600));
    assert!(matches!(slow.begin(&envelope(&ann)).await, TransactionStart::Ready { .. }));
    slow.content(b"x\r\n").await.unwrap();
    let begun = Instant::now();
    assert!(matches!(slow.finish().await, Err(SmtpError::Timeout(Step::EndOfData))));
    assert!(begun.elapsed() >= Duration::from_secs(299), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_leaves_or_breaks_off_before_the_dot_is_heard_in_time() {
    let ready = "C: MAIL FROM:<support@example.com>
        S: 250 OK
        C: RCPT TO:<ann@example.org>
        S: 250 OK
        C: DATA
        S: 354 go on
        C: x\n";
    let ann = to(&["ann@example.org"]);
    for (end, heard) in [("S: 451 4.3.1 disk full", "refused"), ("", "closed"), ("silence", "nothing")] {
        let mut session = session("", &format!("{ready}{end}")).await;
        assert!(matches!(session.begin(&envelope(&ann)).await, TransactionStart::Ready { .. }));
        session.content(b"x\r\n").await.unwrap();
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let said = match session.check_alive().await {
            Ok(()) => "nothing",
            Err(SmtpError::Refused { step: Step::Content, .. }) => "refused",
            Err(SmtpError::HungUp(Step::Content)) => "closed",
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(said, heard);
    }
}

async fn with_token(offer: &str, transcript: &str) -> Result<(), SmtpError> {
    let token = SecretString::from("ya29.lantern");
    let login = Login { login: "a,b=c@example.com", secret: &Secret::AccessToken(token.clone()) };
    let transcript =
        format!("C: EHLO [127.0.0.1]\nS: 250-smtp.example.com\nS: 250 AUTH {offer}\n{transcript}");
    let connection = Connection::new(server(&transcript), soon());
    greet_and_log_in(&mut EhloResponse::default(), connection, "[127.0.0.1]", &example(), Some(login))
        .await
        .map(drop)
}

#[tokio::test]
async fn tokens_go_by_the_mechanism_that_the_server_offers() {
    use base64::Engine as _;
    let coded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let x = coded("user=a,b=c@example.com\x01auth=Bearer ya29.lantern\x01\x01");
    with_token("PLAIN XOAUTH2 OAUTHBEARER", &format!("C: AUTH XOAUTH2 {x}\nS: 235 OK")).await.unwrap();
    let o = coded(
        "n,a=a=2Cb=3Dc@example.com,\x01host=smtp.example.com\x01port=587\x01auth=Bearer ya29.lantern\x01\x01",
    );
    with_token("OAUTHBEARER", &format!("C: AUTH OAUTHBEARER {o}\nS: 235 OK")).await.unwrap();
    assert!(matches!(with_token("PLAIN LOGIN", "").await, Err(SmtpError::NoTokenLogin)));

    let why = coded("{\"status\":\"401\",\"schemes\":\"bearer\",\"token\":\"ya29.lantern\"}");
    for (offer, first, end) in [("XOAUTH2", &x, ""), ("OAUTHBEARER", &o, "AQ==")] {
        let transcript =
            format!("C: AUTH {offer} {first}\nS: 334 {why}\nC: {end}\nS: 535 5.7.8 Not accepted");
        let error = with_token(offer, &transcript).await.unwrap_err();
        let message = error.owner_error(&example()).message;
        assert!(message.contains("\"status\":\"401\"") && !message.contains("lantern"), "{message}");
    }
}

#[tokio::test]
async fn what_was_said_to_recipients_before_the_end_of_a_session_stands() {
    let all = to(&["ann@example.org", "bob@example.org", "eve@example.org"]);
    let mut session = session(
        "",
        "C: MAIL FROM:<support@example.com>
         S: 250 OK
         C: RCPT TO:<ann@example.org>
         S: 550 5.1.1 who
         C: RCPT TO:<bob@example.org>
         S: 421 4.7.0 too many errors",
    )
    .await;
    let begun = session.begin(&envelope(&all)).await;
    let TransactionStart::Broken { refused, .. } = begun else { panic!("{begun:?}") };
    assert_eq!(said(&refused), [("ann@example.org", 550), ("bob@example.org", 421)]);
}

#[tokio::test]
async fn a_server_that_refuses_and_leaves_has_refused() {
    let ann = to(&["ann@example.org"]);
    let mut session = session("", "C: MAIL FROM:<support@example.com>\nS: 550 5.7.1 not you").await;
    let begun = session.begin(&envelope(&ann)).await;
    assert!(matches!(begun, TransactionStart::Refused { ref reply, .. } if reply.code == 550), "{begun:?}");
    assert!(session.is_spent());
}

#[tokio::test]
async fn a_header_in_another_script_needs_what_addresses_in_it_need() {
    let ann = to(&["ann@example.org"]);
    let other = Envelope { content: Content::EightBit, ..envelope(&ann) };
    let mut without = session("S: 250-8BITMIME\n", "").await;
    assert!(matches!(without.begin(&other).await, TransactionStart::Unsupported(Unsupported::International)));
}
