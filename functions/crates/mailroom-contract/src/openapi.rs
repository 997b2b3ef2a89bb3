//! The OpenAPI 3.1 document.
//!
//! Schemas come from the types, paths from the table of routes; what is said here is what neither of them knows: the
//! words, the parameters, and which answers an operation can give.

mod operations;
mod schema_constraints;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::autoconfig::{AutoconfigBody, AutoconfigView, ProviderList};
use crate::connect_link::{ConnectLinkBody, ConnectLinkPage, ConnectLinkView};
use crate::connection_test::{Accepted, Alive, TestReport};
use crate::flow_schema::{FlowBody, FlowPage, FlowView, NewFlowBody};
use crate::message::{AcceptedMessage, MessageBody, MessagePage, MessageState, MessageView};
use crate::openapi::operations::{Body, words};
use crate::openapi::schema_constraints::refine;
use crate::poll::FetchBody;
use crate::problem::FieldError;
use crate::profile::ProfileBody;
use crate::profile_view::{ProfilePage, ProfileView};
use crate::quarantine::QuarantineView;
use crate::route::{Operation, ROUTES, Route};
use crate::sign_in::{SignInBegun, SignedOut};
use crate::upload::{UploadBody, UploadView};

#[derive(OpenApi)]
#[openapi(components(schemas(
    ProfileBody,
    ProfileView,
    ProfilePage,
    NewFlowBody,
    FlowBody,
    FlowView,
    FlowPage,
    TestReport,
    MessageBody,
    MessageView,
    MessagePage,
    AcceptedMessage,
    UploadBody,
    FetchBody,
    UploadView,
    AutoconfigBody,
    AutoconfigView,
    ProviderList,
    ConnectLinkBody,
    ConnectLinkView,
    ConnectLinkPage,
    QuarantineView,
    SignInBegun,
    SignedOut,
    Accepted,
    Alive,
    FieldError
)))]
struct Schemas;

