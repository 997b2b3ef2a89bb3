//! Who asks, and whether they may. API Gateway has proved who it is: a token's claims, or an ARN.

use mailroom_auth::sign_in::person::Person;
use mailroom_contract::route::{Operation, ROUTES, Right};
use serde_json::{Map, Value};

use crate::http::problem::ApiError;

/// The names of rights in tokens: `scope` values (RFC 6749 §3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes {
    read: String,
    write: String,
    send: String,
}

impl Scopes {
    /// Reads three names with commas: to read, to write, to send.
    ///
    /// # Errors
    /// When the number is not three, or one of them is not a scope.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let wrong = "must be three scopes with commas: to read, to write and to send";
        let is_scope = |name: &&str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
        };
        let names: Vec<&str> = text.split(',').map(str::trim).filter(is_scope).collect();
        match names.as_slice() {
            [read, write, send] if text.split(',').count() == 3 => {
                Ok(Self { read: (*read).to_owned(), write: (*write).to_owned(), send: (*send).to_owned() })
            }
            _ => Err(wrong),
        }
    }

    fn name(&self, right: Right) -> &str {
        match right {
            Right::Read => &self.read,
            Right::Write => &self.write,
            Right::Send => &self.send,
        }
    }
}

/// A claim that every token must have, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredClaim {
    name: String,
    value: String,
}

impl RequiredClaim {
    /// Reads `name=value`.
    ///
    /// # Errors
    /// When it is not.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            Some(_) | None => Err("must be a claim and its value, such as hd=example.com"),
        }
    }
}

/// What is asked of callers whom API Gateway has let in by a token, and of people who sign in to the console. What a caller
/// may do who signs requests (AWS Signature Version 4), policies have decided before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The scopes of tokens. `None`: every caller may do everything.
    pub scopes: Option<Scopes>,
    /// The claim of all tokens. `None`: any will do.
    pub claim: Option<RequiredClaim>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// `requestContext.authorizer`: null where nobody was asked who they are.
    authorizer: &'a Value,
}

/// The claims in which providers name a person's scopes, roles or groups.
const OF_PEOPLE: [&str; 7] = ["scope", "scp", "scopes", "roles", "groups", "cognito:groups", "permissions"];

/// The most that a log holds of a name.
const MOST_OF_A_NAME: usize = 256;

impl<'a> Caller<'a> {
    pub(crate) const fn new(authorizer: &'a Value) -> Self {
        Self { authorizer }
    }

    fn claim(self, name: &str) -> Option<&'a Value> {
        self.authorizer.get("jwt")?.get("claims")?.get(name)
    }

    /// The token's subject, or the ARN of who signed the request.
    pub(crate) fn name(self) -> String {
        let arn = || self.authorizer.get("iam")?.get("userArn");
        let name = self.claim("sub").or_else(arn).and_then(Value::as_str).unwrap_or("unknown");
        name.chars().filter(|c| !c.is_control()).take(MOST_OF_A_NAME).collect()
    }

    fn is_signed(self) -> bool {
        self.authorizer.get("iam").and_then(|iam| iam.get("userArn")).is_some()
    }

    /// The token's scopes, wherever its issuer puts them: `scope` (RFC 8693 §4.2), `scp` (Microsoft, Okta), or what API
    /// Gateway has found.
    fn scopes(self) -> impl Iterator<Item = &'a str> {
        let claims = ["scope", "scp", "scopes"].into_iter().filter_map(move |name| self.claim(name));
        let found = self.authorizer.get("jwt").and_then(|jwt| jwt.get("scopes"));
        claims.chain(found).flat_map(words)
    }
}

