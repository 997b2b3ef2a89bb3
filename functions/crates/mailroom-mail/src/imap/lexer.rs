//! The values of responses: atoms, strings, NIL, and lists of them (RFC 9051 §4).

use std::borrow::Cow;

use super::frame::LITERAL;

/// How deep lists may nest. Requested items nest once; an unrequested BODYSTRUCTURE hardly 20 times.
const MAX_DEPTH: usize = 50;

/// A value of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Nil,
    Atom(&'a [u8]),
    String(Vec<u8>),
    /// The strings of a list, and the atoms of it and of lists in it.
    List(Vec<Cow<'a, [u8]>>),
}

/// A string, or none (RFC 9051 §9, `nstring`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NString {
    Nil,
    String(Vec<u8>),
}

impl NString {
    pub(super) fn string(self) -> Option<Vec<u8>> {
        match self {
            Self::Nil => None,
            Self::String(string) => Some(string),
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn atom(&self) -> Option<&'a [u8]> {
        match self {
            Self::Atom(atom) => Some(atom),
            Self::Nil | Self::String(_) | Self::List(_) => None,
        }
    }

    /// The string; `None` for a list. An atom counts as a string.
    pub(super) fn into_string(self) -> Option<NString> {
        match self {
            Self::Nil => Some(NString::Nil),
            Self::String(string) => Some(NString::String(string)),
            Self::Atom(atom) => Some(NString::String(atom.to_vec())),
            Self::List(_) => None,
        }
    }

    /// The atoms of a list; NIL counts as an empty list.
    pub(super) fn into_list(self) -> Option<Vec<&'a [u8]>> {
        match self {
            Self::List(items) => {
                let atom = |item| match item {
                    Cow::Borrowed(atom) => Some(atom),
                    Cow::Owned(_) => None,
                };
                Some(items.into_iter().filter_map(atom).collect())
            }
            Self::Nil => Some(Vec::new()),
            Self::Atom(_) | Self::String(_) => None,
        }
    }

    /// The atoms and strings of a list; NIL counts as an empty list.
    pub(super) fn into_texts(self) -> Option<Vec<Cow<'a, [u8]>>> {
        match self {
            Self::List(items) => Some(items),
            Self::Nil => Some(Vec::new()),
            Self::Atom(_) | Self::String(_) => None,
        }
    }
}

/// Reads values from the text of a response. Every method returns `None` when the text has another form.
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
    literals: std::vec::IntoIter<Vec<u8>>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8], literals: Vec<Vec<u8>>) -> Self {
        Self { rest: text, literals: literals.into_iter() }
    }

    /// Reads the `(` of the list of items.
    pub(super) fn open(&mut self) -> Option<()> {
        self.rest = self.rest.trim_ascii_start().strip_prefix(b"(")?;
        Some(())
    }

    /// Reads a `)`, if there is one.
    pub(super) fn close(&mut self) -> bool {
        self.rest = self.rest.trim_ascii_start();
        match self.rest.strip_prefix(b")") {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads an item's name with its section: `BODY[HEADER.FIELDS (SUBJECT)]<0>` is one.
    pub(super) fn item_name(&mut self) -> Option<&'a [u8]> {
        self.rest = self.rest.trim_ascii_start();
        let mut in_section = false;
        let end = self.rest.iter().position(|byte| match byte {
            b'[' => {
                in_section = true;
                false
            }
            b']' => {
                in_section = false;
                false
            }
            b' ' | b'(' | b')' => !in_section,
            _ => false,
        })?;
        self.take(end).filter(|name| !name.is_empty())
    }

    /// Reads a value, whatever it is.
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.first() != Some(&b'(') {
            return self.scalar();
        }
        let mut items = Vec::new();
        let mut depth = 0_usize;
        loop {
            self.rest = self.rest.trim_ascii_start();
            match self.rest.first()? {
                b'(' => {
                    depth += 1;
                    self.take(1)?;
                }
                b')' => {
                    depth -= 1;
                    self.take(1)?;
                }
                _ => match self.scalar()? {
                    Value::Atom(atom) => items.push(Cow::Borrowed(atom)),
                    Value::String(string) if depth == 1 => items.push(Cow::Owned(string)),
                    Value::String(_) | Value::Nil | Value::List(_) => {}
                },
            }
            if depth > MAX_DEPTH {
                return None;
            }
            if depth == 0 {
                return Some(Value::List(items));
            }
        }
    }

    fn scalar(&mut self) -> Option<Value<'a>> {
        match *self.rest.first()? {
            b'"' => self.quoted().map(Value::String),
            LITERAL => {
                self.take(1)?;
                self.literals.next().map(Value::String)
            }
            _ => {
                let end =
                    self.rest.iter().position(|byte| matches!(byte, b' ' | b'(' | b')' | b'"' | &LITERAL));
                let atom = self.take(end.unwrap_or(self.rest.len())).filter(|atom| !atom.is_empty())?;
                Some(if atom.eq_ignore_ascii_case(b"NIL") { Value::Nil } else { Value::Atom(atom) })
            }
        }
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut string = Vec::new();
        let mut escaped = false;
        for (at, byte) in self.rest.iter().enumerate().skip(1) {
            match byte {
                _ if escaped => {
                    string.push(*byte);
                    escaped = false;
                }
                b'\\' => escaped = true,
                b'"' => {
                    self.take(at + 1)?;
                    return Some(string);
                }
                _ => string.push(*byte),
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}
