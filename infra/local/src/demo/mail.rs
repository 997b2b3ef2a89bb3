//! Messages for the mailbox of the running demo: one made up here, or those of `.eml` files.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;
use ulid::Ulid;

use super::running::{ANN, LOGIN, Running};
use crate::lmtp;
use crate::problem::{Problem, chain};

/// Which messages to deliver.
#[derive(Debug, Clone, Default)]
pub struct MessageOptions {
    /// The subject of the message made up here; a default if `None`.
    pub subject: Option<String>,
    /// The text of the message made up here; a default if `None`.
    pub text: Option<String>,
    /// Files with whole messages (RFC 5322), delivered in place of the one made up here.
    pub files: Vec<PathBuf>,
}

/// Delivers messages to the running demo; returns how many.
///
/// # Errors
/// When a file cannot be read, no demo runs, or its mail server refuses.
pub fn deliver(options: &MessageOptions) -> Result<usize, Problem> {
    let given = options.subject.is_some() || options.text.is_some();
    if given && !options.files.is_empty() {
        return Err(Problem::new(
            "--subject and --text are for a message made up here; leave them or the files out",
        ));
    }
    let running = Running::find()
        .ok_or_else(|| Problem::new("no demo is running here; start one in another terminal: cargo demo"))?;
    let mut messages = Vec::new();
    for file in &options.files {
        let name = file.display();
        let raw = fs::read(file).map_err(Problem::while_(format!("cannot read {name}")))?;
        if raw.is_empty() {
            return Err(Problem::new(format!("{name} is empty")));
        }
        messages.push((name.to_string(), raw));
    }
    if messages.is_empty() {
        let subject = options.subject.as_deref().unwrap_or("Hello");
        let raw = message(subject, options.text.as_deref().unwrap_or(TEXT), OffsetDateTime::now_utc())?;
        messages.push(("the message".to_owned(), raw));
    }
    for (name, raw) in &messages {
        lmtp::deliver(running.lmtp, ANN, &running.login, raw)
            .map_err(|error| Problem::new(format!("{name} was not delivered: {}", chain(&error))))?;
    }
    Ok(messages.len())
}

const TEXT: &str = "Hello,\r\n\r\nI ordered a lamp two weeks ago (order 4711) and have not heard since.\r\n\
                    The order is attached.\r\n\r\nRegards\r\nAnn Müller";

/// A message such as people write.
fn message(subject: &str, text: &str, now: OffsetDateTime) -> Result<Vec<u8>, Problem> {
    if subject.chars().any(char::is_control) {
        return Err(Problem::new("--subject must be one line"));
    }
    let date = now
        .format(&time::format_description::well_known::Rfc2822)
        .map_err(Problem::while_("cannot write the date"))?;
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    Ok(format!(
        "From: =?utf-8?q?Ann_M=C3=BCller?= <{ANN}>\r\n\
         To: Support <{LOGIN}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <{id}@example.org>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"parts\"\r\n\r\n\
         --parts\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n\
         {text}\r\n\
         --parts\r\n\
         Content-Type: text/csv; name=\"order-4711.csv\"\r\n\
         Content-Disposition: attachment; filename=\"order-4711.csv\"\r\n\r\n\
         item,count\r\nlamp,1\r\n\
         --parts--\r\n",
        subject = encoded(subject),
        id = Ulid::generate()
    )
    .into_bytes())
}

/// A text as a header field can carry it: as it is, or in encoded words of at most 75 characters (RFC 2047 §2).
fn encoded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut words: Vec<String> = vec![String::new()];
    for character in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= 45 => word.push(character),
            Some(_) | None => words.push(character.into()),
        }
    }
    let words = words.iter().map(|word| format!("=?utf-8?b?{}?=", BASE64.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_of_any_length_and_script_fits_a_header() {
        assert_eq!(encoded("Hello"), "Hello");
        assert_eq!(encoded("Gr\u{fc}\u{df}e"), "=?utf-8?b?R3LDvMOfZQ==?=");
        let long = encoded(&"\u{fc}".repeat(100));
        assert!(
            long.split("\r\n ").count() == 5 && long.split("\r\n ").all(|word| word.len() <= 75),
            "{long}"
        );
    }

    #[test]
    fn a_subject_cannot_carry_another_header() {
        assert!(message("a\r\nBcc: b", "", OffsetDateTime::UNIX_EPOCH).is_err());
    }
}
