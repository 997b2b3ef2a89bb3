//! What is said of each operation: words, bodies, answers.

use crate::route::Operation;

/// What an operation's document says besides its place.
pub(super) struct Words {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    /// The body's schema, if it takes one.
    pub(super) body: Option<Body>,
    /// The answer to what succeeds: status, description, schema.
    pub(super) success: (&'static str, &'static str, Option<&'static str>),
    /// The problems that it can answer with.
    pub(super) problems: &'static [&'static str],
}

/// A body that is taken.
#[derive(Clone, Copy)]
pub(super) enum Body {
    Required(&'static str),
    Optional(&'static str),
}

const READ: &[&str] = &["404", "429", "503"];
const LIST: &[&str] = &["400", "429", "503"];
const OPEN: &[&str] = &["429"];

#[expect(clippy::too_many_lines, reason = "a table: one entry for each operation")]
pub(super) fn words(operation: Operation) -> Words {
    const PROFILES: &str = "profiles";
    const MESSAGES: &str = "messages";
    const SIGN_IN: &str = "sign-in";
    const FLOWS: &str = "flow schemas";
    const ABOUT: &str = "about";
    match operation {
        Operation::CreateProfile => Words {
            id: "createProfile",
            tag: PROFILES,
            summary: "Create a profile",
            description: "A profile that listens is polled at once, and from then on every refresh interval.",
            body: Some(Body::Required("NewProfile")),
            success: ("201", "Created.", Some("StoredProfile")),
            problems: &["400", "409", "413", "415", "422", "429", "503"],
        },
        Operation::ListProfiles => Words {
            id: "listProfiles",
            tag: PROFILES,
            summary: "List profiles",
            description: "Newest first. Pages neither skip nor repeat profiles while others are created and deleted. A profile that was \
                created a moment ago may be missing.",
            body: None,
            success: ("200", "A page of the list.", Some("ProfilePage")),
            problems: LIST,
        },
        Operation::TestSettings => Words {
            id: "testSettings",
            tag: PROFILES,
            summary: "Test settings",
            description: "Connects and logs in with the settings of the body. Changes nothing, neither on the servers nor here. \
                Takes at most ten seconds.",
            body: Some(Body::Required("TestSettings")),
            success: ("200", "The result for each server.", Some("TestReport")),
            problems: &["400", "413", "415", "422", "429", "503"],
        },
        Operation::GetProfile => Words {
            id: "getProfile",
            tag: PROFILES,
            summary: "Read a profile",
            description: "Its settings without secrets, and its status.",
            body: None,
            success: ("200", "The profile.", Some("StoredProfile")),
            problems: READ,
        },
        Operation::PutProfile => Words {
            id: "putProfile",
            tag: PROFILES,
            summary: "Replace a profile's settings",
            description: "A setting that is left out takes its default. A secret that is left out stays, unless the new \
                settings would send it to another server or provider than it was entered for: then it is required \
                (422). A sign-in ends in that case. The next poll uses the new settings.",
            body: Some(Body::Required("Profile")),
            success: ("200", "The profile as it is now.", Some("StoredProfile")),
            problems: &["400", "404", "409", "412", "413", "415", "422", "429", "503"],
        },
        Operation::PatchProfile => Words {
            id: "patchProfile",
            tag: PROFILES,
            summary: "Change some of a profile's settings",
            description: "A JSON merge patch (RFC 7396). A secret that is left out stays, unless the change would send \
                it to another server or provider than it was entered for: then it is required (422). A sign-in ends in \
                that case. The next poll uses the new settings.",
            body: Some(Body::Required("ProfilePatch")),
            success: ("200", "The profile as it is now.", Some("StoredProfile")),
            problems: &["400", "404", "409", "412", "413", "415", "422", "429", "503"],
        },
        Operation::DeleteProfile => Words {
            id: "deleteProfile",
            tag: PROFILES,
            summary: "Delete a profile",
            description: "Deletes its secret and everything that was noted about its messages, too. The stored messages stay for \
                as long as the deployment keeps messages; `purge=true` deletes them, also those of a profile that is \
                deleted already. After a 503, repeat the request: it goes on.",
            body: None,
            success: ("204", "Deleted.", None),
            problems: &["400", "404", "409", "412", "429", "503"],
        },
        Operation::TestProfile => Words {
            id: "testProfile",
            tag: PROFILES,
            summary: "Test a profile",
            description: "Tests the profile as it is stored, or with the changes in the body, which are not stored. Changes \
                that would send the stored secret to another server or provider than it was entered for need the \
                secret in the body (422); a sign-in is not used for them.",
            body: Some(Body::Optional("TestPatch")),
            success: ("200", "The result for each server.", Some("TestReport")),
            problems: &["400", "404", "409", "413", "415", "422", "429", "503"],
        },
        Operation::FetchProfile => Words {
            id: "fetchProfile",
            tag: PROFILES,
            summary: "Poll a profile now",
            description: "Answers before the poll: read the profile's status a moment later. With `accept`, it also answers \
                what the warning `many_messages_recovered` asks: whether the messages that are held back are handed \
                over, or dropped; where none are held back, that is a 409.",
            body: Some(Body::Optional("FetchBody")),
            success: ("202", "It will be polled within moments.", Some("Accepted")),
            problems: &["400", "404", "409", "413", "415", "422", "429", "503"],
        },
        Operation::ListQuarantine => Words {
            id: "listQuarantine",
            tag: PROFILES,
            summary: "List messages that cannot be read",
            description: "Messages that the server lists and does not give, or that crash the function: Mailroom passed them, \
                so that those behind them go on, and tries them again for seven days. Once a message is read, it has its \
                job and leaves the list.",
            body: None,
            success: ("200", "All of them.", Some("Quarantine")),
            problems: READ,
        },
        Operation::RetryQuarantined => Words {
            id: "retryQuarantined",
            tag: PROFILES,
            summary: "Try a message that cannot be read",
            description: "Has the mailbox polled now, and the message tried in that poll. Answers before it: read the list a \
                moment later.",
            body: None,
            success: ("202", "It will be tried within moments.", Some("Accepted")),
            problems: &["404", "409", "429", "503"],
        },
        Operation::AuthorizeProfile => Words {
            id: "authorizeProfile",
            tag: SIGN_IN,
            summary: "Begin a sign-in",
            description: "For a profile whose `auth` has the grant `authorization_code`. Open `authorization_url` in a \
                browser, within ten minutes: it leads to the provider, and back to a page that says how it went. Only \
                the browser that has opened it can complete it, once.",
            body: None,
            success: ("200", "Where to sign in.", Some("SignInBegun")),
            problems: &["404", "409", "429", "503"],
        },
        Operation::DeleteAuthorization => Words {
            id: "deleteAuthorization",
            tag: SIGN_IN,
            summary: "Sign out",
            description: "Revokes the refresh token at the provider, if the provider supports that, and deletes it in any case. \
                The client's secret stays.",
            body: None,
            success: ("200", "Signed out.", Some("SignedOut")),
            problems: &["404", "409", "429", "503"],
        },
        Operation::StartSignIn => Words {
            id: "startSignIn",
            tag: SIGN_IN,
            summary: "Go to the provider",
            description: "For browsers: the address in `authorization_url`.",
            body: None,
            success: ("302", "Redirects to the provider.", None),
            problems: OPEN,
        },
        Operation::FinishSignIn => Words {
            id: "finishSignIn",
            tag: SIGN_IN,
            summary: "Return from the provider",
            description: "For browsers: the redirect URI that the client is registered with (RFC 6749 §4.1.2).",
            body: None,
            success: ("200", "A page that says that the sign-in succeeded.", None),
            problems: OPEN,
        },
        Operation::SendMessage => Words {
            id: "sendMessage",
            tag: MESSAGES,
            summary: "Send a message",
            description: "Mailroom tries an accepted message for 24 hours and sends it once. If it cannot know whether a server \
                took it, the status is `uncertain`, and the message is not sent again. The body may have 6 MB, so that attachments in Base64 may have 4.4 MB together; larger ones are uploaded first, and go by `key`.",
            body: Some(Body::Required("Message")),
            success: ("202", "Accepted.", Some("AcceptedMessage")),
            problems: &["400", "404", "409", "413", "415", "422", "429", "503"],
        },
        Operation::CreateUpload => Words {
            id: "createUpload",
            tag: MESSAGES,
            summary: "Upload a file to attach",
            description: "Gives an address of S3 that takes the file by PUT, for 15 minutes, and the key by which this profile's \
                messages then attach it. A file has at most 25 MiB, and so have all attachments of a message together. It is \
                kept as long as stored messages are.",
            body: Some(Body::Required("NewUpload")),
            success: ("201", "Where to upload the file to.", Some("Upload")),
            problems: &["400", "404", "413", "415", "422", "429", "503"],
        },
        Operation::FindSettings => Words {
            id: "findSettings",
            tag: PROFILES,
            summary: "Find the settings of an address",
            description: "Within five seconds, and without a password: from the known providers, by the address's domain and by \
                who takes its mail; from the domain's own configuration document; from Thunderbird's database, which is told \
                the domain; from SRV records; and from servers at usual names, if they answer over TLS. A known provider \
                without IMAP is a candidate whose `imap` is null.",
            body: Some(Body::Required("AutoconfigRequest")),
            success: ("200", "What was found, the most certain first.", Some("Autoconfig")),
            problems: &["400", "413", "415", "422", "429", "503"],
        },
        Operation::ListProviders => Words {
            id: "listProviders",
            tag: PROFILES,
            summary: "List the known providers",
            description: "Their servers, their logins, and what the owner of a mailbox does before it can be connected to.",
            body: None,
            success: ("200", "All of them.", Some("ProviderList")),
            problems: OPEN,
        },
        Operation::CreateConnectLink => Words {
            id: "createConnectLink",
            tag: PROFILES,
            summary: "Make a connect link",
            description: "The address of a page on which the owner of a mailbox connects it: by password, which nobody else \
                sees, or by signing in at the provider. It counts once, for seven days; a try that fails does not use it up. \
                The answer alone has the address: only its digest is stored.",
            body: Some(Body::Required("NewConnectLink")),
            success: ("201", "Made.", Some("ConnectLink")),
            problems: &["400", "404", "409", "413", "415", "422", "429", "503"],
        },
        Operation::ListConnectLinks => Words {
            id: "listConnectLinks",
            tag: PROFILES,
            summary: "List connect links",
            description: "Newest first, without their addresses.",
            body: None,
            success: ("200", "A page of the list.", Some("ConnectLinkPage")),
            problems: LIST,
        },
        Operation::DeleteConnectLink => Words {
            id: "deleteConnectLink",
            tag: PROFILES,
            summary: "Withdraw a connect link",
            description: "From then on its page says that it does not count. What was connected with it stays.",
            body: None,
            success: ("204", "Withdrawn.", None),
            problems: READ,
        },
        Operation::ListMessages => Words {
            id: "listMessages",
            tag: MESSAGES,
            summary: "List a profile's messages",
            description: "By the time at which they were accepted, newest first; those that flows put on the send queue, \
                too. A message is listed within moments, for 30 days. A page may hold fewer messages than were asked \
                for, or none, and still have a next one.",
            body: None,
            success: ("200", "A page of the list.", Some("MessagePage")),
            problems: &["400", "404", "429", "503"],
        },
        Operation::CancelMessage => Words {
            id: "cancelMessage",
            tag: MESSAGES,
            summary: "Cancel a message",
            description: "While the message is queued: it does not go to those recipients any more who have not received it. \
                A message that is being sent, or that is done, is not changed (409).",
            body: None,
            success: ("200", "Cancelled: the message as it is now.", Some("StoredMessage")),
            problems: &["404", "409", "429", "503"],
        },
        Operation::ResendMessage => Words {
            id: "resendMessage",
            tag: MESSAGES,
            summary: "Resend a message",
            description: "Once the message is done: Mailroom sends it again to the recipients for whom no server is known to \
                have taken it (`failed`, `uncertain`, `cancelled`), with the same Message-ID, and tries for another 24 \
                hours. Those for whom it is `uncertain` may receive it twice. Its final outcome is published again. A \
                message that a flow put on the send queue is not stored, so it cannot be resent (409).",
            body: None,
            success: ("202", "Queued again: the message as it is now.", Some("StoredMessage")),
            problems: &["404", "409", "429", "503"],
        },
        Operation::GetMessage => Words {
            id: "getMessage",
            tag: MESSAGES,
            summary: "Read a message's status",
            description: "A status is kept for 30 days.",
            body: None,
            success: ("200", "Its status.", Some("StoredMessage")),
            problems: READ,
        },
        Operation::CreateFlowSchema => Words {
            id: "createFlowSchema",
            tag: FLOWS,
            summary: "Create a flow schema",
            description: "Profiles name it; jobs carry its id.",
            body: Some(Body::Required("NewFlowSchema")),
            success: ("201", "Created.", Some("StoredFlowSchema")),
            problems: &["400", "409", "413", "415", "422", "429", "503"],
        },
        Operation::ListFlowSchemas => Words {
            id: "listFlowSchemas",
            tag: FLOWS,
            summary: "List flow schemas",
            description: "Ordered by id.",
            body: None,
            success: ("200", "A page of the list.", Some("FlowPage")),
            problems: LIST,
        },
        Operation::GetFlowSchema => Words {
            id: "getFlowSchema",
            tag: FLOWS,
            summary: "Read a flow schema",
            description: "Its name, and the queue that its jobs go to.",
            body: None,
            success: ("200", "The flow schema.", Some("StoredFlowSchema")),
            problems: READ,
        },
        Operation::PutFlowSchema => Words {
            id: "putFlowSchema",
            tag: FLOWS,
            summary: "Create or replace a flow schema",
            description: "Jobs go to its queue from now on.",
            body: Some(Body::Required("FlowSchema")),
            success: ("200", "The flow schema as it is now.", Some("StoredFlowSchema")),
            problems: &["400", "404", "413", "415", "422", "429", "503"],
        },
        Operation::DeleteFlowSchema => Words {
            id: "deleteFlowSchema",
            tag: FLOWS,
            summary: "Delete a flow schema",
            description: "A flow schema that a profile uses is not deleted (409).",
            body: None,
            success: ("204", "Deleted.", None),
            problems: &["404", "409", "429", "503"],
        },
        Operation::GetOpenApi => Words {
            id: "getOpenApi",
            tag: ABOUT,
            summary: "This document",
            description: "OpenAPI 3.1.",
            body: None,
            success: ("200", "The document.", Some("Any")),
            problems: OPEN,
        },
        Operation::GetFlowJobSchema => Words {
            id: "getFlowJobSchema",
            tag: ABOUT,
            summary: "The schema of flow jobs",
            description: "JSON Schema, version 1.",
            body: None,
            success: ("200", "The schema.", Some("Any")),
            problems: OPEN,
        },
        Operation::GetHealth => Words {
            id: "getHealth",
            tag: ABOUT,
            summary: "Whether the API is alive",
            description: "Asks nobody else.",
            body: None,
            success: ("200", "It is.", Some("Alive")),
            problems: OPEN,
        },
    }
}
