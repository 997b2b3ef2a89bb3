//! From plain text to TLS, and whose certificates are believed.

use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::{Host, Security, Server};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls_pki_types::PrivateKeyDer;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

use super::super::connection_test::ConnectionReport;
use super::super::error::{ImapError, Malformed, Step};
use super::super::open::{Connector, start_tls};
use super::{Connection, Mailbox, Opened, code, password, server, soon};
use mailroom_net::login::{Login, Secret};
use mailroom_net::tls::{Tls, TlsError};

async fn plain(transcript: &str) -> Result<(), ImapError> {
    let (stream, _) = server(transcript);
    start_tls(Connection::new(stream, soon())).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn nothing_but_starttls_is_said_in_plain_text() {
    plain("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\nC: M1 STARTTLS\nS: M1 OK go\nsilence")
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_without_starttls_is_told_nothing() {
    for refusal in ["S: M1 NO no", "S: M1 BAD unknown command"] {
        let error = plain(&format!("S: * OK ready\nC: M1 STARTTLS\n{refusal}\nsilence")).await.unwrap_err();
        assert!(matches!(error, ImapError::Refused { step: Step::StartTls, .. }));
        assert_eq!(code(&error), ErrorCode::ImapTls);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_injected_behind_starttls_is_not_believed() {
    let injected =
        "S: * OK ready\nC: M1 STARTTLS\nS: M1 OK go\nS: * CAPABILITY IMAP4rev1 AUTH=LOGIN\nsilence";
    let error = plain(injected).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::Injection, .. }));
    assert_eq!(code(&error), ErrorCode::ImapTls);
    let error = plain("S: * PREAUTH come in\nsilence").await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::PreauthBeforeTls, .. }));
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn acceptor(&self, name: &str, valid: (i32, i32)) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(valid.0, 1, 1);
        params.not_after = date_time_ymd(valid.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        serving(&params.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

/// An acceptor with a certificate that nobody else signed.
fn self_signed(is_ca: IsCa) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let key = KeyPair::generate().unwrap();
    serving(&params.self_signed(&key).unwrap(), &key)
}

fn serving(certificate: &Certificate, key: &KeyPair) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A server on this machine, over TCP and TLS, that plays what it has to say without listening to us.
async fn listen(acceptor: Option<TlsAcceptor>, security: Security, said: &'static [u8]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        if security == Security::StartTls {
            tcp.write_all(b"* OK ready\r\nM1 OK go on\r\n").await.unwrap();
            let mut heard = [0; 13];
            tcp.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"M1 STARTTLS\r\n");
        }
        let Some(acceptor) = acceptor else {
            let _ = tcp.write_all(said).await;
            let _ = tcp.read_u8().await;
            return;
        };
        let Ok(mut tls) = acceptor.accept(tcp).await else { return };
        let _ = tls.write_all(said).await;
        let _ = tokio::io::copy(&mut tls, &mut tokio::io::sink()).await;
    });
    Server { host: Host::parse("localhost").unwrap(), port: port.try_into().unwrap(), security }
}

fn connector(trusted: &Authority) -> Connector {
    let pem = trusted.issuer.pem();
    Connector::new(Tls::new(Some(pem.as_bytes())).unwrap(), "localhost".parse().unwrap())
}

async fn connect(trusted: &Authority, server: &Server) -> Result<Opened, ImapError> {
    let password = password("secret");
    let login = Login { login: "ann", secret: &Secret::Password(password.clone()) };
    connector(trusted).open(server, login, &Mailbox::parse("INBOX").unwrap(), None, soon()).await
}

#[tokio::test]
async fn a_trusted_server_is_opened_over_tls() {
    let authority = Authority::new("ours");
    let acceptor = authority.acceptor("localhost", (2020, 2120));
    let said = b"* OK .\r\nM1 OK .\r\n* 5 EXISTS\r\nM2 OK .\r\n";
    let server = listen(Some(acceptor), Security::Tls, said).await;
    let opened = connect(&authority, &server).await.unwrap();
    assert_eq!(opened.state.exists, 5);
    opened.session.logout().await;
}

