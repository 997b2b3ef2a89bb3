use std::collections::{BTreeSet, HashSet, VecDeque};
use std::num::NonZeroU16;

use time::OffsetDateTime;
use time::macros::datetime;

use super::*;
use crate::edit::edit;
use crate::flow::FlowSchemaId;
use crate::oauth2::Authorization;
use crate::profile::{ProfileId, SmtpAuth};
use crate::server::Host;

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn server(host: &str, port: u16, security: Security) -> Server {
    Server { host: Host::parse(host).unwrap(), port: NonZeroU16::new(port).unwrap(), security }
}

fn oauth2(grant: Grant) -> Oauth2 {
    Oauth2 {
        grant,
        login: "a@example.com".to_owned(),
        client_id: "client".to_owned(),
        discovery_url: "https://id.example.com".to_owned(),
        scopes: vec![],
        confidential: true,
        client_secret_expires_on: None,
    }
}

/// A profile with all that its kind of login has stored.
fn profile(auth: Auth) -> Profile {
    let imap = server("imap.example.com", 993, Security::Tls);
    let flow = FlowSchemaId::parse("flow").unwrap();
    let mut settings = Settings::listening("Support", imap, auth, flow);
    settings.smtp = Some(server("smtp.example.com", 465, Security::Tls));
    let mut profile = Profile::new(ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(), settings, NOW);
    profile.secret_version = Some("1".to_owned());
    if matches!(&profile.settings.auth, Auth::Oauth2(client) if client.grant == Grant::AuthorizationCode) {
        profile.authorization =
            Some(Authorization { since: NOW, refreshed_at: NOW, stored_at: NOW, expires_at: None });
    }
    profile
}

fn password() -> Profile {
    profile(Auth::Plain { login: "a@example.com".to_owned() })
}

fn signed_in() -> Profile {
    profile(Auth::Oauth2(oauth2(Grant::AuthorizationCode)))
}

fn public() -> Profile {
    profile(Auth::Oauth2(Oauth2 { confidential: false, ..oauth2(Grant::AuthorizationCode) }))
}

fn unattended() -> Profile {
    profile(Auth::Oauth2(oauth2(Grant::ClientCredentials)))
}

/// What a change outgrows of a profile, as the fields' names.
fn of(current: &Profile, change: fn(&mut Settings)) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut wanted = current.settings.clone();
    change(&mut wanted);
    let names = |targets: Vec<Target>| targets.into_iter().map(Target::field).collect();
    let OutOfScope { secret, sign_in, .. } = out_of_scope(current, &wanted);
    (names(secret), names(sign_in))
}

fn client(settings: &mut Settings) -> &mut Oauth2 {
    match &mut settings.auth {
        Auth::Oauth2(client) => client,
        Auth::Plain { .. } => panic!("no client"),
    }
}

type Change = fn(&mut Settings);

#[test]
fn another_server_needs_what_would_go_there() {
    let changes: [(Change, &str); 8] = [
        (|settings| settings.imap.as_mut().unwrap().host = Host::parse("evil.example").unwrap(), "imap_host"),
        (|settings| settings.imap.as_mut().unwrap().port = NonZeroU16::new(143).unwrap(), "imap_port"),
        (|settings| settings.imap.as_mut().unwrap().security = Security::StartTls, "imap_security"),
        (|settings| settings.smtp.as_mut().unwrap().host = Host::parse("evil.example").unwrap(), "smtp_host"),
        (|settings| settings.smtp.as_mut().unwrap().port = NonZeroU16::new(587).unwrap(), "smtp_port"),
        (|settings| settings.smtp.as_mut().unwrap().security = Security::StartTls, "smtp_security"),
        // The server of the other protocol is another one too.
        (|settings| settings.smtp.as_mut().unwrap().host = settings.imap.clone().unwrap().host, "smtp_host"),
        (|settings| settings.imap.as_mut().unwrap().host = Host::parse("example.com").unwrap(), "imap_host"),
    ];
    for (change, field) in changes {
        assert_eq!(of(&password(), change), (vec![field], vec![]));
        assert_eq!(of(&unattended(), change), (vec![field], vec![]));
        // The client's secret goes to the provider, as before; the tokens would go elsewhere.
        assert_eq!(of(&signed_in(), change), (vec![], vec![field]));
        assert_eq!(of(&public(), change), (vec![], vec![field]));
    }
}

