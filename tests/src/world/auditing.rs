//! Audits, and the sabotage that they have to find.

use std::time::Duration;

use mailroom_core::audit::AuditStatus;
use mailroom_core::ports::Profiles as _;
use mailroom_core::profile::ProfileId;
use mailroom_local::stack::Function as DeployedFunction;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{World, message};
use crate::lambda::{Lambda, Outcome};

/// How long an audit has.
const AUDIT_LIMIT: Duration = Duration::from_secs(60);

impl World {
    /// The audit function by itself.
    #[must_use]
    pub const fn audit_function(&self) -> &Lambda {
        &self.audit_lambda
    }

    /// An audit function over the same resources that repairs what it finds.
    #[must_use]
    pub fn repairing_audit_function(&self) -> Lambda {
        let log = self.files.path().join("repairing-audit.log");
        let mut environment = self.stack.functions.audit.environment.clone();
        environment.insert("MAILROOM_AUDIT_REPAIR".to_owned(), "yes".to_owned());
        let deployed = DeployedFunction { environment, ..self.stack.functions.audit.clone() };
        super::run(&self.runtime, self.servers.audit(), &deployed, &self.stack, &self.proxy, &log)
    }

    /// Audits a profile. Returns what the function answers, after the same is found in the profile's status.
    ///
    /// # Panics
    /// When the function fails.
    pub fn audit(&self, id: ProfileId) -> Value {
        self.audit_by(&self.audit_lambda, id)
    }

    /// The same, by this function.
    ///
    /// # Panics
    /// When the function fails.
    pub fn audit_by(&self, function: &Lambda, id: ProfileId) -> Value {
        let outcome = function.invoke(json!({"profile_id": id.to_string()}), AUDIT_LIMIT);
        let Outcome::Answered(answer) = outcome else { panic!("{outcome:?}: {}", function.log()) };
        if let Some(AuditStatus { missing, .. }) = self.stored(id).audit {
            assert_eq!(answer.get("missing"), Some(&json!(missing)), "the status has the answer: {answer}");
        }
        answer
    }

    /// A profile whose cursor has passed its second message, `lost`, without a job; the first one has its job.
    #[must_use]
    pub fn profile_with_a_lost_message(&self) -> ProfileId {
        let id = self.profile(|_| {});
        self.deliver(&message("first"));
        self.poll();
        self.deliver(&message("lost"));
        self.push_cursor(id, 2);
        id
    }

    /// Has the profile's cursor stand behind a UID that no poll has read.
    pub fn push_cursor(&self, id: ProfileId, last_uid: u32) {
        let value = json!({":value": {"N": last_uid.to_string()}});
        self.edit(id, "SET #cursor.last_uid = :value, #version = #version", &value);
    }

    /// Holds the profile's lease for so long, as a run does that crashes.
    pub fn hold_lease(&self, id: ProfileId, time: Duration) {
        let now = OffsetDateTime::now_utc();
        let leased = self.handle().block_on(self.table.lease(id, now, now + time));
        assert!(leased.expect("the table answers").is_some(), "another run holds the lease");
    }

    /// Removes a message from the profile's ledger.
    pub fn forget_in_ledger(&self, id: ProfileId, digest: &str) {
        let key = json!({"PK": {"S": format!("PROFILE#{id}")}, "SK": {"S": format!("SEEN#{digest}")}});
        let _ = self.aws.call(
            "dynamodb",
            "DynamoDB_20120810.DeleteItem",
            &json!({"TableName": self.stack.table, "Key": key}),
        );
    }

    /// Writes an entry into the profile's ledger: that a message with this digest was handed over at this place.
    pub fn note_in_ledger(&self, id: ProfileId, digest: &str, place: &Value) {
        let mut item = json!({
            "PK": {"S": format!("PROFILE#{id}")}, "SK": {"S": format!("SEEN#{digest}")},
            "expires_at": {"N": "4000000000"},
        });
        if let (Some(item), Some(place)) = (item.as_object_mut(), place.as_object()) {
            item.extend(place.clone());
        }
        let _ = self.aws.call(
            "dynamodb",
            "DynamoDB_20120810.PutItem",
            &json!({"TableName": self.stack.table, "Item": item}),
        );
    }
}
