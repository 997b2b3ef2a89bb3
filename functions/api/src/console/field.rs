//! The fields of a profile's form: which there are, in their order, and what they are called.

/// How a field is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// A line of text.
    Text,
    /// A line of text that is a whole number.
    Number,
    /// Some lines of text.
    LongText,
    /// Words with blanks between them.
    Words,
    /// A secret, which is never shown.
    Secret,
    /// A day.
    Day,
    /// On or off.
    Check,
    /// One of the flow schemas.
    Flow,
    /// One of the usual intervals.
    Interval,
    /// A mailbox; a test says which there are.
    Mailbox,
    /// One of these, each with its words.
    Choice(&'static [(&'static str, &'static str)]),
}

/// Where a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Among the first.
    First,
    /// With the password.
    Plain,
    /// With the OAuth2 client.
    Oauth2,
    /// After the login.
    Last,
    /// Behind *More*.
    More,
    /// Behind *More*, for an OAuth2 client.
    MoreOauth2,
}

/// A field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name in the form: that of the API, but that each type of login has fields of its own in place of `auth`.
    pub(crate) input: &'static str,
    pub(crate) label: &'static str,
    pub(crate) control: Control,
    pub(crate) place: Place,
    pub(crate) hint: &'static str,
}

const fn field(
    input: &'static str,
    label: &'static str,
    control: Control,
    place: Place,
    hint: &'static str,
) -> Field {
    Field { input, label, control, place, hint }
}

const SECURITIES: Control = Control::Choice(&[
    ("", "Usual for the port"),
    ("tls", "TLS from the first byte"),
    ("starttls", "STARTTLS"),
]);

const GRANTS: Control = Control::Choice(&[
    ("authorization_code", "A person signs in"),
    ("client_credentials", "The client has access by itself"),
    ("jwt_bearer", "The client signs for the login"),
]);

const ACTIONS: Control =
    Control::Choice(&[("keep", "Leave it as it is"), ("mark_seen", "Mark it as read"), ("move", "Move it")]);

/// The types of login.
pub(crate) const TYPES: [(&str, &str); 2] = [("plain", "Plain"), ("oauth2", "OAuth2")];

/// The fields, in the order in which they are shown.
pub(crate) const FIELDS: [Field; 34] = [
    field("name", "Name", Control::Text, Place::First, "What you call it, such as Support."),
    field(
        "mailbox",
        "Mailbox",
        Control::Mailbox,
        Place::First,
        "The IMAP mailbox to look into. A test lists those that there are.",
    ),
    field("imap_host", "IMAP host", Control::Text, Place::First, "Such as imap.example.com."),
    field("imap_port", "IMAP port", Control::Number, Place::First, ""),
    field("smtp_host", "SMTP host", Control::Text, Place::First, "Needed to send. Such as smtp.example.com."),
    field("smtp_port", "SMTP port", Control::Number, Place::First, ""),
    field("flow_schema_id", "Flow schema", Control::Flow, Place::First, "Where its messages go."),
    field(
        "refresh_interval",
        "Refresh interval",
        Control::Interval,
        Place::First,
        "How often Mailroom looks for new messages.",
    ),
    field("description", "Description", Control::LongText, Place::First, ""),
    field("plain.login", "Login", Control::Text, Place::Plain, "Often the address."),
    field(
        "plain.password",
        "Password",
        Control::Secret,
        Place::Plain,
        "Many providers want an app password here, which you make in your account there.",
    ),
    field(
        "oauth2.client_id",
        "Client id",
        Control::Text,
        Place::Oauth2,
        "Of the client that is registered at the provider.",
    ),
    field(
        "oauth2.client_secret",
        "Client secret",
        Control::Secret,
        Place::Oauth2,
        "Empty for a public client.",
    ),
    field(
        "oauth2.discovery_url",
        "Discovery URL",
        Control::Text,
        Place::Oauth2,
        "The provider's issuer, or the address of its OpenID configuration.",
    ),
    field("oauth2.login", "Login", Control::Text, Place::Oauth2, "The address of the mailbox."),
    field(
        "listen",
        "Listen",
        Control::Check,
        Place::Last,
        "Fetch new messages. Without it, the mailbox only sends.",
    ),
    field("imap_security", "IMAP encryption", SECURITIES, Place::More, ""),
    field("smtp_security", "SMTP encryption", SECURITIES, Place::More, ""),
    field(
        "include_seen",
        "Include seen",
        Control::Check,
        Place::More,
        "Messages that are already marked as read start flows too.",
    ),
    field(
        "start_from",
        "Start from",
        Control::Text,
        Place::More,
        "At the first poll: now, all, or a day such as 2026-11-01.",
    ),
    field(
        "after_fetch.action",
        "After fetch",
        ACTIONS,
        Place::More,
        "What happens to a message in the mailbox after its job is handed over.",
    ),
    field("after_fetch.mailbox", "Move to", Control::Mailbox, Place::More, "With Move it: another mailbox."),
    field(
        "max_message_bytes",
        "Largest message",
        Control::Number,
        Place::More,
        "In bytes. A larger one starts its flow with its headers only.",
    ),
    field(
        "trusted_authserv_ids",
        "Trusted authserv-ids",
        Control::Words,
        Place::More,
        "Names of your own servers whose Authentication-Results count, such as mx.example.com. Empty: known providers only.",
    ),
    field(
        "from.address",
        "From address",
        Control::Text,
        Place::More,
        "Whom messages come from, if that is not the login.",
    ),
    field("from.name", "From name", Control::Text, Place::More, "The name beside it."),
    field(
        "smtp_auth.login",
        "SMTP login",
        Control::Text,
        Place::More,
        "Only where the SMTP server wants another login.",
    ),
    field("smtp_auth.password", "SMTP password", Control::Secret, Place::More, "Only with an SMTP login."),
    field("oauth2.grant", "Grant", GRANTS, Place::MoreOauth2, "How the provider gives access."),
    field(
        "oauth2.scopes",
        "Scopes",
        Control::Words,
        Place::MoreOauth2,
        "With blanks between them. Empty: those that Mailroom knows for the provider.",
    ),
    field(
        "oauth2.client_secret_expires_on",
        "Client secret expires on",
        Control::Day,
        Place::MoreOauth2,
        "Mailroom warns ahead of it.",
    ),
    // Not shown apart: the type of login, and what a test of both needs.
    field("auth.type", "Auth type", Control::Choice(&TYPES), Place::First, ""),
    field("auth", "Auth type", Control::Choice(&TYPES), Place::First, ""),
    field("after_fetch", "After fetch", ACTIONS, Place::More, ""),
];

