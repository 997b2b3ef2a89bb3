//! Replies and their lines (RFC 5321 §4.2).

use mailroom_net::redact::Redactor;

/// The most of a reply's text that is kept, in characters.
const MAX_REPLY_TEXT: usize = 300;

/// A server's reply: bounded, without control characters and without the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The reply code, three digits.
    pub code: u16,
    /// The enhanced status code (RFC 3463), such as `5.7.8`, if there is one.
    pub enhanced: Option<(u16, u16, u16)>,
    /// The text of all lines, without the codes; may be empty.
    pub text: String,
}

/// One line of a reply, without its end.
pub(super) struct Line<'a> {
    pub(super) code: u16,
    pub(super) last: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads `250-text`, `250 text` or `250`.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (digits, rest) = line.split_at_checked(3)?;
        let code = std::str::from_utf8(digits).ok()?.parse().ok().filter(|code| (200..600).contains(code))?;
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return None,
        };
        // `parse` would accept a sign.
        digits.iter().all(u8::is_ascii_digit).then_some(Self { code, last, text })
    }
}

impl Reply {
    pub(super) fn new(code: u16, lines: &[Vec<u8>], redactor: &Redactor) -> Self {
        let enhanced = lines.first().and_then(|line| enhanced(line));
        let text = lines
            .iter()
            .map(|line| {
                let text = String::from_utf8_lossy(line);
                let words = enhanced_end(&text).and_then(|end| text.get(end..)).unwrap_or(&text);
                words.trim().to_owned()
            })
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut words = redactor.redact(clean.trim());
        if let Some((end, _)) = words.char_indices().nth(MAX_REPLY_TEXT) {
            words.truncate(end);
        }
        Self { code, enhanced, text: words }
    }

    /// Whether it is a positive completion reply (2yz, RFC 5321 §4.2.1).
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.code < 300
    }

    /// Whether it is a positive intermediate reply (3yz): the server waits for more of the command.
    #[must_use]
    pub const fn is_intermediate(&self) -> bool {
        self.code >= 300 && self.code < 400
    }

    /// Whether it is a negative reply: the server does not do what it was asked for.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.code >= 400
    }

    /// Whether it accepts a command of a mail transaction (RFC 5321 §4.3.2). 220, 221 or 235 do not: they belong to
    /// other commands, so client and server are out of step.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.code >= 250 && self.code < 260
    }

    /// Whether the same command may succeed later: a transient negative reply (4yz), or a sending limit.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        (self.code >= 400 && self.code < 500) || (self.is_negative() && self.is_sending_limit())
    }

    /// Whether the sender has reached a limit of the server, which ends by itself. By the enhanced code, because some
    /// servers say 550, or by the texts of those who have no code of their own for it. As seen:
    /// - Gmail: `550-5.4.5 Daily user sending limit exceeded.`
    /// - Exchange Online: `550 5.1.90 Your message can't be sent because you've reached your daily limit for message
    ///   recipients`, `550 5.7.232` and `550 5.7.233` (the tenant's daily limits), `432 4.3.2 Concurrent connections limit
    ///   exceeded`, `550 5.2.121` and `550 5.2.122` (limits of the recipient per hour), `554 5.2.0
    ///   STOREDRV.Submission.Exception:SubmissionQuotaExceededException`
    /// - Zoho: `550 5.4.6 Unusual sending activity detected. Please try after sometime`
    /// - cPanel: `550 Domain example.com has exceeded the max emails per hour (200/200 (100%)) allowed.`
    /// - SES: `454 Throttling failure: Maximum sending rate exceeded.`
    #[must_use]
    pub fn is_sending_limit(&self) -> bool {
        match self.enhanced {
            Some((_, 4, 5) | (_, 1, 90) | (_, 7, 232 | 233) | (_, 2, 121 | 122)) => true,
            Some((4, 3, 2)) if self.code == 432 => true,
            Some(_) | None => {
                let lower = self.text.to_ascii_lowercase();
                SENDING_LIMIT.iter().any(|sign| lower.contains(sign))
            }
        }
    }
}