/// The OpenAPI document, as `/openapi.json` returns it.
#[must_use]
pub fn document() -> Value {
    let mut schemas = match serde_json::to_value(Schemas::openapi()) {
        Ok(mut document) => document.pointer_mut("/components/schemas").map(Value::take).unwrap_or_default(),
        Err(_) => Value::default(),
    };
    refine(&mut schemas);
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mailroom",
            "version": "1",
            "description": "Describe a mailbox once, as an email profile; from then on every message that arrives in it \
                starts a flow.\n\nA deployment asks for a JWT (`Authorization: Bearer …`) or for AWS Signature \
                Version 4, as it was configured; only this document, the schemas, `/health` and the addresses of a \
                sign-in are open. A deployment may ask for scopes in the token; each operation names its own, which \
                the deployment may call otherwise.\n\nA change \
                may carry `If-Match` with the `ETag` of what it was made from: it is refused with 412 if someone else \
                was quicker.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "profiles", "description": "Mailboxes that are watched, or sent from."},
            {"name": "sign-in", "description": "Access that an OAuth2 provider grants."},
            {"name": "messages", "description": "Messages that are sent."},
            {"name": "flow schemas", "description": "The flows that messages start."},
            {"name": "about", "description": "The API itself."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas, "responses": problem_responses(), "headers": headers(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn operation(route: Route) -> Value {
    let words = words(route.operation);
    let parameters = parameters(route, words.tag);
    let (status, description, schema) = words.success;
    let mut success = json!({"description": description});
    if let (Value::Object(success), Some(schema)) = (&mut success, schema) {
        let schema = match schema {
            "Any" => json!({"type": "object"}),
            name => json!({"$ref": format!("#/components/schemas/{name}")}),
        };
        success.insert("content".to_owned(), json!({"application/json": {"schema": schema}}));
        if let Some(headers) = success_headers(route.operation) {
            success.insert("headers".to_owned(), headers);
        }
    }
    if route.operation == Operation::FinishSignIn {
        success = page(description);
    }
    let mut responses = Map::from_iter([(status.to_owned(), success)]);
    if matches!(route.operation, Operation::StartSignIn | Operation::FinishSignIn) {
        for (status, description) in PAGES {
            responses.insert(status.to_owned(), page(description));
        }
    }
    if route.operation == Operation::PutFlowSchema {
        let schema = json!({"$ref": "#/components/schemas/StoredFlowSchema"});
        let made = json!({"description": "Made.", "content": {"application/json": {"schema": schema}}});
        responses.insert("201".to_owned(), made);
    }
    let refusals: &[&str] = if route.operation.rights().is_empty() { &[] } else { &["401", "403"] };
    for problem in words.problems.iter().chain(refusals) {
        responses.insert((*problem).to_owned(), json!({"$ref": format!("#/components/responses/{problem}")}));
    }
    let mut operation = json!({
        "operationId": words.id, "tags": [words.tag], "summary": words.summary,
        "description": words.description, "responses": responses, "security": security(route.operation),
    });
    let Value::Object(members) = &mut operation else { return operation };
    if !parameters.is_empty() {
        members.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if let Some(body) = words.body {
        let (schema, required) = match body {
            Body::Required(schema) => (schema, true),
            Body::Optional(schema) => (schema, false),
        };
        let content_type =
            if schema == "ProfilePatch" { "application/merge-patch+json" } else { "application/json" };
        let schema = json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}});
        members.insert(
            "requestBody".to_owned(),
            json!({"required": required, "content": {content_type: schema}}),
        );
    }
    operation
}

/// What an operation takes in its path, its query and its header.
fn parameters(route: Route, tag: &str) -> Vec<Value> {
    let mut parameters = Vec::new();
    if route.path.contains("{id}") {
        parameters.push(id_parameter(tag));
    }
    if route.path.contains("{message}") {
        parameters.push(json!({"name": "message", "in": "path", "required": true,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "example": "01JDCABCDEFGHJKMNPQRSTVWXZ"}}));
    }
    let repeatable = [(Operation::SendMessage, "message"), (Operation::CreateProfile, "profile")];
    if let Some((_, what)) = repeatable.iter().find(|(operation, _)| *operation == route.operation) {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": format!(
                "Any text of yours: within 24 hours, the same key with the same body is the same {what}."
            ),
            "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "example": "order-4711-shipped"},
        }));
    }
    parameters.extend(query_parameters(route.operation));
    let changes =
        matches!(route.operation, Operation::PutProfile | Operation::PatchProfile | Operation::DeleteProfile);
    if changes {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The `ETag` of what the change was made from, or `*`.",
            "schema": {"type": "string", "example": "\"7\"",
                "anyOf": [{"const": "*"}, {"pattern": r#"^"[0-9]{1,18}"$"#}]},
        }));
    }
    parameters
}

/// How callers prove who they are; a deployment knows one of these ways.
fn security_schemes() -> Value {
    json!({
        "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A token of the deployment's issuer for its audience (`ApiAuth` is `jwt`)."},
        "iam": {"type": "apiKey", "in": "header", "name": "Authorization",
            "x-amazon-apigateway-authtype": "awsSigv4",
            "description": "AWS Signature Version 4, for the service `execute-api` (`ApiAuth` is `iam`)."},
    })
}

/// What an operation asks of its callers: one of the alternatives. Those of `jwt` name a scope, which counts where the
/// deployment asks for scopes.
fn security(operation: Operation) -> Value {
    let rights = operation.rights();
    let tokens = rights.iter().map(|right| json!({"jwt": [right.scope()]}));
    let signed = (!rights.is_empty()).then(|| json!({"iam": []}));
    tokens.chain(signed).collect()
}

/// The pages of a sign-in that did not come about.
const PAGES: [(&str, &str); 2] = [
    ("400", "A page that says why nobody is signed in, and what to do."),
    ("503", "A page that says that something Mailroom depends on failed."),
];

