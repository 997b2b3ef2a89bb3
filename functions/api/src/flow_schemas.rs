//! Flow schemas: which queue the jobs of a profile go to.

use std::sync::Arc;
use std::time::Duration;

use mailroom_aws::dynamodb::Table;
use mailroom_contract::flow_schema::{FlowBody, FlowPage, FlowView, NewFlowBody};
use mailroom_contract::problem::{Problems, read};
use mailroom_core::flow::{FlowSchema, FlowSchemaId};
use mailroom_core::ports::PortError;

use crate::http::problem::ApiError;
use crate::http::request::{Request, page_size};
use crate::http::response::Response;
use crate::job_queues::JobQueues;

/// How long the index of profiles may lag behind the table: well above what DynamoDB needs.
const INDEX_LAG: Duration = Duration::from_secs(1);

/// Creates, reads, updates and deletes flow schemas.
pub(crate) struct FlowSchemas {
    pub(crate) table: Arc<Table>,
    pub(crate) queues: JobQueues,
}

impl FlowSchemas {
    pub(crate) async fn create(&self, request: &Request) -> Result<Response, ApiError> {
        let body: NewFlowBody = read(request.required_json()?).map_err(ApiError::Fields)?;
        let schema = body.describe();
        self.require_queue(&schema)?;
        match self.table.create_flow_schema(&schema).await {
            Ok(()) => {
                let location = format!("/flow-schemas/{}", schema.id);
                let id = schema.id.clone();
                let response = Response::json(201, &FlowView::from(schema)).with_header("location", location);
                Ok(response.after_making(id))
            }
            Err(PortError::Lost) => {
                let problems = Problems::one("id", "is taken; change it with PUT, or choose another");
                Err(ApiError::Conflict(format!("The flow schema {} exists already.", schema.id), problems))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn list(&self, request: &Request) -> Result<Response, ApiError> {
        let query = request.query(&["limit", "cursor"])?;
        let mut problems = Problems::default();
        let limit = page_size(query.get("limit"), &mut problems);
        let after = query.get("cursor").and_then(|cursor| {
            let id = FlowSchemaId::parse(cursor).ok();
            if id.is_none() {
                problems.add("cursor", "must be the `next` of the previous page");
            }
            id
        });
        problems.none_or().map_err(ApiError::Parameters)?;
        let (schemas, next) = self.table.list_flow_schemas(limit, after.as_ref()).await?;
        let items = schemas.into_iter().map(FlowView::from).collect();
        Ok(Response::json(200, &FlowPage { items, next: next.map(|id| id.to_string()) }))
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Response, ApiError> {
        let (_, schema) = self.find(id).await?;
        Ok(Response::json(200, &FlowView::from(schema)))
    }

    pub(crate) async fn put(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let id = FlowSchemaId::parse(id).map_err(|_| not_found())?;
        let body: FlowBody = read(request.required_json()?).map_err(ApiError::Fields)?;
        let before = self.table.flow_schema(&id).await?;
        let status = if before.is_some() { 200 } else { 201 };
        let schema = body.describe(id);
        self.require_queue(&schema)?;
        self.table.put_flow_schema(&schema).await?;
        let mut fields = Vec::new();
        if before.as_ref().is_none_or(|before| before.name != schema.name) {
            fields.push("name".to_owned());
        }
        if before.as_ref().is_none_or(|before| before.queue_url != schema.queue_url) {
            fields.push("queue_url".to_owned());
        }
        Ok(Response::json(status, &FlowView::from(schema)).after_change_of(fields))
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<Response, ApiError> {
        let (id, schema) = self.find(id).await?;
        let used = || {
            let detail = format!("The flow schema {id} is used by profiles; give them another one first.");
            ApiError::Conflict(detail, Problems::default())
        };
        if self.table.is_flow_schema_used(&id).await? {
            return Err(used());
        }
        self.table.delete_flow_schema(&id).await?;
        // A request that stores a profile looks for its flow schema after that, so one of the two sees the other.
        tokio::time::sleep(INDEX_LAG).await;
        if self.table.is_flow_schema_used(&id).await? {
            self.table.put_flow_schema(&schema).await?;
            return Err(used());
        }
        Ok(Response::empty(204))
    }

    /// Refuses a queue that jobs cannot be put on.
    fn require_queue(&self, schema: &FlowSchema) -> Result<(), ApiError> {
        match &schema.queue_url {
            Some(url) if !self.queues.hold(url) => {
                let problem =
                    "must be a queue that this deployment may write to: add it to ExtraJobQueueArns first";
                Err(ApiError::Fields(Problems::one("queue_url", problem)))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn find(&self, id: &str) -> Result<(FlowSchemaId, FlowSchema), ApiError> {
        let id = FlowSchemaId::parse(id).map_err(|_| not_found())?;
        let schema = self.table.flow_schema(&id).await?.ok_or_else(not_found)?;
        Ok((id, schema))
    }
}

fn not_found() -> ApiError {
    ApiError::NotFound("No flow schema has this id.".to_owned())
}
