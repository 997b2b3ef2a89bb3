//! Flow schemas as they go over the wire.

use deserr::Deserr;
use mailroom_core::flow::{FlowSchema, FlowSchemaId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::field::{FlowId, Name, QueueUrl};
use crate::problem::Problems;

/// A new flow schema.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = NewFlowSchema)]
pub struct NewFlowBody {
    /// The id, which jobs carry.
    pub id: FlowId,
    /// The flow schema's name, for people.
    pub name: Name,
    /// The queue that its jobs go to, one that the deployment may write to; null: the default job queue.
    #[deserr(default)]
    pub queue_url: Option<QueueUrl>,
}

/// The settings of a flow schema.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = FlowSchema)]
pub struct FlowBody {
    /// The flow schema's name, for people.
    pub name: Name,
    /// The queue that its jobs go to, one that the deployment may write to; null: the default job queue.
    #[deserr(default)]
    pub queue_url: Option<QueueUrl>,
}

impl NewFlowBody {
    /// The flow schema that the body describes.
    #[must_use]
    pub fn describe(self) -> FlowSchema {
        FlowSchema { id: self.id.0, name: self.name.0, queue_url: self.queue_url.map(|url| url.0) }
    }
}

impl FlowBody {
    /// The flow schema `id`, as the body describes it.
    #[must_use]
    pub fn describe(self, id: FlowSchemaId) -> FlowSchema {
        FlowSchema { id, name: self.name.0, queue_url: self.queue_url.map(|url| url.0) }
    }
}

/// A flow schema as the API returns it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredFlowSchema)]
pub struct FlowView {
    /// The id, which jobs carry.
    pub id: String,
    /// The flow schema's name, for people.
    pub name: String,
    /// The queue that its jobs go to; null: the default job queue.
    pub queue_url: Option<String>,
}

impl From<FlowSchema> for FlowView {
    fn from(schema: FlowSchema) -> Self {
        Self { id: schema.id.to_string(), name: schema.name, queue_url: schema.queue_url }
    }
}

/// A page of flow schemas, by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct FlowPage {
    /// The flow schemas of the page.
    pub items: Vec<FlowView>,
    /// The `cursor` of the next page; null at the end.
    pub next: Option<String>,
}
