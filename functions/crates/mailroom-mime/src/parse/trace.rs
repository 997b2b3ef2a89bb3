//! What the mailbox's own provider wrote about a message: the results of its checks (RFC 8601), and what its filter says.
//!
//! Everything below the line that the provider's border server wrote comes from the sender, who can write the same
//! fields. So only providers are believed whose names and places are known, and servers that the mailbox's owner names;
//! of their fields only the topmost, or those up to the next `Received`. From any other server there is nothing: `pass`
//! must never be a sender's wish.

use mailroom_core::authserv_id::AuthservId;
use mailroom_core::inbound::job::{Authentication, Spam, SpamVerdict};

use super::charset;
use super::header::Block;
use super::param::word;

/// Fields that are kept: those at the top are the provider's.
const MAX_FIELDS: usize = 100;

/// Bytes of a field. Real ones have a few hundred.
const MAX_VALUE_BYTES: usize = 4096;

/// From this score on, Fastmail and Exchange take a message for spam unless their users say otherwise:
/// <https://learn.microsoft.com/defender-office-365/anti-spam-spam-confidence-level-scl-about>.
const SPAM_SCORE: f64 = 5.0;

/// The fields that are kept.
const KEPT: [&str; 6] = [
    "Received",
    "Authentication-Results",
    "X-MS-Exchange-Organization-SCL",
    "X-Spam-score",
    "X-Spam-known-sender",
    "X-Yandex-Spam",
];

/// Where a provider's border server writes its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In one field: the topmost, if it is the provider's.
    Topmost,
    /// In one field above every `Received`.
    AboveReceived,
    /// In some fields with nothing of the sender's among them: up to the next `Received`.
    UpToReceived,
    /// In one field without a name, next above the `Received` of the border server.
    Unnamed,
}

impl Place {
    /// Whether a `Received` with this value shows that what stands below it is the sender's.
    fn is_border(self, value: &str) -> bool {
        match self {
            Self::Topmost | Self::UpToReceived => false,
            Self::AboveReceived => true,
            Self::Unnamed => {
                value.split_whitespace().collect::<Vec<_>>().windows(2).any(|words| match words {
                    [by, name] => *by == "by" && name.ends_with(".mail.protection.outlook.com"),
                    _ => false,
                })
            }
        }
    }
}

/// A provider whose fields are known.
struct Provider {
    hosts: &'static [&'static str],
    /// Its authserv-ids (RFC 8601 §2.5); with a dot first, all names that end so.
    ids: &'static [&'static str],
    place: Place,
}

impl Provider {
    /// Whether `server` is a name of its servers.
    fn is_named(&self, server: &str) -> bool {
        let server = server.to_ascii_lowercase();
        self.ids.iter().any(|id| if id.starts_with('.') { server.ends_with(id) } else { server == *id })
    }

    /// What it found, if the topmost results, at `first`, are where it writes them; `None` where they are not.
    fn results(&self, fields: &[Kept], first: usize) -> Option<Vec<(String, String)>> {
        let above = fields.iter().take(first).filter(|(name, _)| *name == "Received");
        if above.map(|(_, value)| value.as_str()).any(|value| self.place.is_border(value)) {
            return None;
        }
        let behind = fields.iter().skip(first).find(|(name, _)| *name == "Received");
        if self.place == Place::Unnamed && behind.is_none_or(|(_, value)| !self.place.is_border(value)) {
            return None;
        }
        let run = fields.iter().skip(first).take_while(|(name, _)| *name != "Received");
        let most = if self.place == Place::UpToReceived { MAX_FIELDS } else { 1 };
        let mut results = Vec::new();
        for (_, value) in run.filter(|field| is_results(field)).take(most) {
            let segments = segments(value)?;
            let mut segments = segments.iter().map(String::as_str);
            if self.place == Place::Unnamed {
                if segments.clone().next().is_none_or(|first| !first.contains('=')) {
                    break;
                }
            } else {
                segments.next();
                if !authserv_id(value).is_some_and(|server| self.is_named(&server)) {
                    break;
                }
            }
            results.extend(segments.filter_map(result));
        }
        Some(results)
    }
}

