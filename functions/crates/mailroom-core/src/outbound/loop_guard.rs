//! The loop guard: a program that replies to messages must not reply to another program for ever (RFC 3834 §2).

use time::Duration;

use crate::outbound::delivery::{SendError, SendErrorCode};
use crate::outbound::message::{EmailAddress, LoopGuard, Message, Origin};

/// Automatic messages to one recipient within [`LIMIT_WINDOW`], unless the deployment configures another number.
pub const DEFAULT_LIMIT: u32 = 10;

/// The largest limit that a deployment can configure.
pub const MAX_LIMIT: u32 = 1000;

/// The time over which automatic messages are counted.
pub const LIMIT_WINDOW: Duration = Duration::HOUR;

/// The kind of program that wrote a received message: no reply goes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutomatedSender {
    /// An automatic reply (RFC 3834), such as an out-of-office notice.
    AutoReply,
    /// A delivery status notification (RFC 3464): a message could not be delivered.
    Bounce,
    /// The return path is empty (RFC 5321 §4.5.5): the sender accepts no reply.
    NullSender,
}

/// Why the loop guard holds a message back; `None` when it may be sent. `replies_to` is the program that wrote the
/// message that this one replies to, if one did; `own_addresses` are the recipients that are logins of profiles.
#[must_use]
pub fn check(
    message: &Message,
    replies_to: Option<AutomatedSender>,
    own_addresses: &[EmailAddress],
) -> Option<SendError> {
    if message.loop_guard == LoopGuard::Off {
        return None;
    }
    let refused = |reason: String| {
        let advice = "Set loop_guard to false to send it anyway.";
        Some(SendError::new(SendErrorCode::LoopGuard, format!("{reason} {advice}")))
    };
    let daemon = message.recipients().into_iter().find(is_daemon);
    if let Some(daemon) = daemon {
        return refused(format!("{daemon} sends bounces and reads no replies."));
    }
    match replies_to {
        Some(AutomatedSender::AutoReply) => {
            return refused("The message that this replies to is an automatic reply.".to_owned());
        }
        Some(AutomatedSender::Bounce) => {
            return refused("The message that this replies to is a bounce.".to_owned());
        }
        Some(AutomatedSender::NullSender) => {
            return refused(
                "The message that this replies to has an empty return path: its sender accepts no reply."
                    .to_owned(),
            );
        }
        None => {}
    }
    match own_addresses.first() {
        Some(own) if message.in_reply_to.is_some() || message.origin == Origin::Automatic => refused(
            format!("{own} is the address of a profile of this Mailroom: the message would come back to it."),
        ),
        Some(_) | None => None,
    }
}

/// The error of an automatic message to a recipient that has received `limit` of them within [`LIMIT_WINDOW`].
#[must_use]
pub fn limit_reached(address: &str, limit: u32) -> SendError {
    let message = format!(
        "{address} has received {limit} automatic messages within an hour: this one is not sent, because it may be part of a loop."
    );
    SendError::new(SendErrorCode::LoopGuard, message)
}

/// Whether the address is one that bounces come from.
fn is_daemon(address: &EmailAddress) -> bool {
    matches!(address.local().to_ascii_lowercase().as_str(), "mailer-daemon" | "mailer_daemon" | "maildaemon")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::message::{Correspondent, HeaderText, MessageId, SaveToSent};

    fn message(to: &str) -> Message {
        let address = EmailAddress::parse(to).unwrap();
        Message {
            to: vec![Correspondent { name: None, address }],
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            from_name: None,
            subject: HeaderText::default(),
            text: Some(String::new()),
            html: None,
            in_reply_to: None,
            references: Vec::new(),
            attachments: Vec::new(),
            headers: Vec::new(),
            origin: Origin::Person,
            save_to_sent: SaveToSent::Auto,
            loop_guard: LoopGuard::On,
        }
    }

    #[test]
    fn no_reply_goes_to_a_program_unless_the_guard_is_off() {
        let answer =
            Message { in_reply_to: Some(MessageId::parse("<a@b>").unwrap()), ..message("ann@example.org") };
        for program in [AutomatedSender::AutoReply, AutomatedSender::Bounce, AutomatedSender::NullSender] {
            let error = check(&answer, Some(program), &[]).unwrap();
            assert_eq!(error.code, SendErrorCode::LoopGuard);
            let asked = Message { loop_guard: LoopGuard::Off, ..answer.clone() };
            assert_eq!(check(&asked, Some(program), &[]), None);
        }
        assert_eq!(check(&answer, None, &[]), None);
        assert!(check(&message("MAILER-DAEMON@example.org"), None, &[]).is_some());
    }

    #[test]
    fn profiles_do_not_reply_to_each_other() {
        let own = [EmailAddress::parse("sales@example.com").unwrap()];
        let plain = message("sales@example.com");
        assert_eq!(check(&plain, None, &own), None);
        let automatic = Message { origin: Origin::Automatic, ..plain.clone() };
        assert!(check(&automatic, None, &own).is_some());
        let answer = Message { in_reply_to: Some(MessageId::parse("<a@b>").unwrap()), ..plain };
        assert!(check(&answer, None, &own).is_some());
    }
}
