//! Uploads of files that messages attach: they go to the bucket directly, by an address that is signed here.

use std::sync::Arc;
use std::time::Duration;

use mailroom_aws::dynamodb::Table;
use mailroom_aws::objects::Objects;
use mailroom_contract::problem::read;
use mailroom_contract::upload::{UploadBody, UploadView};
use mailroom_lambda::clock;

use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::profiles::read::find;

/// How long an address counts: long enough for 25 MiB over a slow line.
const LIFETIME: Duration = Duration::from_secs(900);

/// Gives addresses to upload to.
pub(crate) struct Uploads {
    pub(crate) table: Arc<Table>,
    pub(crate) objects: Objects,
}

impl Uploads {
    pub(crate) async fn create(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let body: UploadBody = read(request.required_json()?).map_err(ApiError::Fields)?;
        let profile = find(&self.table, id).await?;
        // Nobody can guess it, and no upload replaces another.
        let key = format!("mail/{}/uploads/{}", profile.id, clock::new_ulid());
        let expires_at = clock::now() + LIFETIME;
        let put = self.objects.presign_put(&key, body.size.0, LIFETIME).await?;
        Ok(Response::json(201, &UploadView { key, url: put.url, headers: put.headers, expires_at }))
    }
}