fn page(description: &str) -> Value {
    json!({"description": description, "content": {"text/html": {"schema": {"type": "string"}}}})
}

fn id_parameter(tag: &str) -> Value {
    let schema = if matches!(tag, "profiles" | "messages" | "sign-in") {
        json!({"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", "example": "01JDCABCDEFGHJKMNPQRSTVWXY"})
    } else {
        json!({"$ref": "#/components/schemas/FlowId"})
    };
    json!({"name": "id", "in": "path", "required": true, "schema": schema})
}

fn query_parameters(operation: Operation) -> Vec<Value> {
    let limit = json!({
        "name": "limit", "in": "query", "required": false, "description": "How many at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
    });
    let cursor = |pattern: &str| {
        json!({
            "name": "cursor", "in": "query", "required": false, "description": "`next` of the page before.",
            "schema": {"type": "string", "pattern": pattern},
        })
    };
    let filter = |name: &str, description: &str, schema: &Value| json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema});
    let text = |name: &str, description: &str| json!({"name": name, "in": "query", "required": false, "description": description, "schema": {"type": "string"}});
    match operation {
        Operation::ListProfiles => vec![
            limit,
            cursor("^[0-7][0-9A-HJKMNP-TV-Z]{25}$"),
            json!({
                "name": "q", "in": "query", "required": false,
                "description": "A part of the name, the login, the address that messages come from or a host, in any case.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 100,
                    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"},
            }),
            filter(
                "state",
                "Only profiles that are in this state.",
                &json!({"$ref": "#/components/schemas/State"}),
            ),
            filter(
                "flow_schema_id",
                "Only profiles whose messages start this flow.",
                &json!({"$ref": "#/components/schemas/FlowId"}),
            ),
            filter("listen", "Only profiles that listen, or that do not.", &json!({"type": "boolean"})),
        ],
        Operation::DeleteProfile => vec![filter(
            "purge",
            "Whether the messages that are stored of it are deleted too.",
            &json!({"type": "boolean", "default": false}),
        )],
        Operation::ListConnectLinks => vec![limit, cursor("^[0-7][0-9A-HJKMNP-TV-Z]{25}$")],
        Operation::ListFlowSchemas => vec![limit, cursor("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")],
        Operation::ListMessages => vec![
            limit,
            cursor("^[0-9]{13}[.][A-Za-z0-9_-]{1,64}$"),
            json!({
                "name": "status", "in": "query", "required": false, "description": "Only messages with this status.",
                "schema": {"type": "string", "enum": MessageState::ALL.map(MessageState::name)},
            }),
            json!({
                "name": "since", "in": "query", "required": false,
                "description": "Only messages that were accepted at this time (RFC 3339) or later.",
                "schema": {"type": "string", "format": "date-time", "example": "2026-11-01T12:00:00Z"},
            }),
        ],
        Operation::StartSignIn => vec![text("ticket", "Who may complete the sign-in.")],
        Operation::FinishSignIn => vec![
            text("state", "Which sign-in it is."),
            text("code", "What the provider gives (RFC 6749 §4.1.2)."),
            text("error", "Why it gives nothing (§4.1.2.1)."),
        ],
        Operation::CreateProfile
        | Operation::TestSettings
        | Operation::FindSettings
        | Operation::ListProviders
        | Operation::CreateConnectLink
        | Operation::DeleteConnectLink
        | Operation::GetProfile
        | Operation::PutProfile
        | Operation::PatchProfile
        | Operation::TestProfile
        | Operation::FetchProfile
        | Operation::ListQuarantine
        | Operation::RetryQuarantined
        | Operation::AuthorizeProfile
        | Operation::DeleteAuthorization
        | Operation::SendMessage
        | Operation::CreateUpload
        | Operation::GetMessage
        | Operation::CancelMessage
        | Operation::ResendMessage
        | Operation::CreateFlowSchema
        | Operation::GetFlowSchema
        | Operation::PutFlowSchema
        | Operation::DeleteFlowSchema
        | Operation::GetOpenApi
        | Operation::GetFlowJobSchema
        | Operation::GetHealth => Vec::new(),
    }
}

