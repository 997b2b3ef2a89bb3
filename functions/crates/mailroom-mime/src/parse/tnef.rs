//! What Outlook and Exchange put into `winmail.dat`: the Transport Neutral Encapsulation Format ([MS-OXTNEF]).
//!
//! The one crate for it (`tnef` 0.1) ends at the first checksum that is wrong, which they often are, and reads no
//! properties, where names and bodies are. Here one pass over the attributes takes what can be read.

mod little_endian;
mod lzfu;
mod mapi;
mod rtf;
#[cfg(test)]
mod tests;
mod windows;

use std::borrow::Cow;

use mailroom_core::inbound::job::{Address, EnclosedMessage, EnclosedPart};

use self::little_endian::Reader;
use self::mapi::{Property, Value};
use self::rtf::Body;
use self::windows::charset_of;
use super::attachment::Part;
use super::limits::{MAX_BODY_BYTES, MAX_ENCLOSED_PARTS, MAX_ID_BYTES};
use super::param::Params;
use super::{charset, param};

/// How the format begins (§2.1.3.1).
const SIGNATURE: u32 = 0x223e_9f78;

/// What is in a `winmail.dat`.
#[derive(Debug, Default)]
pub(super) struct Unpacked<'a> {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    pub(super) files: Vec<File<'a>>,
    /// Whether all of it was read. What was not is nowhere but in the `winmail.dat` itself.
    pub(super) whole: bool,
    /// Whether a limit left something out.
    pub(super) cut: bool,
    subject: Option<String>,
    message_id: Option<String>,
    from: (Option<String>, Option<String>),
}

/// An attachment in a `winmail.dat`.
#[derive(Debug, Default)]
pub(super) struct File<'a> {
    pub(super) filename: Option<String>,
    pub(super) content_type: String,
    pub(super) content_id: Option<String>,
    pub(super) inline: bool,
    /// What a message says of itself that is attached in this format.
    pub(super) message: Option<EnclosedMessage>,
    pub(super) bytes: &'a [u8],
}

impl File<'_> {
    /// As a part of the message.
    pub(super) fn into_part<'b>(self) -> Part<'b> {
        Part {
            filename: self.filename,
            content_type: self.content_type,
            content_id: self.content_id,
            inline: self.inline,
            message: self.message,
            bytes: Cow::Owned(self.bytes.to_vec()),
            ..Part::default()
        }
    }
}

/// Whether a part of this type and name is one, if its bytes are.
pub(super) fn is_named(media_type: &str, filename: Option<&str>) -> bool {
    matches!(media_type, "application/ms-tnef" | "application/vnd.ms-tnef" | "application/x-ms-tnef")
        || filename.is_some_and(|name| name.eq_ignore_ascii_case("winmail.dat"))
}

/// Unpacks at most `most` files; `None` where the bytes are not of this format.
pub(super) fn unpack(bytes: &[u8], most: usize) -> Option<Unpacked<'_>> {
    let mut reader = Reader { rest: bytes };
    if reader.u32()? != SIGNATURE {
        return None;
    }
    reader.u16()?;
    let mut raw = Raw { whole: true, ..Raw::default() };
    while let Some(level) = reader.u8() {
        if !matches!(level, 1 | 2) {
            // Some programs leave a line break or zeros behind it.
            let is_filling = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
            raw.whole &= is_filling(&level) && reader.rest.iter().all(is_filling);
            break;
        }
        match attribute(&mut reader) {
            Some(attribute) if level == 1 => raw.of_message(&attribute),
            Some(attribute) => raw.of_attachment(&attribute, most),
            None => {
                raw.whole = false;
                break;
            }
        }
    }
    Some(raw.unpacked())
}

/// One attribute (§2.1.3.3), less its checksum, which is not looked at: whole files have wrong ones.
struct Attribute<'a> {
    id: u16,
    data: &'a [u8],
}

fn attribute<'a>(reader: &mut Reader<'a>) -> Option<Attribute<'a>> {
    let id = u16::try_from(reader.u32()? & 0xffff).ok()?;
    let length = reader.u32()?;
    let data = reader.take(usize::try_from(length).ok()?)?;
    reader.u16()?;
    Some(Attribute { id, data })
}