#[test]
fn a_server_that_comes_to_be_is_another_one() {
    for (field, take_away) in [
        ("imap_host", (|settings| settings.imap = None) as Change),
        ("smtp_host", |settings| settings.smtp = None),
    ] {
        let mut without = password();
        take_away(&mut without.settings);
        assert_eq!(out_of_scope(&password(), &without.settings), OutOfScope::default(), "{field}");
        let back = out_of_scope(&without, &password().settings);
        assert_eq!(back.secret.iter().map(|target| target.field()).collect::<Vec<_>>(), [field]);
    }
}

#[test]
fn another_provider_or_client_needs_the_clients_secret_and_a_sign_in() {
    let changes: [(Change, &str); 5] = [
        (|settings| client(settings).discovery_url = "https://evil.example".to_owned(), "auth.discovery_url"),
        (
            |settings| client(settings).discovery_url = "http://id.example.com".to_owned(),
            "auth.discovery_url",
        ),
        (
            |settings| client(settings).discovery_url = "https://id.example.com:8443".to_owned(),
            "auth.discovery_url",
        ),
        (
            |settings| client(settings).discovery_url = "https://id.example.com/other".to_owned(),
            "auth.discovery_url",
        ),
        (|settings| client(settings).client_id = "another".to_owned(), "auth.client_id"),
    ];
    for (change, field) in changes {
        assert_eq!(of(&signed_in(), change), (vec![field], vec![field]));
        assert_eq!(of(&unattended(), change), (vec![field], vec![]));
        assert_eq!(of(&public(), change), (vec![], vec![field]));
    }
    let both = of(&unattended(), |settings| {
        settings.imap = Some(server("evil.example", 1, Security::StartTls));
        client(settings).discovery_url = "https://evil.example".to_owned();
    });
    assert_eq!(both.0, ["imap_host", "imap_port", "imap_security", "auth.discovery_url"]);
}

#[test]
fn a_sign_in_is_of_one_login_by_one_grant() {
    let other_login: Change = |settings| client(settings).login = "b@example.com".to_owned();
    assert_eq!(of(&signed_in(), other_login), (vec![], vec!["auth.login"]));
    let by_itself: Change = |settings| client(settings).grant = Grant::ClientCredentials;
    assert_eq!(of(&signed_in(), by_itself), (vec!["auth.grant"], vec!["auth.grant"]));
    assert_eq!(of(&unattended(), |settings| client(settings).grant = Grant::JwtBearer), (vec![], vec![]));
    let by_a_person: Change = |settings| client(settings).grant = Grant::AuthorizationCode;
    assert_eq!(of(&unattended(), by_a_person), (vec![], vec![]));
    let password: Change = |settings| settings.auth = Auth::Plain { login: "a@example.com".to_owned() };
    assert_eq!(of(&signed_in(), password), (vec![], vec!["auth.type"]));
}

#[test]
fn another_spelling_or_stronger_tls_is_the_same_server() {
    let same: [Change; 5] = [
        |settings| settings.imap.as_mut().unwrap().host = Host::parse("IMAP.Example.com.").unwrap(),
        |settings| client(settings).discovery_url = "HTTPS://ID.example.com./".to_owned(),
        |settings| {
            client(settings).discovery_url =
                "https://id.example.com/.well-known/openid-configuration".to_owned();
        },
        |settings| client(settings).login = "A@Example.com".to_owned(),
        |settings| settings.name = "Sales".to_owned(),
    ];
    for change in same {
        assert_eq!(of(&signed_in(), change), (vec![], vec![]));
        assert_eq!(of(&unattended(), change), (vec![], vec![]));
    }
    let mut weak = password();
    weak.settings.imap.as_mut().unwrap().security = Security::StartTls;
    let strong = |settings: &mut Settings| settings.imap.as_mut().unwrap().security = Security::Tls;
    assert_eq!(of(&weak, strong), (vec![], vec![]));
}

