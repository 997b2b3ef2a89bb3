//! What the types alone cannot say of a schema.

use serde_json::{Map, Value, json};

/// The schemas of what comes in.
const REQUESTS: [&str; 15] = [
    "Profile",
    "Auth",
    "SmtpAuth",
    "Sender",
    "AfterFetch",
    "NewFlowSchema",
    "FlowSchema",
    "Message",
    "Person",
    "Attachment",
    "HeaderField",
    "NewUpload",
    "AutoconfigRequest",
    "FetchBody",
    "NewConnectLink",
];

/// Adds what the types alone cannot say.
pub(super) fn refine(schemas: &mut Value) {
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
        let listening = present(&["imap_host", "flow_schema_id"]);
        let sending = json!({"properties": {"listen": {"const": false}}, "required": ["listen"]});
        profile.insert("anyOf".to_owned(), json!([listening, sending]));
    }
    refine_message(schemas);
    let profile = schemas.get("Profile").cloned().unwrap_or_default();
    let auth = schemas.get("Auth").cloned().unwrap_or_default();

    schemas.insert("AuthPatch".to_owned(), auth_patch_schema(&auth));
    schemas.insert("NewAuth".to_owned(), new_auth_schema(auth));
    for name in ["SmtpAuth", "Sender"] {
        let whole = schemas.get(name).cloned().unwrap_or_default();
        schemas.insert(format!("{name}Patch"), inner_patch_schema(whole));
    }
    let smtp_auth = schemas.get("SmtpAuth").cloned().unwrap_or_default();
    schemas.insert("NewSmtpAuth".to_owned(), new_smtp_auth_schema(smtp_auth));
    let mut new_profile = profile.clone();
    if let Some(auth) = new_profile.pointer_mut("/properties/auth") {
        *auth = json!({"$ref": "#/components/schemas/NewAuth"});
    }
    refer(&mut new_profile, "smtp_auth", "NewSmtpAuth");
    schemas.insert("TestSettings".to_owned(), test_schema(new_profile.clone()));
    schemas.insert("NewProfile".to_owned(), new_profile);
    let patch = patch_schema(profile);
    schemas.insert("TestPatch".to_owned(), test_patch_schema(patch.clone()));
    schemas.insert("ProfilePatch".to_owned(), patch);
    schemas.insert("AfterFetchPatch".to_owned(), after_fetch_patch_schema());
    refer_connect_link(schemas);
}

/// A message is for someone, and has something in it; a file comes from one place.
fn refine_message(schemas: &mut Map<String, Value>) {
    let filled = |name: &str| json!({"required": [name], "properties": {name: {"minItems": 1}}});
    if let Some(Value::Object(message)) = schemas.get_mut("Message") {
        let someone = json!({"anyOf": [filled("to"), filled("cc"), filled("bcc")]});
        let something = json!({"anyOf": [present(&["text"]), present(&["html"]), filled("attachments")]});
        message.insert("allOf".to_owned(), json!([someone, something]));
    }
    if let Some(Value::Object(attachment)) = schemas.get_mut("Attachment") {
        let only = |name: &str, other: &str| json!({"required": [name], "properties": {name: {"type": "string"}, other: {"type": "null"}}});
        attachment.insert("oneOf".to_owned(), json!([only("content", "key"), only("key", "content")]));
    }
    if let Some(Value::Object(header)) = schemas.get_mut("HeaderField") {
        header.insert("anyOf".to_owned(), header_fields());
    }
}

/// The names of header fields that can be added, each with its values.
fn header_fields() -> Value {
    let field = |name: &str, value: &str| json!({"properties": {"name": {"pattern": name}, "value": {"pattern": value}}});
    // One line that neither begins nor ends with a blank of Unicode's.
    let edge = r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";
    let line = format!(r"^{edge}([^\u0000-\u001f\u007f-\u009f\u2028\u2029]*{edge})?$");
    json!([
        field("^[Xx]-[A-Za-z0-9-]{1,62}$", &line),
        field(&format!("^{}$", any_case("List-Unsubscribe")), "^<[ -~]*>$"),
        field(&format!("^{}$", any_case("List-Unsubscribe-Post")), "^List-Unsubscribe=One-Click$"),
        field(
            &format!("^{}$", any_case("Importance")),
            &format!("^({}|{}|{})$", any_case("high"), any_case("normal"), any_case("low")),
        ),
    ])
}

