//! Lines that say who wrote what follows: `On 1 May 2026, Ann <ann@example.org> wrote:`.

use super::line::Line;
use super::words::{OPENERS, VERBS, VERBS_UNSPACED};
use crate::parse::html_text::Role;

/// Lines of one attribution. Clients wrap it once or twice.
const MAX_LINES: usize = 4;

/// Bytes of an attribution: names and addresses are long at times.
const MAX_BYTES: usize = 400;

/// An attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribution<'a> {
    /// The line behind it.
    pub(super) end: usize,
    /// What stands before it on its first line.
    pub(super) before: &'a str,
    /// Whether it is one even if no quote mark follows.
    pub(super) certain: bool,
}

/// For each line, the attribution that begins there.
pub(super) fn all<'a>(lines: &[Line<'a>]) -> Vec<Option<Attribution<'a>>> {
    let mut all = vec![None; lines.len()];
    for end in 0..lines.len() {
        if let Some((start, attribution)) = ending_at(lines, end)
            && let Some(place) = all.get_mut(start)
        {
            *place = Some(attribution);
        }
    }
    all
}

/// The attribution whose last line is at `last`. Of several beginnings the latest is taken: it takes the fewest lines
/// from who wrote above.
fn ending_at<'a>(lines: &[Line<'a>], last: usize) -> Option<(usize, Attribution<'a>)> {
    let end = last + 1;
    if !ends_one(lines.get(last)?.text) {
        return None;
    }
    let mut joined = String::new();
    for start in (end.saturating_sub(MAX_LINES)..end).rev() {
        let line = lines.get(start)?;
        if !can_hold_one(line) || joined.len() + line.text.len() > MAX_BYTES {
            break;
        }
        joined = format!("{} {joined}", line.text.trim());
        if is_certain(&joined) {
            return Some((start, Attribution { end, before: "", certain: true }));
        }
        if let Some((before, rest)) = inside(line.text)
            && let Some(at) = joined.find(rest)
            && joined.get(at..).is_some_and(is_certain)
        {
            return Some((start, Attribution { end, before, certain: true }));
        }
    }
    // `Ann Smith writes:`, which is one only above a quote.
    let text = lines.get(last)?.text.trim();
    let quote =
        lines.iter().skip(end).find(|line| !line.is_blank()).is_some_and(|line| line.role == Role::Quoted);
    let named = text.len() <= MAX_BYTES / 2 && text.ends_with([':', '：']) && has_verb(text);
    (quote && named).then_some((last, Attribution { end, before: "", certain: false }))
}

/// Whether an attribution's line can be there: some clients break an address before its last bracket.
fn can_hold_one(line: &Line<'_>) -> bool {
    let unmarked = matches!(line.role, Role::Plain | Role::Indented | Role::Attribution);
    (unmarked && !line.is_blank()) || is_bracket(line.text)
}

fn is_bracket(text: &str) -> bool {
    matches!(text.trim(), ">:" | "> :" | "> wrote:")
}

/// Whether a line can be the last of an attribution.
fn ends_one(text: &str) -> bool {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '-' | '>'));
    text.len() <= MAX_BYTES && (text.ends_with([':', '：']) || has_verb(text))
}

/// A line that an English attribution ends, as what stands before and the rest.
fn inside(text: &str) -> Option<(&str, &str)> {
    let at = text.get(..text.floor_char_boundary(MAX_BYTES))?.rfind("On ")?;
    let (before, rest) = text.split_at_checked(at)?;
    let apart = before.ends_with([' ', '-']) && !before.trim_matches(['-', ' ', '*']).is_empty();
    apart.then_some((before.trim_end_matches(['-', ' ']), rest.trim()))
}

fn is_certain(joined: &str) -> bool {
    let text = joined.trim().trim_matches(['*', '_', ' ']);
    let bare = text.trim_matches('-').trim();
    let verb = has_verb(bare);
    if verb && text.starts_with("---") && text.ends_with("---") {
        return true;
    }
    let ends = bare.ends_with([':', '：']) || ends_in_verb(bare);
    if !ends || !begins_one(bare) {
        return false;
    }
    let address = |word: &str| word.contains('@');
    let addressed = bare.split_whitespace().any(address);
    let dated: Vec<&str> = bare.split_whitespace().filter(|word| !address(word)).collect();
    let digits = dated.iter().flat_map(|word| word.bytes()).filter(u8::is_ascii_digit).count();
    let timed = dated.iter().any(|word| is_time(word));
    if verb { digits >= 5 || (digits > 0 && (timed || addressed)) } else { addressed && digits >= 4 }
}

/// Whether a text begins as attributions do: with a date, a weekday or the preposition before one.
fn begins_one(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else { return false };
    if first.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '在' | '于' | '於')) {
        return true;
    }
    let word = first.trim_end_matches(['.', ',']).to_lowercase();
    let length = word.chars().count();
    let letters = word.chars().all(char::is_alphabetic);
    let next_is_number = words.next().is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()));
    OPENERS.contains(&word.as_str())
        || (letters && length <= 4 && word != "at" && (next_is_number || first.ends_with(['.', ','])))
        || (letters && length <= 12 && first.ends_with(','))
}

fn is_time(word: &str) -> bool {
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    word.split_once([':', '.', 'h']).is_some_and(|(hour, rest)| {
        digits(hour) && rest.get(..2).is_some_and(|minute| minute.len() == 2 && digits(minute))
    })
}

/// The text in lower case with its words apart, one space around each.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 2);
    for c in std::iter::once(' ').chain(text.chars()).chain(std::iter::once(' ')) {
        if c.is_alphanumeric() {
            spaced.extend(c.to_lowercase());
        } else if !spaced.ends_with(' ') {
            spaced.push(' ');
        }
    }
    spaced
}

fn has_verb(text: &str) -> bool {
    let spaced = spaced(text);
    VERBS.iter().any(|verb| spaced.match_indices(verb).any(|(at, _)| is_word(&spaced, at, verb.len())))
        || VERBS_UNSPACED.iter().any(|verb| text.contains(verb))
}

fn ends_in_verb(text: &str) -> bool {
    let spaced = spaced(text);
    let text = spaced.trim_end();
    VERBS.iter().any(|verb| text.strip_suffix(verb).is_some_and(|before| before.ends_with(' ')))
}

fn is_word(spaced: &str, at: usize, length: usize) -> bool {
    spaced.get(..at).is_some_and(|before| before.ends_with(' '))
        && spaced.get(at + length..).is_some_and(|after| after.starts_with(' '))
}
