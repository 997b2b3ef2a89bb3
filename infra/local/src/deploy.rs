//! Deploys `infra/template.yaml` to an emulator as it would be deployed to AWS: code to a bucket, the template to
//! CloudFormation, the names of its resources from the stack's outputs.

mod cloudformation;
mod function_url;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;

use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_cloudformation::types::Parameter;
use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use mailroom_aws::client::Clients;
use sha2::Digest as _;

use self::cloudformation::{Stacks, content, has_failed, is_of, output};
use crate::functions::{self, Function, Functions};
use crate::problem::{Problem, call_failed};
use crate::stack::{self, HttpApi, Queues, Stack};
use crate::template::{self, Uploaded};

/// What the name of the bucket that code is uploaded to begins with. The account follows: bucket names are global.
const CODE_BUCKET: &str = "mailroom-code-";

/// Mail servers on this machine: the networks that profiles may name although they are private.
const LOOPBACK: &str = "127.0.0.0/8,::1,localhost";

/// More requests than this machine can send.
const API_LIMIT: &str = "10000";

/// The longest text that the template takes for `CaBundle`, in bytes.
const MAX_CA_BUNDLE: usize = 3000;

/// The name of the attribute by which the table's items expire.
const EXPIRES_AT: &str = "expires_at";

/// The id that LocalStack gives to a resource of a kind that it does not have.
pub const NOT_CREATED: &str = "unknown";

/// Where to deploy to, and what to trust there.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where AWS answers, such as `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// The account: 12 digits.
    pub account: String,
    /// What names begin with. Where one emulator serves many accounts, each needs one of its own: ours ends the processes
    /// of all functions of a name, whatever their account, when one of that name is deployed.
    pub prefix: String,
    /// A PEM file with authorities to trust besides the public ones.
    pub ca: Option<PathBuf>,
    /// How the HTTP API knows its callers.
    pub auth: ApiAuth,
    /// Where browsers reach the API; `None`: where everybody does.
    pub public_url: Option<String>,
    /// Where people sign in to the console; `None`: they do not.
    pub console: Option<ConsoleSignIn>,
}

/// The OpenID provider that people sign in with to the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSignIn {
    /// Its issuer.
    pub issuer: String,
    /// The id of the client that the console is there.
    pub client_id: String,
    /// The scopes to read, to write and to send, with commas, which are the names of people's roles; empty: everybody may do
    /// everything.
    pub rights: String,
}

/// How the HTTP API knows its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiAuth {
    /// Not at all: only this machine can reach it.
    Open,
    /// By a JWT in the Authorization header.
    Jwt {
        /// The issuer of the token.
        issuer: String,
        /// Whom it has to be for.
        audience: String,
        /// The scopes to read, to write and to send, with commas; empty: it needs none.
        scopes: String,
    },
}

impl Deployment {
    /// The account of `cargo local` and `cargo demo`: an emulator gives it to access keys that name none.
    pub const ACCOUNT: &str = "000000000000";

    /// The prefix of `cargo local` and `cargo demo`: the template's own.
    pub const PREFIX: &str = "mailroom";

    /// Deploys, or brings up to date what is deployed; at once when nothing has changed.
    ///
    /// # Errors
    /// When the endpoint refuses or the stack does not come about; says why.
    pub async fn run(&self, functions: &Functions) -> Result<Stack, Problem> {
        let clients = Stack::clients_of(&self.endpoint, &self.account);
        let code = [
            upload(&clients, &self.account, "fetch", &functions.fetch).await?,
            upload(&clients, &self.account, "api", &functions.api).await?,
            upload(&clients, &self.account, "send", &functions.send).await?,
            upload(&clients, &self.account, "audit", &functions.audit).await?,
        ];
        let body = template::package(&template::read()?, &code)?;
        let url = upload_template(&clients, &self.endpoint, &self.account, &body).await?;

        let stacks = Stacks(CloudFormation::new(clients.sdk_config()));
        let mut found = stacks.describe().await?;
        if found.as_ref().is_some_and(has_failed) {
            stacks.delete().await?;
            found = None;
        }
        loop {
            let api = match &found {
                Some(stack) => self.api(&clients, stack).await?,
                None => None,
            };
            let parameters = self.parameters(api.as_ref())?;
            let content = content(&body, &parameters);
            let unchanged = found.as_ref().is_some_and(|stack| is_of(stack, &content));
            if !unchanged {
                stacks.apply(found.is_some(), &url, parameters, &content).await?;
            }
            let deployed = stacks.settled().await?;
            // The address of an emulator's API is known once the API is there, and the api function has to know it too.
            let Some(api) = api else {
                found = Some(deployed);
                continue;
            };
            let outputs = deployed.outputs().iter();
            let outputs =
                outputs.filter_map(|output| output.output_key().zip(output.output_value())).collect();
            let stack = read_stack(self, &clients, &outputs, api).await?;
            if !unchanged {
                expire(&clients, &stack.table).await?;
            }
            return Ok(stack);
        }
    }

