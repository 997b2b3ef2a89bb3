//! People who sign in to the console, and what the API is asked as one of them.

use std::time::Duration;

use mailroom_local::deploy::ApiAuth;
use serde_json::{Value, json};

use super::{Endpoint, People, World};
use crate::api::event;
use crate::lambda::Outcome;
use crate::openid::RIGHTS;

/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(28);

impl World {
    /// A world whose API asks for tokens, and whose console people sign in to by https. Nobody has a right yet.
    #[must_use]
    pub fn with_people() -> Self {
        let auth = ApiAuth::Jwt {
            issuer: "https://login.example.com".to_owned(),
            audience: "mailroom".to_owned(),
            scopes: RIGHTS.to_owned(),
        };
        let world = Self::deploy(auth, Endpoint::SecureDomain, People::SignedIn);
        world.aws().forget_event_sources();
        world
    }

    /// Gives a person at the provider these roles, in place of those before.
    pub fn give_roles(&self, person: &str, roles: &[&str]) {
        let _ = self.open_id().control(&json!({"roles": {(person): roles}}));
    }

    /// What the API answers to the bearer of a token with all rights: the status, and the body.
    ///
    /// # Panics
    /// When the function does not answer.
    pub fn ask_with_token(&self, method: &str, path: &str, body: Option<&Value>) -> (u64, Value) {
        let mut event = event(method, path, body);
        let claims = json!({"sub": "program", "scope": RIGHTS.replace(',', " ")});
        if let Some(context) = event.get_mut("requestContext").and_then(Value::as_object_mut) {
            let _ =
                context.insert("authorizer".to_owned(), json!({"jwt": {"claims": claims, "scopes": null}}));
        }
        let Outcome::Answered(answer) = self.api_function().invoke(event, REQUEST_LIMIT) else {
            panic!("{method} {path}: {}", self.api_function().log());
        };
        let status = answer.get("statusCode").and_then(Value::as_u64).unwrap_or_default();
        let body = answer.get("body").and_then(Value::as_str).unwrap_or("null");
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}