/// The words of a claim. API Gateway writes a list as `[a b]`.
fn words(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => {
            let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            list.split_ascii_whitespace().collect()
        }
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

impl Access {
    /// Refuses an operation that the caller may not do.
    pub(crate) fn check(&self, caller: Caller<'_>, operation: Operation) -> Result<(), ApiError> {
        let rights = operation.rights();
        if rights.is_empty() || caller.is_signed() {
            return Ok(());
        }
        if let Some(RequiredClaim { name, value }) = &self.claim {
            let claim = caller.claim(name);
            let is_it = claim.and_then(Value::as_str) == Some(value)
                || claim.is_some_and(|claim| words(claim).contains(&value.as_str()));
            if !is_it {
                let detail =
                    format!("The token needs the claim {name} with the value that this deployment asks for.");
                return Err(ApiError::Forbidden(detail));
            }
        }
        let Some(scopes) = &self.scopes else { return Ok(()) };
        let wanted: Vec<&str> = rights.iter().map(|right| scopes.name(*right)).collect();
        if caller.scopes().any(|scope| wanted.contains(&scope)) {
            return Ok(());
        }
        Err(ApiError::Forbidden(format!("The token needs the scope {}.", wanted.join(" or "))))
    }

    /// Whether the caller may do anything that not everybody may.
    pub(crate) fn allows_anything(&self, caller: Caller<'_>) -> bool {
        let operations = ROUTES.iter().map(|route| route.operation);
        { operations }
            .any(|operation| !operation.rights().is_empty() && self.check(caller, operation).is_ok())
    }

    /// What a person's rights are decided by, as the claims of a token. A person has the scopes that the provider says it has
    /// granted, and those that are the names of the person's roles or groups there.
    pub(crate) fn claims_of(&self, person: &Person) -> Map<String, Value> {
        let mut claims = Map::from_iter([("sub".to_owned(), Value::from(person.subject.as_str()))]);
        if let Some(scopes) = &self.scopes {
            let said = OF_PEOPLE.iter().filter_map(|name| person.claims.get(*name)).flat_map(words);
            let said: Vec<&str> = said.chain(person.scopes.iter().map(String::as_str)).collect();
            let rights = Right::ALL.map(|right| scopes.name(right));
            let granted: Vec<&str> = rights.into_iter().filter(|name| said.contains(name)).collect();
            claims.insert("scope".to_owned(), Value::from(granted.join(" ")));
        }
        if let Some(RequiredClaim { name, value }) = &self.claim
            && let Some(claim) = person.claims.get(name)
            && (claim.as_str() == Some(value) || words(claim).contains(&value.as_str()))
        {
            claims.insert(name.clone(), Value::from(value.as_str()));
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use mailroom_contract::route::ROUTES;
    use serde_json::json;

    use super::*;

    fn scopes() -> Access {
        Access { scopes: Scopes::parse("mailroom/read,mailroom/write,mailroom/send").ok(), claim: None }
    }

    fn may(access: &Access, authorizer: &Value, operation: Operation) -> bool {
        access.check(Caller::new(authorizer), operation).is_ok()
    }

    fn token(scope: &str) -> Value {
        json!({"jwt": {"claims": {"sub": "ann", "scope": scope}, "scopes": null}})
    }

    #[test]
    fn each_scope_opens_its_own_operations_and_no_other() {
        let access = scopes();
        for route in ROUTES {
            let operation = route.operation;
            let rights = operation.rights();
            for (scope, right) in [
                ("mailroom/read", Right::Read),
                ("mailroom/write", Right::Write),
                ("mailroom/send", Right::Send),
            ] {
                let expected = rights.is_empty() || rights.contains(&right);
                assert_eq!(may(&access, &token(scope), operation), expected, "{operation:?} {scope}");
            }
            assert!(may(&access, &token("openid mailroom/read mailroom/write mailroom/send"), operation));
            for nobody in [Value::Null, token(""), token("mailroom/reader mailroom"), json!({"iam": {}})] {
                assert_eq!(may(&access, &nobody, operation), rights.is_empty(), "{operation:?} {nobody}");
            }
            assert!(may(&Access::default(), &Value::Null, operation), "without scopes all is open");
            let signed = json!({"iam": {"userArn": "arn"}});
            assert!(may(&access, &signed, operation), "policies have decided");
        }
    }

    #[test]
    fn scopes_are_found_wherever_issuers_put_them() {
        for claims in [
            json!({"claims": {"scope": "a mailroom/read"}}),
            json!({"claims": {"scp": "[a mailroom/read]"}}),
            json!({"claims": {"scp": ["mailroom/read"]}}),
            json!({"claims": {}, "scopes": ["mailroom/read"]}),
        ] {
            assert!(may(&scopes(), &json!({"jwt": claims}), Operation::ListProfiles), "{claims}");
        }
        assert!(!may(
            &scopes(),
            &json!({"jwt": {"claims": {"name": "mailroom/read"}}}),
            Operation::ListProfiles
        ));
    }

    #[test]
    fn a_claim_that_is_asked_for_must_be_there() {
        let access = Access { scopes: None, claim: RequiredClaim::parse("hd=example.com").ok() };
        let of = |claims: Value| may(&access, &json!({"jwt": {"claims": claims}}), Operation::GetProfile);
        assert!(of(json!({"hd": "example.com"})) && of(json!({"hd": "[other.com example.com]"})));
        assert!(!of(json!({"hd": "example.com.evil"})) && !of(json!({})) && !of(json!({"hd": null})));
        assert!(may(&access, &Value::Null, Operation::GetHealth));
    }

    #[test]
    fn a_person_has_the_rights_that_the_provider_names_and_no_other() {
        let access = Access { claim: RequiredClaim::parse("hd=example.com").ok(), ..scopes() };
        let may = |claims: Value, granted: &[&str], operation| {
            let person = Person {
                subject: "4711".to_owned(),
                name: "Ann".to_owned(),
                claims: claims.as_object().unwrap().clone(),
                scopes: granted.iter().map(|scope| (*scope).to_owned()).collect(),
            };
            let authorizer = json!({"jwt": {"claims": access.claims_of(&person)}});
            let caller = Caller::new(&authorizer);
            assert_eq!(caller.name(), "4711");
            (access.check(caller, operation).is_ok(), access.allows_anything(caller))
        };
        let ours = |claim: &str, value: Value| json!({"hd": "example.com", claim: value});
        for claims in [ours("roles", json!(["mailroom/read"])), ours("scp", json!("x mailroom/read"))] {
            assert_eq!(may(claims.clone(), &[], Operation::ListProfiles), (true, true), "{claims}");
            assert_eq!(may(claims.clone(), &[], Operation::CreateProfile), (false, true), "{claims}");
        }
        assert!(may(ours("a", json!(1)), &["openid", "mailroom/write"], Operation::CreateProfile).0);
        for (claims, granted) in [
            (ours("name", json!("mailroom/read")), vec!["openid"]),
            (json!({"roles": ["mailroom/read"]}), vec!["mailroom/read"]),
            (json!({"roles": ["mailroom/read"], "hd": "example.com.evil"}), vec![]),
        ] {
            assert_eq!(may(claims.clone(), &granted, Operation::ListProfiles), (false, false), "{claims}");
        }
    }

    #[test]
    fn scopes_and_claims_are_read_or_refused() {
        assert!(Scopes::parse("a,b,c").is_ok() && Scopes::parse("a, b, api://x/c").is_ok());
        for wrong in ["", "a", "a,b", "a,b,c,d", "a,b,", "a,b c,d", ",,"] {
            assert!(Scopes::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "hd", "=a", "hd="] {
            assert!(RequiredClaim::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_caller_has_one_name() {
        let name = |authorizer: Value| Caller::new(&authorizer).name();
        assert_eq!(name(token("")), "ann");
        assert_eq!(name(json!({"iam": {"userArn": "arn:aws:iam::1:role/a"}})), "arn:aws:iam::1:role/a");
        assert_eq!(name(json!({"jwt": {"claims": {"sub": "a\nb"}}})), "ab");
        assert_eq!(name(Value::Null), "unknown");
    }
}
