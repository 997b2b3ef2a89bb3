//! What is deployed, by its names: written to `.local/stack.json`, read by every command that works with the stack.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::scheduler::ScheduleGroup;
use mailroom_aws::secrets::Secrets;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A deployed stack: the names and addresses of its resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// The address at which AWS answers, such as `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// The region that requests name.
    pub region: String,
    /// The account: 12 digits, at the same time the access key. The secret key can be anything.
    pub account: String,
    /// The name of the DynamoDB table.
    pub table: String,
    /// The name of the bucket for messages.
    pub bucket: String,
    /// The queues, by what is on them.
    pub queues: Queues,
    /// The functions, by what they do.
    pub functions: Functions,
    /// The HTTP API and its address.
    pub api: HttpApi,
    /// The schedule group's name.
    pub schedule_group: String,
    /// The role in which schedules start the function.
    pub schedule_role_arn: String,
    /// What the names of secrets begin with.
    pub secret_prefix: String,
}

/// The URLs of the queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// Flow jobs; a FIFO queue.
    pub job: String,
    /// Jobs that no flow could handle.
    pub job_dead: String,
    /// Batches of profiles to poll.
    pub poll: String,
    /// Requests to poll that failed too often.
    pub poll_dead: String,
    /// Outbound messages that wait to be sent.
    pub send: String,
    /// Outbound messages that were given up.
    pub send_dead: String,
    /// The final outcomes of outbound messages.
    pub outcome: String,
    /// Profiles to audit.
    pub audit: String,
}

/// The functions that are deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Functions {
    /// The function that polls mailboxes.
    pub fetch: Function,
    /// The function behind the HTTP API.
    pub api: Function,
    /// The function that sends messages.
    pub send: Function,
    /// The function that audits mailboxes.
    pub audit: Function,
}

/// The HTTP API of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpApi {
    /// The id of the API in API Gateway.
    pub id: String,
    /// Its address on the emulator, which has no domain name for each API.
    pub url: String,
}

/// A function, and the environment that it runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The name of the function.
    pub name: String,
    /// The ARN of the function.
    pub arn: String,
    /// Its environment, as the template sets it.
    pub environment: BTreeMap<String, String>,
}

impl Stack {
    /// The region of every stack on this machine.
    pub const REGION: &str = "us-east-1";

    /// The secret key of every account: no emulator looks at it.
    pub const SECRET_KEY: &str = "local";

    /// Reads a stack that was saved.
    ///
    /// # Errors
    /// When there is none, or the file is not ours.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let text = fs::read(path).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                Problem::new("no stack is up; type: cargo local up")
            } else {
                Problem::while_(format!("cannot read {}", path.display()))(error)
            }
        })?;
        serde_json::from_slice(&text).map_err(|error| {
            let path = path.display();
            Problem::new(format!("{path} is not ours ({error}); delete it, then type: cargo local up"))
        })
    }

    /// Writes the names to a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Problem> {
        let doing = format!("cannot write {}", path.display());
        let text = serde_json::to_string_pretty(self).map_err(Problem::while_(&doing))?;
        fs::write(path, text + "\n").map_err(Problem::while_(doing))
    }

    /// The environment of the functions and of AWS tools as `export` lines for a shell. `programs` comes first in PATH.
    #[must_use]
    pub fn exports(&self, programs: &Path) -> String {
        let functions = [&self.functions.fetch, &self.functions.api, &self.functions.send];
        let mut variables: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in functions.iter().flat_map(|function| &function.environment) {
            variables.insert(name, value);
        }
        variables.extend([
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", &self.region),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", &self.account),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET_KEY),
            ("API", &self.api.url),
        ]);
        let mut text = String::new();
        for (name, value) in variables {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "export {name}={}", quoted(value));
        }
        let _ = writeln!(text, "export PATH={}:\"$PATH\"", quoted(&programs.display().to_string()));
        text
    }

    /// The clients of its account.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Self::clients_of(&self.endpoint, &self.account)
    }

    /// The clients of an emulator's account, whatever is deployed there.
    #[must_use]
    pub fn clients_of(endpoint: &str, account: &str) -> Clients {
        Clients::for_emulator(endpoint, Self::REGION, account, Self::SECRET_KEY)
    }

    /// The table, as a client of this account reads it.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::new(&self.clients(), &self.table)
    }

    /// The secrets, as a client of this account reads them.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        Secrets::new(&self.clients(), &self.secret_prefix)
    }

    /// The schedule group, as a client of this account reads it.
    #[must_use]
    pub fn schedules(&self) -> ScheduleGroup {
        ScheduleGroup::new(
            &self.clients(),
            &self.schedule_group,
            &self.schedule_role_arn,
            &self.functions.fetch.arn,
        )
    }
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_stays_one_word() {
        assert_eq!(super::quoted("a 'b'\n$c"), "'a '\\''b'\\''\n$c'");
    }
}
