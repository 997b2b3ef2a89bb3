//! Flow schemas in the table: read by polls, written by the API.

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use mailroom_core::flow::{FlowSchema, FlowSchemaId};
use mailroom_core::ports::PortError;

use super::profile_item::{FLOW, FLOWS, flow_key};
use super::table::{Item, Table, text};
use crate::error::unavailable;

impl Table {
    /// Stores a new flow schema.
    ///
    /// # Errors
    /// [`PortError::Lost`] when a flow schema with this id exists.
    pub async fn create_flow_schema(&self, schema: &FlowSchema) -> Result<(), PortError> {
        match self.put_flow(schema).condition_expression("attribute_not_exists(PK)").send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Err(PortError::Lost)
            }
            Err(error) => Err(unavailable("PutItem")(error)),
        }
    }

    /// Stores a flow schema, in place of the one with this id, if any.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn put_flow_schema(&self, schema: &FlowSchema) -> Result<(), PortError> {
        self.put_flow(schema).send().await.map_err(unavailable("PutItem"))?;
        Ok(())
    }

    fn put_flow(&self, schema: &FlowSchema) -> PutItemFluentBuilder {
        let put = self
            .client()
            .put_item()
            .table_name(&self.name)
            .item("PK", text(flow_key(schema.id.as_str())))
            .item("SK", text(FLOW))
            .item("list_key", text(FLOWS))
            .item("list_sort", text(schema.id.as_str()))
            .item("name", text(&schema.name));
        match &schema.queue_url {
            Some(url) => put.item("queue_url", text(url)),
            None => put,
        }
    }

    /// A flow schema, by a consistent read.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn flow_schema(&self, id: &FlowSchemaId) -> Result<Option<FlowSchema>, PortError> {
        let answer = self
            .client()
            .get_item()
            .table_name(&self.name)
            .key("PK", text(flow_key(id.as_str())))
            .key("SK", text(FLOW))
            .consistent_read(true)
            .send()
            .await
            .map_err(unavailable("GetItem"))?;
        Ok(answer.item.map(|item| read(id.clone(), &item)))
    }

    /// At most `limit` flow schemas after `after`, by id; and where the next page begins.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn list_flow_schemas(
        &self,
        limit: usize,
        after: Option<&FlowSchemaId>,
    ) -> Result<(Vec<FlowSchema>, Option<FlowSchemaId>), PortError> {
        let query = self.directory(FLOWS).limit(i32::try_from(limit).unwrap_or(i32::MAX).saturating_add(1));
        let query = match after {
            Some(id) => query
                .key_condition_expression("list_key = :list AND list_sort > :after")
                .expression_attribute_values(":after", text(id.as_str())),
            None => query.key_condition_expression("list_key = :list"),
        };
        let answer = query.send().await.map_err(unavailable("Query"))?;
        let schema = |item: &Item| {
            let id = FlowSchemaId::parse(item.get("list_sort")?.as_s().ok()?).ok()?;
            Some(read(id, item))
        };
        let mut schemas: Vec<FlowSchema> = answer.items().iter().filter_map(schema).collect();
        let more = schemas.len() > limit || answer.last_evaluated_key.is_some();
        schemas.truncate(limit);
        let next = schemas.last().filter(|_| more).map(|schema| schema.id.clone());
        Ok((schemas, next))
    }

    /// Removes a flow schema. Succeeds also if the flow schema does not exist.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn delete_flow_schema(&self, id: &FlowSchemaId) -> Result<(), PortError> {
        self.client()
            .delete_item()
            .table_name(&self.name)
            .key("PK", text(flow_key(id.as_str())))
            .key("SK", text(FLOW))
            .send()
            .await
            .map_err(unavailable("DeleteItem"))?;
        Ok(())
    }
}

fn read(id: FlowSchemaId, item: &Item) -> FlowSchema {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    FlowSchema { name: text("name").unwrap_or_else(|| id.to_string()), queue_url: text("queue_url"), id }
}

#[cfg(test)]
mod tests;
