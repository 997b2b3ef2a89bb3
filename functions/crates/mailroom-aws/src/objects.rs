//! The bucket's objects, by key.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use mailroom_core::outbound::ports::{self as objects, Object};
use mailroom_core::ports::PortError;

use crate::client::Clients;
use crate::error::{left_over, unavailable};

/// The objects of one bucket.
#[derive(Debug)]
pub struct Objects {
    clients: Clients,
    client: OnceLock<Client>,
    bucket: String,
}

impl Objects {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, bucket: &str) -> Self {
        Self { clients: clients.clone(), client: OnceLock::new(), bucket: bucket.to_owned() }
    }

    /// The name of the bucket.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| self.clients.s3())
    }

    /// Stores an object, in place of the one with this key, if any.
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

    /// A presigned URL: until `lifetime` has passed, anyone who knows it can PUT one object of this size, without credentials.
    /// It may end earlier, with the credentials of the function that signs it.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn presign_put(
        &self,
        key: &str,
        size: u64,
        lifetime: Duration,
    ) -> Result<PresignedPut, PortError> {
        let size = i64::try_from(size).map_err(unavailable("PutObject"))?;
        let config = PresigningConfig::expires_in(lifetime).map_err(unavailable("PutObject"))?;
        let put = self.client().put_object().bucket(&self.bucket).key(key).content_length(size);
        let signed = put.presigned(config).await.map_err(unavailable("PutObject"))?;
        let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PresignedPut { url: signed.uri().to_owned(), headers })
    }

    /// Removes the objects whose keys begin with `prefix`, as many as `time` allows.
    ///
    /// # Errors
    /// When the service fails, or keeps an object.
    pub async fn remove_all(&self, prefix: &str, time: Duration) -> Result<Removal, PortError> {
        let removed = tokio::time::timeout(time, async {
            let mut removed = Removal::Nothing;
            // Always the first page: what it held before is gone.
            while self.remove_page(prefix).await? {
                removed = Removal::All;
            }
            Ok(removed)
        });
        removed.await.unwrap_or(Ok(Removal::Some))
    }

    /// Removes up to a thousand objects; whether there were any.
    async fn remove_page(&self, prefix: &str) -> Result<bool, PortError> {
        let list = self.client().list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let page = list.send().await.map_err(unavailable("ListObjectsV2"))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        let identify = |key: &str| ObjectIdentifier::builder().key(key).build();
        let objects = keys.map(identify).collect::<Result<Vec<_>, _>>();
        let objects = objects.map_err(unavailable("DeleteObjects"))?;
        if objects.is_empty() {
            return Ok(false);
        }
        let objects = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = self.client().delete_objects().bucket(&self.bucket);
        let answer = delete.delete(objects.map_err(unavailable("DeleteObjects"))?).send().await;
        let kept = answer.map_err(unavailable("DeleteObjects"))?.errors.unwrap_or_default().len();
        if kept == 0 { Ok(true) } else { Err(left_over("DeleteObjects", kept)) }
    }
}

/// A request that stores an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedPut {
    /// The address, with its signature.
    pub url: String,
    /// The header fields that are signed.
    pub headers: BTreeMap<String, String>,
}

/// How far a removal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// There was nothing to remove.
    Nothing,
    /// All that was there is removed.
    All,
    /// Time ran out: there may be more.
    Some,
}

impl objects::Objects for Objects {
    async fn size(&self, key: &str) -> Result<Option<u64>, PortError> {
        match self.client().head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(head.content_length().and_then(|length| u64::try_from(length).ok())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(unavailable("HeadObject")(error)),
        }
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Object, PortError> {
        let got = match self.client().get_object().bucket(&self.bucket).key(key).send().await {
            Ok(got) => got,
            Err(error) if matches!(error.as_service_error(), Some(GetObjectError::NoSuchKey(_))) => {
                return Ok(Object::Missing);
            }
            Err(error) if is_missing(&error) => return Ok(Object::Missing),
            Err(error) => return Err(unavailable("GetObject")(error)),
        };
        let length = got.content_length().and_then(|length| u64::try_from(length).ok());
        if length.is_none_or(|length| length > limit) {
            return Ok(Object::TooLarge);
        }
        let bytes = got.body.collect().await.map_err(unavailable("GetObject"))?;
        Ok(Object::Bytes(bytes.to_vec()))
    }
}

/// Only a 404 says that an object is missing. A caller without the right to list the bucket, or to read the object, gets a
/// 403 instead: taken for "missing", a policy that is wrong for a minute would fail every message for good.
fn is_missing<E>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == 404)
}

#[cfg(test)]
mod tests;
