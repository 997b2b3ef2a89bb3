//! Messages go out: through real servers, once, and whatever happens on the way is told.

mod servers;

use serde_json::{Value, json};

/// A small message to Ann.
fn hello() -> Value {
    json!({"to": [{"name": "Ann", "address": "ann@example.org"}], "subject": "Hello", "text": "Is it there?"})
}
