//! What stands under a letter, or above it, and is not part of it: signatures, disclaimers, lists' footers, warnings.

use super::words::{DISCLAIMER_TITLES, DISCLAIMER_WORDS, FOOTER_WORDS, SENT_FROM, SENT_FROM_ENDS, WARNINGS};

/// Lines of a signature whose delimiter lacks its space, and of a list's footer: more is a text under a rule.
const MAX_SIGNATURE_LINES: usize = 10;

/// Bytes of a line that a phone appends.
const MAX_SENT_FROM_BYTES: usize = 160;

/// Whether a line is a rule: drawn, not written.
pub(super) fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.chars().count() >= 3
        && line.chars().all(|c| matches!(c, '-' | '_' | '=' | '*' | '—' | '–' | '─' | ' '))
}

/// Drops the warning that gateways put above a letter.
pub(super) fn drop_banner(run: &mut Vec<&str>) {
    let start = run.iter().take_while(|line| line.trim().is_empty()).count();
    let end = start + run.iter().skip(start).take_while(|line| !line.trim().is_empty()).count();
    let paragraph = run.get(start..end).unwrap_or_default();
    let first = lower(paragraph.first().copied().unwrap_or_default());
    let first = first.trim_start_matches(['[', '*', '!', '⚠', ' ']);
    let warns = WARNINGS.iter().any(|warning| first.starts_with(warning));
    let about = paragraph.iter().any(|line| {
        let line = lower(line);
        ["originated", "external", "outside", "extern", "außerhalb", "externe"]
            .iter()
            .any(|word| line.contains(word))
    });
    if warns && about && paragraph.len() <= MAX_SIGNATURE_LINES {
        run.drain(..end);
    }
}

/// Drops what follows a signature's delimiter (RFC 3676 §4.3), a list's footer, and the lines of phones.
pub(super) fn drop_signature(run: &mut Vec<&str>) {
    if let Some(at) = run.iter().position(|line| *line == "-- ") {
        run.truncate(at);
    }
    let filled = |lines: &[&str]| lines.iter().filter(|line| !line.trim().is_empty()).count();
    let tail = tail(run, MAX_SIGNATURE_LINES + 1);
    let cut = (tail..run.len()).find(|at| {
        let rest = run.get(at + 1..).unwrap_or_default();
        let line = run.get(*at).map_or("", |line| line.trim());
        let short = filled(rest) <= MAX_SIGNATURE_LINES;
        let footer = rest.iter().any(|line| {
            let line = lower(line);
            FOOTER_WORDS.iter().any(|word| line.contains(word))
        });
        let rule = line.len() >= 2 && line.chars().all(|c| c == '_');
        short && (line == "--" || (rule && footer) || lower(line).starts_with(FOOTER_BEGINS))
    });
    if let Some(at) = cut {
        run.truncate(at);
    }
    drop_sent_from(run);
}

/// How Google Groups begins its footer.
const FOOTER_BEGINS: &str = "you received this message because you are subscribed to";

/// Where the last `filled` lines that are not blank begin.
fn tail(run: &[&str], filled: usize) -> usize {
    let mut left = filled;
    for (at, line) in run.iter().enumerate().rev() {
        if !line.trim().is_empty() {
            left -= 1;
            if left == 0 {
                return at;
            }
        }
    }
    0
}

/// Drops `Sent from my iPhone` where it is a paragraph or the last line.
fn drop_sent_from(run: &mut Vec<&str>) {
    let blank = |line: Option<&&str>| line.is_none_or(|line| line.trim().is_empty());
    let mut at = run.len();
    while at > 0 {
        at -= 1;
        let apart = at == 0 || blank(run.get(at - 1));
        let last = run.iter().skip(at + 1).all(|line| line.trim().is_empty());
        if run.get(at).is_some_and(|line| is_sent_from(line)) && blank(run.get(at + 1)) && (apart || last) {
            run.remove(at);
        } else if !blank(run.get(at)) && tail_is_over(run, at) {
            return;
        }
    }
}

/// Whether more is below than a phone's line could have.
fn tail_is_over(run: &[&str], at: usize) -> bool {
    run.iter().skip(at).filter(|line| !line.trim().is_empty()).count() > MAX_SIGNATURE_LINES
}

fn is_sent_from(line: &str) -> bool {
    let line = line.trim().trim_matches(['*', '_']);
    if line.len() > MAX_SENT_FROM_BYTES {
        return false;
    }
    let text = lower(line.split(['<', '(']).next().unwrap_or_default());
    let text = text.trim();
    let words = text.split_whitespace().count();
    // `Sent from my desk, it is easier there.` is a sentence.
    let sentence = words > 9 || text.contains(", ") || (text.ends_with('.') && words > 5);
    !sentence
        && (SENT_FROM.iter().any(|beginning| text.starts_with(beginning))
            || SENT_FROM_ENDS.iter().any(|end| text.trim_end_matches(['.', '。']).ends_with(end)))
}

/// Drops paragraphs at the end that are disclaimers, and what stands below a title of one.
pub(super) fn drop_disclaimers(run: &mut Vec<&str>) {
    let tail = tail(run, MAX_SIGNATURE_LINES);
    let title = (tail..run.len()).find(|at| {
        let below = run.get(at + 1..).unwrap_or_default();
        run.get(*at).is_some_and(|line| is_title(&[line])) && words_of_disclaimers(below) >= 2
    });
    if let Some(at) = title {
        run.truncate(at);
    }
    loop {
        while run.last().is_some_and(|line| line.trim().is_empty() || is_rule(line)) {
            run.pop();
        }
        let length = run.iter().rev().take_while(|line| !line.trim().is_empty()).count();
        let start = run.len() - length;
        let paragraph = run.get(start..).unwrap_or_default();
        if length == 0 || !(is_disclaimer(paragraph) || is_title(paragraph)) {
            return;
        }
        run.truncate(start);
    }
}

fn is_title(paragraph: &[&str]) -> bool {
    let [line] = paragraph else { return false };
    DISCLAIMER_TITLES.contains(&lower(line).trim_matches(['*', ':', ' ', '_', '-']))
}

/// Whether a paragraph is one of those that lawyers write: long, and with three of their words.
fn is_disclaimer(paragraph: &[&str]) -> bool {
    let length: usize = paragraph.iter().map(|line| line.chars().count()).sum();
    length >= 120 && words_of_disclaimers(paragraph) >= 3
}

fn words_of_disclaimers(paragraph: &[&str]) -> usize {
    let text = lower(&paragraph.join(" "));
    DISCLAIMER_WORDS.iter().filter(|word| text.contains(*word)).count()
}

fn lower(text: &str) -> String {
    text.to_lowercase().replace('’', "'")
}
