//! Configuration documents in Mozilla's format: <https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat>.
//!
//! Whoever controls a domain writes its document. So it is bounded, its entities are not expanded, and a server without
//! TLS is passed over. roxmltree stays in this file.

use std::num::NonZeroU16;

use mailroom_core::address::EmailAddress;
use mailroom_core::known_provider::{AuthMethod, LoginForm};
use mailroom_core::server::{Host, Security, Server, SubmissionPort};
use roxmltree::{Document, Node, ParsingOptions};

/// Elements, attributes and texts of a document that is read. Thunderbird's largest has some 300.
const MAX_NODES: u32 = 5_000;

/// What a document says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) imap: Option<Server>,
    pub(crate) smtp: Option<Server>,
    pub(crate) login_form: LoginForm,
    pub(crate) login: Option<String>,
    pub(crate) auth: Vec<AuthMethod>,
}

/// Reads a document; `None` where it names no server that can be used.
pub(crate) fn read(text: &str, address: &EmailAddress) -> Option<Settings> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let provider = child(document.root_element(), "emailProvider")?;
    let incoming = server(provider, "incomingServer", "imap", address);
    let outgoing = server(provider, "outgoingServer", "smtp", address)
        .filter(|(server, _)| SubmissionPort::new(server.port).is_ok());
    let login_node = incoming.as_ref().or(outgoing.as_ref()).map(|(_, node)| *node)?;
    let name = child(login_node, "username").and_then(|node| node.text()).map_or("%EMAILADDRESS%", str::trim);
    let login_form = match name {
        "%EMAILADDRESS%" => LoginForm::Address,
        "%EMAILLOCALPART%" => LoginForm::LocalPart,
        _ => LoginForm::Other,
    };
    let login = filled(name, address);
    let mut auth = Vec::new();
    for method in children(login_node, "authentication").filter_map(|node| auth_method(node.text()?.trim())) {
        if !auth.contains(&method) {
            auth.push(method);
        }
    }
    Some(Settings {
        imap: incoming.map(|(server, _)| server),
        smtp: outgoing.map(|(server, _)| server),
        login_form,
        login: (!login.contains('%')).then_some(login),
        auth,
    })
}

/// The first server with implicit TLS, or else with STARTTLS (RFC 8314 §3).
fn server<'a>(
    provider: Node<'a, 'a>,
    element: &'a str,
    protocol: &str,
    address: &EmailAddress,
) -> Option<(Server, Node<'a, 'a>)> {
    let nodes = children(provider, element).filter(|node| node.attribute("type") == Some(protocol));
    let mut servers: Vec<(Server, Node<'_, '_>)> = nodes
        .filter_map(|node| {
            let text = |name| child(node, name).and_then(|node| node.text()).map(str::trim);
            let host = Host::parse(&filled(text("hostname")?, address)).ok()?;
            let port: NonZeroU16 = text("port")?.parse().ok()?;
            let security = match text("socketType")? {
                "SSL" => Security::Tls,
                "STARTTLS" => Security::StartTls,
                _ => return None,
            };
            Some((Server { host, port, security }, node))
        })
        .collect();
    servers.sort_by_key(|(server, _)| server.security != Security::Tls);
    servers.into_iter().next()
}

/// The words of the document that stand for parts of the address.
fn filled(text: &str, address: &EmailAddress) -> String {
    text.replace("%EMAILADDRESS%", address.as_str())
        .replace("%EMAILLOCALPART%", address.local())
        .replace("%EMAILDOMAIN%", address.domain())
}

fn auth_method(name: &str) -> Option<AuthMethod> {
    match name {
        "OAuth2" => Some(AuthMethod::Oauth2),
        // Under TLS there is nothing left to encrypt.
        "password-cleartext" | "plain" | "password-encrypted" | "secure" => Some(AuthMethod::Password),
        _ => None,
    }
}

