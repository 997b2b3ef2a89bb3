//! What the functions' roles allow: each call that a function makes is held against the policies of its role.
//!
//! The emulator checks no permissions, so this does: it reads the roles as they were deployed from the template, and
//! evaluates what AWS would need for each call (Service Authorization Reference).

use std::collections::BTreeSet;

use iam_rs::{Arn, Context, Decision, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use mailroom_local::stack::Stack;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded;

use crate::aws::Aws;
use crate::aws_call::Call;

/// An action on a resource, with the keys of the request that a condition may ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, such as `dynamodb:Query`.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
    /// The condition keys of the request, with their values.
    pub context: Vec<(String, String)>,
}

/// Whose resources a call names without saying so.
struct Scope<'a> {
    account: &'a str,
}

impl Scope<'_> {
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", Stack::REGION, self.account)
    }
}

fn permission(action: impl Into<String>, resource: String) -> Permission {
    Permission { action: action.into(), resource, context: Vec::new() }
}

/// What a call needs permissions for. What is not known here is needed as well, so that it is found and added.
#[must_use]
pub fn needed(call: &Call) -> Vec<Permission> {
    let scope = Scope { account: &call.account };
    let (service, verb) = call.operation.split_once('.').unwrap_or((&call.operation, ""));
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    // The URI of a request to a server is a path and a query; the host does not matter here.
    let base = Url::parse("http://aws/").expect("an address");
    let url = base.join(&call.uri).expect("a path and a query");
    match service {
        "dynamodb" => dynamodb(&scope, verb, &body),
        "sqs" => sqs(&scope, verb, &body),
        "secretsmanager" => secrets(&scope, verb, &body),
        "scheduler" => scheduler(&scope, verb, &body, &url),
        "s3" => s3(verb, call, &url),
        // A test knocks at the proxy itself.
        "unsigned" => Vec::new(),
        other => Vec::from([permission(format!("{other}:{verb}"), scope.arn(other, "*"))]),
    }
}

fn dynamodb(scope: &Scope<'_>, verb: &str, body: &Value) -> Vec<Permission> {
    let table = |name: &str| scope.arn("dynamodb", &format!("table/{name}"));
    let name = |body: &Value| body.get("TableName").and_then(Value::as_str).unwrap_or("*").to_owned();
    let action = |verb: &str| format!("dynamodb:{verb}");
    if let Some(items) = body.get("TransactItems").and_then(Value::as_array) {
        // A transaction needs what its parts need.
        let parts = items.iter().filter_map(Value::as_object).flatten();
        let part =
            |(verb, part): (&String, &Value)| permission(action(&format!("{verb}Item")), table(&name(part)));
        return parts.map(part).collect();
    }
    if let Some(tables) = body.get("RequestItems").and_then(Value::as_object) {
        return tables.keys().map(|name| permission(action(verb), table(name))).collect();
    }
    let table = table(&name(body));
    let resource = match body.get("IndexName").and_then(Value::as_str) {
        Some(index) => format!("{table}/index/{index}"),
        None => table,
    };
    Vec::from([permission(action(verb), resource)])
}

fn sqs(scope: &Scope<'_>, verb: &str, body: &Value) -> Vec<Permission> {
    let url = body.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
    let queue = url.rsplit('/').next().unwrap_or_default();
    // A batch needs the permission of its parts.
    let verb = verb.strip_suffix("Batch").unwrap_or(verb);
    Vec::from([permission(format!("sqs:{verb}"), scope.arn("sqs", queue))])
}

fn secrets(scope: &Scope<'_>, verb: &str, body: &Value) -> Vec<Permission> {
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let secret = field("SecretId").or_else(|| field("Name")).unwrap_or("*");
    let arn = if secret.starts_with("arn:") {
        secret.to_owned()
    } else {
        // AWS adds six characters to the name.
        scope.arn("secretsmanager", &format!("secret:{secret}-Ab12Cd"))
    };
    let mut needed = Vec::from([permission(format!("secretsmanager:{verb}"), arn.clone())]);
    if body.get("Tags").and_then(Value::as_array).is_some_and(|tags| !tags.is_empty()) {
        needed.push(permission("secretsmanager:TagResource", arn));
    }
    needed
}

fn scheduler(scope: &Scope<'_>, verb: &str, body: &Value, url: &Url) -> Vec<Permission> {
    let mut path = url.path_segments().into_iter().flatten().skip(1);
    let Some(schedule) = path.next() else {
        // ListSchedules knows no resource: only a policy for all resources allows it.
        return Vec::from([permission("scheduler:ListSchedules", scope.arn("scheduler", "*"))]);
    };
    let of_query =
        url.query_pairs().find(|(name, _)| name == "groupName").map(|(_, group)| group.into_owned());
    let of_body = body.get("GroupName").and_then(Value::as_str).map(str::to_owned);
    let group = of_query.or(of_body).unwrap_or_else(|| "default".to_owned());
    let resource = scope.arn("scheduler", &format!("schedule/{group}/{schedule}"));
    let mut needed = Vec::from([permission(format!("scheduler:{verb}"), resource)]);
    if let Some(role) = body.pointer("/Target/RoleArn").and_then(Value::as_str) {
        let context = Vec::from([("iam:PassedToService".to_owned(), "scheduler.amazonaws.com".to_owned())]);
        needed.push(Permission { context, ..permission("iam:PassRole", role.to_owned()) });
    }
    needed
}

