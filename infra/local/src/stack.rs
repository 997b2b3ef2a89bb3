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

/// A deployed stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Where AWS answers, such as `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// The region.
    pub region: String,
    /// The account: 12 digits, at the same time the access key. The secret key can be anything.
    pub account: String,
    /// The table's name.
    pub table: String,
    /// The bucket's name.
    pub bucket: String,
    /// The queues' URLs.
    pub queues: Queues,
    /// The functions.
    pub functions: Functions,
    /// The HTTP API.
    pub api: HttpApi,
    /// The schedule group's name.
    pub schedule_group: String,
    /// The role in which schedules start the function.
    pub schedule_role_arn: String,
    /// What the names of secrets begin with.
    pub secret_prefix: String,
}

/// URLs of queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// Flow jobs (FIFO).
    pub job: String,
    /// Jobs that no flow could handle.
    pub job_dead: String,
    /// Batches of profiles to poll.
    pub poll: String,
    /// Polls that failed.
    pub poll_dead: String,
    /// Outbound messages.
    pub send: String,
    /// Outbound messages that were given up.
    pub send_dead: String,
    /// The final outcomes of outbound messages.
    pub outcome: String,
}

/// The deployed functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Functions {
    /// The fetch function.
    pub fetch: Function,
    /// The api function.
    pub api: Function,
    /// The send function.
    pub send: Function,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpApi {
    /// Its id.
    pub id: String,
    /// Its address on the emulator, which has no domain name for each API.
    pub url: String,
}

/// A deployed function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its ARN.
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

    /// Writes it down.
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

    /// Its table.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::new(&self.clients(), &self.table)
    }

    /// Its secrets.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        Secrets::new(&self.clients(), &self.secret_prefix)
    }

    /// Its schedules.
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
