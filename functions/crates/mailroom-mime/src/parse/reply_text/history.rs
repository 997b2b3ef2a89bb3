//! Header blocks as Outlook and its like write them above an older message, and the dividers of others.

use super::labels::{BEGINNINGS, DIVIDERS, LABELS, Label};
use super::line::Line;
use super::words::MARKS;

/// Lines of a header block: seven fields, and what long recipients take.
const MAX_LINES: usize = 14;

/// Bytes of a label: `Enviado el`, with stars and spaces.
const MAX_LABEL_BYTES: usize = 48;

/// Bytes of a divider.
const MAX_DIVIDER_BYTES: usize = 200;

/// The end of the divider or header block that begins at `at`, if one does.
pub(super) fn block(lines: &[Line<'_>], at: usize) -> Option<usize> {
    let text = lines.get(at)?.text;
    if is_divider(text) {
        let next = at + 1 + lines.iter().skip(at + 1).take_while(|line| line.is_blank()).count();
        return Some(header(lines, next).unwrap_or(at + 1));
    }
    header(lines, at)
}

/// `-----Original Message-----`, `Begin forwarded message:` in any language of [`super::labels`], and the marks of help
/// desks.
fn is_divider(text: &str) -> bool {
    let text = text.trim();
    if text.len() > MAX_DIVIDER_BYTES {
        return false;
    }
    let is_line = |c: char| matches!(c, '-' | '_' | '=' | '*' | '—' | '–' | ' ');
    let inner = text.trim_matches(is_line);
    let drawn = (text.len() - text.trim_start_matches(is_line).len()) >= 2;
    if inner.is_empty() {
        return false;
    }
    let inner = inner.to_lowercase();
    if MARKS.iter().any(|mark| inner.contains(mark)) {
        return true;
    }
    let named = inner.trim_end_matches([':', '：', ' ', '\u{a0}']);
    (drawn && DIVIDERS.iter().any(|name| named.starts_with(name))) || BEGINNINGS.contains(&named)
}

fn header(lines: &[Line<'_>], at: usize) -> Option<usize> {
    label(lines.get(at)?.text)?;
    let mut seen: Vec<Label> = Vec::new();
    let (mut addressed, mut end, mut unlabelled) = (false, at, 0);
    for (number, line) in lines.iter().enumerate().skip(at).take(MAX_LINES) {
        if let Some(label) = label(line.text) {
            seen.push(label);
            unlabelled = 0;
        } else if line.is_blank() {
            // A blank line ends the block, unless another field follows: some clients write paragraphs.
            if lines.get(number + 1).is_none_or(|next| label(next.text).is_none()) {
                break;
            }
            continue;
        } else {
            unlabelled += 1;
        }
        // Recipients go on over lines.
        if unlabelled > 3 {
            break;
        }
        addressed |=
            line.text.get(..line.text.floor_char_boundary(1000)).is_some_and(|text| text.contains('@'));
        end = number + 1;
    }
    let has = |label| seen.contains(&label);
    let kinds = [Label::From, Label::Sent, Label::Date, Label::To, Label::Subject]
        .into_iter()
        .filter(|l| has(*l))
        .count();
    let mail = has(Label::Sent) || addressed || (has(Label::Subject) && has(Label::To));
    (has(Label::From) && mail && (kinds >= 3 || (kinds == 2 && has(Label::Sent)))).then_some(end)
}

/// The field that a line begins with.
fn label(text: &str) -> Option<Label> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '|'));
    let head = text.get(..text.floor_char_boundary(MAX_LABEL_BYTES))?;
    let (name, _) = head.split_once([':', '：'])?;
    let name = name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_')).to_lowercase();
    LABELS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(label, _)| *label)
}
