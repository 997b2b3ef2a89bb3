//! Another client of a mailbox: what a person does to their messages between two polls.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use time::OffsetDateTime;
use time::macros::format_description;

/// A logged-in IMAP session (RFC 9051). Panics where the server says anything but OK: a test cannot go on then.
pub struct Imap {
    stream: BufReader<TcpStream>,
    commands: u32,
}

impl Imap {
    /// Logs in. Without TLS: the server takes connections from this machine for secure.
    #[must_use]
    pub fn login(server: SocketAddr, login: &str, password: &str) -> Self {
        let stream = TcpStream::connect(server).expect("the IMAP server is there");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
        let mut imap = Self { stream: BufReader::new(stream), commands: 0 };
        let greeting = imap.line();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        imap.command(&format!("LOGIN {} {}", quoted(login), quoted(password)));
        imap
    }

    /// Runs a command and returns its untagged responses.
    pub fn command(&mut self, command: &str) -> Vec<String> {
        let tag = self.send(command);
        self.finish(&tag, command)
    }

    /// Appends a message as it is, with these flags, as if it had arrived at `arrived`.
    pub fn append(&mut self, mailbox: &str, flags: &str, arrived: Option<OffsetDateTime>, raw: &[u8]) {
        let date = arrived.map_or_else(String::new, |at| {
            let format = format_description!(
                "[day]-[month repr:short]-[year] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
            );
            format!(" \"{}\"", at.format(format).expect("a date has this format"))
        });
        let command = format!("APPEND {} ({flags}){date} {{{}}}", encoded(mailbox), raw.len());
        let tag = self.send(&command);
        let go_ahead = self.line();
        assert!(go_ahead.starts_with('+'), "{go_ahead}");
        self.stream.get_mut().write_all(raw).expect("the server reads");
        self.stream.get_mut().write_all(b"\r\n").expect("the server reads");
        self.finish(&tag, &command);
    }

    /// Creates a mailbox, named as people write it.
    pub fn create(&mut self, mailbox: &str) {
        self.command(&format!("CREATE {}", encoded(mailbox)));
    }

    /// Deletes a mailbox with all that is in it.
    pub fn delete(&mut self, mailbox: &str) {
        self.command(&format!("DELETE {}", encoded(mailbox)));
    }

    /// Renames a mailbox. Its UIDVALIDITY may stay.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.command(&format!("RENAME {} {}", encoded(from), encoded(to)));
    }

    /// Opens a mailbox for reading and writing.
    pub fn select(&mut self, mailbox: &str) -> Vec<String> {
        self.command(&format!("SELECT {}", encoded(mailbox)))
    }

    /// Sets flags on messages of the selected mailbox.
    pub fn flag(&mut self, uids: &str, flags: &str) {
        self.command(&format!("UID STORE {uids} +FLAGS ({flags})"));
    }

    /// Removes messages of the selected mailbox for good.
    pub fn expunge(&mut self, uids: &str) {
        self.flag(uids, "\\Deleted");
        self.command("EXPUNGE");
    }

    /// The flags of every message of the selected mailbox, by UID.
    pub fn flags(&mut self) -> Vec<String> {
        self.command("UID FETCH 1:* (FLAGS)")
            .into_iter()
            .filter(|line| line.contains("FETCH"))
            .map(|line| {
                let flags = line.split("FLAGS (").nth(1).and_then(|rest| rest.split(')').next());
                flags.unwrap_or_default().replace("\\Recent", "").trim().to_owned()
            })
            .collect()
    }

    /// Every message of a mailbox, whole, in its order.
    pub fn all(&mut self, mailbox: &str) -> Vec<Vec<u8>> {
        self.select(mailbox);
        let tag = self.send("UID FETCH 1:* (BODY.PEEK[])");
        let mut messages = Vec::new();
        loop {
            let mut line = String::new();
            let n = self.stream.read_line(&mut line).expect("the server answers in time");
            assert!(n > 0, "the server hung up");
            if line.starts_with(&format!("{tag} ")) {
                assert!(line.contains("OK"), "{line}");
                return messages;
            }
            let literal = line.trim_end().strip_suffix('}').and_then(|rest| rest.rsplit('{').next());
            if let Some(size) = literal.and_then(|digits| digits.parse::<usize>().ok()) {
                let mut message = vec![0; size];
                self.stream.read_exact(&mut message).expect("the literal is whole");
                messages.push(message);
            }
        }
    }

    fn send(&mut self, command: &str) -> String {
        self.commands += 1;
        let tag = format!("t{}", self.commands);
        let line = format!("{tag} {command}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).expect("the server reads");
        tag
    }

    fn finish(&mut self, tag: &str, command: &str) -> Vec<String> {
        let mut untagged = Vec::new();
        loop {
            let line = self.line();
            match line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                Some(status) => {
                    assert!(status.starts_with("OK"), "{command}: {line}");
                    return untagged;
                }
                None => untagged.push(line),
            }
        }
    }

    /// One line, with the literals in it (RFC 9051 §4.3) read over.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let n = self.stream.read_line(&mut line).expect("the server answers in time");
        assert!(n > 0, "the server hung up");
        let literal = line.trim_end().strip_suffix('}').and_then(|rest| rest.rsplit('{').next());
        if let Some(size) = literal.and_then(|digits| digits.parse::<usize>().ok()) {
            let mut skipped = vec![0; size];
            self.stream.read_exact(&mut skipped).expect("the literal is whole");
            line += &self.line();
        }
        line
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A mailbox name on the wire: modified UTF-7 (RFC 3501 §5.1.3), written down here once more so that two errors would
/// have to agree to go unnoticed.
fn encoded(name: &str) -> String {
    let mut out = String::new();
    let mut foreign: Vec<u16> = Vec::new();
    let flush = |foreign: &mut Vec<u16>, out: &mut String| {
        if !foreign.is_empty() {
            let bytes: Vec<u8> = foreign.drain(..).flat_map(u16::to_be_bytes).collect();
            out.push('&');
            out.push_str(&STANDARD_NO_PAD.encode(bytes).replace('/', ","));
            out.push('-');
        }
    };
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut foreign, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            foreign.extend(c.encode_utf16(&mut [0; 2]).iter());
        }
    }
    flush(&mut foreign, &mut out);
    quoted(&out)
}