#[test]
fn a_login_for_the_smtp_server_alone_goes_to_no_server_that_comes_later() {
    let mut current = password();
    current.settings.smtp_auth = Some(SmtpAuth { login: "apikey".to_owned() });
    let wanted = current.settings.clone();
    current.settings.smtp = None;
    let found = out_of_scope(&current, &wanted);
    assert!(found.smtp_secret.contains(&Target::SmtpHost), "{:?}", found.smtp_secret);
}

#[test]
fn a_login_for_the_smtp_server_alone_goes_nowhere_else() {
    let smtp_auth = Some(SmtpAuth { login: "apikey".to_owned() });
    for mut current in [password(), signed_in(), unattended()] {
        current.settings.smtp_auth.clone_from(&smtp_auth);
        let changes: [(Change, &[&str]); 5] = [
            (
                |settings| settings.smtp.as_mut().unwrap().host = Host::parse("evil.example").unwrap(),
                &["smtp_host"],
            ),
            (|settings| settings.smtp.as_mut().unwrap().port = NonZeroU16::new(587).unwrap(), &["smtp_port"]),
            (|settings| settings.smtp = None, &[]),
            (|settings| settings.smtp_auth.as_mut().unwrap().login = "other".to_owned(), &[]),
            (|settings| settings.imap.as_mut().unwrap().host = Host::parse("evil.example").unwrap(), &[]),
        ];
        for (n, (change, fields)) in changes.into_iter().enumerate() {
            let mut wanted = current.settings.clone();
            change(&mut wanted);
            let found = out_of_scope(&current, &wanted);
            assert_eq!(found.smtp_secret.iter().map(|target| target.field()).collect::<Vec<_>>(), fields);
            // What goes to the IMAP server never went to the SMTP server.
            let others = [found.secret, found.sign_in].concat();
            let names: Vec<_> = others.iter().map(|target| target.field()).collect();
            assert_eq!(names, if n == 4 { vec!["imap_host"] } else { vec![] });
        }
        // Without it, the other login would go to a server that it was not entered for.
        let found = of(&current, |settings| settings.smtp_auth = None);
        assert_eq!([found.0, found.1].concat(), ["smtp_auth"]);
    }
}

#[test]
fn what_is_not_stored_is_not_asked_for() {
    let moved: Change = |settings| settings.imap = Some(server("other.example", 993, Security::Tls));
    let nothing = |mut profile: Profile| {
        profile.secret_version = None;
        profile.authorization = None;
        of(&profile, moved)
    };
    assert_eq!(nothing(password()), (vec![], vec![]));
    assert_eq!(nothing(public()), (vec![], vec![]));
    assert_eq!(nothing(signed_in()), (vec![], vec![]));
}

