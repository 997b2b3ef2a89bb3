//! Flow schemas.

use mailroom_contract::flow_schema::{FlowBody, FlowPage, FlowView, NewFlowBody};
use mailroom_contract::problem::{Problems, read};
use mailroom_core::flow::{FlowSchema, FlowSchemaId};
use mailroom_core::ports::PortError;

use crate::Api;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Answer;
use crate::profiles::read::limit;

impl Api {
    pub(crate) async fn create_flow_schema(&self, request: &Request) -> Result<Answer, ApiError> {
        let body: NewFlowBody = read(request.required_json()?).map_err(ApiError::Fields)?;
        let schema = body.describe();
        match self.table.create_flow_schema(&schema).await {
            Ok(()) => {
                let location = format!("/flow-schemas/{}", schema.id);
                Ok(Answer::json(201, &FlowView::from(schema)).with_header("location", location))
            }
            Err(PortError::Lost) => {
                let problems = Problems::one("id", "is taken; change it with PUT, or choose another");
                Err(ApiError::Conflict(format!("There is a flow schema {} already.", schema.id), problems))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn list_flow_schemas(&self, request: &Request) -> Result<Answer, ApiError> {
        let query = request.query(&["limit", "cursor"])?;
        let mut problems = Problems::default();
        let limit = limit(query.get("limit"), &mut problems);
        let after = query.get("cursor").and_then(|cursor| {
            let id = FlowSchemaId::parse(cursor).ok();
            if id.is_none() {
                problems.add("cursor", "must be `next` of the page before");
            }
            id
        });
        problems.none_or().map_err(ApiError::Parameters)?;
        let (schemas, next) = self.table.list_flow_schemas(limit, after.as_ref()).await?;
        let items = schemas.into_iter().map(FlowView::from).collect();
        Ok(Answer::json(200, &FlowPage { items, next: next.map(|id| id.to_string()) }))
    }

    pub(crate) async fn get_flow_schema(&self, id: &str) -> Result<Answer, ApiError> {
        let (_, schema) = self.flow_schema(id).await?;
        Ok(Answer::json(200, &FlowView::from(schema)))
    }

    pub(crate) async fn put_flow_schema(&self, request: &Request, id: &str) -> Result<Answer, ApiError> {
        let id = FlowSchemaId::parse(id).map_err(|_| gone())?;
        let body: FlowBody = read(request.required_json()?).map_err(ApiError::Fields)?;
        let status = if self.table.flow_schema(&id).await?.is_some() { 200 } else { 201 };
        let schema = body.describe(id);
        self.table.put_flow_schema(&schema).await?;
        Ok(Answer::json(status, &FlowView::from(schema)))
    }

    pub(crate) async fn delete_flow_schema(&self, id: &str) -> Result<Answer, ApiError> {
        let (id, schema) = self.flow_schema(id).await?;
        let used = || {
            let detail = format!("The flow schema {id} is used by profiles; give them another first.");
            ApiError::Conflict(detail, Problems::default())
        };
        if self.table.is_flow_schema_used(&id).await? {
            return Err(used());
        }
        self.table.delete_flow_schema(&id).await?;
        // Whoever makes a profile looks for its flow schema after that, so one of the two sees the other.
        if self.table.is_flow_schema_used(&id).await? {
            self.table.put_flow_schema(&schema).await?;
            return Err(used());
        }
        Ok(Answer::empty(204))
    }

    async fn flow_schema(&self, id: &str) -> Result<(FlowSchemaId, FlowSchema), ApiError> {
        let id = FlowSchemaId::parse(id).map_err(|_| gone())?;
        let schema = self.table.flow_schema(&id).await?.ok_or_else(gone)?;
        Ok((id, schema))
    }
}

fn gone() -> ApiError {
    ApiError::NotFound("There is no flow schema with this id.".to_owned())
}
