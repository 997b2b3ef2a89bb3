//! The console's style sheet and script. Their names hold their digests, so browsers keep them for a year.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::http::response::Response;

/// A file that pages load.
pub(crate) struct Asset {
    name: String,
    content_type: &'static str,
    text: &'static str,
}

/// How the pages look.
pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css; charset=utf-8", include_str!("console.css")));

/// What makes the pages quicker to use. They work without it.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "js", "text/javascript; charset=utf-8", include_str!("console.js"))
});

impl Asset {
    fn new(stem: &str, ending: &str, content_type: &'static str, text: &'static str) -> Self {
        let digest = hex::encode(Sha256::digest(text));
        let name = format!("{stem}.{}.{ending}", digest.get(..16).unwrap_or(&digest));
        Self { name, content_type, text }
    }

    /// The name, which changes with the content.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The file of this name.
pub(crate) fn file(name: &str) -> Option<Response> {
    let asset = [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.name == name)?;
    Some(Response::file(asset.content_type, asset.text))
}
