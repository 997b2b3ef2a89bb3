//! Profiles that log in with tokens.

use mailroom_core::ports::{ClientCredential, Credential, Credentials as _};
use mailroom_core::profile::ProfileId;
use mailroom_local::lmtp;
use serde_json::{Value, json};

use super::{FLOW_SCHEMA, World};
use crate::agent::{Agent, Page};
use crate::openid::{Client, Mechanism, OpenId};
use crate::secret_scan;

impl World {
    /// The OpenID provider of this world, and the mail servers that take its tokens.
    #[must_use]
    pub fn open_id(&self) -> &OpenId {
        self.own_open_id.get().unwrap_or_else(|| self.servers.open_id())
    }

    /// A provider for this world alone, so that its clock can be wrong, and its tokens short-lived.
    pub fn provide_open_id(&self, control: &Value) {
        let dir = self.files.path().join("openid");
        let own = self.own_open_id.get_or_init(|| OpenId::start(&dir, self.servers.certificates()));
        let _ = own.control(control);
    }

    /// The address that the provider sends the browser back to.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}/oauth2/callback", self.public_url())
    }

    /// A client that a person signs in with.
    #[must_use]
    pub fn sign_in_client(&self) -> Client {
        self.open_id().register(&mailroom_local::openid::client(&self.redirect_uri()))
    }

    /// The settings of a profile that logs in by this mechanism with the tokens of a client; `auth` is merged into its
    /// login.
    #[must_use]
    pub fn token_settings(&self, mechanism: Mechanism, client: &Client, auth: &Value) -> Value {
        let ports = self.open_id().dovecot(mechanism).ports();
        let mut settings = json!({
            "name": "Support", "flow_schema_id": FLOW_SCHEMA, "start_from": "all",
            "imap_host": "127.0.0.1", "imap_port": ports.imaps,
            "smtp_host": "127.0.0.1", "smtp_port": ports.submission,
            "auth": {
                "type": "oauth2", "login": self.login, "client_id": client.id,
                "discovery_url": self.open_id().provider().issuer(),
                "scopes": ["openid", "email", "offline_access", "mail"],
            },
        });
        if let Some(Value::Object(members)) = settings.get_mut("auth") {
            if !client.secret.is_empty() {
                members.insert("client_secret".to_owned(), json!(client.secret));
            }
            members.extend(auth.as_object().cloned().unwrap_or_default());
        }
        settings
    }

    /// Creates a profile through the API.
    #[must_use]
    pub fn make(&self, settings: &Value) -> ProfileId {
        ProfileId::parse(&self.api().post("/profiles", settings).expect(201).id()).expect("an id")
    }

    /// Begins a sign-in through the API. Returns the address to open in a browser.
    #[must_use]
    pub fn begin_sign_in(&self, profile: ProfileId) -> String {
        let begun = self.api().call("POST", &format!("/profiles/{profile}/authorize"), &[], None).expect(200);
        begun.body.get("authorization_url").and_then(Value::as_str).expect("an address").to_owned()
    }

    /// A person with a browser that has no cookies yet.
    #[must_use]
    pub fn agent(&self) -> Agent {
        let provider = self.open_id().provider();
        let plain = provider.control_url().trim_end_matches("/control").to_owned();
        Agent::new(self.handle(), vec![(provider.issuer(), plain)])
    }

    /// Goes through the provider's pages as `account`. Returns the address that the provider sends the browser back to,
    /// unopened.
    #[must_use]
    pub fn consent(&self, agent: &mut Agent, url: &str, account: &str) -> String {
        self.consent_until(agent, url, account, &self.redirect_uri())
    }

    /// The same, where the provider sends the browser back to `back`.
    #[must_use]
    pub fn consent_until(&self, agent: &mut Agent, url: &str, account: &str, back: &str) -> String {
        let stop = Some(back);
        let mut page = agent.open(url, stop);
        for _ in 0..4 {
            if page.url.as_str().starts_with(back) {
                return page.url.into();
            }
            assert_eq!(page.status, 200, "{}", page.text);
            page = if page.text.contains("name=\"login\"") {
                agent.submit(
                    &page.url.clone(),
                    &[("prompt", "login"), ("login", account), ("password", "any")],
                    stop,
                )
            } else {
                agent.submit(&page.url.clone(), &[("prompt", "consent")], stop)
            };
        }
        panic!("no way back: {}", page.text)
    }

    /// Signs in for a profile as `account`. Returns the page at the end.
    #[must_use]
    pub fn sign_in(&self, profile: ProfileId, account: &str) -> Page {
        let mut agent = self.agent();
        let back = self.consent(&mut agent, &self.begin_sign_in(profile), account);
        let page = agent.open(&back, None);
        secret_scan::watch(self.open_id().issued());
        page
    }

    /// Creates a profile and signs in for it.
    #[must_use]
    pub fn signed_in(&self, mechanism: Mechanism) -> ProfileId {
        let profile = self.make(&self.token_settings(mechanism, &self.sign_in_client(), &json!({})));
        let page = self.sign_in(profile, &self.login);
        assert_eq!(page.status, 200, "{}", page.text);
        profile
    }

    /// The client's secret and the sign-in, as they are stored.
    #[must_use]
    pub fn client_credential(&self, profile: ProfileId) -> ClientCredential {
        let Some(version) = self.stored(profile).secret_version else { return ClientCredential::default() };
        let stored = self.handle().block_on(self.stack.secrets().credential(profile, &version));
        match stored.expect("the secrets answer") {
            Some(Credential::Client(credential)) => credential,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the claim of a process that crashed, without the wait.
    pub fn expire_claim(&self, id: ProfileId) {
        self.edit(id, "SET claimed_until = :value, #version = #version", &json!({":value": {"N": "0"}}));
    }

    /// Moves the end of every pending sign-in into the past.
    pub fn expire_sign_ins(&self) {
        for item in self.aws.items(&self.stack.table) {
            let key = item.pointer("/PK/S").and_then(Value::as_str).unwrap_or_default();
            if key.starts_with("OAUTH#") {
                let _ = self.aws.call(
                    "dynamodb",
                    "DynamoDB_20120810.UpdateItem",
                    &json!({
                        "TableName": self.stack.table, "Key": {"PK": {"S": key}, "SK": {"S": "OAUTH"}},
                        "UpdateExpression": "SET ends_at = :past", "ExpressionAttributeValues": {":past": {"N": "0"}},
                    }),
                );
            }
        }
    }

    /// Delivers a message to the server that takes tokens by this mechanism.
    pub fn deliver_to(&self, mechanism: Mechanism, raw: &[u8]) {
        let dovecot = self.open_id().dovecot(mechanism);
        lmtp::deliver(dovecot.lmtp(), "ann@example.org", &self.login, raw)
            .unwrap_or_else(|error| panic!("{error}: {}", dovecot.log_tail(10)));
    }
}
