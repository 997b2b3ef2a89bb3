//! Metrics that CloudWatch reads out of the log: lines in its embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//! They need no call, and no right.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The unit of a metric, as CloudWatch names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A time in seconds.
    Seconds,
}

/// A value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, in CloudWatch's style: `ProfilesListening`.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The value.
    pub value: f64,
}

impl Metric {
    /// A number of things.
    #[must_use]
    pub fn count(name: &'static str, count: usize) -> Self {
        let value = u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
        Self { name, unit: Unit::Count, value }
    }
}

/// Writes metrics to the log.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    namespace: Option<String>,
}

impl Metrics {
    /// Writes metrics of this namespace; without one, none.
    #[must_use]
    pub const fn new(namespace: Option<String>) -> Self {
        Self { namespace }
    }

    /// Writes the values at `now`, each for the function as a whole and for the dimension. Every value of a dimension costs
    /// what a metric costs: so no profile is one.
    pub fn write(&self, dimension: (&'static str, String), metrics: &[Metric], now: OffsetDateTime) {
        if let Some(namespace) = &self.namespace {
            let line = format!("{}\n", line(namespace, dimension, metrics, now));
            // A metric that cannot be written is not worth a poll.
            let _ = std::io::stdout().lock().write_all(line.as_bytes());
        }
    }
}

fn line(
    namespace: &str,
    (dimension, of): (&'static str, String),
    metrics: &[Metric],
    now: OffsetDateTime,
) -> Value {
    let unit = |metric: &Metric| match metric.unit {
        Unit::Count => "Count",
        Unit::Seconds => "Seconds",
    };
    let declared: Vec<Value> =
        metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": unit(metric)})).collect();
    let mut members = Map::new();
    members.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.unix_timestamp_nanos() / 1_000_000,
            "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": [[], [dimension]], "Metrics": declared}],
        }),
    );
    members.insert(dimension.to_owned(), Value::String(of));
    members.extend(metrics.iter().map(|metric| (metric.name.to_owned(), json!(metric.value))));
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_line_has_the_form_that_cloudwatch_reads() {
        let metrics =
            [Metric::count("ProfilesListening", 3), Metric { name: "Lag", unit: Unit::Seconds, value: 0.5 }];
        let line = line(
            "Mailroom/a",
            ("RefreshInterval", "300".to_owned()),
            &metrics,
            datetime!(2026-11-01 12:00 UTC),
        );
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_793_534_400_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Mailroom/a", "Dimensions": [[], ["RefreshInterval"]],
                        "Metrics": [
                            {"Name": "ProfilesListening", "Unit": "Count"}, {"Name": "Lag", "Unit": "Seconds"},
                        ],
                    }],
                },
                "RefreshInterval": "300", "ProfilesListening": 3.0, "Lag": 0.5,
            })
        );
    }
}
