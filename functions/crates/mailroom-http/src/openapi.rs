//! The OpenAPI 3.1 document.
//!
//! Schemas come from the types, paths from the table of routes; what is said here is what neither of them knows: the
//! words, the parameters, and which answers an operation can give.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::flow::{FlowBody, FlowPage, FlowView, NewFlowBody};
use crate::probe::{Accepted, Alive, TestReport};
use crate::problem::FieldError;
use crate::profile::{ProfileBody, ProfilePage, ProfileView};
use crate::route::{Operation, ROUTES, Route};

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
    Accepted,
    Alive,
    FieldError
)))]
struct Schemas;

/// What an operation's document says besides its place.
struct Words {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    /// The body's schema, if it takes one.
    body: Option<Body>,
    /// The answer to what succeeds: status, description, schema.
    success: (&'static str, &'static str, Option<&'static str>),
    /// The problems that it can answer with.
    problems: &'static [&'static str],
}

/// A body that is taken.
#[derive(Clone, Copy)]
enum Body {
    Required(&'static str),
    Optional(&'static str),
}

/// The document.
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
            "description": "Describe a mailbox once, as an email profile; from then on every mail that arrives in it \
                starts a flow.\n\nA deployment asks for a JWT (`Authorization: Bearer …`) or for AWS Signature \
                Version 4, as it was configured; only this document, the schemas and `/health` are open.\n\nA change \
                may carry `If-Match` with the `ETag` of what it was made from: it is refused with 412 if someone else \
                was quicker.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "profiles", "description": "Mailboxes that are watched, or sent from."},
            {"name": "flow schemas", "description": "What mail starts."},
            {"name": "about", "description": "The API itself."},
        ],
        "paths": paths,
        "components": {"schemas": schemas, "responses": problem_responses(), "headers": headers()},
    })
}

fn operation(route: Route) -> Value {
    let words = words(route.operation);
    let mut parameters = Vec::new();
    if route.path.contains("{id}") {
        parameters.push(id_parameter(words.tag));
    }
    parameters.extend(query_parameters(route.operation));
    let changes =
        matches!(route.operation, Operation::PutProfile | Operation::PatchProfile | Operation::DeleteProfile);
    if changes {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The `ETag` of what the change was made from, or `*`.",
            "schema": {"type": "string", "pattern": r#"^(\*|"[0-9]{1,18}")$"#, "example": "\"7\""},
        }));
    }
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
    let mut responses = Map::from_iter([(status.to_owned(), success)]);
    if route.operation == Operation::PutFlowSchema {
        let schema = json!({"$ref": "#/components/schemas/StoredFlowSchema"});
        let made = json!({"description": "Made.", "content": {"application/json": {"schema": schema}}});
        responses.insert("201".to_owned(), made);
    }
    for problem in words.problems {
        responses.insert((*problem).to_owned(), json!({"$ref": format!("#/components/responses/{problem}")}));
    }
    let mut operation = json!({
        "operationId": words.id, "tags": [words.tag], "summary": words.summary,
        "description": words.description, "responses": responses,
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

fn id_parameter(tag: &str) -> Value {
    let schema = if tag == "profiles" {
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
    match operation {
        Operation::ListProfiles => vec![
            limit,
            cursor("^[0-7][0-9A-HJKMNP-TV-Z]{25}$"),
            json!({
                "name": "q", "in": "query", "required": false,
                "description": "A part of the name, the login or a host, in any case.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 100},
            }),
        ],
        Operation::ListFlowSchemas => vec![limit, cursor("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")],
        Operation::CreateProfile
        | Operation::TestSettings
        | Operation::GetProfile
        | Operation::PutProfile
        | Operation::PatchProfile
        | Operation::DeleteProfile
        | Operation::TestProfile
        | Operation::FetchProfile
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
        Operation::CreateFlowSchema => Some(json!({"Location": location})),
        Operation::ListProfiles
        | Operation::TestSettings
        | Operation::DeleteProfile
        | Operation::TestProfile
        | Operation::FetchProfile
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
        ("400", "The request cannot be read: no JSON, or a parameter that is wrong."),
        ("404", "There is no such thing."),
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
    responses.insert("429".to_owned(), json!({"description": "Too many requests; try again."}));
    Value::Object(responses)
}

/// The schemas of what comes in.
const REQUESTS: [&str; 5] = ["Profile", "Auth", "AfterFetch", "NewFlowSchema", "FlowSchema"];

/// Adds what the types alone cannot say.
fn refine(schemas: &mut Value) {
    let Value::Object(schemas) = schemas else { return };
    schemas.insert("Problem".to_owned(), problem_schema());
    for name in REQUESTS {
        let Some(schema) = schemas.get_mut(name) else { continue };
        match schema.get_mut("oneOf").and_then(Value::as_array_mut) {
            Some(variants) => variants.iter_mut().for_each(strict),
            None => strict(schema),
        }
    }
    // What listens needs a server and a flow.
    if let Some(Value::Object(profile)) = schemas.get_mut("Profile") {
        let listening = json!({"required": ["imap_host", "flow_schema_id"]});
        let sending = json!({"properties": {"listen": {"const": false}}, "required": ["listen"]});
        profile.insert("anyOf".to_owned(), json!([listening, sending]));
    }
    let profile = schemas.get("Profile").cloned().unwrap_or_default();
    let auth = schemas.get("Auth").cloned().unwrap_or_default();

    schemas.insert("AuthPatch".to_owned(), auth_patch_schema(&auth));
    schemas.insert("NewAuth".to_owned(), new_auth_schema(auth));
    let mut new_profile = profile.clone();
    if let Some(auth) = new_profile.pointer_mut("/properties/auth") {
        *auth = json!({"$ref": "#/components/schemas/NewAuth"});
    }
    schemas.insert("TestSettings".to_owned(), test_schema(new_profile.clone()));
    schemas.insert("NewProfile".to_owned(), new_profile);
    schemas.insert("ProfilePatch".to_owned(), patch_schema(profile));
}

/// An object that takes no other members, and needs none that has a default.
fn strict(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    members.insert("additionalProperties".to_owned(), json!(false));
    let properties = members.get("properties").cloned().unwrap_or_default();
    if let Some(required) = members.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| {
            let property = name.as_str().and_then(|name| properties.get(name));
            property.is_none_or(|property| property.get("default").is_none())
        });
    }
}

/// A new profile has to bring its secret.
fn new_auth_schema(auth: Value) -> Value {
    let mut new_auth = auth;
    for variant in new_auth.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
        let secret =
            if variant.pointer("/properties/password").is_some() { "password" } else { "client_secret" };
        if let Some(required) = variant.get_mut("required").and_then(Value::as_array_mut) {
            required.push(json!(secret));
        }
    }
    new_auth
}

/// What is tried needs a server and a login; the rest of a profile may come along.
fn test_schema(profile: Value) -> Value {
    let mut test = profile;
    if let Value::Object(members) = &mut test {
        members.insert("required".to_owned(), json!(["auth"]));
        members.insert("anyOf".to_owned(), json!([{"required": ["imap_host"]}, {"required": ["smtp_host"]}]));
        members.insert(
            "description".to_owned(),
            json!("The settings to try: those of a profile, as far as they are known."),
        );
    }
    test
}

/// The members of all kinds of `auth`: what is left out stays as it is.
fn auth_patch_schema(auth: &Value) -> Value {
    let mut properties = Map::new();
    for variant in auth.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        for (name, property) in variant.get("properties").and_then(Value::as_object).into_iter().flatten() {
            properties.insert(name.clone(), property.clone());
        }
    }
    properties.insert("type".to_owned(), json!({"type": "string", "enum": ["plain", "oauth2"]}));
    json!({
        "type": "object", "properties": properties, "additionalProperties": false,
        "description": "Merged into what is stored. Another type needs all that a new profile of that type needs, \
            but for the login.",
    })
}

