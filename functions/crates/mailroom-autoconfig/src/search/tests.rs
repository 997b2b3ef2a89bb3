#![expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use mailroom_core::known_provider::LoginForm;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;

const DOCUMENT: &str = r#"<clientConfig version="1.1"><emailProvider id="x">
<incomingServer type="imap"><hostname>HOST</hostname><port>993</port><socketType>SSL</socketType>
<username>%EMAILLOCALPART%</username><authentication>password-cleartext</authentication></incomingServer>
<outgoingServer type="smtp"><hostname>smtp.HOST</hostname><port>465</port><socketType>SSL</socketType></outgoingServer>
</emailProvider></clientConfig>"#;

/// What a domain's servers say. Every name that is asked for an address is on this machine.
#[derive(Default)]
struct Internet {
    exchangers: HashMap<&'static str, Vec<(u16, &'static str)>>,
    services: HashMap<&'static str, (u16, &'static str)>,
    /// Answers by host and path: a document, or where to go on.
    documents: HashMap<&'static str, Result<String, String>>,
    /// Hosts that do not exist.
    missing: Vec<&'static str>,
}

struct Servers {
    autoconfig: Autoconfig,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The certificate of all hosts, and what trusts it.
fn certificates() -> (TlsAcceptor, Tls) {
    let names: Vec<String> = [
        "example.org",
        "autoconfig.example.org",
        "imap.example.org",
        "mail.example.org",
        "smtp.example.org",
        "autoconfig.thunderbird.test",
        "autoconfig.hoster.example",
    ]
    .map(str::to_owned)
    .to_vec();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), Tls::new(Some(cert.pem().as_bytes())).unwrap())
}

async fn dns(internet: Arc<Internet>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let query = question.queries[0].clone();
            let name = query.name().to_ascii().to_lowercase();
            let name = name.trim_end_matches('.');
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.metadata.recursion_available = true;
            answer.add_query(query.clone());
            let target = |name: &str| Name::from_ascii(format!("{name}.")).unwrap();
            let kind = query.query_type();
            let mut records = Vec::new();
            if kind == RecordType::MX {
                let exchangers = internet.exchangers.get(name).into_iter().flatten();
                records.extend(
                    exchangers.map(|(preference, host)| RData::MX(MX::new(*preference, target(host)))),
                );
            }
            if kind == RecordType::SRV {
                let service = internet.services.get(name);
                records.extend(service.map(|(port, host)| RData::SRV(SRV::new(0, 1, *port, target(host)))));
            }
            if kind == RecordType::A && !internet.missing.contains(&name) {
                records.push(RData::A(A::new(127, 0, 0, 1)));
            }
            if records.is_empty() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            for data in records {
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
            socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        }
    });
    address
}

/// Serves connections, each by `serve`.
async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> NonZeroU16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port.try_into().unwrap()
}

async fn line(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut line = String::new();
    let _ = BufReader::with_capacity(1, stream).read_line(&mut line).await;
    line
}