/// As their messages show it; what Microsoft writes into outgoing messages, the recipient's domain as a name, is why
/// GMX and WEB.DE are believed at the very top only.
const PROVIDERS: [Provider; 8] = [
    Provider {
        hosts: &["imap.gmail.com", "imap.googlemail.com"],
        ids: &["mx.google.com"],
        place: Place::Topmost,
    },
    Provider {
        hosts: &["outlook.office365.com", "imap-mail.outlook.com", "outlook.office.com"],
        ids: &[],
        place: Place::Unnamed,
    },
    Provider { hosts: &["imap.mail.me.com"], ids: &[".icloud.com"], place: Place::UpToReceived },
    Provider {
        hosts: &["imap.mail.yahoo.com", "imap.aol.com", "export.imap.aol.com"],
        ids: &[".yahoo.com"],
        place: Place::Topmost,
    },
    Provider { hosts: &["imap.fastmail.com"], ids: &[".messagingengine.com"], place: Place::UpToReceived },
    Provider {
        hosts: &[
            "imap.zoho.com",
            "imappro.zoho.com",
            "imap.zoho.eu",
            "imappro.zoho.eu",
            "imap.zoho.in",
            "imappro.zoho.in",
        ],
        ids: &[
            "mx.zohomail.com",
            "mx.zoho.com",
            "mx.zohomail.eu",
            "mx.zoho.eu",
            "mx.zohomail.in",
            "mx.zoho.in",
        ],
        place: Place::Topmost,
    },
    Provider {
        hosts: &["imap.gmx.net", "imap.web.de"],
        ids: &["gmx.net", "web.de"],
        place: Place::AboveReceived,
    },
    Provider {
        hosts: &["imap.yandex.ru", "imap.yandex.com", "imap.ya.ru"],
        ids: &[".yandex.net"],
        place: Place::Topmost,
    },
];

/// The fields of a message that its provider may have written, in order, encoded words as they are: decoded, they could
/// hold a semicolon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    fields: Vec<Kept>,
}