/// A patch may leave everything out, and takes back with null what has a default.
fn patch_schema(profile: Value) -> Value {
    let mut patch = profile;
    let needed = patch.get("required").cloned().unwrap_or_default();
    if let Value::Object(members) = &mut patch {
        members.remove("required");
        members.remove("anyOf");
        members.insert(
            "description".to_owned(),
            json!("Some settings of a profile, as a JSON merge patch (RFC 7396): null takes a setting back to its default."),
        );
    }
    let properties = patch.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if name == "auth" {
            *property = json!({"$ref": "#/components/schemas/AuthPatch"});
        } else if !needed.as_array().is_some_and(|needed| needed.contains(&json!(name))) {
            *property = json!({"anyOf": [property.take(), {"type": "null"}]});
        }
    }
    patch
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "A problem (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "`about:blank`: the status says what kind of problem it is."},
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "One sentence: what is wrong, and what to do."},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
        },
    })
}

const READ: &[&str] = &["404", "429", "503"];
const LIST: &[&str] = &["400", "429", "503"];
const OPEN: &[&str] = &["429"];

#[expect(clippy::too_many_lines, reason = "a table: one entry for each operation")]
fn words(operation: Operation) -> Words {
    const PROFILES: &str = "profiles";
    const FLOWS: &str = "flow schemas";
    const ABOUT: &str = "about";
    match operation {
        Operation::CreateProfile => Words {
            id: "createProfile",
            tag: PROFILES,
            summary: "Make a profile",
            description: "A profile that listens is polled within its refresh interval.",
            body: Some(Body::Required("NewProfile")),
            success: ("201", "Made.", Some("StoredProfile")),
            problems: &["400", "409", "413", "415", "422", "429", "503"],
        },
        Operation::ListProfiles => Words {
            id: "listProfiles",
            tag: PROFILES,
            summary: "List profiles",
            description: "Newest first. Pages stay correct while profiles come and go. A profile that was made this \
                moment may be missing.",
            body: None,
            success: ("200", "A page.", Some("ProfilePage")),
            problems: LIST,
        },
        Operation::TestSettings => Words {
            id: "testSettings",
            tag: PROFILES,
            summary: "Try settings",
            description: "Connects and logs in, as the settings say, and changes nothing: on the servers, or here. \
                Takes at most ten seconds.",
            body: Some(Body::Required("TestSettings")),
            success: ("200", "What the servers did.", Some("TestReport")),
            problems: &["400", "413", "415", "422", "429", "503"],
        },
        Operation::GetProfile => Words {
            id: "getProfile",
            tag: PROFILES,
            summary: "Read a profile",
            description: "Its settings without secrets, and how it is doing.",
            body: None,
            success: ("200", "The profile.", Some("StoredProfile")),
            problems: READ,
        },
        Operation::PutProfile => Words {
            id: "putProfile",
            tag: PROFILES,
            summary: "Replace a profile's settings",
            description: "What is left out takes its default, except for the secret: it stays. The next poll uses the \
                new settings.",
            body: Some(Body::Required("Profile")),
            success: ("200", "The profile as it is now.", Some("StoredProfile")),
            problems: &["400", "404", "409", "412", "413", "415", "422", "429", "503"],
        },
        Operation::PatchProfile => Words {
            id: "patchProfile",
            tag: PROFILES,
            summary: "Change some of a profile's settings",
            description: "A JSON merge patch (RFC 7396). The next poll uses the new settings.",
            body: Some(Body::Required("ProfilePatch")),
            success: ("200", "The profile as it is now.", Some("StoredProfile")),
            problems: &["400", "404", "409", "412", "413", "415", "422", "429", "503"],
        },
        Operation::DeleteProfile => Words {
            id: "deleteProfile",
            tag: PROFILES,
            summary: "Remove a profile",
            description: "With its secret, and all that was noted about its mail.",
            body: None,
            success: ("204", "Removed.", None),
            problems: &["400", "404", "412", "429", "503"],
        },
        Operation::TestProfile => Words {
            id: "testProfile",
            tag: PROFILES,
            summary: "Try a profile",
            description: "As it is stored, or with the changes of the body, which are not stored.",
            body: Some(Body::Optional("ProfilePatch")),
            success: ("200", "What the servers did.", Some("TestReport")),
            problems: &["400", "404", "409", "413", "415", "422", "429", "503"],
        },
        Operation::FetchProfile => Words {
            id: "fetchProfile",
            tag: PROFILES,
            summary: "Poll a profile now",
            description: "Does not wait for it: read the profile's status a moment later.",
            body: None,
            success: ("202", "It will be polled within moments.", Some("Accepted")),
            problems: &["404", "409", "429", "503"],
        },
        Operation::CreateFlowSchema => Words {
            id: "createFlowSchema",
            tag: FLOWS,
            summary: "Make a flow schema",
            description: "Profiles name it; jobs carry its id.",
            body: Some(Body::Required("NewFlowSchema")),
            success: ("201", "Made.", Some("StoredFlowSchema")),
            problems: &["400", "409", "413", "415", "422", "429", "503"],
        },
        Operation::ListFlowSchemas => Words {
            id: "listFlowSchemas",
            tag: FLOWS,
            summary: "List flow schemas",
            description: "By id.",
            body: None,
            success: ("200", "A page.", Some("FlowPage")),
            problems: LIST,
        },
        Operation::GetFlowSchema => Words {
            id: "getFlowSchema",
            tag: FLOWS,
            summary: "Read a flow schema",
            description: "What it is called, and where its jobs go.",
            body: None,
            success: ("200", "The flow schema.", Some("StoredFlowSchema")),
            problems: READ,
        },
        Operation::PutFlowSchema => Words {
            id: "putFlowSchema",
            tag: FLOWS,
            summary: "Make or replace a flow schema",
            description: "Mail that is handed over from now on goes where it says.",
            body: Some(Body::Required("FlowSchema")),
            success: ("200", "The flow schema as it is now.", Some("StoredFlowSchema")),
            problems: &["400", "404", "413", "415", "422", "429", "503"],
        },
        Operation::DeleteFlowSchema => Words {
            id: "deleteFlowSchema",
            tag: FLOWS,
            summary: "Remove a flow schema",
            description: "One that a profile uses is kept.",
            body: None,
            success: ("204", "Removed.", None),
            problems: &["404", "409", "429", "503"],
        },
        Operation::GetOpenApi => Words {
            id: "getOpenApi",
            tag: ABOUT,
            summary: "This document",
            description: "OpenAPI 3.1.",
            body: None,
            success: ("200", "The document.", Some("Any")),
            problems: OPEN,
        },
        Operation::GetFlowJobSchema => Words {
            id: "getFlowJobSchema",
            tag: ABOUT,
            summary: "The schema of flow jobs",
            description: "JSON Schema, version 1.",
            body: None,
            success: ("200", "The schema.", Some("Any")),
            problems: OPEN,
        },
        Operation::GetHealth => Words {
            id: "getHealth",
            tag: ABOUT,
            summary: "Whether the API is alive",
            description: "Asks nobody else.",
            body: None,
            success: ("200", "It is.", Some("Alive")),
            problems: OPEN,
        },
    }
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