async fn start(internet: Internet) -> Servers {
    let internet = Arc::new(internet);
    let (acceptor, tls) = certificates();
    let requests = Arc::<Mutex<Vec<String>>>::default();
    let (tls_of, seen, web) = (acceptor.clone(), Arc::clone(&requests), Arc::clone(&internet));
    let https = listen(move |stream| {
        let (acceptor, seen, web) = (tls_of.clone(), Arc::clone(&seen), Arc::clone(&web));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let (mut path, mut host) = (String::new(), String::new());
            loop {
                let line = line(&mut stream).await;
                if let Some(target) = line.strip_prefix("GET ") {
                    target.split(' ').next().unwrap().clone_into(&mut path);
                }
                if let Some(name) = line.strip_prefix("host: ") {
                    name.split(':').next().unwrap().trim().clone_into(&mut host);
                }
                if line.len() <= 2 {
                    break;
                }
            }
            let page = format!("{host}{path}");
            let response = match web.documents.get(page.split('?').next().unwrap()) {
                Some(Ok(text)) => format!("200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()),
                Some(Err(other)) => format!("302 Found\r\nlocation: {other}\r\ncontent-length: 0\r\n\r\n"),
                None => "404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            };
            seen.lock().unwrap().push(page);
            let _ = stream.write_all(format!("HTTP/1.1 {response}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let tls_of = acceptor.clone();
    let imaps = listen(move |stream| {
        let acceptor = tls_of.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.write_all(b"* OK [CAPABILITY IMAP4rev1] ready\r\n").await;
            let _ = line(&mut stream).await;
        }
    });
    let submission = listen(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n").await;
            let _ = line(&mut stream).await;
            let _ = stream.write_all(b"250-mail.example.org\r\n250 STARTTLS\r\n").await;
            let _ = line(&mut stream).await;
            let _ = stream.write_all(b"220 go ahead\r\n").await;
            let _ = acceptor.accept(stream).await;
        }
    });
    // Nothing speaks implicit TLS there.
    let submissions = listen(|_| async {});
    let allowed: AllowedHosts = "127.0.0.0/8".parse().unwrap();
    let ports = Ports {
        https: https.await,
        imaps: imaps.await,
        submissions: submissions.await,
        submission: submission.await,
    };
    let autoconfig = Autoconfig {
        names: Names::of_server(dns(internet).await),
        http: Http::new(tls.clone(), allowed.clone()),
        tls,
        allowed,
        ports,
        ispdb: format!("https://autoconfig.thunderbird.test:{}/v1.1/", ports.https),
    };
    Servers { autoconfig, requests }
}

impl Servers {
    async fn find(&self, address: &str) -> Vec<Candidate> {
        let address = EmailAddress::parse(address).unwrap();
        let domain = Host::parse(address.domain()).unwrap();
        let begun = Instant::now();
        let found = self.autoconfig.find(&address, &domain, begun + SEARCH_TIMEOUT).await;
        assert!(begun.elapsed() < SEARCH_TIMEOUT + Duration::from_secs(1));
        found
    }
}

fn origins(candidates: &[Candidate]) -> Vec<Origin> {
    candidates.iter().map(|candidate| candidate.origin).collect()
}

fn document(host: &str) -> Result<String, String> {
    Ok(DOCUMENT.replace("HOST", host))
}

/// No server of the domain is at a usual name.
const NO_SERVERS: [&str; 3] = ["imap.example.org", "mail.example.org", "smtp.example.org"];

#[tokio::test]
async fn a_known_domain_asks_nobody() {
    let servers = start(Internet::default()).await;
    let found = servers.find("ann@gmail.com").await;
    assert_eq!(origins(&found), [Origin::Provider]);
    let gmail = &found[0];
    assert_eq!(gmail.imap.as_ref().unwrap().host.as_str(), "imap.gmail.com");
    assert_eq!((gmail.confidence, gmail.login.as_deref()), (Confidence::High, Some("ann@gmail.com")));
    let scopes = gmail.provider.unwrap().oauth2.as_ref().unwrap();
    assert!(scopes.scopes(mailroom_core::provider::Grant::AuthorizationCode).is_some());
    assert!(servers.requests.lock().unwrap().is_empty());
    // Who has no IMAP is named as such.
    let proton = servers.find("ann@proton.me").await;
    assert_eq!((proton[0].imap.as_ref(), proton[0].provider.unwrap().name.as_str()), (None, "Proton Mail"));
}

#[tokio::test]
async fn who_takes_the_mail_is_the_provider() {
    let exchangers = vec![(10, "alt1.aspmx.l.google.com"), (1, "aspmx.l.google.com")];
    let servers = start(Internet {
        exchangers: HashMap::from([("example.org", exchangers)]),
        documents: HashMap::from([(
            "autoconfig.example.org/mail/config-v1.1.xml",
            document("imap.evil.example"),
        )]),
        ..Internet::default()
    })
    .await;
    let found = servers.find("ann@example.org").await;
    assert_eq!(origins(&found), [Origin::Mx]);
    assert_eq!(found[0].provider.unwrap().id, "google_workspace");
    assert_eq!(found[0].source, "aspmx.l.google.com takes the mail for example.org");
}

#[tokio::test]
async fn an_exchanger_that_many_services_share_proves_nothing() {
    let exchangers = vec![(10, "inbound-smtp.eu-west-1.amazonaws.com")];
    let servers = start(Internet {
        exchangers: HashMap::from([("example.org", exchangers)]),
        documents: HashMap::from([(
            "autoconfig.example.org/mail/config-v1.1.xml",
            document("imap.example.org"),
        )]),
        missing: NO_SERVERS.to_vec(),
        ..Internet::default()
    })
    .await;
    let found = servers.find("ann@example.org").await;
    assert_eq!(origins(&found), [Origin::Autoconfig, Origin::Mx]);
    assert_eq!(found[1].confidence, Confidence::Medium);
}

#[tokio::test]
async fn a_domains_own_document_names_its_servers() {
    let servers = start(Internet {
        documents: HashMap::from([
            ("autoconfig.example.org/mail/config-v1.1.xml", document("imap.example.org")),
            ("autoconfig.thunderbird.test/v1.1/example.org", document("imap.example.org")),
        ]),
        missing: NO_SERVERS.to_vec(),
        ..Internet::default()
    })
    .await;
    let found = servers.find("ann.lee@example.org").await;
    // The same settings come once.
    assert_eq!(origins(&found), [Origin::Autoconfig]);
    let [candidate] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((candidate.login_form, candidate.login.as_deref()), (LoginForm::LocalPart, Some("ann.lee")));
    assert_eq!((candidate.confidence, candidate.unconfirmed_hosts.len()), (Confidence::High, 0));
    let requests = servers.requests.lock().unwrap().clone();
    let asked = "autoconfig.example.org/mail/config-v1.1.xml?emailaddress=ann.lee@example.org";
    assert!(requests.iter().any(|request| request == asked), "{requests:?}");
}

#[tokio::test]
async fn hosts_of_others_have_to_be_confirmed() {
    let servers = start(Internet {
        documents: HashMap::from([
            ("autoconfig.hoster.example/x.xml", document("imap.hoster.example")),
            (
                "autoconfig.example.org/mail/config-v1.1.xml",
                Err("http://autoconfig.hoster.example/x.xml".to_owned()),
            ),
            ("example.org/.well-known/autoconfig/mail/config-v1.1.xml", Err("/elsewhere.xml".to_owned())),
            ("example.org/elsewhere.xml", document("imap.hoster.example")),
        ]),
        missing: NO_SERVERS.to_vec(),
        ..Internet::default()
    })
    .await;
    let found = servers.find("ann@example.org").await;
    // The redirect to http is not followed, the one below the same host is.
    assert_eq!(origins(&found), [Origin::Autoconfig]);
    assert!(found[0].source.ends_with("/elsewhere.xml"), "{}", found[0].source);
    let hosts: Vec<&str> = found[0].unconfirmed_hosts.iter().map(Host::as_str).collect();
    assert_eq!(hosts, ["imap.hoster.example", "smtp.imap.hoster.example"]);
    assert_eq!(found[0].confidence, Confidence::Medium);
}

#[tokio::test]
async fn the_database_knows_the_domain_or_who_takes_its_mail() {
    let by_domain = start(Internet {
        documents: HashMap::from([(
            "autoconfig.thunderbird.test/v1.1/example.org",
            document("imap.hoster.example"),
        )]),
        missing: NO_SERVERS.to_vec(),
        ..Internet::default()
    })
    .await;
    let found = by_domain.find("ann@example.org").await;
    assert_eq!((origins(&found), found[0].confidence), (vec![Origin::Ispdb], Confidence::High));
    let by_exchanger = start(Internet {
        exchangers: HashMap::from([("example.org", vec![(5, "mx1.in.hoster.example")])]),
        documents: HashMap::from([(
            "autoconfig.thunderbird.test/v1.1/hoster.example",
            document("imap.hoster.example"),
        )]),
        missing: NO_SERVERS.to_vec(),
        ..Internet::default()
    })
    .await;
    let found = by_exchanger.find("ann@example.org").await;
    assert_eq!((origins(&found), found[0].confidence), (vec![Origin::Ispdb], Confidence::Medium));
}

#[tokio::test]
async fn records_name_servers_and_known_ones_bring_their_instructions() {
    let servers = start(Internet {
        services: HashMap::from([
            ("_imaps._tcp.example.org", (993, "imap.fastmail.com")),
            ("_submission._tcp.example.org", (587, "smtp.fastmail.com")),
        ]),
        missing: NO_SERVERS.to_vec(),
        ..Internet::default()
    })
    .await;
    let found = servers.find("ann@example.org").await;
    assert_eq!(origins(&found), [Origin::Srv]);
    assert_eq!(found[0].provider.map(|provider| provider.id.as_str()), Some("fastmail"));
    assert_eq!(found[0].smtp.as_ref().unwrap().security, Security::StartTls);
    assert_eq!(found[0].unconfirmed_hosts, []);
}

#[tokio::test]
async fn usual_names_are_tried_over_tls() {
    let servers = start(Internet { missing: vec!["smtp.example.org"], ..Internet::default() }).await;
    let found = servers.find("ann@example.org").await;
    assert_eq!(origins(&found), [Origin::Guess]);
    let imap = found[0].imap.as_ref().unwrap();
    assert_eq!((imap.host.as_str(), imap.port), ("imap.example.org", servers.autoconfig.ports.imaps));
    let smtp = found[0].smtp.as_ref().unwrap();
    assert_eq!((smtp.host.as_str(), smtp.security), ("mail.example.org", Security::StartTls));
    assert_eq!(found[0].confidence, Confidence::Low);
}

#[tokio::test]
async fn a_private_host_is_not_connected_to() {
    let mut servers = start(Internet {
        documents: HashMap::from([(
            "autoconfig.example.org/mail/config-v1.1.xml",
            document("imap.example.org"),
        )]),
        ..Internet::default()
    })
    .await;
    let (_, tls) = certificates();
    servers.autoconfig.allowed = AllowedHosts::default();
    servers.autoconfig.http = Http::new(tls, AllowedHosts::default());
    assert_eq!(servers.find("ann@example.org").await, []);
    assert!(servers.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_domain_that_nobody_knows_has_no_candidates() {
    let servers = start(Internet { missing: NO_SERVERS.to_vec(), ..Internet::default() }).await;
    assert_eq!(servers.find("ann@example.org").await, []);
}
