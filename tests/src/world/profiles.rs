//! Profiles, written to the table and the secrets as the API would, and what a scenario does to them.

use mailroom_core::ports::Credential;
use mailroom_core::profile::{Auth, Profile, ProfileId, RefreshInterval, Settings, StartFrom};
use mailroom_core::server::Security;
use mailroom_local::dovecot::Dovecot;
use secrecy::SecretString;
use serde_json::{Value, json};
use time::OffsetDateTime;
use ulid::Ulid;

use super::{INTERVAL, World, flow_schema, server};

impl World {
    /// Creates a profile for the mailbox, changed by `change`.
    pub fn profile(&self, change: impl FnOnce(&mut Profile)) -> ProfileId {
        self.profile_with_password(Dovecot::PASSWORD, change)
    }

    /// Creates a profile whose secret holds this password.
    pub fn profile_with_password(&self, password: &str, change: impl FnOnce(&mut Profile)) -> ProfileId {
        let id = ProfileId::new(Ulid::generate());
        let credential = Credential::password(SecretString::from(password));
        let version =
            self.handle().block_on(self.secrets.store(id, &credential)).expect("the secret is stored");
        let mut profile = self.draft(id);
        profile.secret_version = Some(version);
        change(&mut profile);
        self.handle().block_on(self.table.create(&profile)).expect("the profile is stored");
        id
    }

    /// Stores another password for the profile, as its owner would through the API.
    pub fn set_password(&self, id: ProfileId, password: &str) {
        let credential = Credential::password(SecretString::from(password));
        let version =
            self.handle().block_on(self.secrets.store(id, &credential)).expect("the secret is stored");
        self.edit(
            id,
            "SET secret_version = :value ADD #version :one",
            &json!({":value": {"S": version}, ":one": {"N": "1"}}),
        );
    }

    /// Ends the lease of an invocation that was killed, without the wait.
    pub fn expire_lease(&self, id: ProfileId) {
        self.edit(id, "SET lease_until = :value, #version = #version", &json!({":value": {"N": "0"}}));
    }

    /// Waits until the status of a profile allows the next poll.
    ///
    /// # Panics
    /// When that is more than twenty seconds away.
    pub fn await_due(&self, id: ProfileId) {
        let Some(until) = self.status(id).not_before else { return };
        let wait = until - OffsetDateTime::now_utc();
        assert!(wait < time::Duration::seconds(20), "{wait}");
        std::thread::sleep(wait.try_into().unwrap_or_default());
    }

    /// Makes the stored profile unreadable.
    pub fn spoil(&self, id: ProfileId) {
        self.edit(id, "SET mailbox = :value, #version = #version", &json!({":value": {"S": ""}}));
    }

    pub(super) fn edit(&self, id: ProfileId, expression: &str, values: &Value) {
        let key = format!("PROFILE#{id}");
        let mut names = json!({"#version": "version"});
        if let (true, Some(names)) = (expression.contains("#cursor"), names.as_object_mut()) {
            names.insert("#cursor".to_owned(), json!("cursor"));
        }
        let _ = self.aws.call(
            "dynamodb",
            "DynamoDB_20120810.UpdateItem",
            &json!({
                "TableName": self.stack.table,
                "Key": {"PK": {"S": key}, "SK": {"S": "PROFILE"}},
                "UpdateExpression": expression,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }),
        );
    }

    pub(super) fn draft(&self, id: ProfileId) -> Profile {
        let imap = server("127.0.0.1", self.servers.dovecot().ports().imaps, Security::Tls);
        let auth = Auth::Plain { login: self.login.clone() };
        let flow_schema = flow_schema().id;
        let now = OffsetDateTime::now_utc();
        let settings = Settings {
            refresh_interval: RefreshInterval::from_seconds(INTERVAL).expect("an interval"),
            start_from: StartFrom::All,
            ..Settings::listening("Support", imap, auth, flow_schema)
        };
        Profile::new(id, settings, now)
    }
}
