//! The loop guard: a program that answers mail must not answer another one for ever (RFC 3834 §2).

use time::Duration;

use crate::outbound::delivery::{SendError, SendErrorCode};
use crate::outbound::message::{EmailAddress, LoopGuard, Message, Origin};

/// Automatic mails to one recipient within [`LIMIT_TIME`], unless the deployment says otherwise.
pub const DEFAULT_LIMIT: u32 = 10;

/// The most that a deployment can say.
pub const MAX_LIMIT: u32 = 1000;

/// The time that automatic mails are counted over.
pub const LIMIT_TIME: Duration = Duration::HOUR;

/// A mail that must not be answered, because no person has written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutomatedSender {
    /// A machine that answers mail.
    AutoReply,
    /// A report that mail was not delivered.
    Bounce,
    /// Whoever sent it wants no answer: its return path is empty.
    NullSender,
}

/// Why a message is held back, if it is. `answered` is what it answers, where that came from a machine; `own` are those
/// of its recipients that are logins of profiles.
#[must_use]
pub fn held_back(
    message: &Message,
    answered: Option<AutomatedSender>,
    own: &[EmailAddress],
) -> Option<SendError> {
    if message.loop_guard == LoopGuard::Off {
        return None;
    }
    let refused = |why: String| {
        let way = "Set loop_guard to false to send it all the same.";
        Some(SendError::new(SendErrorCode::LoopGuard, format!("{why} {way}")))
    };
    let daemon = message.recipients().into_iter().find(is_daemon);
    if let Some(daemon) = daemon {
        return refused(format!("{daemon} is the sender of bounces, and reads no mail."));
    }
    match answered {
        Some(AutomatedSender::AutoReply) => {
            return refused("The mail that this answers is an automatic reply itself.".to_owned());
        }
        Some(AutomatedSender::Bounce) => {
            return refused("The mail that this answers is a bounce.".to_owned());
        }
        Some(AutomatedSender::NullSender) => {
            return refused(
                "The mail that this answers has no return path: whoever sent it wants no answer.".to_owned(),
            );
        }
        None => {}
    }
    match own.first() {
        Some(own) if message.in_reply_to.is_some() || message.origin == Origin::Automatic => {
            refused(format!("{own} is the address of a profile here: its mail would come back to Mailroom."))
        }
        Some(_) | None => None,
    }
}

/// The error of an automatic mail that is one too many.
#[must_use]
pub fn too_many(address: &str, limit: u32) -> SendError {
    let message = format!(
        "{address} has received {limit} automatic mails within an hour: this one is not sent, because it may be part of a loop."
    );
    SendError::new(SendErrorCode::LoopGuard, message)
}

/// Whether bounces come from there.
fn is_daemon(address: &EmailAddress) -> bool {
    matches!(address.local().to_ascii_lowercase().as_str(), "mailer-daemon" | "mailer_daemon" | "maildaemon")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::message::{Correspondent, Line, MessageId, SaveToSent};

    fn message(to: &str) -> Message {
        let address = EmailAddress::parse(to).unwrap();
        Message {
            to: vec![Correspondent { name: None, address }],
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            from_name: None,
            subject: Line::default(),
            text: Some(String::new()),
            html: None,
            in_reply_to: None,
            references: Vec::new(),
            attachments: Vec::new(),
            origin: Origin::Person,
            save_to_sent: SaveToSent::Auto,
            loop_guard: LoopGuard::On,
        }
    }

    #[test]
    fn machines_are_not_answered_unless_it_is_asked_for() {
        let answer =
            Message { in_reply_to: Some(MessageId::parse("<a@b>").unwrap()), ..message("ann@example.org") };
        for machine in [AutomatedSender::AutoReply, AutomatedSender::Bounce, AutomatedSender::NullSender] {
            let error = held_back(&answer, Some(machine), &[]).unwrap();
            assert_eq!(error.code, SendErrorCode::LoopGuard);
            let asked = Message { loop_guard: LoopGuard::Off, ..answer.clone() };
            assert_eq!(held_back(&asked, Some(machine), &[]), None);
        }
        assert_eq!(held_back(&answer, None, &[]), None);
        assert!(held_back(&message("MAILER-DAEMON@example.org"), None, &[]).is_some());
    }

    #[test]
    fn profiles_do_not_answer_each_other() {
        let own = [EmailAddress::parse("sales@example.com").unwrap()];
        let plain = message("sales@example.com");
        assert_eq!(held_back(&plain, None, &own), None);
        let automatic = Message { origin: Origin::Automatic, ..plain.clone() };
        assert!(held_back(&automatic, None, &own).is_some());
        let answer = Message { in_reply_to: Some(MessageId::parse("<a@b>").unwrap()), ..plain };
        assert!(held_back(&answer, None, &own).is_some());
    }
}