/// A field that is kept: its name as [`KEPT`] has it, and its value.
type Kept = (&'static str, String);

fn is_results((name, _): &Kept) -> bool {
    *name == "Authentication-Results"
}

impl Trace {
    pub(super) fn of(block: &Block<'_>) -> Self {
        let kept = block.fields.iter().filter_map(|field| {
            let name = KEPT.iter().find(|name| field.is(name))?;
            let mut value = field.unfolded();
            charset::cut(&mut value, MAX_VALUE_BYTES);
            Some((*name, value))
        });
        Self { fields: kept.take(MAX_FIELDS).collect() }
    }

    /// The results of the provider whose IMAP server is `host`, or of one of the owner's own servers, which are
    /// `trusted`; `None` where neither is known, or wrote none.
    ///
    /// An owner's server is believed at the very top and in one field alone: what follows may be the sender's, where the
    /// server does not strip what others wrote in its name (RFC 8601 §5).
    #[must_use]
    pub fn authentication(&self, host: &str, trusted: &[AuthservId]) -> Option<Authentication> {
        let provider = PROVIDERS.iter().find(|provider| provider.hosts.contains(&host));
        let first = self.fields.iter().position(is_results)?;
        let (_, topmost) = self.fields.get(first)?;
        let server = authserv_id(topmost).unwrap_or_default();
        let is_own = trusted.iter().any(|id| id.is(&server));
        let results = match provider {
            // Its place is known, and says more than its name.
            Some(provider) if !is_own || provider.is_named(&server) => {
                provider.results(&self.fields, first)?
            }
            None | Some(_) if is_own => segments(topmost)?.iter().filter_map(|it| result(it)).collect(),
            None | Some(_) => return None,
        };
        let of = |method: &str| outcome(&results, method);
        let found = Authentication { spf: of("spf"), dkim: of("dkim"), dmarc: of("dmarc"), arc: of("arc") };
        (found != Authentication::default()).then_some(found)
    }

    /// What the filter of the provider whose IMAP server is `host` says; `None` where it is not known, or says nothing.
    #[must_use]
    pub fn spam(&self, host: &str) -> Option<Spam> {
        let first = |name: &str| self.fields.iter().find(|(known, _)| *known == name);
        let number = |name: &str| {
            let score: f64 = first(name)?.1.trim().parse().ok()?;
            (score.is_finite() && score.abs() < 1000.0).then_some(score)
        };
        let said = |is_spam, score| {
            let verdict = if is_spam { SpamVerdict::Spam } else { SpamVerdict::NotSpam };
            Some(Spam { verdict, score })
        };
        match host {
            // Exchange takes these fields from no other server.
            "outlook.office365.com" | "imap-mail.outlook.com" | "outlook.office.com" => {
                let score = number("X-MS-Exchange-Organization-SCL")?;
                said(score >= SPAM_SCORE, Some(score))
            }
            "imap.fastmail.com" => {
                let score = number("X-Spam-score")?;
                let known = first("X-Spam-known-sender").is_some_and(|(_, value)| value.starts_with("yes"));
                said(score >= SPAM_SCORE && !known, Some(score))
            }
            "imap.yandex.ru" | "imap.yandex.com" | "imap.ya.ru" => match first("X-Yandex-Spam")?.1.trim() {
                "1" => said(false, None),
                "4" => said(true, None),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What stands between semicolons, without comments; those in quotes separate nothing. `None` where a quote or a comment
/// does not end: then nothing in the field is sure.
fn segments(value: &str) -> Option<Vec<String>> {
    let (mut all, mut segment) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for c in value.chars() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' if quoted || depth > 0 => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth == 0 => return None,
            ')' => depth -= 1,
            _ if depth > 0 => {}
            ';' => all.push(std::mem::take(&mut segment)),
            c => segment.push(c),
        }
    }
    all.push(segment);
    (depth == 0 && !quoted).then_some(all)
}

/// The name of the server that wrote the field (RFC 8601 §2.2): what comes first, as it is or in quotes. `None` where there
/// is none, or a later version of the field's syntax is named.
fn authserv_id(value: &str) -> Option<String> {
    let value = skip_comments(value)?;
    let (name, rest) = match value.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').filter(|(name, _)| !name.contains('\\'))?,
        None => value.split_at(value.find([';', '(', ' ', '\t']).unwrap_or(value.len())),
    };
    let version = skip_comments(rest)?;
    let version = version.split([';', '(', ' ', '\t']).next().unwrap_or_default();
    (!name.is_empty() && matches!(version, "" | "1")).then(|| name.to_owned())
}

/// What follows blanks and comments (RFC 5322 §3.2.2); `None` where a comment does not end.
fn skip_comments(text: &str) -> Option<&str> {
    let (mut depth, mut escaped) = (0_u32, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if depth > 0 => escaped = true,
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ' ' | '\t' => {}
            _ if depth > 0 => {}
            _ => return text.get(at..),
        }
    }
    (depth == 0).then_some("")
}

/// The method and the result of `spf=pass smtp.mailfrom=a.example` (RFC 8601 §2.2), in lower case.
fn result(segment: &str) -> Option<(String, String)> {
    let (method, rest) = segment.split_once('=')?;
    let method = method.split('/').next()?.trim().to_ascii_lowercase();
    let result: String = rest.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    Some((method, word(&result)?.to_ascii_lowercase()))
}

/// What a method found. Of several signatures one that is valid is enough; of any other method there is one result, and
/// where there are two, the sender may have smuggled one in: `pass` is not believed.
fn outcome(results: &[(String, String)], method: &str) -> Option<String> {
    let mut found = results.iter().filter(|(name, _)| name == method).map(|(_, result)| result);
    let passes = |result: &&String| result.as_str() == "pass";
    let chosen =
        if method == "dkim" { found.clone().find(passes) } else { found.clone().find(|one| !passes(one)) };
    chosen.or_else(|| found.next()).cloned()
}

#[cfg(test)]
mod tests;
