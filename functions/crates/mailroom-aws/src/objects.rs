//! The bucket's objects, by their keys.

use std::sync::OnceLock;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use mailroom_core::ports::PortError;

use crate::client::Clients;
use crate::error::unavailable;

/// The bucket.
#[derive(Debug)]
pub struct Objects {
    clients: Clients,
    client: OnceLock<Client>,
    bucket: String,
}

/// What there is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// An object.
    Bytes(Vec<u8>),
    /// An object that is larger than was asked for.
    TooLarge,
    /// Nothing; or nothing any more.
    Missing,
}

impl Objects {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, bucket: &str) -> Self {
        Self { clients: clients.clone(), client: OnceLock::new(), bucket: bucket.to_owned() }
    }

    /// The bucket's name.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| self.clients.s3())
    }

    /// Stores an object.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.client()
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(unavailable("PutObject"))?;
        Ok(())
    }

    /// The size of an object in bytes; `None` when there is none.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, PortError> {
        match self.client().head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(head.content_length().and_then(|length| u64::try_from(length).ok())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(unavailable("HeadObject")(error)),
        }
    }

    /// An object of at most `most` bytes.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn get(&self, key: &str, most: u64) -> Result<Object, PortError> {
        let got = match self.client().get_object().bucket(&self.bucket).key(key).send().await {
            Ok(got) => got,
            Err(error) if matches!(error.as_service_error(), Some(GetObjectError::NoSuchKey(_))) => {
                return Ok(Object::Missing);
            }
            Err(error) if is_missing(&error) => return Ok(Object::Missing),
            Err(error) => return Err(unavailable("GetObject")(error)),
        };
        let fits = got.content_length().and_then(|length| u64::try_from(length).ok());
        if fits.is_none_or(|length| length > most) {
            return Ok(Object::TooLarge);
        }
        let bytes = got.body.collect().await.map_err(unavailable("GetObject"))?;
        Ok(Object::Bytes(bytes.to_vec()))
    }
}

/// Only what the service says is not there. Who may not list a bucket is told 403 in place of that, and who may not read
/// it too: taken for "gone", a policy that is wrong for a minute would end every message.
fn is_missing<E>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == 404)
}

#[cfg(test)]
mod tests;
