//! A secret of the deployment itself, which belongs to no profile.

use std::sync::OnceLock;

use aws_sdk_secretsmanager::Client;
use mailroom_core::ports::PortError;
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::Clients;
use crate::error::unavailable_in_words;

/// A secret in Secrets Manager, by its name.
#[derive(Debug)]
pub struct NamedSecret {
    clients: Clients,
    client: OnceLock<Client>,
    name: String,
}

impl NamedSecret {
    /// The secret of this name.
    #[must_use]
    pub fn new(clients: &Clients, name: String) -> Self {
        Self { clients: clients.clone(), client: OnceLock::new(), name }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.clients.config))
    }

    /// What is stored, if anything is.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn read(&self) -> Result<Option<SecretString>, PortError> {
        match self.client().get_secret_value().secret_id(&self.name).send().await {
            Ok(value) => Ok(value.secret_string.map(SecretString::from)),
            // InvalidRequest: it is marked for deletion.
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_resource_not_found_exception() || e.is_invalid_request_exception()
                }) =>
            {
                Ok(None)
            }
            Err(error) => Err(unavailable_in_words("GetSecretValue")(error)),
        }
    }

    /// Creates the secret.
    ///
    /// # Errors
    /// [`PortError::Lost`] when another process has created it; others when the service fails.
    pub async fn create(&self, text: &SecretString) -> Result<(), PortError> {
        let create = self.client().create_secret().name(&self.name).secret_string(text.expose_secret());
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_exists_exception()) => {
                Err(PortError::Lost)
            }
            Err(error) => Err(unavailable_in_words("CreateSecret")(error)),
        }
    }

    /// Replaces what is stored. `token` (32 to 64 characters) names the change: of two processes that make it at once, one
    /// wins.
    ///
    /// # Errors
    /// [`PortError::Lost`] when another process has made the change; others when the service fails.
    pub async fn replace(&self, text: &SecretString, token: &str) -> Result<(), PortError> {
        let put = self.client().put_secret_value().secret_id(&self.name).client_request_token(token);
        match put.secret_string(text.expose_secret()).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_exists_exception()) => {
                Err(PortError::Lost)
            }
            Err(error) => Err(unavailable_in_words("PutSecretValue")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::replay::{exception, ok, service};

    #[tokio::test]
    async fn of_two_that_write_at_once_the_second_is_told() {
        let exists = || exception("ResourceExistsException");
        let (clients, calls) = service([
            exception("ResourceNotFoundException"),
            ok(json!({})),
            exists(),
            ok(json!({"SecretString": "canary-4f1c"})),
            exists(),
            exception("AccessDeniedException"),
        ]);
        let secret = NamedSecret::new(&clients, "mailroom/console".to_owned());
        let text = SecretString::from("canary-4f1c");
        assert!(secret.read().await.unwrap().is_none());
        secret.create(&text).await.unwrap();
        assert!(matches!(secret.create(&text).await, Err(PortError::Lost)));
        assert_eq!(secret.read().await.unwrap().unwrap().expose_secret(), "canary-4f1c");
        assert!(matches!(secret.replace(&text, &"a".repeat(32)).await, Err(PortError::Lost)));
        let error = secret.read().await.unwrap_err();
        assert!(!format!("{secret:?} {error:?}").contains("canary"));
        assert_eq!(calls.all()[4].body["ClientRequestToken"], "a".repeat(32));
        assert_eq!(calls.all()[1].body["Name"], "mailroom/console");
    }
}
