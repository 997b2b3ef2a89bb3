//! What a person wrote in this message: without the history below or between it, and without what a program put
//! under it.
//!
//! Nothing that was written now may get lost; that something else stays is the lesser evil. So a line goes only for a
//! reason: a quote mark, a mail client's markup, a header block, a line that says who wrote when, a signature's
//! delimiter. [`history`] knows header blocks and dividers, [`attribution`] the lines about who wrote, [`closing`]
//! signatures and disclaimers, [`labels`] and [`words`] what all of that is called in the languages that people write.
//!
//! Each line is looked at a bounded number of times, and each look has a bounded length.

mod attribution;
mod closing;
mod history;
mod labels;
mod line;
#[cfg(test)]
mod tests;
mod words;

use self::line::Line;
use super::html_text::{self, Role};

/// What a body holds of its author.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found<'a> {
    /// Runs of lines that stood together, without those of others between.
    runs: Vec<Vec<&'a str>>,
    /// Whether lines of others were seen.
    history: bool,
}

/// What was written in a message with these bodies; `None` where nothing of it is left.
///
/// The text is asked first. Where it shows no history and the HTML has a client's marks, the HTML is asked.
pub(super) fn of(text: Option<&str>, html: Option<&str>) -> Option<String> {
    let text = text.filter(|text| !text.trim().is_empty());
    let plain: Vec<Line<'_>> = text.unwrap_or_default().lines().map(plain_line).collect();
    let by_text = found(&plain);
    if text.is_some() && (by_text.history || html.is_none()) {
        return written(by_text);
    }
    let html = html.map(html_text::lines).unwrap_or_default();
    let lines: Vec<Line<'_>> = html.iter().map(html_line).collect();
    let marked = lines.iter().any(|line| !matches!(line.role, Role::Plain | Role::Indented));
    written(if text.is_none() || marked { found(&lines) } else { by_text })
}

fn plain_line(text: &str) -> Line<'_> {
    let quoted = text.strip_prefix(' ').unwrap_or(text).starts_with('>');
    Line { text, role: if quoted { Role::Quoted } else { Role::Plain } }
}

fn html_line(line: &html_text::Line) -> Line<'_> {
    // Some clients put a plain quote into HTML.
    let role = if line.role == Role::Plain { plain_line(&line.text).role } else { line.role };
    Line { text: &line.text, role }
}

/// Goes through the lines from the top.
fn found<'a>(lines: &[Line<'a>]) -> Found<'a> {
    let attributions = attribution::all(lines);
    let mut found = Found { runs: vec![Vec::new()], history: false };
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let step = match line.role {
            Role::Quoted | Role::Attribution => Step::Skip(at + 1),
            Role::Signature => Step::SkipOwn(at + 1),
            Role::History => Step::End,
            Role::Plain | Role::Indented => step(lines, at, attributions.get(at).copied().flatten()),
        };
        at = match step {
            Step::Keep => {
                found.push(line.text);
                at + 1
            }
            Step::Skip(next) => {
                found.skip();
                next
            }
            Step::SkipAfter(own, next) => {
                found.push(own);
                found.skip();
                next
            }
            Step::SkipOwn(next) => next,
            Step::EndAfter(own) => {
                found.push(own);
                found.end();
                break;
            }
            Step::End => {
                found.end();
                break;
            }
        };
    }
    found
}

/// What is done with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    /// It was written now.
    Keep,
    /// It and those up to there are of others.
    Skip(usize),
    /// The same, but for how the line begins.
    SkipAfter(&'a str, usize),
    /// It and those up to there are a signature.
    SkipOwn(usize),
    /// It and all that follows are of others.
    End,
    /// The same, but for how the line begins.
    EndAfter(&'a str),
}

/// What is done with a line that has no mark of its own.
fn step<'a>(lines: &[Line<'a>], at: usize, attribution: Option<attribution::Attribution<'a>>) -> Step<'a> {
    if let Some(end) = history::block(lines, at) {
        // Below a header block stands the message, with quote marks or without; with them, answers may follow.
        let rest = after_blanks(lines, end);
        let marked = lines.get(rest).is_some_and(|line| line.role == Role::Quoted);
        return if marked { Step::Skip(rest) } else { Step::End };
    }
    let Some(attribution) = attribution else { return Step::Keep };
    let rest = after_blanks(lines, attribution.end);
    match lines.get(rest).map(|line| line.role) {
        Some(Role::Quoted) => Step::SkipAfter(attribution.before, rest),
        Some(Role::Indented) => {
            let indented = |line: &Line<'_>| line.role == Role::Indented || line.is_blank();
            let quoted = lines.iter().skip(rest).take_while(|line| indented(line)).count();
            Step::SkipAfter(attribution.before, rest + quoted)
        }
        _ if attribution.certain => Step::EndAfter(attribution.before),
        Some(Role::Plain | Role::Attribution | Role::History | Role::Signature) | None => Step::Keep,
    }
}

fn after_blanks(lines: &[Line<'_>], from: usize) -> usize {
    from + lines.iter().skip(from).take_while(|line| line.is_blank()).count()
}

impl<'a> Found<'a> {
    fn push(&mut self, line: &'a str) {
        if let Some(run) = self.runs.last_mut() {
            run.push(line);
        }
    }

    fn skip(&mut self) {
        self.history = true;
        if self.runs.last().is_some_and(|run| !run.is_empty()) {
            self.runs.push(Vec::new());
        }
    }

    /// What follows is history: the rule that clients draw above it belongs to it.
    fn end(&mut self) {
        self.history = true;
        if let Some(run) = self.runs.last_mut() {
            while run.last().is_some_and(|line| line.trim().is_empty() || closing::is_rule(line)) {
                run.pop();
            }
        }
    }
}

/// The runs as one text, without signatures and disclaimers.
fn written(found: Found<'_>) -> Option<String> {
    let last = found.runs.iter().rposition(|run| run.iter().any(|line| !line.trim().is_empty()))?;
    let mut text = String::new();
    for (number, mut run) in found.runs.into_iter().enumerate() {
        if text.is_empty() {
            closing::drop_banner(&mut run);
        }
        closing::drop_signature(&mut run);
        if number == last {
            closing::drop_disclaimers(&mut run);
        }
        let blank = |line: &&str| line.trim().is_empty();
        let start = run.iter().take_while(|line| blank(line)).count();
        let end = run.len() - run.iter().skip(start).rev().take_while(|line| blank(line)).count();
        if start >= end {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        for line in run.get(start..end).unwrap_or_default() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    let length = text.trim_end().len();
    text.truncate(length);
    (!text.is_empty()).then_some(text)
}