    /// Where the emulator serves the API of a deployed stack: by API Gateway, or by the api function's own URL where
    /// there is no API Gateway for HTTP APIs.
    async fn api(
        &self,
        clients: &Clients,
        stack: &aws_sdk_cloudformation::types::Stack,
    ) -> Result<Option<HttpApi>, Problem> {
        let Some(id) = output(stack, "ApiId") else { return Ok(None) };
        let url = if id == NOT_CREATED {
            let function = output(stack, "ApiFunctionName")
                .ok_or_else(|| Problem::new("the template has no output ApiFunctionName"))?;
            function_url::ensure(clients, &self.endpoint, function).await?
        } else {
            format!("{}/_aws/execute-api/{id}", self.endpoint)
        };
        Ok(Some(HttpApi { id: id.to_owned(), url }))
    }

    fn parameters(&self, api: Option<&HttpApi>) -> Result<Vec<Parameter>, Problem> {
        let public_url = self.public_url.clone().or_else(|| api.map(|api| api.url.clone()));
        let parameter =
            |name: &str, value: &str| Parameter::builder().parameter_key(name).parameter_value(value).build();
        let (auth, issuer, audience, scopes) = match &self.auth {
            ApiAuth::Open => ("none", "", "", ""),
            ApiAuth::Jwt { issuer, audience, scopes } => {
                ("jwt", issuer.as_str(), audience.as_str(), scopes.as_str())
            }
        };
        let of_console =
            |value: fn(&ConsoleSignIn) -> &String| self.console.as_ref().map_or("", |one| value(one));
        let scopes = if scopes.is_empty() { of_console(|one| &one.rights) } else { scopes };
        Ok(vec![
            parameter("ConsoleIssuer", of_console(|one| &one.issuer)),
            parameter("ConsoleClientId", of_console(|one| &one.client_id)),
            parameter("NamePrefix", &self.prefix),
            parameter("Architecture", functions::architecture()?),
            parameter("ApiAuth", auth),
            parameter("JwtIssuer", issuer),
            parameter("JwtAudience", audience),
            parameter("ApiScopes", scopes),
            parameter("PublicUrl", &public_url.unwrap_or_default()),
            parameter("ApiRateLimit", API_LIMIT),
            parameter("ApiBurstLimit", API_LIMIT),
            // What is removed here is not missed.
            parameter("SecretRecoveryDays", "0"),
            parameter("OutcomeQueue", "yes"),
            parameter("ExtraJobQueueArns", template::ANY_QUEUE),
            parameter("AllowedHosts", LOOPBACK),
            parameter("CaBundle", &self.ca_bundle()?),
        ])
    }

    /// The authorities' text, or where they are if that is too long.
    fn ca_bundle(&self) -> Result<String, Problem> {
        let Some(path) = &self.ca else { return Ok(String::new()) };
        let text =
            fs::read_to_string(path).map_err(Problem::while_(format!("cannot read {}", path.display())))?;
        Ok(if text.len() <= MAX_CA_BUNDLE { text } else { path.display().to_string() })
    }
}

/// Puts a function's zip into the bucket for code, unless it is there.
async fn upload(
    clients: &Clients,
    account: &str,
    name: &'static str,
    function: &Function,
) -> Result<Uploaded, Problem> {
    let key = format!("{name}/{}.zip", function.digest);
    let zip = async || {
        let zip = ByteStream::from_path(&function.zip).await;
        zip.map_err(Problem::while_(format!("cannot read {}", function.zip.display())))
    };
    let bucket = put(clients, account, &key, zip).await?;
    Ok(Uploaded { function: name, bucket, key })
}

/// Puts the template into the bucket for code, as `sam deploy` does; a request holds 51,200 bytes of one at most. Returns
/// its URL.
async fn upload_template(
    clients: &Clients,
    endpoint: &str,
    account: &str,
    body: &str,
) -> Result<String, Problem> {
    let key = format!("template/{}.yaml", hex::encode(sha2::Sha256::digest(body)));
    let bucket = put(clients, account, &key, async || Ok(ByteStream::from(body.as_bytes().to_vec()))).await?;
    Ok(format!("{endpoint}/{bucket}/{key}"))
}

