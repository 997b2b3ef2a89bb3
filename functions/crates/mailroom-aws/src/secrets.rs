//! The profiles' credentials in Secrets Manager: one secret per profile, the profile carries its version.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::OnceLock;

use aws_sdk_secretsmanager::Client;
use mailroom_core::ports::{ClientCredential, Credential, Credentials, PortError};
use mailroom_core::profile::ProfileId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::client::Clients;
use crate::error::unavailable_in_words;

/// The most secrets that a warm function keeps in memory: more than one function ever polls.
const CACHED: usize = 5_000;

/// The secrets whose names begin with one prefix, and a cache of what was read of them.
#[derive(Debug)]
pub struct Secrets {
    clients: Clients,
    client: OnceLock<Client>,
    prefix: String,
    cache: Mutex<HashMap<(ProfileId, String), Credential>>,
}

/// The secret's JSON, version 1.
#[derive(Deserialize)]
struct Stored {
    password: Option<SecretString>,
    client_secret: Option<SecretString>,
    refresh_token: Option<SecretString>,
    smtp_password: Option<SecretString>,
}

#[derive(Serialize)]
struct ToStore<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp_password: Option<&'a str>,
}

impl Stored {
    /// An empty secret is that of a public client without a sign-in.
    fn credential(self) -> Credential {
        match self.password {
            Some(password) => Credential::Password { password, smtp_password: self.smtp_password },
            None => Credential::Client(ClientCredential {
                secret: self.client_secret,
                refresh_token: self.refresh_token,
                smtp_password: self.smtp_password,
            }),
        }
    }
}

fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(SecretString::expose_secret)
}

