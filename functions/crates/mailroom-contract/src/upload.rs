//! Uploads: files that are to be attached, and are too large for a request's body.

use std::collections::BTreeMap;

use deserr::Deserr;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::field::UploadBytes;
use crate::problem::Problems;
use crate::time_text::rfc3339;

/// A file that is to be uploaded.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = NewUpload)]
pub struct UploadBody {
    /// The file's size: the upload has exactly so many bytes.
    pub size: UploadBytes,
}

/// Where a file is uploaded to, and the key to attach it by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub struct UploadView {
    /// The key by which messages of this profile attach the file, once it is uploaded.
    pub key: String,
    /// The address to upload the file to, by PUT. Whoever has it may upload until `expires_at`.
    pub url: String,
    /// The header fields that the upload has to have.
    pub headers: BTreeMap<String, String>,
    /// Until when the address counts.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: OffsetDateTime,
}