fn children<'a>(node: Node<'a, 'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn child<'a>(node: Node<'a, 'a>, name: &'a str) -> Option<Node<'a, 'a>> {
    children(node, name).next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> EmailAddress {
        EmailAddress::parse("ann.lee@example.org").unwrap()
    }

    /// As Thunderbird's database has GMX, shortened.
    const DOCUMENT: &str = r#"<?xml version="1.0"?>
<clientConfig version="1.1">
  <emailProvider id="example.org">
    <domain>example.org</domain>
    <incomingServer type="pop3"><hostname>pop.example.net</hostname><port>995</port><socketType>SSL</socketType></incomingServer>
    <incomingServer type="imap">
      <hostname>imap.example.net</hostname><port>143</port><socketType>STARTTLS</socketType>
      <username>%EMAILLOCALPART%</username><authentication>password-cleartext</authentication>
    </incomingServer>
    <incomingServer type="imap">
      <hostname> imap.%EMAILDOMAIN% </hostname><port>993</port><socketType>SSL</socketType>
      <username>%EMAILADDRESS%</username>
      <authentication>OAuth2</authentication><authentication>password-cleartext</authentication>
    </incomingServer>
    <outgoingServer type="smtp">
      <hostname>smtp.example.net</hostname><port>25</port><socketType>plain</socketType>
    </outgoingServer>
    <outgoingServer type="smtp">
      <hostname>smtp.example.net</hostname><port>587</port><socketType>STARTTLS</socketType>
    </outgoingServer>
  </emailProvider>
</clientConfig>"#;

    fn server(host: &str, port: u16, security: Security) -> Server {
        Server { host: Host::parse(host).unwrap(), port: port.try_into().unwrap(), security }
    }

    #[test]
    fn implicit_tls_comes_first_and_no_tls_never() {
        let settings = read(DOCUMENT, &address()).unwrap();
        assert_eq!(settings.imap, Some(server("imap.example.org", 993, Security::Tls)));
        assert_eq!(settings.smtp, Some(server("smtp.example.net", 587, Security::StartTls)));
        assert_eq!(settings.login.as_deref(), Some("ann.lee@example.org"));
        assert_eq!(settings.login_form, LoginForm::Address);
        assert_eq!(settings.auth, [AuthMethod::Oauth2, AuthMethod::Password]);
        let bare = DOCUMENT.replace("SSL", "plain").replace("STARTTLS", "plain");
        assert_eq!(read(&bare, &address()), None);
    }

    #[test]
    fn a_login_can_be_a_part_of_the_address_or_anything_else() {
        let login = |form: &str| {
            let document = DOCUMENT.replace("%EMAILADDRESS%", form);
            let settings = read(&document, &address()).unwrap();
            (settings.login_form, settings.login)
        };
        assert_eq!(login("%EMAILLOCALPART%"), (LoginForm::LocalPart, Some("ann.lee".to_owned())));
        assert_eq!(
            login("%EMAILLOCALPART%#%EMAILDOMAIN%"),
            (LoginForm::Other, Some("ann.lee#example.org".to_owned()))
        );
        assert_eq!(login("%REALNAME%"), (LoginForm::Other, None));
    }

    #[test]
    fn a_hostile_document_is_none() {
        let entities = format!(
            "<!DOCTYPE x [<!ENTITY a \"{}\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>{}",
            "y".repeat(1000),
            DOCUMENT.replace("imap.example.net", "&b;&b;&b;")
        );
        let many = DOCUMENT.replace("<domain>", &format!("{}<domain>", "<a/>".repeat(6000)));
        let deep = format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000));
        for document in
            [entities.as_str(), &many, &deep, "", "<clientConfig/>", "<html><body>Not found</body></html>"]
        {
            assert_eq!(read(document, &address()), None);
        }
        let address_of_ours = DOCUMENT.replace("imap.%EMAILDOMAIN%", "127.0.0.1");
        // It is a host like any other: whether it may be connected to is decided where one connects.
        assert!(read(&address_of_ours, &address()).is_some());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(at in 0..DOCUMENT.len(), length in 0_usize..40, text in "[<>/a-z&;!\"%= ]{0,12}") {
            let mut document = DOCUMENT.to_owned();
            let end = (at + length).min(document.len());
            document.replace_range(at..end, &text);
            let _ = read(&document, &address());
        }
    }
}