fn s3(verb: &str, call: &Call, url: &Url) -> Vec<Permission> {
    let path = url.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let object = |key: &str| format!("arn:aws:s3:::{bucket}/{key}");
    let list =
        |context| Permission { context, ..permission("s3:ListBucket", format!("arn:aws:s3:::{bucket}")) };
    let query =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    match verb {
        "GetObject" | "HeadObject" if call.status == 404 => {
            // Without the permission to list, S3 says of what is missing that it is forbidden, and these requests carry
            // no prefix.
            Vec::from([permission("s3:GetObject", object(key)), list(Vec::new())])
        }
        "GetObject" | "HeadObject" => Vec::from([permission("s3:GetObject", object(key))]),
        "GetBucket" => {
            let prefix = query("prefix").map(|prefix| ("s3:prefix".to_owned(), prefix));
            Vec::from([list(prefix.into_iter().collect())])
        }
        "CreateBucket" if query("delete").is_some() => {
            let keys = elements(&String::from_utf8_lossy(&call.body), "Key");
            keys.iter().map(|key| permission("s3:DeleteObject", object(key))).collect()
        }
        verb => Vec::from([permission(format!("s3:{verb}"), object(key))]),
    }
}

/// One function's role: its policies, as they were deployed.
#[derive(Debug)]
pub struct Role(Vec<IAMPolicy>);

impl Role {
    /// Reads the policies of the role in which a function of the account runs.
    ///
    /// # Panics
    /// When the emulator does not give them.
    #[must_use]
    pub fn of(aws: &Aws, function: &str) -> Self {
        let configuration = aws.function(function);
        let role = configuration.get("Role").and_then(Value::as_str).expect("a function has a role");
        let name = role.rsplit('/').next().expect("a role has a name").to_owned();
        let names = aws.iam("ListRolePolicies", &[("RoleName", &name)]);
        let policies = elements(&names, "member").into_iter().map(|policy| {
            let answer = aws.iam("GetRolePolicy", &[("RoleName", &name), ("PolicyName", &policy)]);
            let encoded = elements(&answer, "PolicyDocument").pop().expect("a policy has a document");
            let document: String = form_urlencoded::parse(format!("d={encoded}").as_bytes())
                .map(|(_, document)| document.into_owned())
                .collect();
            serde_json::from_str(&document).unwrap_or_else(|error| panic!("{policy}: {error}: {document}"))
        });
        let policies: Vec<IAMPolicy> = policies.collect();
        assert!(!policies.is_empty(), "the role of {function} has no policies");
        Self(policies)
    }

    /// Whether the role allows it.
    ///
    /// # Panics
    /// When a policy cannot be evaluated.
    #[must_use]
    pub fn allows(&self, permission: &Permission) -> bool {
        decide(self.0.clone(), permission)
    }

    /// What the role grants, piece by piece: an action on a resource pattern, with the statement's condition.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let statements = self.0.iter().flat_map(|policy| &policy.statement);
        let grants = statements.flat_map(|statement| {
            let statement = serde_json::to_value(statement).expect("a statement is JSON");
            let many = |name: &str| match statement.get(name) {
                Some(Value::Array(many)) => {
                    many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                Some(Value::String(one)) => Vec::from([one.clone()]),
                _ => Vec::new(),
            };
            let resources: Vec<String> = many("Resource");
            let pairs = many("Action").into_iter().flat_map(move |action| {
                resources.clone().into_iter().map(move |resource| (action.clone(), resource))
            });
            let condition = statement.get("Condition").cloned();
            pairs
                .map(|(action, resource)| Grant { action, resource, condition: condition.clone() })
                .collect::<Vec<_>>()
        });
        grants.collect()
    }
}

/// An action that is allowed on the resources of a pattern.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The action.
    pub action: String,
    /// The pattern of ARNs.
    pub resource: String,
    condition: Option<Value>,
}

impl Grant {
    /// Whether this grant alone would allow it.
    #[must_use]
    pub fn allows(&self, permission: &Permission) -> bool {
        let mut statement = json!({"Effect": "Allow", "Action": self.action, "Resource": self.resource});
        if let (Some(statement), Some(condition)) = (statement.as_object_mut(), &self.condition) {
            statement.insert("Condition".to_owned(), condition.clone());
        }
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
        decide(Vec::from([serde_json::from_value(policy).expect("a policy")]), permission)
    }
}

fn decide(policies: Vec<IAMPolicy>, permission: &Permission) -> bool {
    let context = permission
        .context
        .iter()
        .fold(Context::new(), |context, (key, value)| context.with_string(key.clone(), value.clone()));
    let role = Principal::Aws(PrincipalId::String("arn:aws:iam::000000000000:role/function".to_owned()));
    let resource = Arn::parse(&permission.resource).expect("an ARN");
    let request = IAMRequest::new_with_context(role, permission.action.clone(), resource, context);
    let decided = PolicyEvaluator::with_policies(policies).evaluate(&request);
    decided.unwrap_or_else(|error| panic!("{permission:?}: {error}")).decision == Decision::Allow
}

/// Holds what functions needed against their roles.
///
/// # Panics
/// When a role does not allow something, with all that it does not.
pub fn assert_granted(aws: &Aws, needed: &BTreeSet<(String, Permission)>) {
    let functions: BTreeSet<&String> = needed.iter().map(|(function, _)| function).collect();
    let refused: Vec<String> = functions
        .into_iter()
        .flat_map(|function| {
            let role = Role::of(aws, function);
            let refused = needed.iter().filter(|(by, permission)| by == function && !role.allows(permission));
            refused.map(|(by, permission)| format!("{by}: {permission:?}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(
        refused.is_empty(),
        "AWS would refuse what the roles in infra/template.yaml do not allow: {refused:#?}"
    );
}

/// The texts of the XML elements of this name.
pub(crate) fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let after = xml.split(&open).skip(1);
    after.filter_map(|rest| rest.split_once(&close)).map(|(text, _)| text.to_owned()).collect()
}
