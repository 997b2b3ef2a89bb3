//! What pages list, read from the API page by page, within bounds.

use mailroom_contract::route::Operation;
use serde_json::Value;

use crate::console::operations::{Call, Operations, Refusal};
use crate::console::visit::Visit;
use crate::console::words::text;

/// The profiles that are counted and sorted for one page, and so the requests to the table that it takes.
const MOST_PROFILES: usize = 1_000;

/// The requests for one page at most: where a filter leaves out most, pages of the table come back nearly empty.
const MOST_REQUESTS: usize = 30;

/// The requests for flow schemas that one page takes at most; each brings a hundred.
const MOST_SCHEMA_REQUESTS: usize = 5;

/// Some of the profiles.
pub(crate) struct Loaded {
    /// The profiles, newest first.
    pub(crate) items: Vec<Value>,
    /// Where the next ones begin, if these are not all.
    pub(crate) next: Option<String>,
}

/// Which profiles are read. What is empty leaves none out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) search: &'a str,
    pub(crate) flow: &'a str,
    pub(crate) state: &'a str,
    /// The cursor that they come after.
    pub(crate) after: &'a str,
}

/// Reads profiles, as many as one page may take.
pub(crate) async fn load(visit: &Visit<'_, impl Operations>, wanted: Wanted<'_>) -> Result<Loaded, Refusal> {
    let (mut items, mut cursor) = (Vec::new(), wanted.after.to_owned());
    for _ in 0..MOST_REQUESTS {
        let call = Call::new(Operation::ListProfiles)
            .with("limit", "100")
            .with("q", wanted.search)
            .with("flow_schema_id", wanted.flow)
            .with("state", wanted.state)
            .with("cursor", &cursor);
        let mut page = visit.ask(call).await.ok()?;
        if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
            items.extend(found);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(Loaded { items, next: None }),
        }
        if items.len() >= MOST_PROFILES {
            break;
        }
    }
    Ok(Loaded { items, next: Some(cursor) })
}

/// Id and name of the flow schemas.
pub(crate) async fn schema_names(
    visit: &Visit<'_, impl Operations>,
) -> Result<Vec<(String, String)>, Refusal> {
    let all = schemas(visit).await?;
    Ok(all.iter().map(|schema| (text(schema, "/id").to_owned(), text(schema, "/name").to_owned())).collect())
}

/// The flow schemas.
pub(crate) async fn schemas(visit: &Visit<'_, impl Operations>) -> Result<Vec<Value>, Refusal> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    for _ in 0..MOST_SCHEMA_REQUESTS {
        let call = Call::new(Operation::ListFlowSchemas).with("limit", "100").with("cursor", &cursor);
        let mut page = visit.ask(call).await.ok()?;
        if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
            items.extend(found);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    Ok(items)
}