/// Parts of the texts, in lower case, by which [`Reply::is_sending_limit`] knows a limit.
const SENDING_LIMIT: [&str; 14] = [
    "sending limit",
    "sending quota",
    "sending rate",
    "sending activity",
    "submission quota",
    "submissionquotaexceeded",
    "daily limit",
    "daily message quota",
    "hourly limit",
    "emails per hour",
    "messages per hour",
    "rate limit",
    "ratelimit",
    "connections limit exceeded",
];

/// The length of the enhanced status code at the start of a text, if there is one.
fn enhanced_end(text: &str) -> Option<usize> {
    let word = text.split(' ').next()?;
    enhanced(word.as_bytes()).map(|_| word.len())
}

fn enhanced(line: &[u8]) -> Option<(u16, u16, u16)> {
    let word = std::str::from_utf8(line.split(|byte| *byte == b' ').next()?).ok()?;
    let mut numbers = word.split('.').map(|part| {
        let fine = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        fine.then(|| part.parse().ok()).flatten()
    });
    let code = (numbers.next()??, numbers.next()??, numbers.next()??);
    (numbers.next().is_none() && matches!(code.0, 2 | 4 | 5)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(lines: &[&str]) -> Reply {
        let mut redactor = Redactor::default();
        redactor.add("correct horse".into());
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        Reply::new(535, &lines, &redactor)
    }

    #[test]
    fn codes_are_taken_out_of_the_words() {
        let gmail =
            reply(&["5.7.8 Username and Password not accepted. For more", "5.7.8 go to https://x.example"]);
        assert_eq!(gmail.enhanced, Some((5, 7, 8)));
        assert_eq!(gmail.text, "Username and Password not accepted. For more go to https://x.example");
        let plain = reply(&["Authentication failed. 1.2"]);
        assert_eq!((plain.enhanced, plain.text.as_str()), (None, "Authentication failed. 1.2"));
        assert_eq!(reply(&["5.7"]).enhanced, None);
        assert_eq!(reply(&["5.7.8.1 x"]).enhanced, None);
    }

    #[test]
    fn words_are_bounded_and_free_of_what_must_not_be_seen() {
        assert_eq!(reply(&["a\x1b[31mb\0c"]).text, "a [31mb c");
        assert_eq!(reply(&["\u{fc}".repeat(5000).as_str()]).text.chars().count(), MAX_REPLY_TEXT);
        assert_eq!(reply(&["no correct horse here"]).text, "no … here");
    }

    #[test]
    fn a_sending_limit_passes_whatever_its_code() {
        let refused = |code, line: &str| Reply::new(code, &[line.as_bytes().to_vec()], &Redactor::default());
        for (code, line, transient, limit) in [
            (550, "5.4.5 Daily user sending limit exceeded.", true, true),
            (550, "5.1.90 Your message can't be sent because you've reached your daily limit", true, true),
            (550, "5.7.233 Your message can't be sent because your tenant exceeded its limit", true, true),
            (554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", true, true),
            (550, "5.4.6 Unusual sending activity detected. Please try after sometime", true, true),
            (550, "Domain example.com has exceeded the max emails per hour (200/200)", true, true),
            (
                432,
                "4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
                true,
                true,
            ),
            (454, "Throttling failure: Maximum sending rate exceeded.", true, true),
            (451, "4.7.500 Server busy. Please try again later", true, false),
            (452, "4.5.3 Too many recipients", true, false),
            (550, "5.4.6 Routing loop detected", false, false),
            (550, "5.1.1 User unknown", false, false),
            (552, "5.2.2 The recipient's inbox is out of storage space", false, false),
            (550, "5.7.1 Message rejected as spam", false, false),
            (250, "2.0.0 OK, within the daily limit", false, true),
        ] {
            let reply = refused(code, line);
            assert_eq!((reply.is_transient(), reply.is_sending_limit()), (transient, limit), "{line}");
        }
    }

    #[test]
    fn lines_are_replies_or_nothing() {
        let line =
            |text: &str| Line::parse(text.as_bytes()).map(|line| (line.code, line.last, line.text.len()));
        assert_eq!(line("250-SIZE 1"), Some((250, false, 6)));
        assert_eq!(line("250 ok"), Some((250, true, 2)));
        assert_eq!(line("250"), Some((250, true, 0)));
        for wrong in ["", "25", "250x", "+50 a", "199 a", "600 a", "abc d", "* OK IMAP", "SSH-2.0-x"] {
            assert_eq!(line(wrong), None, "{wrong}");
        }
    }
}
