//! Fires the schedules of an emulator that keeps them without firing them, as LocalStack does: reads the schedule group
//! and invokes what is due. Not used with ministack, nor in the cloud.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_scheduler::types::{ActionAfterCompletion, ScheduleState};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::problem::{Problem, chain};
use crate::progress::say;
use crate::stack::Stack;
use crate::toolbox::Toolbox;

/// How often the driver checks which schedules are due. EventBridge Scheduler itself is precise to 60 s.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The time in `at(…)`. Mailroom's schedules name no time zone, so it is UTC.
const AT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// When a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expression {
    /// Every so often, for as long as the schedule exists.
    Rate(time::Duration),
    /// At this time, and never again.
    At(OffsetDateTime),
}

impl Expression {
    /// Reads `rate(…)` and `at(…)`; Mailroom uses no `cron(…)`.
    fn parse(text: &str) -> Option<Self> {
        let (kind, value) = text.strip_suffix(')')?.split_once('(')?;
        match kind {
            "rate" => {
                let (count, unit) = value.split_once(' ')?;
                let count: i64 = count.parse().ok().filter(|count| *count > 0)?;
                let unit = match unit.trim_end_matches('s') {
                    "minute" => time::Duration::MINUTE,
                    "hour" => time::Duration::HOUR,
                    "day" => time::Duration::DAY,
                    _ => return None,
                };
                i32::try_from(count).ok().map(|count| Self::Rate(unit * count))
            }
            "at" => PrimitiveDateTime::parse(value, AT).ok().map(|at| Self::At(at.assume_utc())),
            _ => None,
        }
    }

    /// When it fires next, having fired last at `last`; `None`: never again.
    fn next(self, created: OffsetDateTime, last: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
        match self {
            Self::Rate(every) => Some(last.unwrap_or(created) + every),
            Self::At(at) => last.is_none().then_some(at),
        }
    }
}

/// A schedule that is due.
struct Due {
    name: String,
    expression: Expression,
    function: String,
    input: String,
    after: Option<ActionAfterCompletion>,
}