/// A pattern for a word in upper or lower case: JSON Schema has no flag for it.
fn any_case(word: &str) -> String {
    let each = word.chars().map(|c| match c {
        'a'..='z' | 'A'..='Z' => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
        other => other.to_string(),
    });
    each.collect()
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

/// Texts that have to be there, and not null.
fn present(names: &[&str]) -> Value {
    let text = json!({"type": "string"});
    let properties: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
    json!({"required": names, "properties": properties})
}

/// A new profile has to bring its secret, if it needs one.
fn new_auth_schema(auth: Value) -> Value {
    let mut new_auth = auth;
    for variant in new_auth.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(members) = variant else { continue };
        if members.get("properties").is_some_and(|properties| properties.get("password").is_some()) {
            if let Some(required) = members.get_mut("required").and_then(Value::as_array_mut) {
                required.push(json!("password"));
            }
            if let Some(Value::Object(properties)) = members.get_mut("properties") {
                properties.insert("password".to_owned(), json!({"$ref": "#/components/schemas/Secret"}));
            }
        } else {
            // A client that a person signs in with may be public.
            let signed_in = json!({"properties": {"grant": {"const": "authorization_code"}}});
            members.insert("anyOf".to_owned(), json!([present(&["client_secret"]), signed_in]));
        }
    }
    new_auth
}

/// A login for the SMTP server alone that is new has to bring its password.
fn new_smtp_auth_schema(smtp_auth: Value) -> Value {
    let mut new_smtp_auth = smtp_auth;
    if let Some(required) = new_smtp_auth.get_mut("required").and_then(Value::as_array_mut) {
        required.push(json!("password"));
    }
    if let Some(password) = new_smtp_auth.pointer_mut("/properties/password") {
        *password = json!({"$ref": "#/components/schemas/Secret"});
    }
    new_smtp_auth
}

/// A patch that is only tried: a test depends on no name.
fn test_patch_schema(patch: Value) -> Value {
    let mut test = patch;
    if let Some(name) = test.pointer_mut("/properties/name") {
        *name = json!({"anyOf": [name.take(), {"type": "null"}]});
    }
    test
}

/// The members of all kinds of `after_fetch`.
fn after_fetch_patch_schema() -> Value {
    let mailbox = json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/MailboxName"}]});
    json!({
        "type": "object", "additionalProperties": false,
        "properties": {"action": {"type": "string", "enum": ["keep", "mark_seen", "move"]}, "mailbox": mailbox},
        "description": "Merged into what is stored. Another action takes nothing over from the one before.",
    })
}

/// The members of an object of a profile: what is left out stays as it is.
fn inner_patch_schema(whole: Value) -> Value {
    let mut patch = whole;
    if let Value::Object(members) = &mut patch {
        members.remove("required");
    }
    patch
}

/// Has a member that may be null refer to another schema.
fn refer(schema: &mut Value, member: &str, target: &str) {
    if let Some(member) = schema.pointer_mut(&format!("/properties/{member}")) {
        let whole = member.get("description").or_else(|| member.pointer("/oneOf/0/description"));
        let description = whole.cloned().unwrap_or_default();
        let target = json!({"$ref": format!("#/components/schemas/{target}")});
        *member = json!({"description": description, "oneOf": [{"type": "null"}, target]});
    }
}

/// A connect link presets settings as a patch changes them, or is for a profile that there is.
fn refer_connect_link(schemas: &mut Map<String, Value>) {
    // It is a patch in the document.
    schemas.remove("PresetSettings");
    let Some(link) = schemas.get_mut("NewConnectLink") else { return };
    refer(link, "settings", "ProfilePatch");
    if let Value::Object(members) = link {
        let of = |name: &str, kind: &str, other: &str| json!({"required": [name], "properties": {name: {"type": kind}, other: {"type": "null"}}});
        let ways = [of("settings", "object", "profile_id"), of("profile_id", "string", "settings")];
        members.insert("oneOf".to_owned(), json!(ways));
    }
}

/// What is tried needs a server and a login; the rest of a profile may come along.
fn test_schema(profile: Value) -> Value {
    let mut test = profile;
    if let Value::Object(members) = &mut test {
        members.insert("required".to_owned(), json!(["auth"]));
        members.insert("anyOf".to_owned(), json!([present(&["imap_host"]), present(&["smtp_host"])]));
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
    refer(&mut patch, "smtp_auth", "SmtpAuthPatch");
    refer(&mut patch, "from", "SenderPatch");
    refer(&mut patch, "after_fetch", "AfterFetchPatch");
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