fn success_headers(operation: Operation) -> Option<Value> {
    let etag = json!({"$ref": "#/components/headers/ETag"});
    let location = json!({"$ref": "#/components/headers/Location"});
    match operation {
        Operation::CreateProfile => Some(json!({"ETag": etag, "Location": location})),
        Operation::GetProfile | Operation::PutProfile | Operation::PatchProfile => {
            Some(json!({"ETag": etag}))
        }
        Operation::CreateFlowSchema | Operation::SendMessage => Some(json!({"Location": location})),
        Operation::ListProfiles
        | Operation::TestSettings
        | Operation::FindSettings
        | Operation::ListProviders
        | Operation::CreateConnectLink
        | Operation::ListConnectLinks
        | Operation::DeleteConnectLink
        | Operation::DeleteProfile
        | Operation::TestProfile
        | Operation::FetchProfile
        | Operation::ListQuarantine
        | Operation::RetryQuarantined
        | Operation::AuthorizeProfile
        | Operation::DeleteAuthorization
        | Operation::StartSignIn
        | Operation::FinishSignIn
        | Operation::CreateUpload
        | Operation::ListMessages
        | Operation::GetMessage
        | Operation::CancelMessage
        | Operation::ResendMessage
        | Operation::ListFlowSchemas
        | Operation::GetFlowSchema
        | Operation::PutFlowSchema
        | Operation::DeleteFlowSchema
        | Operation::GetOpenApi
        | Operation::GetFlowJobSchema
        | Operation::GetHealth => None,
    }
}

fn headers() -> Value {
    json!({
        "ETag": {"description": "The version, for `If-Match`.", "required": true,
            "schema": {"type": "string", "pattern": r#"^"[0-9]+"$"#}},
        "Location": {"description": "Where it is.", "required": true, "schema": {"type": "string"}},
    })
}

/// Every problem that an operation can answer with.
fn problem_responses() -> Value {
    let mut responses = Map::new();
    for (status, description) in [
        ("400", "The request cannot be read: the body is not JSON, or a parameter is wrong."),
        ("404", "The path, or what its id names, does not exist."),
        ("409", "It is right by itself, and does not fit what is stored or what the server asks for."),
        ("412", "Someone else has changed it since; read it again."),
        ("413", "The body is too large."),
        ("415", "The body is of another type than JSON."),
        ("422", "Fields are wrong; `errors` names each of them."),
        ("503", "Something that Mailroom depends on failed; nothing is lost, try again."),
    ] {
        let content =
            json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        responses.insert(status.to_owned(), json!({"description": description, "content": content}));
    }
    // By API Gateway, before the function is asked.
    let message = json!({"application/json": {"schema": {
        "type": "object", "properties": {"message": {"type": "string"}},
    }}});
    responses.insert(
        "401".to_owned(),
        json!({"description": "The token is missing, has expired, or is not for this API.", "content": message}),
    );
    let mut forbidden = message;
    if let Value::Object(content) = &mut forbidden {
        let schema = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
        content.insert("application/problem+json".to_owned(), schema);
    }
    responses.insert(
        "403".to_owned(),
        json!({
            "description": "The caller may not do this: the token lacks a scope or a claim, which `detail` names, or \
                the signature's account has no right to it.",
            "content": forbidden,
        }),
    );
    responses.insert("429".to_owned(), json!({"description": "Too many requests; try again."}));
    Value::Object(responses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value.as_str() {
                        Some(target) if name == "$ref" => found.push(target.to_owned()),
                        Some(_) | None => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn the_document_as_it_is() {
        insta::assert_json_snapshot!(document());
    }
}