/// Puts an object into the bucket for code, unless it is there. Returns the bucket.
async fn put(
    clients: &Clients,
    account: &str,
    key: &str,
    content: impl AsyncFnOnce() -> Result<ByteStream, Problem>,
) -> Result<String, Problem> {
    // The key is a digest already: the SDK's checksum and signature of the body take longer than the upload.
    let config = aws_sdk_s3::config::Builder::from(clients.sdk_config())
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .build();
    let s3 = aws_sdk_s3::Client::from_conf(config);
    let bucket = format!("{CODE_BUCKET}{account}");
    if s3.head_object().bucket(&bucket).key(key).send().await.is_err() {
        match s3.create_bucket().bucket(&bucket).send().await {
            Ok(_) => {}
            Err(error) if error.code().is_some_and(|code| code.starts_with("BucketAlready")) => {}
            Err(error) => return Err(call_failed("CreateBucket")(error)),
        }
        let put = s3.put_object().bucket(&bucket).key(key).body(content().await?);
        put.customize().disable_payload_signing().send().await.map_err(call_failed("PutObject"))?;
    }
    Ok(bucket)
}

async fn read_stack(
    deployment: &Deployment,
    clients: &Clients,
    outputs: &HashMap<&str, &str>,
    api: HttpApi,
) -> Result<Stack, Problem> {
    let output = |name: &str| {
        let value = outputs.get(name).map(|value| (*value).to_owned());
        value.ok_or_else(|| Problem::new(format!("the template has no output {name}")))
    };
    let function = async |name: &str| -> Result<stack::Function, Problem> {
        let deployed = output(&format!("{name}FunctionName"))?;
        Ok(stack::Function {
            environment: environment(clients, &deployed).await?,
            arn: output(&format!("{name}FunctionArn"))?,
            name: deployed,
        })
    };
    Ok(Stack {
        endpoint: deployment.endpoint.clone(),
        region: Stack::REGION.to_owned(),
        account: deployment.account.clone(),
        table: output("TableName")?,
        bucket: output("BucketName")?,
        queues: Queues {
            job: output("JobQueueUrl")?,
            job_dead: output("JobDeadLetterQueueUrl")?,
            poll: output("PollQueueUrl")?,
            poll_dead: output("PollDeadLetterQueueUrl")?,
            send: output("SendQueueUrl")?,
            send_dead: output("SendDeadLetterQueueUrl")?,
            outcome: output("OutcomeQueueUrl")?,
            audit: output("AuditQueueUrl")?,
        },
        functions: stack::Functions {
            fetch: function("Fetch").await?,
            api: function("Api").await?,
            send: function("Send").await?,
            audit: function("Audit").await?,
        },
        api,
        schedule_group: output("ScheduleGroupName")?,
        schedule_role_arn: output("ScheduleRoleArn")?,
        secret_prefix: output("SecretPrefix")?,
    })
}

/// A function's environment, once its code can run.
async fn environment(clients: &Clients, function: &str) -> Result<BTreeMap<String, String>, Problem> {
    let lambda = aws_sdk_lambda::Client::new(clients.sdk_config());
    let answer = lambda.get_function_configuration().function_name(function).send().await;
    let variables = answer.map_err(call_failed("GetFunctionConfiguration"))?.environment;
    Ok(variables.and_then(|environment| environment.variables).unwrap_or_default().into_iter().collect())
}

/// Has the table's items expire: the emulator leaves that out of a template.
async fn expire(clients: &Clients, table: &str) -> Result<(), Problem> {
    let dynamodb = aws_sdk_dynamodb::Client::new(clients.sdk_config());
    let described = dynamodb.describe_time_to_live().table_name(table).send().await;
    let described = described.map_err(call_failed("DescribeTimeToLive"))?.time_to_live_description;
    if described.is_some_and(|expiry| expiry.attribute_name.as_deref() == Some(EXPIRES_AT)) {
        return Ok(());
    }
    let expiry = TimeToLiveSpecification::builder().attribute_name(EXPIRES_AT).enabled(true).build();
    let expiry = expiry.map_err(call_failed("UpdateTimeToLive"))?;
    let update = dynamodb.update_time_to_live().table_name(table).time_to_live_specification(expiry);
    update.send().await.map(|_| ()).map_err(call_failed("UpdateTimeToLive"))
}