#[tokio::test]
async fn a_trusted_server_is_asked_anew_what_it_can_do_after_starttls() {
    let authority = Authority::new("ours");
    let acceptor = authority.acceptor("localhost", (2020, 2120));
    let said = b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nM1 OK .\r\n";
    // The greeting and the answer come in one packet here, which a patient server never does.
    let server = listen(Some(acceptor), Security::StartTls, said).await;
    let error = connect(&authority, &server).await.unwrap_err();
    assert!(matches!(error, ImapError::NoPasswordLogin), "{error:?}");
}

#[tokio::test]
async fn a_try_takes_the_same_way_to_a_server() {
    let authority = Authority::new("ours");
    let said = b"* OK .\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nM1 OK .\r\n";
    let after_starttls = said.strip_prefix(b"* OK .\r\n").unwrap();
    for (security, said) in [(Security::Tls, said.as_slice()), (Security::StartTls, after_starttls)] {
        let server = listen(Some(authority.acceptor("localhost", (2020, 2120))), security, said).await;
        let mut found = ConnectionReport::default();
        let inbox = Mailbox::parse("INBOX").unwrap();
        connector(&authority).test(&mut found, &server, None, &inbox, soon()).await.unwrap();
        assert_eq!(found.capabilities, ["IMAP4REV1", "AUTH=PLAIN"]);
    }
    let server = listen(Some(authority.acceptor("example.com", (2020, 2120))), Security::Tls, said).await;
    let inbox = Mailbox::parse("INBOX").unwrap();
    let tried =
        connector(&authority).test(&mut ConnectionReport::default(), &server, None, &inbox, soon()).await;
    assert!(matches!(tried, Err(ImapError::Tls(TlsError::WrongName))), "{tried:?}");
}

#[tokio::test]
async fn the_owner_is_told_what_is_wrong_with_a_certificate() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let said = b"* OK .\r\nM1 OK .\r\n* 5 EXISTS\r\nM2 OK .\r\n";
    type Is = fn(&TlsError) -> bool;
    let table: [(TlsAcceptor, Is, &str); 7] = [
        (authority.acceptor("localhost", (2010, 2020)), |e| matches!(e, TlsError::Expired), "has expired"),
        (
            authority.acceptor("localhost", (2110, 2120)),
            |e| matches!(e, TlsError::NotYetValid),
            "not valid yet",
        ),
        (
            authority.acceptor("example.com", (2020, 2120)),
            |e| matches!(e, TlsError::WrongName),
            "another host name",
        ),
        (
            stranger.acceptor("localhost", (2020, 2120)),
            |e| matches!(e, TlsError::UnknownIssuer),
            "authority that Mailroom trusts",
        ),
        // As openssl makes them by default, as Debian's ssl-cert does, and with no statement.
        (
            self_signed(IsCa::Ca(BasicConstraints::Unconstrained)),
            |e| matches!(e, TlsError::SelfSigned),
            "self-signed",
        ),
        (self_signed(IsCa::ExplicitNoCa), |e| matches!(e, TlsError::SelfSigned), "self-signed"),
        (self_signed(IsCa::NoCa), |e| matches!(e, TlsError::SelfSigned), "self-signed"),
    ];
    for (acceptor, is, sentence) in table {
        let server = listen(Some(acceptor), Security::Tls, said).await;
        let error = connect(&authority, &server).await.unwrap_err();
        assert!(matches!(&error, ImapError::Tls(error) if is(error)), "{error:?}");
        let owner_error = error.owner_error(&server);
        assert_eq!(owner_error.code, ErrorCode::ImapTls);
        assert!(owner_error.message.contains(sentence), "{}", owner_error.message);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_imap_server() {
    let authority = Authority::new("ours");
    let server = listen(None, Security::Tls, b"* OK IMAP4 ready\r\n").await;
    let error = connect(&authority, &server).await.unwrap_err();
    assert!(matches!(error, ImapError::Tls(TlsError::NotTls)), "{error:?}");
    assert!(error.owner_error(&server).message.contains("starttls"));
}

#[test]
fn a_bundle_without_certificates_is_refused() {
    for pem in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n",
    ] {
        assert!(Tls::new(Some(pem.as_bytes())).is_err(), "{pem}");
    }
    assert!(Tls::new(None).is_ok());
}
