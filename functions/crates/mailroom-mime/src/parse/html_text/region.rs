//! Elements by which mail clients mark what is quoted, a signature, or nothing to see.

use super::line::{MAX_MARKS, Role};

/// Regions inside each other. Threads have some dozen; deeper ones count as part of the last.
const MAX_REGIONS: usize = 200;

/// What an element makes of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// A role, and whether the text is shown as a quote.
    Role(Role, Marks),
    /// Not shown.
    Hidden,
}

/// Whether text gets a quote mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    One,
    None,
}

/// What clients call the elements that hold a quoted message whole: Yahoo, Proton, Thunderbird's forwards, Outlook for
/// Mac, Zoho, Android's mail.
const QUOTED: [&str; 8] = [
    "yahoo_quoted",
    "protonmail_quote",
    "moz-forward-container",
    "olk_src_body_section",
    "zmail_extra",
    "mail_android_quote",
    "tutanota_quote",
    "isforwardcontent",
];

/// What Outlook calls the element from which on everything is history.
const HISTORY: [&str; 4] = [
    "outlookmessageheader",
    "divrplyfwdmsg",
    "mail-editor-reference-message-container",
    "ms-outlook-mobile-reference-message",
];

/// What clients call the line about who is quoted.
const ATTRIBUTION: [&str; 2] = ["gmail_attr", "moz-cite-prefix"];

/// What clients call a signature.
const SIGNATURE: [&str; 8] = [
    "gmail_signature",
    "moz-signature",
    "applemailsignature",
    "protonmail_signature_block",
    "ms-outlook-mobile-signature",
    "yahoo-signature",
    "linebreakatbeginningofsignature",
    "x_signature",
];

impl Region {
    /// What the element called `name` is, by its attributes.
    pub(super) fn of(name: &[u8], attribute: impl Fn(&[u8]) -> String) -> Option<Self> {
        let container = matches!(name, b"div" | b"span" | b"table" | b"td" | b"section");
        if name != b"blockquote" && !container {
            return None;
        }
        let (class, id, style) = (attribute(b"class"), attribute(b"id"), attribute(b"style"));
        if name == b"blockquote" {
            let cited = attribute(b"type").eq_ignore_ascii_case("cite")
                || !attribute(b"cite").is_empty()
                || class.contains("gmail_quote")
                || class.contains("quote")
                || style.replace(' ', "").contains("border-left:");
            return Some(Self::Role(if cited { Role::Quoted } else { Role::Indented }, Marks::One));
        }
        let style: String =
            style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        if style.contains("display:none") || style.contains("mso-hide:all") {
            return Some(Self::Hidden);
        }
        let names = format!("{class} {id}").to_ascii_lowercase();
        let called = |known: &[&str]| known.iter().any(|known| names.contains(known));
        let role = if called(&HISTORY) {
            Role::History
        } else if called(&QUOTED) {
            Role::Quoted
        } else if called(&ATTRIBUTION) {
            Role::Attribution
        } else if called(&SIGNATURE) || id == "Signature" {
            Role::Signature
        } else {
            return None;
        };
        Some(Self::Role(role, Marks::None))
    }
}

/// The regions that are open, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Regions {
    open: Vec<Open>,
    depth: usize,
    hidden: usize,
}

#[derive(Debug)]
struct Open {
    name: Vec<u8>,
    region: Region,
    /// Elements of the same name inside, itself included.
    elements: usize,
    /// The role of all regions up to here.
    role: Role,
}

impl Regions {
    /// An element begins.
    pub(super) fn open(&mut self, name: &[u8], region: impl FnOnce() -> Option<Region>) {
        let found = if self.open.len() < MAX_REGIONS { region() } else { None };
        let Some(region) = found else {
            if let Some(last) = self.open.last_mut()
                && last.name == name
            {
                last.elements += 1;
            }
            return;
        };
        let outer = self.open.last().map_or(Role::Plain, |open| open.role);
        let mut role = outer;
        match region {
            Region::Role(inner, marks) => {
                self.depth += usize::from(marks == Marks::One);
                role = within(outer, inner);
            }
            Region::Hidden => self.hidden += 1,
        }
        self.open.push(Open { name: name.to_vec(), region, elements: 1, role });
    }

    /// An element ends.
    pub(super) fn close(&mut self, name: &[u8]) {
        let Some(last) = self.open.last_mut().filter(|last| last.name == name) else { return };
        last.elements -= 1;
        if last.elements > 0 {
            return;
        }
        match last.region {
            Region::Role(_, Marks::One) => self.depth = self.depth.saturating_sub(1),
            Region::Role(_, Marks::None) => {}
            Region::Hidden => self.hidden = self.hidden.saturating_sub(1),
        }
        self.open.pop();
    }

    /// The role of text here, and its quote marks.
    pub(super) fn role(&self) -> (Role, usize) {
        (self.open.last().map_or(Role::Plain, |open| open.role), self.depth.min(MAX_MARKS))
    }

    /// Whether text here is not shown.
    pub(super) fn hidden(&self) -> bool {
        self.hidden > 0
    }
}

/// The role of a region inside another: what is quoted stays quoted.
fn within(outer: Role, inner: Role) -> Role {
    match (outer, inner) {
        (Role::Quoted | Role::History, _) => outer,
        (_, Role::History) => Role::History,
        (Role::Signature, _) => Role::Signature,
        (Role::Plain | Role::Indented | Role::Attribution, inner) => inner,
    }
}
