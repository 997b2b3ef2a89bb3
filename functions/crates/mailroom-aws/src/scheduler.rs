//! The schedules that start the fetch function: one for each refresh interval, all in one group.

use std::sync::OnceLock;

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target,
};
use mailroom_core::ports::PortError;
use mailroom_core::profile::RefreshInterval;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::client::Clients;
use crate::error::unavailable;

/// An invocation that cannot be started is tried again this long: the next one comes anyway.
const MAX_EVENT_AGE_SECONDS: i32 = 60;

/// The most that an invocation may drift, in minutes.
const MAX_WINDOW_MINUTES: i32 = 15;

/// What the name of an interval's schedule begins with. The seconds follow.
const PREFIX: &str = "refresh-";

/// Schedules of one page of a list: the most that Scheduler allows.
const PAGE: i32 = 100;

/// Pages of a list of schedules: 1,444 intervals exist, and a page may be short. A longer list is a fault.
const MAX_PAGES: usize = 50;

/// The schedules of one group.
#[derive(Debug)]
pub struct ScheduleGroup {
    clients: Clients,
    client: OnceLock<Client>,
    group: String,
    role_arn: String,
    target_arn: String,
}

impl ScheduleGroup {
    /// The group whose schedules start the function `target_arn` in the role `role_arn`. Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, group: &str, role_arn: &str, target_arn: &str) -> Self {
        Self {
            clients: clients.clone(),
            client: OnceLock::new(),
            group: group.to_owned(),
            role_arn: role_arn.to_owned(),
            target_arn: target_arn.to_owned(),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.clients.config))
    }

    fn target(&self, interval: RefreshInterval) -> Result<Target, PortError> {
        let retry = RetryPolicy::builder()
            .maximum_event_age_in_seconds(MAX_EVENT_AGE_SECONDS)
            .maximum_retry_attempts(1)
            .build();
        Target::builder()
            .arn(&self.target_arn)
            .role_arn(&self.role_arn)
            .input(format!(r#"{{"refresh_interval": {}}}"#, interval.seconds()))
            .retry_policy(retry)
            .build()
            .map_err(unavailable("CreateSchedule"))
    }

    async fn create(
        &self,
        name: &str,
        expression: &str,
        interval: RefreshInterval,
        window_minutes: Option<i32>,
        after: ActionAfterCompletion,
    ) -> Result<(), PortError> {
        let window = match window_minutes {
            Some(minutes) => FlexibleTimeWindow::builder()
                .mode(FlexibleTimeWindowMode::Flexible)
                .maximum_window_in_minutes(minutes),
            None => FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off),
        };
        let created = self
            .client()
            .create_schedule()
            .group_name(&self.group)
            .name(name)
            .schedule_expression(expression)
            .flexible_time_window(window.build().map_err(unavailable("CreateSchedule"))?)
            .target(self.target(interval)?)
            .action_after_completion(after)
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conflict_exception()) => Ok(()),
            Err(error) => Err(unavailable("CreateSchedule")(error)),
        }
    }

    /// Starts the function once at `at` (UTC, whole seconds), by a schedule of its own that removes itself.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn fire_once(
        &self,
        name: &str,
        at: OffsetDateTime,
        interval: RefreshInterval,
    ) -> Result<(), PortError> {
        let format = format_description!("at([year]-[month]-[day]T[hour]:[minute]:[second])");
        let expression = at
            .to_offset(time::UtcOffset::UTC)
            .format(&format)
            .map_err(|error| PortError::Corrupt(error.to_string()))?;
        self.create(name, &expression, interval, None, ActionAfterCompletion::Delete).await
    }
}

/// The name of an interval's schedule.
fn name(interval: RefreshInterval) -> String {
    format!("{PREFIX}{}", interval.seconds())
}

/// The rate of an interval's schedule. Below a minute, which is Scheduler's smallest rate, it is a minute, and the
/// function asks for the later rounds.
fn rate(interval: RefreshInterval) -> String {
    match interval.seconds() / 60 {
        0 | 1 => "rate(1 minute)".to_owned(),
        minutes => format!("rate({minutes} minutes)"),
    }
}

/// How far an interval's invocations may drift, in minutes, so that all schedules do not fire at once: a tenth of the interval,
/// at least a minute, which is Scheduler's smallest window. Intervals up to a minute have no room to drift.
fn window(interval: RefreshInterval) -> Option<i32> {
    let tenth = i32::try_from(interval.seconds() / 600).unwrap_or(MAX_WINDOW_MINUTES);
    (interval.seconds() > 60).then(|| tenth.clamp(1, MAX_WINDOW_MINUTES))
}