/// What is collected on the way; texts can be read once the code page is known.
#[derive(Debug, Default)]
struct Raw<'a> {
    code_page: Option<u32>,
    /// PidTagInternetCodepage: that of the HTML.
    html_code_page: Option<u32>,
    subject: Option<Value<'a>>,
    message_id: Option<Value<'a>>,
    sender: Option<Value<'a>>,
    sender_address: Option<Value<'a>>,
    text: Option<Value<'a>>,
    html: Option<Value<'a>>,
    compressed: Option<&'a [u8]>,
    files: Vec<RawFile<'a>>,
    whole: bool,
    cut: bool,
}

#[derive(Debug, Default)]
struct RawFile<'a> {
    /// The best one so far.
    name: Option<(u8, Value<'a>)>,
    media_type: Option<Value<'a>>,
    content_id: Option<Value<'a>>,
    rendered: bool,
    bytes: Option<&'a [u8]>,
    /// Its bytes as a property has them: an object, or a message.
    object: Option<&'a [u8]>,
    /// Whether its bytes are a message in this format.
    is_message: bool,
}

impl<'a> RawFile<'a> {
    /// Takes a name, unless there is a better one.
    fn name(&mut self, rank: u8, value: Value<'a>) {
        let blank = value.is_blank();
        if !blank && self.name.as_ref().is_none_or(|(known, _)| rank > *known) {
            self.name = Some((rank, value));
        }
    }

    /// Its bytes. Of a file that is one by itself, the property has a copy for Outlook alone.
    fn content(&self) -> Option<&'a [u8]> {
        let own = self.bytes.filter(|bytes| !bytes.is_empty() && !self.is_message);
        own.or(self.object).or(self.bytes)
    }

    fn property(&mut self, property: Property<'a>) {
        let Property { id, value } = property;
        match id {
            0x3001 => self.name(0, value),
            0x3704 => self.name(1, value),
            0x3707 => self.name(3, value),
            0x370e => self.media_type = Some(value),
            0x3712 => self.content_id = Some(value),
            0x3705 => self.is_message = value.number() == Some(5),
            // attRenderedInBody
            0x3714 => self.rendered = value.number().is_some_and(|flags| flags & 4 != 0),
            0x3701 => match value {
                // An object begins with the identifier of its interface.
                Value::Object(bytes) => self.object = bytes.get(16..),
                Value::Binary(bytes) => self.object = Some(bytes),
                Value::Narrow(_) | Value::Wide(_) | Value::Number(_) | Value::Other => {}
            },
            _ => {}
        }
    }
}

