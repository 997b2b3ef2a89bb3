//! The text of a refusal: how much of it is kept, and how throttling is recognized without a response code.

use std::time::Duration;

use super::error::{Code, Refusal, Reply};
use mailroom_net::redact::Redactor;

/// The most of a refusal's text that is kept, in characters.
const MAX_WORDS: usize = 300;

/// Parts of the texts, in lower case, with which servers throttle without a code that says so. Texts as seen:
/// - Exchange Online: `BAD Request is throttled. Suggested Backoff Time: 299456 milliseconds`
/// - Exchange Online, to frequent connects: `BAD User is authenticated but not connected.`
/// - Gmail: `NO [ALERT] Too many simultaneous connections. (Failure)`
/// - Gmail: `NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)`
/// - Dovecot: `NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded`
/// - Yahoo: `NO [LIMIT] LOGIN Rate limit hit.`
const THROTTLED: [&str; 8] = [
    "request is throttled",
    "suggested backoff time",
    "authenticated but not connected",
    "too many simultaneous connections",
    "too many connections",
    "bandwidth limit",
    "maximum number of connections",
    "rate limit",
];

impl Reply {
    /// A refusal with `text`, which follows the code, cleaned and cut.
    pub(super) fn new(refusal: Refusal, code: Option<Code>, text: &[u8], redactor: &Redactor) -> Self {
        let text = String::from_utf8_lossy(text);
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let lower = clean.to_ascii_lowercase();
        let mut words: String = redactor.redact(clean.trim());
        if let Some((end, _)) = words.char_indices().nth(MAX_WORDS) {
            words.truncate(end);
        }
        Self {
            refusal,
            code,
            words,
            throttled: THROTTLED.iter().any(|sign| lower.contains(sign)),
            pause: backoff(&lower),
        }
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
    use super::*;

    fn reply(text: &str) -> Reply {
        let mut redactor = Redactor::default();
        redactor.add("correct horse".into());
        redactor.add("AGFubgBjb3JyZWN0IGhvcnNl".into());
        Reply::new(Refusal::No, None, text.as_bytes(), &redactor)
    }

    #[test]
    fn throttling_is_known_by_the_words_of_those_who_have_no_code() {
        let m365 = reply("Request is throttled. Suggested Backoff Time: 299456 milliseconds");
        assert!(m365.throttled);
        assert_eq!(m365.pause, Some(Duration::from_millis(299_456)));
        assert!(reply("User is authenticated but not connected.").throttled);
        assert!(!reply("Login failed.").throttled);
        assert_eq!(reply("Suggested Backoff Time: 99999999999999999999999 milliseconds").pause, None);
    }

    #[test]
    fn words_are_bounded_and_free_of_control_characters() {
        assert_eq!(reply("a\x1b[31mb\0c\t\u{9b}d").words, "a [31mb c  d");
        assert_eq!(reply(&"ü".repeat(5000)).words.chars().count(), MAX_WORDS);
    }

    #[test]
    fn a_credential_that_is_echoed_is_not_kept() {
        for echo in [
            "Unknown user with password correct horse",
            "Invalid: A2 AUTHENTICATE PLAIN AGFubgBjb3JyZWN0IGhvcnNl",
            "Invalid: A2 AUTHENTICATE PLAIN AGFubgBjb3Jy",
            "Invalid: <correct>",
        ] {
            let words = reply(echo).words;
            assert!(words.ends_with('…') || words.ends_with("…>"), "{words}");
            assert!(!words.contains("AGFu") && !words.contains("correct"), "{words}");
        }
    }
}