impl ScheduleGroup {
    /// Creates the schedule of an interval, if it is missing.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn ensure(&self, interval: RefreshInterval) -> Result<(), PortError> {
        self.create(&name(interval), &rate(interval), interval, window(interval), ActionAfterCompletion::None)
            .await
    }

    /// The intervals that have a schedule.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn intervals(&self) -> Result<Vec<RefreshInterval>, PortError> {
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let answer = self
                .client()
                .list_schedules()
                .group_name(&self.group)
                .name_prefix(PREFIX)
                .max_results(PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(unavailable("ListSchedules"))?;
            let names =
                answer.schedules().iter().filter_map(|schedule| schedule.name()?.strip_prefix(PREFIX));
            let seconds = names.filter_map(|seconds| seconds.parse().ok());
            found.extend(seconds.filter_map(|seconds| RefreshInterval::from_seconds(seconds).ok()));
            next = answer.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(PortError::Corrupt("the list of schedules has no end".to_owned()))
    }

    /// Removes the schedule of an interval, if it exists.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn remove(&self, interval: RefreshInterval) -> Result<(), PortError> {
        let request = self.client().delete_schedule().group_name(&self.group).name(name(interval));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Ok(())
            }
            Err(error) => Err(unavailable("DeleteSchedule")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::replay::{Calls, Reply, exception, ok, service};

    fn schedules(script: impl IntoIterator<Item = Reply>) -> (ScheduleGroup, Calls) {
        let (clients, calls) = service(script);
        (ScheduleGroup::new(&clients, "group", "arn:role", "arn:fetch"), calls)
    }

    #[tokio::test]
    async fn a_schedule_that_exists_or_is_removed_already_is_fine() {
        let (schedules, calls) = schedules([
            ok(json!({"ScheduleArn": "arn"})),
            exception("ConflictException"),
            ok(json!({})),
            exception("ResourceNotFoundException"),
        ]);
        let interval = RefreshInterval::DEFAULT;
        schedules.ensure(interval).await.unwrap();
        schedules.ensure(interval).await.unwrap();
        schedules.remove(interval).await.unwrap();
        schedules.remove(interval).await.unwrap();
        let [post, delete] = ["POST /schedules/refresh-300", "DELETE /schedules/refresh-300"];
        assert_eq!(calls.operations(), [post, post, delete, delete]);
        let body = &calls.all()[0].body;
        assert_eq!(body["GroupName"], "group");
        assert_eq!(body["ScheduleExpression"], "rate(5 minutes)");
        assert_eq!(body["FlexibleTimeWindow"], json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1}));
        assert_eq!(body["Target"]["Input"], r#"{"refresh_interval": 300}"#);
        assert_eq!(
            (&body["Target"]["Arn"], &body["Target"]["RoleArn"]),
            (&json!("arn:fetch"), &json!("arn:role"))
        );
    }

    #[tokio::test]
    async fn a_missing_group_or_a_refusal_is_an_error() {
        let (schedules, _) =
            schedules([exception("ResourceNotFoundException"), exception("AccessDeniedException")]);
        assert!(schedules.ensure(RefreshInterval::DEFAULT).await.is_err());
        assert!(schedules.remove(RefreshInterval::DEFAULT).await.is_err());
    }

    #[tokio::test]
    async fn a_list_of_schedules_is_read_to_its_end_and_holds_intervals_alone() {
        let names = |names: &[&str]| names.iter().map(|name| json!({"Name": name})).collect::<Vec<_>>();
        let (schedules, calls) = schedules([
            ok(json!({"Schedules": names(&["refresh-60", "refresh-7", "refresh-x"]), "NextToken": "next"})),
            ok(json!({"Schedules": names(&["refresh-300"])})),
        ]);
        let seconds = schedules.intervals().await.unwrap().iter().map(|i| i.seconds()).collect::<Vec<_>>();
        assert_eq!(seconds, [60, 300]);
        assert_eq!(calls.operations(), ["GET /schedules"; 2]);
    }

    #[tokio::test]
    async fn a_single_run_is_a_schedule_that_removes_itself() {
        let (schedules, calls) = schedules([ok(json!({"ScheduleArn": "arn"}))]);
        let at = datetime!(2026-11-01 13:00:05.75 +1);
        schedules.fire_once("first", at, RefreshInterval::DEFAULT).await.unwrap();
        let call = &calls.all()[0];
        assert_eq!(call.operation, "POST /schedules/first");
        assert_eq!(call.body["ScheduleExpression"], "at(2026-11-01T12:00:05)");
        assert_eq!(call.body["ActionAfterCompletion"], "DELETE");
        assert_eq!(call.body["FlexibleTimeWindow"], json!({"Mode": "OFF"}));
    }

    #[test]
    fn rates_are_what_scheduler_reads() {
        for (seconds, expected, drift) in [
            (10, "rate(1 minute)", None),
            (30, "rate(1 minute)", None),
            (60, "rate(1 minute)", None),
            (120, "rate(2 minutes)", Some(1)),
            (300, "rate(5 minutes)", Some(1)),
            (1800, "rate(30 minutes)", Some(3)),
            (86_400, "rate(1440 minutes)", Some(15)),
        ] {
            let interval = RefreshInterval::from_seconds(seconds).unwrap();
            assert_eq!((rate(interval).as_str(), window(interval)), (expected, drift));
        }
    }
}