/// Fires the schedules of a stack, until this future is dropped. Where another process of this project fires them already,
/// this one takes over when that one ends.
///
/// # Errors
/// When the endpoint no longer answers for its schedules.
pub async fn run(toolbox: &Toolbox, stack: &Stack) -> Result<(), Problem> {
    let _lock = loop {
        match toolbox.try_lock("schedules")? {
            Some(lock) => break lock,
            None => tokio::time::sleep(CHECK_INTERVAL).await,
        }
    };
    let clients = stack.clients();
    let driver = Driver {
        scheduler: aws_sdk_scheduler::Client::new(clients.sdk_config()),
        lambda: aws_sdk_lambda::Client::new(clients.sdk_config()),
        group: stack.schedule_group.clone(),
    };
    // A schedule can be deleted and created again under its name: only the one that fired counts as fired.
    let mut fired: HashMap<(String, OffsetDateTime), OffsetDateTime> = HashMap::new();
    let begun = OffsetDateTime::now_utc();
    loop {
        let mut kept = HashMap::new();
        for (name, created) in driver.schedules().await? {
            // Nothing fires for the time before this driver started.
            let last = fired.get(&(name.clone(), created)).copied();
            let fired_now = driver.fire_if_due(&name, created.max(begun), last).await?;
            if let Some(time) = fired_now.or(last) {
                kept.insert((name, created), time);
            }
        }
        fired = kept;
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

struct Driver {
    scheduler: aws_sdk_scheduler::Client,
    lambda: aws_sdk_lambda::Client,
    group: String,
}

impl Driver {
    /// The names of the group's schedules, and when they were made.
    async fn schedules(&self) -> Result<Vec<(String, OffsetDateTime)>, Problem> {
        let mut names = Vec::new();
        let mut pages = self.scheduler.list_schedules().group_name(&self.group).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                Problem::new(format!("the schedules can no longer be listed: {}", chain(&error)))
            })?;
            names.extend(page.schedules.into_iter().filter_map(|schedule| {
                let created = schedule.creation_date.map_or(0, |date| date.secs());
                let created = OffsetDateTime::from_unix_timestamp(created).ok()?;
                schedule.name.map(|name| (name, created))
            }));
        }
        Ok(names)
    }

    /// Invokes what a schedule starts, if it is time; says when it was.
    async fn fire_if_due(
        &self,
        name: &str,
        created: OffsetDateTime,
        last: Option<OffsetDateTime>,
    ) -> Result<Option<OffsetDateTime>, Problem> {
        let schedule = match self.scheduler.get_schedule().group_name(&self.group).name(name).send().await {
            Ok(schedule) => schedule,
            // Removed since it was listed.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                return Ok(None);
            }
            Err(error) => {
                return Err(Problem::new(format!("the schedule {name} cannot be read: {}", chain(&error))));
            }
        };
        let now = OffsetDateTime::now_utc();
        let expression = schedule.schedule_expression.as_deref().and_then(Expression::parse);
        let next = expression.and_then(|expression| expression.next(created, last));
        let (Some(expression), Some(next), Some(target)) = (expression, next, schedule.target) else {
            return Ok(None);
        };
        if next > now || schedule.state == Some(ScheduleState::Disabled) {
            return Ok(None);
        }
        let due = Due {
            name: name.to_owned(),
            expression,
            function: target.arn,
            input: target.input.unwrap_or_default(),
            after: schedule.action_after_completion,
        };
        self.fire(&due).await;
        Ok(Some(now))
    }

    /// Invokes a function. A failure is said, and the next time is another try.
    async fn fire(&self, due: &Due) {
        let invocation =
            self.lambda.invoke().function_name(&due.function).payload(Blob::new(due.input.as_str()));
        match invocation.invocation_type(InvocationType::Event).send().await {
            Ok(_) => say(&format!("· fired {}", due.name)),
            Err(error) => say(&format!("✗ {} could not be fired: {}", due.name, chain(&error))),
        }
        let once = matches!(due.expression, Expression::At(_));
        if once && due.after == Some(ActionAfterCompletion::Delete) {
            // Left over, it is not fired again: it is remembered.
            let _ = self.scheduler.delete_schedule().group_name(&self.group).name(&due.name).send().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn rates_and_times_are_read_and_nothing_else() {
        for (text, expected) in [
            ("rate(1 minute)", Some(Expression::Rate(time::Duration::MINUTE))),
            ("rate(90 minutes)", Some(Expression::Rate(time::Duration::minutes(90)))),
            ("rate(2 days)", Some(Expression::Rate(time::Duration::days(2)))),
            ("at(2026-11-23T10:00:05)", Some(Expression::At(datetime!(2026-11-23 10:00:05 UTC)))),
            ("rate(banana)", None),
            ("rate(0 minutes)", None),
            ("rate(9999999999999 days)", None),
            ("cron(0 10 * * ? *)", None),
            ("at(tomorrow)", None),
            ("", None),
        ] {
            assert_eq!(Expression::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_rate_fires_again_and_a_time_once() {
        let made = datetime!(2026-11-23 10:00 UTC);
        let rate = Expression::Rate(time::Duration::MINUTE);
        assert_eq!(rate.next(made, None), Some(datetime!(2026-11-23 10:01 UTC)));
        assert_eq!(
            rate.next(made, Some(datetime!(2026-11-23 10:07:03 UTC))),
            Some(datetime!(2026-11-23 10:08:03 UTC))
        );
        let at = Expression::At(datetime!(2026-11-23 10:00:05 UTC));
        assert_eq!(at.next(made, None), Some(datetime!(2026-11-23 10:00:05 UTC)));
        assert_eq!(at.next(made, Some(datetime!(2026-11-23 10:00:07 UTC))), None);
    }
}