impl Field {
    /// Whether it is a field of its own in the form, rather than a name for problems alone.
    pub(crate) fn is_input(&self) -> bool {
        !matches!(self.input, "auth" | "after_fetch")
    }

    /// Whether a profile with this type of login has it.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        match self.place {
            Place::First | Place::Last | Place::More => true,
            Place::Plain => kind == "plain",
            Place::Oauth2 | Place::MoreOauth2 => kind == "oauth2",
        }
    }

    /// Its name in the API.
    pub(crate) fn name(&self) -> String {
        match self.place {
            Place::Plain | Place::Oauth2 | Place::MoreOauth2 => {
                let (_, member) = self.input.split_once('.').unwrap_or(("", self.input));
                format!("auth.{member}")
            }
            Place::First | Place::Last | Place::More => self.input.to_owned(),
        }
    }
}

/// The field of the form that a problem of the API is about.
pub(crate) fn of_problem(name: &str, kind: &str) -> Option<&'static Field> {
    let whole = name.split('[').next().unwrap_or(name);
    let whole = match whole {
        "from" => "from.address",
        "smtp_auth" => "smtp_auth.login",
        other => other,
    };
    FIELDS.iter().find(|field| field.is_of(kind) && field.name() == whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of the documented page, in its order and with its names.
    #[test]
    fn the_form_has_the_documented_fields() {
        let at = |places: &[Place]| -> Vec<&str> {
            let shown = FIELDS.iter().filter(|field| field.is_input() && field.input != "auth.type");
            shown.filter(|field| places.contains(&field.place)).map(|field| field.label).collect()
        };
        assert_eq!(
            at(&[Place::First]),
            [
                "Name",
                "Mailbox",
                "IMAP host",
                "IMAP port",
                "SMTP host",
                "SMTP port",
                "Flow schema",
                "Refresh interval",
                "Description"
            ]
        );
        assert_eq!(at(&[Place::Plain]), ["Login", "Password"]);
        assert_eq!(at(&[Place::Oauth2]), ["Client id", "Client secret", "Discovery URL", "Login"]);
        assert_eq!(at(&[Place::Last]), ["Listen"]);
    }

    #[test]
    fn a_problem_is_shown_at_its_field() {
        for (name, kind, input) in [
            ("imap_host", "plain", "imap_host"),
            ("auth.login", "plain", "plain.login"),
            ("auth.login", "oauth2", "oauth2.login"),
            ("auth.scopes[2]", "oauth2", "oauth2.scopes"),
            ("from", "plain", "from.address"),
            ("auth.type", "plain", "auth.type"),
        ] {
            assert_eq!(of_problem(name, kind).map(|field| field.input), Some(input), "{name}");
        }
        assert!(of_problem("auth.client_id", "plain").is_none());
    }
}
