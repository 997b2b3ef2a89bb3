//! What a scenario can inspect of its world: jobs, profiles, secrets, schedules, the ledger.

use mailroom_core::health::Status;
use mailroom_core::inbound::job::FlowJob;
use mailroom_core::ports::Profiles as _;
use mailroom_core::profile::{Profile, ProfileId};
use serde_json::{Value, json};

use super::World;
use crate::aws::QueueMessage;
use crate::secret_scan;

impl World {
    /// Takes the jobs off the job queue, and checks each against the published schema.
    pub fn jobs(&self) -> Vec<FlowJob> {
        self.aws.drain(&self.stack.queues.job).iter().map(job).collect()
    }

    /// How many jobs the function has sent in the calls that the proxy has recorded, those included that the queue
    /// dropped as duplicates.
    pub fn jobs_sent(&self) -> usize {
        self.proxy
            .calls()
            .iter()
            .filter(|call| {
                call.operation == "sqs.SendMessageBatch" && call.about.contains(&self.stack.queues.job)
            })
            .filter_map(|call| serde_json::from_slice::<Value>(&call.body).ok())
            .filter_map(|body| body.get("Entries").and_then(Value::as_array).map(Vec::len))
            .sum()
    }

    /// Takes the jobs off the job queue, and returns the subjects of their messages.
    pub fn subjects(&self) -> Vec<String> {
        self.jobs().into_iter().map(|job| job.message.subject.unwrap_or_default()).collect()
    }

    /// A profile as it is stored.
    pub fn stored(&self, id: ProfileId) -> Profile {
        let profile = self.handle().block_on(self.table.get(id)).expect("the table answers");
        profile.expect("the profile is there")
    }

    /// A profile's health as it is stored.
    pub fn status(&self, id: ProfileId) -> Status {
        self.stored(id).status
    }

    /// The UIDs of the messages that the cursor passed although they could not be read.
    pub fn deferred(&self, id: ProfileId) -> Vec<u32> {
        self.stored(id).deferred.iter().map(|entry| entry.message.uid.get()).collect()
    }

    /// Searches what the functions have written and sent, and what is stored, for secrets.
    pub(super) fn assert_secrets_are_kept(&self) {
        secret_scan::assert_kept("the fetch function's log", &self.lambda.log());
        secret_scan::assert_kept("the api function's log", &self.api_lambda.log());
        secret_scan::assert_kept("the send function's log", &self.send_lambda.log());
        secret_scan::assert_kept("the audit function's log", &self.audit_lambda.log());
        for call in self.proxy.calls() {
            // Secrets Manager is where secrets belong.
            if !call.operation.starts_with("secretsmanager.") {
                secret_scan::assert_kept(&call.operation, &String::from_utf8_lossy(&call.body));
            }
        }
        for item in self.aws.items(&self.stack.table) {
            secret_scan::assert_kept("the table", &item.to_string());
        }
        for queue in [&self.stack.queues.job, &self.stack.queues.poll] {
            for message in self.aws.receive(queue, 10) {
                secret_scan::assert_kept("a queue", &message.body);
            }
        }
    }

    /// The digests of the messages that a profile's ledger holds.
    pub fn ledger(&self, id: ProfileId) -> Vec<String> {
        let owner = format!("PROFILE#{id}");
        let text = |item: &Value, pointer: &str| {
            item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut digests: Vec<String> = self
            .aws
            .items(&self.stack.table)
            .iter()
            .filter(|item| text(item, "/PK/S") == owner)
            .filter_map(|item| text(item, "/SK/S").strip_prefix("SEEN#").map(str::to_owned))
            .collect();
        digests.sort();
        digests
    }

    /// The names of all secrets that are not marked for deletion.
    #[must_use]
    pub fn secret_names(&self) -> Vec<String> {
        let answer =
            self.aws.call("secretsmanager", "secretsmanager.ListSecrets", &json!({"MaxResults": 100}));
        assert!(answer.get("NextToken").is_none_or(Value::is_null), "more secrets than are listed");
        let secrets = answer.get("SecretList").and_then(Value::as_array).cloned().unwrap_or_default();
        let name = |secret: &Value| secret.get("Name").and_then(Value::as_str).map(str::to_owned);
        secrets
            .iter()
            .filter(|secret| secret.get("DeletedDate").is_none_or(Value::is_null))
            .filter_map(name)
            .collect()
    }

    /// The names of the schedules, the default interval's apart, which [`World::new`] has removed.
    #[must_use]
    pub fn schedule_names(&self) -> Vec<String> {
        let mut names = self.aws.schedules(&self.stack.schedule_group);
        names.retain(|name| name != "refresh-300");
        names.sort();
        names
    }
}

/// Parses a job, after checking it against the schema that flows are given.
fn job(message: &QueueMessage) -> FlowJob {
    secret_scan::assert_kept("a job", &message.body);
    let wire: Value = serde_json::from_str(&message.body).expect("a job is JSON");
    let schema: Value =
        serde_json::from_str(mailroom_core::inbound::job::FLOW_JOB_SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let errors: Vec<String> = validator.iter_errors(&wire).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {wire}");
    let job: FlowJob = serde_json::from_value(wire).expect("what the schema allows can be read");
    assert_eq!(message.group, job.conversation_id.as_str(), "the FIFO group is the conversation");
    job
}
