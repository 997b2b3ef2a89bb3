//! HTML as text: the lines that a reader sees, each with what its markup says of it.
//!
//! html5gum stays inside this module: it reads HTML as browsers do, token by token, and builds no tree, so that a
//! hundred thousand elements inside each other cost what they cost side by side.

mod elements;
mod line;
mod region;

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};

use self::elements::{Break, break_of, is_skipped, is_void};
pub(super) use self::line::{Line, Role};
use self::region::{Region, Regions};

/// The text of an HTML document, quoted lines marked by `>`.
pub(super) fn text(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    for line in lines(html) {
        text.extend(std::iter::repeat_n('>', line.depth));
        if line.depth > 0 && !line.text.is_empty() {
            text.push(' ');
        }
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

/// The lines of an HTML document. No more than one blank line in a row, none at the ends.
pub(super) fn lines(html: &str) -> Vec<Line> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut writer = Writer::default();
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => writer.start(&tag),
            Token::EndTag(tag) => writer.end(&tag.name),
            Token::String(text) => writer.text(&String::from_utf8_lossy(&text.value)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    writer.finish()
}

/// Puts text into lines.
#[derive(Debug, Default)]
struct Writer {
    lines: Vec<Line>,
    current: String,
    regions: Regions,
    /// The role of the line that is being written, from its first text.
    role: Role,
    depth: usize,
    /// Whether white space came since the last text.
    space: bool,
    /// Whether a blank line is wanted before the next.
    blank: bool,
    /// What the paragraph that is open does at its end.
    paragraph: Option<Break>,
    /// Inside `pre`, breaks count.
    pre: usize,
    /// Inside elements whose text nobody sees.
    skipped: Option<Vec<u8>>,
    /// Where the link goes that is open, and where its text begins.
    link: Option<(String, usize)>,
}

impl Writer {
    fn start(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        if self.skipped.is_some() {
            return;
        }
        if is_skipped(name) {
            self.skipped = Some(name.to_vec());
            return;
        }
        if name.contains(&b'@') {
            // An address in angle brackets that its author forgot to escape.
            self.text(&format!("<{}>", String::from_utf8_lossy(name)));
            return;
        }
        let wanted = break_of(name, &attribute(tag, b"class"));
        if name == b"p" {
            self.paragraph = Some(wanted);
        }
        self.break_line(wanted);
        if !is_void(name) {
            self.regions.open(name, || Region::of(name, |key| attribute(tag, key)));
        }
        match name {
            b"li" => self.text("- "),
            b"td" | b"th" => self.space = true,
            b"pre" => self.pre += 1,
            b"hr" => {
                self.text("---");
                self.break_line(Break::Line);
            }
            b"img" => self.text(&attribute(tag, b"alt")),
            b"a" => self.link = Some((attribute(tag, b"href"), self.current.len())),
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some(skipped) = &self.skipped {
            if skipped == name {
                self.skipped = None;
            }
            return;
        }
        if name == b"a" {
            self.end_link();
        }
        if name == b"pre" {
            self.pre = self.pre.saturating_sub(1);
        }
        let paragraph = if name == b"p" { self.paragraph.take() } else { None };
        self.break_line(paragraph.unwrap_or_else(|| break_of(name, "")));
        self.regions.close(name);
    }

    /// A link's address follows its text, where that does not say it already.
    fn end_link(&mut self) {
        let Some((href, start)) = self.link.take() else { return };
        let shown = self.current.get(start..).unwrap_or_default().trim();
        let bare = |text: &str| {
            text.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/').to_owned()
        };
        let web = href.starts_with("https://") || href.starts_with("http://");
        if web && !shown.is_empty() && bare(shown) != bare(&href) {
            self.space = true;
            self.text(&format!("<{href}>"));
        }
    }

    fn text(&mut self, text: &str) {
        if self.skipped.is_some() || self.regions.hidden() {
            return;
        }
        for c in text.chars() {
            match c {
                '\n' if self.pre > 0 => self.break_line(Break::Always),
                ' ' | '\t' if self.pre > 0 => self.push(c),
                // Marks that only lay text out.
                '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{ad}' | '\u{34f}' => {}
                c if c.is_whitespace() || c.is_control() => self.space = true,
                c => {
                    if std::mem::take(&mut self.space) && !self.current.is_empty() {
                        self.current.push(' ');
                    }
                    self.push(c);
                }
            }
        }
    }

    fn push(&mut self, c: char) {
        if self.current.is_empty() {
            (self.role, self.depth) = self.regions.role();
        }
        self.current.push(c);
    }

    fn break_line(&mut self, wanted: Break) {
        if wanted == Break::None {
            return;
        }
        if !self.current.is_empty() {
            let text = std::mem::take(&mut self.current);
            if std::mem::take(&mut self.blank)
                && let Some(last) = self.lines.last()
            {
                let shallower =
                    if last.depth < self.depth { (last.depth, last.role) } else { (self.depth, self.role) };
                self.lines.push(Line { text: String::new(), depth: shallower.0, role: shallower.1 });
            }
            self.lines.push(Line { text: text.trim_end().to_owned(), depth: self.depth, role: self.role });
        } else if wanted == Break::Always {
            self.blank = true;
        }
        self.space = false;
        self.blank |= wanted == Break::Paragraph;
        // A link that goes on over lines is said at its end, if at all.
        if let Some((_, start)) = &mut self.link {
            *start = 0;
        }
    }

    fn finish(mut self) -> Vec<Line> {
        self.break_line(Break::Line);
        self.lines
    }
}

/// An attribute's value; empty without one.
fn attribute(tag: &StartTag<()>, name: &[u8]) -> String {
    tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
