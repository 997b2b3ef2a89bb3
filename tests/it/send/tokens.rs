//! Logins with OAuth2 tokens, by the driver itself: real servers take them over STARTTLS and TLS.

use std::fs;
use std::time::{Duration, Instant};

use mailroom_core::server::Security;
use mailroom_mail::smtp::{Connector, Content, EhloResponse, Envelope, TransactionStart};
use mailroom_net::login::{Login, Secret};
use mailroom_net::tls::Tls;
use mailroom_tests::smtp_server::{Mechanism, Options, SmtpServer};
use mailroom_tests::world::{World, server};
use secrecy::SecretString;

#[test]
fn tokens_are_taken_by_each_mechanism_and_a_refusal_says_why() {
    let world = World::new();
    let bundle = fs::read_to_string(world.servers().certificates().authority()).unwrap();
    let connector = Connector::new(Tls::from_bundle(Some(&bundle)).unwrap(), "127.0.0.0/8".parse().unwrap());
    let (good, bad) = (SecretString::from(SmtpServer::TOKEN), SecretString::from("token-of-yesterday"));
    for mechanism in [Mechanism::Xoauth2, Mechanism::OauthBearer] {
        let smtp = world.smtp_server(&Options { mechanisms: vec![mechanism], ..Options::default() });
        for (port, security) in [(smtp.submission(), Security::StartTls), (smtp.submissions(), Security::Tls)]
        {
            let server = server(&smtp.address().to_string(), port, security);
            let deadline = (Instant::now() + Duration::from_secs(20)).into();
            let to = ["ann@example.org".to_owned()];
            world.handle().block_on(async {
                let login = Login { login: "a,b=c@example.com", secret: &Secret::AccessToken(good.clone()) };
                let mut session = connector
                    .open(&mut EhloResponse::default(), &server, "ann@example.org", Some(login), deadline)
                    .await
                    .unwrap();
                let envelope =
                    Envelope { from: "a@example.com", to: &to, bytes: 20, content: Content::Ascii };
                assert!(matches!(session.begin(&envelope).await, TransactionStart::Ready { .. }));
                session.content(b"Subject: x\r\n\r\n.\r\n").await.unwrap();
                assert!(session.finish().await.unwrap().is_done());
                session.quit().await;

                let login = Login { login: "a@example.com", secret: &Secret::AccessToken(bad.clone()) };
                let refused = connector
                    .open(&mut EhloResponse::default(), &server, "ann@example.org", Some(login), deadline)
                    .await;
                let message = refused.unwrap_err().owner_error(&server).message;
                assert!(message.contains("\"status\"") && !message.contains("yesterday"), "{message}");
            });
        }
        let received = smtp.received();
        assert_eq!(received.len(), 2);
        assert!(received.iter().all(|message| message.login == "a,b=c@example.com"));
        assert_eq!(received[0].content, b"Subject: x\r\n\r\n.\r\n");
    }
}