impl Secrets {
    /// The secrets whose names begin with `prefix`.
    #[must_use]
    pub fn new(clients: &Clients, prefix: &str) -> Self {
        Self {
            clients: clients.clone(),
            client: OnceLock::new(),
            prefix: prefix.to_owned(),
            cache: Mutex::new(HashMap::new()),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.clients.config))
    }

    fn name(&self, id: ProfileId) -> String {
        format!("{}{id}", self.prefix)
    }

    /// The JSON in which a credential is stored.
    fn text(credential: &Credential) -> Result<String, PortError> {
        let smtp_password = exposed(credential.smtp_password());
        let to_store = match credential {
            Credential::Password { password, .. } => ToStore {
                password: Some(password.expose_secret()),
                client_secret: None,
                refresh_token: None,
                smtp_password,
            },
            Credential::Client(client) => ToStore {
                password: None,
                client_secret: exposed(client.secret.as_ref()),
                refresh_token: exposed(client.refresh_token.as_ref()),
                smtp_password,
            },
        };
        serde_json::to_string(&to_store).map_err(|error| PortError::Corrupt(error.to_string()))
    }

    /// Stores a profile's credential and returns the version to put into the profile.
    ///
    /// Two edits may store theirs at the same time, and only one of them gets into the profile. So the version that a
    /// profile names need not be the newest. It stays readable by its id all the same: Secrets Manager removes a version
    /// that has lost its labels once there are more than 100 of them, and never one younger than a day.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn store(&self, id: ProfileId, credential: &Credential) -> Result<String, PortError> {
        let secret = Self::text(credential)?;
        let created = self.client().create_secret().name(self.name(id)).secret_string(&secret).send().await;
        let version = match created {
            Ok(created) => created.version_id,
            // The secret exists. InvalidRequest: it exists, and is marked for deletion.
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_resource_exists_exception() || e.is_invalid_request_exception()
                }) =>
            {
                self.put(id, &secret).await?
            }
            Err(error) => return Err(unavailable_in_words("CreateSecret")(error)),
        };
        version.ok_or_else(|| PortError::Corrupt("the secret has no version".to_owned()))
    }

    /// Puts a new version into a secret that exists, and returns the version's id.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the secret was removed; others when the service fails.
    pub async fn replace(&self, id: ProfileId, credential: &Credential) -> Result<String, PortError> {
        let secret = Self::text(credential)?;
        let put =
            self.client().put_secret_value().secret_id(self.name(id)).secret_string(secret).send().await;
        match put {
            Ok(answer) => {
                answer.version_id.ok_or_else(|| PortError::Corrupt("the secret has no version".to_owned()))
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_resource_not_found_exception() || e.is_invalid_request_exception()
                }) =>
            {
                Err(PortError::Lost)
            }
            Err(error) => Err(unavailable_in_words("PutSecretValue")(error)),
        }
    }

    /// Puts a new version into a secret that exists, and restores the secret if it is marked for deletion.
    async fn put(&self, id: ProfileId, secret: &str) -> Result<Option<String>, PortError> {
        let put = self.client().put_secret_value().secret_id(self.name(id)).secret_string(secret);
        match put.clone().send().await {
            Ok(answer) => return Ok(answer.version_id),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_invalid_request_exception()) => {}
            Err(error) => return Err(unavailable_in_words("PutSecretValue")(error)),
        }
        let restore = self.client().restore_secret().secret_id(self.name(id));
        restore.send().await.map_err(unavailable_in_words("RestoreSecret"))?;
        Ok(put.send().await.map_err(unavailable_in_words("PutSecretValue"))?.version_id)
    }

    /// Removes a profile's secret. It can be restored for `recovery_days` (7 to 30); with `None` it is deleted at once.
    ///
    /// # Errors
    /// When the service fails. Succeeds also if the secret does not exist.
    pub async fn remove(&self, id: ProfileId, recovery_days: Option<i64>) -> Result<(), PortError> {
        let mut request = self.client().delete_secret().secret_id(self.name(id));
        request = match recovery_days {
            Some(days) => request.recovery_window_in_days(days),
            None => request.force_delete_without_recovery(true),
        };
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Ok(())
            }
            Err(error) => Err(unavailable_in_words("DeleteSecret")(error)),
        }
    }

    /// The credential that was stored last, if any.
    ///
    /// # Errors
    /// When the service fails, or what is stored is not ours.
    pub async fn newest(&self, id: ProfileId) -> Result<Option<Credential>, PortError> {
        self.read(id, None).await
    }

    async fn read(&self, id: ProfileId, version: Option<&str>) -> Result<Option<Credential>, PortError> {
        let get = self.client().get_secret_value().secret_id(self.name(id));
        let answer = get.set_version_id(version.map(str::to_owned)).send().await;
        let text = match answer {
            Ok(value) => SecretString::from(value.secret_string.unwrap_or_default()),
            // InvalidRequest: the secret is marked for deletion.
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_resource_not_found_exception() || e.is_invalid_request_exception()
                }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(unavailable_in_words("GetSecretValue")(error)),
        };
        // The error does not include serde's, which would quote the secret.
        let stored: Stored = serde_json::from_str(text.expose_secret())
            .map_err(|_| PortError::Corrupt(format!("the secret {} is not JSON of ours", self.name(id))))?;
        Ok(Some(stored.credential()))
    }

    fn cached(&self, key: &(ProfileId, String)) -> Option<Credential> {
        self.cache.lock().ok()?.get(key).cloned()
    }

    fn keep(&self, key: (ProfileId, String), credential: Credential) {
        if let Ok(mut cache) = self.cache.lock() {
            // Old versions are never read again, so at the bound everything is dropped.
            cache.retain(|(id, _), _| *id != key.0);
            if cache.len() >= CACHED {
                cache.clear();
            }
            cache.insert(key, credential);
        }
    }
}

impl Credentials for Secrets {
    async fn credential(&self, id: ProfileId, version: &str) -> Result<Option<Credential>, PortError> {
        let key = (id, version.to_owned());
        if let Some(credential) = self.cached(&key) {
            return Ok(Some(credential));
        }
        let Some(credential) = self.read(id, Some(version)).await? else { return Ok(None) };
        self.keep(key, credential.clone());
        Ok(Some(credential))
    }
}

#[cfg(test)]
mod tests;