impl<'a> Raw<'a> {
    fn of_message(&mut self, attribute: &Attribute<'a>) {
        let data = attribute.data;
        match attribute.id {
            // attOemCodepage, attSubject, attBody, attMsgProps
            0x9007 => self.code_page = Reader { rest: data }.u32(),
            0x8004 => self.subject = self.subject.take().or(Some(Value::Narrow(data))),
            0x800c => self.text = self.text.take().or(Some(Value::Narrow(data))),
            0x9003 => {
                let (properties, whole) = mapi::properties(data);
                self.whole &= whole;
                for Property { id, value } in properties {
                    match id {
                        0x0037 => self.subject = Some(value),
                        0x1035 => self.message_id = Some(value),
                        // PidTagSentRepresentingName, PidTagSentRepresentingSmtpAddress
                        0x0042 => self.sender = Some(value),
                        0x5d02 => self.sender_address = Some(value),
                        0x1000 => self.text = Some(value),
                        0x1013 => self.html = Some(value),
                        0x1009 => self.compressed = value.bytes(),
                        0x3fde => self.html_code_page = value.number(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn of_attachment(&mut self, attribute: &Attribute<'a>, most: usize) {
        // attAttachRendData begins one.
        if attribute.id == 0x9002 || (self.files.is_empty() && !self.cut) {
            self.cut |= self.files.len() == most;
            if !self.cut {
                self.files.push(RawFile::default());
            }
        }
        if self.cut {
            return;
        }
        let Some(file) = self.files.last_mut() else { return };
        let data = attribute.data;
        match attribute.id {
            // attAttachTransportFilename, attAttachTitle, attAttachData, attAttachment
            0x9001 => file.name(1, Value::Narrow(data)),
            0x8010 => file.name(2, Value::Narrow(data)),
            0x800f => file.bytes = file.bytes.or(Some(data)),
            0x9005 => {
                let (properties, whole) = mapi::properties(data);
                self.whole &= whole;
                for property in properties {
                    file.property(property);
                }
            }
            _ => {}
        }
    }

    fn unpacked(mut self) -> Unpacked<'a> {
        let page = self.code_page.and_then(charset_of);
        let html_page = self.html_code_page.and_then(charset_of).or(page);
        let read = |value: Value<'a>| value.text(page);
        let (mut text, mut html) = (self.text.and_then(read), None);
        if let Some(value) = self.html {
            let named = value.bytes().filter(|_| html_page.is_none()).and_then(charset::of_html);
            html = value.text(named.as_deref().or(html_page));
        }
        if let Some(compressed) = self.compressed.filter(|_| html.is_none()) {
            let (bytes, whole) = lzfu::decompress(compressed);
            self.whole &= whole;
            match rtf::read(&bytes) {
                Body::Html(body) => html = Some(body),
                Body::Text(body) => text = text.or(Some(body)),
            }
        }
        for body in [&mut text, &mut html] {
            self.cut |= body.as_mut().is_some_and(|body| charset::cut(body, MAX_BODY_BYTES));
            *body = body.take().filter(|body| !body.trim().is_empty());
        }
        let has_all = self.files.iter().all(|file| file.content().is_some());
        let files = self.files.into_iter().filter_map(|file| opened(file, page)).collect();
        Unpacked {
            text,
            html,
            files,
            whole: self.whole && has_all && !self.cut,
            cut: self.cut,
            subject: self.subject.and_then(read).map(|subject| charset::clean_line(&subject)),
            message_id: self.message_id.and_then(read),
            from: (self.sender.and_then(read), self.sender_address.and_then(read)),
        }
    }
}

/// What a file says. A message in it is looked into once: one in that stays closed.
fn opened<'a>(file: RawFile<'a>, page: Option<&str>) -> Option<File<'a>> {
    let bytes = file.content()?;
    let read = |value: Value<'a>| value.text(page).map(|text| charset::clean_line(&text));
    let name = file.name.and_then(|(_, name)| read(name)).as_deref().and_then(param::filename);
    let kind = file.media_type.and_then(read).map(|kind| Params::parse(&kind));
    let kind = kind.as_ref().and_then(Params::media_type).map(str::to_owned);
    let content_id = file.content_id.and_then(read).map(|id| id.replace(['<', '>'], "").trim().to_owned());
    let content_id = content_id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES);
    let is_message = file.is_message && bytes.starts_with(&SIGNATURE.to_le_bytes());
    let unnamed = if is_message { "application/ms-tnef" } else { "application/octet-stream" };
    Some(File {
        filename: name.or_else(|| is_message.then(|| "message.tnef".to_owned())),
        content_type: kind.filter(|_| !is_message).unwrap_or_else(|| unnamed.to_owned()),
        inline: file.rendered,
        content_id,
        message: None,
        bytes,
    })
}

/// Looks into the messages among `files` that are in this format themselves.
pub(super) fn look_into(files: &mut [File<'_>]) {
    for file in files.iter_mut().filter(|file| file.content_type == "application/ms-tnef") {
        file.message = unpack(file.bytes, MAX_ENCLOSED_PARTS).map(enclosed);
    }
}

fn enclosed(message: Unpacked<'_>) -> EnclosedMessage {
    let (name, address) = message.from;
    let from = Address { name, address: address.filter(|address| address.contains('@')) };
    let attachments = message.files.into_iter().map(|file| EnclosedPart {
        size: u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
        filename: file.filename,
        content_type: file.content_type,
        content_id: file.content_id,
        inline: file.inline,
    });
    EnclosedMessage {
        subject: message.subject,
        date: None,
        message_id: message.message_id.map(|id| id.replace(['<', '>'], "").trim().to_owned()),
        attachments: attachments.collect(),
        from: if from == Address::default() { Vec::new() } else { vec![from] },
    }
}
