//! The queues that the functions may put jobs on, so that a flow schema names no other.

/// Patterns of queues' ARNs, as the functions' policies have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQueues(Vec<String>);

impl JobQueues {
    /// Reads ARNs with commas; `*` and `?` in them stand for what they stand for in a policy.
    ///
    /// # Errors
    /// When one of them is not a queue's ARN.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let arns: Vec<String> =
            text.split(',').map(|arn| arn.trim().to_owned()).filter(|arn| !arn.is_empty()).collect();
        if arns.is_empty() || arns.iter().any(|arn| arn != "*" && arn.split(':').count() != 6) {
            return Err("must be ARNs of queues, with commas");
        }
        Ok(Self(arns))
    }

    /// Every queue.
    #[must_use]
    pub fn any() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Whether jobs can be put on the queue with this URL, `https://HOST/ACCOUNT/NAME`. The region is the functions' own:
    /// they reach no other.
    pub(crate) fn hold(&self, url: &str) -> bool {
        let mut parts = url.rsplit('/');
        let (Some(name), Some(account)) = (parts.next(), parts.next()) else { return false };
        let host = parts.next().unwrap_or_default();
        self.0.iter().any(|arn| {
            let parts: Vec<&str> = arn.split(':').collect();
            match parts.as_slice() {
                [_, _, _, region, pattern_account, pattern_name] => {
                    matches(pattern_account.as_bytes(), account.as_bytes())
                        && matches(pattern_name.as_bytes(), name.as_bytes())
                        && region_of(host).is_none_or(|named| matches(region.as_bytes(), named.as_bytes()))
                }
                _ => arn == "*",
            }
        })
    }
}

/// The region in a host of AWS, such as `sqs.eu-central-1.amazonaws.com`.
fn region_of(host: &str) -> Option<&str> {
    host.strip_prefix("sqs.")?.split_once(".amazonaws.").map(|(region, _)| region)
}

/// Whether a text fits a pattern in which `*` stands for any text and `?` for one character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // The last star, and how much of the text it stands for: enough, since a later star can do all that an earlier can.
    let (mut at, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(in_text) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(wanted) if wanted == byte || *wanted == b'?' => {
                at += 1;
                in_text += 1;
            }
            Some(_) | None => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    in_text = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_queues_of_the_policy_hold_jobs() {
        let queues = JobQueues::parse(
            "arn:aws:sqs:eu-central-1:123456789012:mailroom-jobs.fifo, arn:aws:sqs:eu-central-1:123456789012:orders-*",
        )
        .unwrap();
        for good in [
            "https://sqs.eu-central-1.amazonaws.com/123456789012/mailroom-jobs.fifo",
            "https://sqs.eu-central-1.amazonaws.com/123456789012/orders-eu.fifo",
            "http://127.0.0.1:4566/123456789012/orders-",
        ] {
            assert!(queues.hold(good), "{good}");
        }
        for bad in [
            "https://sqs.eu-central-1.amazonaws.com/123456789012/mailroom-polls",
            "https://sqs.eu-central-1.amazonaws.com/123456789013/orders-eu",
            "https://sqs.us-east-1.amazonaws.com/123456789012/orders-eu",
            "https://sqs.eu-central-1.amazonaws.com/123456789012/my-orders-eu",
            "nonsense",
        ] {
            assert!(!queues.hold(bad), "{bad}");
        }
        assert!(
            JobQueues::parse("*").unwrap().hold("https://sqs.eu-central-1.amazonaws.com/123456789012/any")
        );
        for wrong in ["", ",", "orders", "arn:aws:sqs:orders"] {
            assert!(JobQueues::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_are_those_of_policies() {
        let fits = |pattern: &str, text: &str| matches(pattern.as_bytes(), text.as_bytes());
        for (pattern, text) in
            [("*", ""), ("a*c", "abbc"), ("a?c", "abc"), ("*a*b", "xaayb"), ("", ""), ("a**", "a")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a?c", "ac"), ("*b", "ba"), ("", "a"), ("?", "")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
