//! Fuzzing on stable Rust, without tools: inputs that are made from a kept corpus, the same ones at each run. And
//! [`score`]: how well what people wrote is found.
//!
//! It serves the tests of every crate that reads what strangers write, and is linked into nothing else.
#![allow(clippy::disallowed_methods, reason = "a test reads its own switch, and measures time")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "it serves tests, which fail by panicking"
)]

pub mod score;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Inputs of a run where `MAILROOM_FUZZ_INPUTS` names no number.
const INPUTS: u64 = 4_000;

/// The longest input that is made by many small changes.
const MAX_INPUT: usize = 8 * 1024;

/// Pieces of JSON (RFC 8259), for inputs in it.
pub const JSON: [&str; 12] = ["{", "}", "[", "]", "\"", ":", ",", "null", "true", "-1", "1e999", "\\ud800"];

/// Feeds `check` with inputs made from the files in `folder` and the words of the language.
///
/// # Panics
/// With the input, when `check` does.
pub fn run(folder: &str, words: &[&str], check: impl Fn(&[u8])) {
    let corpus = corpus(Path::new(folder));
    let count = std::env::var("MAILROOM_FUZZ_INPUTS").map_or(INPUTS, |text| text.parse().unwrap());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for input in &corpus {
        check(input);
    }
    let begun = Instant::now();
    let mut bytes = 0_u64;
    let mut slowest = (Duration::ZERO, Vec::new());
    for n in 0..count {
        let input = random.input(&corpus, words);
        bytes += u64::try_from(input.len()).unwrap();
        let started = Instant::now();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&input))) {
            eprintln!("input {n}: \"{}\"", input.escape_ascii());
            resume_unwind(panic);
        }
        let took = started.elapsed();
        if took > slowest.0 {
            slowest = (took, input);
        }
    }
    eprintln!(
        "{folder}: {count} inputs, {bytes} bytes, {:?}; the slowest took {:?} for {} bytes",
        begun.elapsed(),
        slowest.0,
        slowest.1.len()
    );
}

/// Checks that the time for an input of `repeats` times a piece grows no faster than the input.
///
/// # Panics
/// When sixteen times the input takes more than eighty times as long, five times in a row.
pub fn is_linear(piece: &[u8], start: &[u8], repeats: usize, check: impl Fn(&[u8])) {
    let time = |repeats: usize| {
        let input = [start, &piece.repeat(repeats)].concat();
        let once = || {
            let begun = Instant::now();
            check(&input);
            begun.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap()
    };
    let ratio =
        || time(repeats).as_secs_f64() / time(repeats / 16).max(Duration::from_micros(5)).as_secs_f64();
    let ratios: Vec<f64> = (0..5).map(|_| ratio()).take_while(|ratio| *ratio > 80.0).collect();
    assert!(ratios.len() < 5, "{}: {ratios:?}", piece.escape_ascii());
}

/// The files of a folder. Lines end in CRLF, as they do on the wire.
fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no files", folder.display());
    files.iter().map(|file| with_crlf(&std::fs::read(file).unwrap())).collect()
}

fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len() + 64);
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r') {
            lines.push(b'\r');
        }
        lines.push(*byte);
    }
    lines
}

/// A generator of numbers: xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end.max(1)
    }

    fn choose<'a, T: ?Sized>(&mut self, items: &'a [impl AsRef<T>]) -> &'a T {
        items[self.below(items.len())].as_ref()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(64) + 1)
    }

    /// An input: one of the corpus, from any line on, with up to eight changes.
    fn input(&mut self, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let whole: &[u8] = self.choose(corpus);
        let from = self.below(whole.len());
        let line = whole[..from].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut input = whole[line..].to_vec();
        for _ in 0..=self.below(8) {
            self.change(&mut input, corpus, words);
            input.truncate(MAX_INPUT);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
        let range = self.range(input.len());
        match self.below(7) {
            0 => {
                input.drain(range);
            }
            1 => {
                let copy = input[range.clone()].repeat(1 + self.below(12));
                input.splice(range.end..range.end, copy);
            }
            2 => {
                let word: &str = self.choose(words);
                input.splice(range.start..range.start, word.bytes());
            }
            3 => {
                let other: &[u8] = self.choose(corpus);
                let part = self.range(other.len());
                input.splice(range, other[part].iter().copied());
            }
            4 => {
                let byte = u8::try_from(self.below(256)).unwrap();
                if let Some(at) = input.get_mut(range.start) {
                    *at = byte;
                }
            }
            5 => input.truncate(range.start),
            _ => {
                let number = [0, 1, 255, 65_535, 16_384, u32::MAX.into(), u64::MAX][self.below(7)];
                input.splice(range.start..range.start, number.to_string().into_bytes());
            }
        }
    }
}
