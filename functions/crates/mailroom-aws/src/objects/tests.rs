//! What is there, what is not, and what may not be looked at.

use serde_json::Value;

use super::*;
use crate::replay::{Calls, Reply, service, with_status};

fn objects(script: impl IntoIterator<Item = Reply>) -> (Objects, Calls) {
    let (clients, calls) = service(script);
    (Objects::new(&clients, "b"), calls)
}

#[tokio::test]
async fn what_is_not_there_is_missing_and_what_may_not_be_read_is_trouble() {
    let (objects, calls) = objects([404, 404, 403, 403].map(|status| with_status(status, "")));
    assert_eq!(objects.size("k").await.unwrap(), None);
    assert_eq!(objects.get("k", 9).await.unwrap(), Object::Missing);
    assert!(matches!(objects.size("k").await, Err(PortError::Unavailable { .. })));
    assert!(matches!(objects.get("k", 9).await, Err(PortError::Unavailable { .. })));
    assert_eq!(calls.operations(), ["HEAD /b/k", "GET /b/k", "HEAD /b/k", "GET /b/k"]);
    assert!(calls.all().iter().all(|call| call.body == Value::Null));
}
