//! The text of a refusal: how much of it is kept, and what is recognized in it without a response code.

use std::time::Duration;

use super::error::{Code, Refusal, Reply, Sign};
use super::response::StatusLine;
use mailroom_net::redact::Redactor;

/// The most of a refusal's text that is kept, in characters.
const MAX_REPLY_TEXT: usize = 300;

/// Parts of the texts of known servers, in lower case, that say what no response code says; the first that fits decides.
/// Texts as seen:
/// - Exchange Online: `BAD Request is throttled. Suggested Backoff Time: 299456 milliseconds`
/// - Exchange Online: `BAD User is authenticated but not connected.`
/// - Exchange Online: `NO Server Unavailable. 15`
/// - Gmail: `NO [ALERT] Too many simultaneous connections. (Failure)`
/// - Gmail: `NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)`
/// - Dovecot: `NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded`
/// - Yahoo: `NO [LIMIT] LOGIN Rate limit hit.`
/// - NetEase: `NO EXAMINE Unsafe Login. Please contact kefu@188.com for help`
/// - QQ: `NO Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or
///   system is busy.`: any of these, so the owner has to look.
const SIGNS: [(Sign, &[&str]); 5] = [
    (Sign::NotConnected, &["authenticated but not connected"]),
    (
        Sign::Throttled,
        &[
            "request is throttled",
            "suggested backoff time",
            "too many simultaneous",
            "too many connections",
            "too many sessions",
            "too many requests",
            "too many attempts",
            "too many log",
            "too many failed",
            "too many invalid",
            "too many bad log",
            "bandwidth limit",
            "maximum number of connections",
            "connection limit",
            "connections limit",
            "rate limit",
        ],
    ),
    (Sign::Unsafe, &["unsafe login"]),
    (Sign::Credential, &["password", "credential", "authentication failed", "invalid user", "incorrect"]),
    (
        Sign::Busy,
        &[
            "busy",
            "try again",
            "try later",
            "temporar",
            "overloaded",
            "maintenance",
            "internal error",
            "server error",
            "system error",
            "backend error",
            "server unavailable",
            "service unavailable",
            "currently unavailable",
            "currently not available",
            "timed out",
            "timeout",
            "locked by",
            "in use",
        ],
    ),
];

impl Reply {
    /// A refusal with the code and the text of `line`, cleaned and cut.
    pub(super) fn new(refusal: Refusal, line: &StatusLine, redactor: &Redactor) -> Self {
        let text = String::from_utf8_lossy(&line.text);
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let lower = clean.to_ascii_lowercase();
        let mut words: String = redactor.redact(clean.trim());
        if let Some((end, _)) = words.char_indices().nth(MAX_REPLY_TEXT) {
            words.truncate(end);
        }
        let says = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
        Self {
            refusal,
            code: line.code.known(),
            address: line.address.as_deref().map(|address| redactor.redact(address)),
            text: words,
            sign: SIGNS.iter().find(|(_, texts)| says(texts)).map(|(sign, _)| *sign),
            pause: backoff(&lower),
        }
    }

    /// Takes over the page that the server named before this tagged refusal: Gmail sends `* NO [WEBALERT https://…]`
    /// first, and then `NO [ALERT]`.
    pub(super) fn take_address(&mut self, untagged: Option<Self>) {
        if let (Some(Code::Alert) | None, Some(Self { code, address: Some(address), .. })) =
            (self.code, untagged)
        {
            (self.code, self.address) = (code, Some(address));
        }
    }

    /// Whether the server throttles, by its text.
    pub(super) const fn is_throttling(&self) -> bool {
        matches!(self.sign, Some(Sign::Throttled | Sign::NotConnected))
    }
}

/// The pause of Exchange Online's `Suggested Backoff Time: N milliseconds`.
fn backoff(lower: &str) -> Option<Duration> {
    let (_, rest) = lower.split_once("backoff time:")?;
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::super::response::ResponseCode;
    use super::*;

    fn reply(text: &str) -> Reply {
        let mut redactor = Redactor::default();
        redactor.add("correct horse".into());
        redactor.add("AGFubgBjb3JyZWN0IGhvcnNl".into());
        let line = StatusLine { code: ResponseCode::None, address: None, text: text.as_bytes().to_vec() };
        Reply::new(Refusal::No, &line, &redactor)
    }

    #[test]
    fn words_say_what_those_mean_who_have_no_code() {
        for (text, sign) in [
            ("Request is throttled. Suggested Backoff Time: 299456 milliseconds", Some(Sign::Throttled)),
            ("Too many invalid logon attempts", Some(Sign::Throttled)),
            ("User is authenticated but not connected.", Some(Sign::NotConnected)),
            ("EXAMINE Unsafe Login. Please contact kefu@188.com for help", Some(Sign::Unsafe)),
            (
                "Login fail. Account is abnormal, password is incorrect, login frequency limited, or system is busy.",
                Some(Sign::Credential),
            ),
            ("Server Unavailable. 15", Some(Sign::Busy)),
            ("Temporary authentication failure.", Some(Sign::Busy)),
            ("Login failed.", None),
            ("Mailbox does not exist", None),
        ] {
            assert_eq!(reply(text).sign, sign, "{text}");
        }
        let pause = |text| reply(text).pause;
        let named = "Request is throttled. Suggested Backoff Time: 299456 milliseconds";
        assert_eq!(pause(named), Some(Duration::from_millis(299_456)));
        assert_eq!(pause("Suggested Backoff Time: 99999999999999999999999 milliseconds"), None);
    }

    #[test]
    fn words_are_bounded_and_free_of_control_characters() {
        assert_eq!(reply("a\x1b[31mb\0c\t\u{9b}d").text, "a [31mb c  d");
        assert_eq!(reply(&"ü".repeat(5000)).text.chars().count(), MAX_REPLY_TEXT);
    }

    #[test]
    fn a_credential_that_is_echoed_is_not_kept() {
        for echo in [
            "Unknown user with password correct horse",
            "Invalid: A2 AUTHENTICATE PLAIN AGFubgBjb3JyZWN0IGhvcnNl",
            "Invalid: A2 AUTHENTICATE PLAIN AGFubgBjb3Jy",
            "Invalid: <correct>",
        ] {
            let words = reply(echo).text;
            assert!(words.ends_with('…') || words.ends_with("…>"), "{words}");
            assert!(!words.contains("AGFu") && !words.contains("correct"), "{words}");
        }
    }
}
