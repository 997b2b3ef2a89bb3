//! CloudFormation, for the one stack on this machine.

use std::time::{Duration, Instant};

use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_cloudformation::error::ProvideErrorMetadata as _;
use aws_sdk_cloudformation::types::{Capability, Parameter, Stack, StackStatus, Tag};
use sha2::Digest as _;

use crate::problem::{Problem, call_failed};

/// The stack's name in CloudFormation.
const STACK: &str = "mailroom";

/// The stack's tag with the digest of what it was deployed from: while that is the same, there is nothing to do.
const CONTENT: &str = "mailroom-content";

/// How long CloudFormation may take. Emulators need some seconds at most.
const DEPLOY_TIME: Duration = Duration::from_secs(120);

/// A digest of all that a stack is made from.
pub(super) fn content(body: &str, parameters: &[Parameter]) -> String {
    let mut hash = sha2::Sha256::new();
    hash.update(body);
    for parameter in parameters {
        for part in [parameter.parameter_key(), parameter.parameter_value()] {
            hash.update([0]);
            hash.update(part.unwrap_or_default());
        }
    }
    hex::encode(hash.finalize())
}

/// An output of a stack.
pub(super) fn output<'a>(stack: &'a Stack, name: &str) -> Option<&'a str> {
    stack.outputs().iter().find(|output| output.output_key() == Some(name))?.output_value()
}

/// Whether the stack came about from this content.
pub(super) fn is_of(stack: &Stack, content: &str) -> bool {
    matches!(stack.stack_status(), Some(StackStatus::CreateComplete | StackStatus::UpdateComplete))
        && stack.tags().iter().any(|tag| tag.key() == Some(CONTENT) && tag.value() == Some(content))
}

/// Whether the stack's creation failed: CloudFormation does not update such a stack.
pub(super) fn has_failed(stack: &Stack) -> bool {
    matches!(
        stack.stack_status(),
        Some(StackStatus::CreateFailed | StackStatus::RollbackComplete | StackStatus::RollbackFailed)
    )
}

/// CloudFormation, for our one stack.
#[derive(Debug)]
pub(super) struct Stacks(pub(super) CloudFormation);

impl Stacks {
    pub(super) async fn describe(&self) -> Result<Option<Stack>, Problem> {
        match self.0.describe_stacks().stack_name(STACK).send().await {
            Ok(answer) => Ok(answer
                .stacks
                .unwrap_or_default()
                .into_iter()
                .find(|stack| stack.stack_status() != Some(&StackStatus::DeleteComplete))),
            // A stack that is not there is a ValidationError, as are all other faults of a request. This one has none.
            Err(error) if error.code() == Some("ValidationError") => Ok(None),
            Err(error) => Err(call_failed("DescribeStacks")(error)),
        }
    }

    pub(super) async fn delete(&self) -> Result<(), Problem> {
        self.0.delete_stack().stack_name(STACK).send().await.map_err(call_failed("DeleteStack"))?;
        let begun = Instant::now();
        while self.describe().await?.is_some() {
            wait(begun).await?;
        }
        Ok(())
    }

    pub(super) async fn apply(
        &self,
        exists: bool,
        template_url: &str,
        parameters: Vec<Parameter>,
        content: &str,
    ) -> Result<(), Problem> {
        let tag = Tag::builder().key(CONTENT).value(content).build();
        let capabilities = [Capability::CapabilityIam, Capability::CapabilityAutoExpand];
        if exists {
            let update = self.0.update_stack().stack_name(STACK).template_url(template_url).tags(tag);
            let update =
                update.set_parameters(Some(parameters)).set_capabilities(Some(capabilities.to_vec()));
            match update.send().await {
                Ok(_) => Ok(()),
                Err(error) if error.message().is_some_and(|text| text.contains("No updates are to be")) => {
                    Ok(())
                }
                Err(error) => Err(call_failed("UpdateStack")(error)),
            }
        } else {
            let create = self.0.create_stack().stack_name(STACK).template_url(template_url).tags(tag);
            let create =
                create.set_parameters(Some(parameters)).set_capabilities(Some(capabilities.to_vec()));
            create.send().await.map(|_| ()).map_err(call_failed("CreateStack"))
        }
    }

    /// The stack once nothing changes any more.
    pub(super) async fn settled(&self) -> Result<Stack, Problem> {
        let begun = Instant::now();
        loop {
            let stack = self.describe().await?;
            let stack = stack.ok_or_else(|| Problem::new("the stack vanished while it was deployed"))?;
            let status = stack.stack_status().map(StackStatus::as_str).unwrap_or_default().to_owned();
            if matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
                return Ok(stack);
            }
            // What goes on with cleaning up has succeeded too, but names and code are not settled before the end.
            if !status.ends_with("_IN_PROGRESS") {
                return Err(Problem::new(format!(
                    "the stack was not deployed ({status}): {}",
                    self.first_failure().await
                )));
            }
            wait(begun).await?;
        }
    }

    /// The reason that the oldest failure of the stack gives.
    async fn first_failure(&self) -> String {
        let Ok(answer) = self.0.describe_stack_events().stack_name(STACK).send().await else {
            return "the reason is not known".to_owned();
        };
        // The newest event comes first.
        let failed =
            answer.stack_events().iter().rev().find(|event| {
                event.resource_status().is_some_and(|status| status.as_str().ends_with("_FAILED"))
            });
        failed.map_or_else(
            || "no event tells why".to_owned(),
            |event| {
                let resource = event.logical_resource_id().unwrap_or("a resource");
                format!("{resource}: {}", event.resource_status_reason().unwrap_or("no reason given"))
            },
        )
    }
}

async fn wait(begun: Instant) -> Result<(), Problem> {
    if begun.elapsed() > DEPLOY_TIME {
        return Err(Problem::new(format!(
            "CloudFormation is still not done after {} s; try again with: cargo local down && cargo local up",
            DEPLOY_TIME.as_secs()
        )));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}
