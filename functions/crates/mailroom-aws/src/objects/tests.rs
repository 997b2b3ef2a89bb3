//! Objects that exist, that are missing, and that may not be read.

use serde_json::Value;

use super::objects::Objects as _;
use super::*;
use crate::replay::{Calls, Reply, service, with_status};

fn objects(script: impl IntoIterator<Item = Reply>) -> (Objects, Calls) {
    let (clients, calls) = service(script);
    (Objects::new(&clients, "b"), calls)
}

#[tokio::test]
async fn an_upload_is_signed_for_one_key_and_one_size() {
    let (objects, calls) = objects([]);
    let signed = objects.presign_put("mail/p/uploads/u", 5, Duration::from_secs(900)).await.unwrap();
    assert!(signed.url.contains("/b/mail/p/uploads/u?"), "{}", signed.url);
    for part in ["X-Amz-Expires=900", "X-Amz-SignedHeaders=content-length%3Bhost", "X-Amz-Signature="] {
        assert!(signed.url.contains(part), "{} lacks {part}", signed.url);
    }
    assert_eq!(signed.headers.get("content-length").map(String::as_str), Some("5"));
    assert!(calls.all().is_empty());
}

#[tokio::test]
async fn a_404_is_missing_and_a_403_is_an_error() {
    let (objects, calls) = objects([404, 404, 403, 403].map(|status| with_status(status, "")));
    assert_eq!(objects.size("k").await.unwrap(), None);
    assert_eq!(objects.get("k", 9).await.unwrap(), Object::Missing);
    assert!(matches!(objects.size("k").await, Err(PortError::Unavailable { .. })));
    assert!(matches!(objects.get("k", 9).await, Err(PortError::Unavailable { .. })));
    assert_eq!(calls.operations(), ["HEAD /b/k", "GET /b/k", "HEAD /b/k", "GET /b/k"]);
    assert!(calls.all().iter().all(|call| call.body == Value::Null));
}