/// Where something secret would go: what it is, and to whom.
type Flow = (&'static str, String);

/// Whom the credentials of a profile would get to, told without a look at how changes are judged.
fn flows(profile: &Profile) -> BTreeSet<Flow> {
    let settings = &profile.settings;
    let named = |name: &str, server: &Option<Server>| {
        server.as_ref().map(|server| format!("{name} {}:{}", server.host, server.port))
    };
    let (imap, smtp) = (named("imap", &settings.imap), named("smtp", &settings.smtp));
    let (alone, smtp) = if settings.smtp_auth.is_some() { (smtp, None) } else { (None, smtp) };
    let servers = imap.into_iter().chain(smtp);
    let mut flows = login_flows(profile, servers);
    flows.extend(alone.map(|server| ("SMTP password", server)));
    flows
}

fn login_flows(profile: &Profile, servers: impl Iterator<Item = String>) -> BTreeSet<Flow> {
    match &profile.settings.auth {
        Auth::Plain { .. } => servers.map(|server| ("password", server)).collect(),
        Auth::Oauth2(client) => {
            let provider = format!("{} as {}", client.discovery_url, client.client_id);
            let mut flows = BTreeSet::from([("client secret", provider.clone())]);
            match client.grant {
                Grant::AuthorizationCode if profile.authorization.is_none() => {}
                Grant::AuthorizationCode => {
                    flows.insert(("refresh token", provider));
                    flows.extend(servers.map(|server| ("a person's token", server)));
                }
                Grant::ClientCredentials | Grant::JwtBearer => {
                    flows.extend(servers.map(|server| ("the client's token", server)));
                }
            }
            flows
        }
    }
}

/// All settings that can be made of a few servers, providers, clients and grants.
fn all(start: &Settings) -> Vec<Settings> {
    let servers = |ours: &str, port| {
        [None, Some(server(ours, port, Security::Tls)), Some(server("evil.example", port, Security::Tls))]
    };
    let auths: Vec<Auth> = match &start.auth {
        Auth::Plain { .. } => vec![start.auth.clone()],
        Auth::Oauth2(start) => [Grant::AuthorizationCode, Grant::ClientCredentials, Grant::JwtBearer]
            .into_iter()
            .flat_map(|grant| ["https://id.example.com", "https://evil.example"].map(|url| (grant, url)))
            .flat_map(|(grant, url)| ["client", "another"].map(|id| (grant, url, id)))
            .map(|(grant, url, id)| {
                let (discovery_url, client_id) = (url.to_owned(), id.to_owned());
                Auth::Oauth2(Oauth2 { grant, discovery_url, client_id, ..start.clone() })
            })
            .collect(),
    };
    let mut all = Vec::new();
    for imap in servers("imap.example.com", 993) {
        for smtp in servers("smtp.example.com", 465) {
            for smtp_auth in [None, Some(SmtpAuth { login: "apikey".to_owned() })] {
                all.extend(auths.iter().map(|auth| Settings {
                    imap: imap.clone(),
                    smtp: smtp.clone(),
                    auth: auth.clone(),
                    smtp_auth: smtp_auth.clone(),
                    ..start.clone()
                }));
            }
        }
    }
    all
}

#[test]
fn no_chain_of_edits_without_a_secret_leads_a_credential_to_anyone_new() {
    let mut starts = vec![password(), signed_in(), public(), unattended()];
    starts.extend(starts.clone().into_iter().map(|mut start| {
        start.settings.smtp_auth = Some(SmtpAuth { login: "apikey".to_owned() });
        start
    }));
    for start in starts {
        let entered_for = flows(&start);
        let settings = all(&start.settings);
        let (mut seen, mut ahead) = (HashSet::new(), VecDeque::from([start]));
        while let Some(current) = ahead.pop_front() {
            for wanted in &settings {
                let found = out_of_scope(&current, wanted);
                // A login for the SMTP server alone that comes to be brings its password.
                let comes_to_be = current.settings.smtp_auth.is_none() && wanted.smtp_auth.is_some();
                if !found.secret.is_empty() || !found.smtp_secret.is_empty() || comes_to_be {
                    continue;
                }
                let secret_version = current.secret_version.clone();
                let described = Profile { settings: wanted.clone(), secret_version, ..current.clone() };
                let mut edited = edit(&current, described, NOW).profile;
                let gone: Vec<Flow> = flows(&edited).difference(&entered_for).cloned().collect();
                // A public client has no secret that could go anywhere.
                let public = matches!(&edited.settings.auth, Auth::Oauth2(client) if !client.confidential);
                let gone: Vec<Flow> = gone
                    .into_iter()
                    .filter(|(what, _)| !public || matches!(*what, "a person's token" | "SMTP password"))
                    .collect();
                assert!(gone.is_empty(), "{gone:?} from {:?} by {wanted:?}", current.settings);
                edited.version = current.version;
                if seen.insert(format!("{:?} {}", edited.settings, edited.authorization.is_some())) {
                    ahead.push_back(edited);
                }
            }
        }
        assert!(seen.len() > 3);
    }
}
