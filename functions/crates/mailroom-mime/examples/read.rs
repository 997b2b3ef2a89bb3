//! Reads every message of a folder and prints one JSON line for each: its file, the microseconds and the bytes of memory
//! that it took beyond its own, and what a flow would receive. Two versions of the reader are compared by comparing their
//! output. A file that ends with `.txt` or `.html` is a body without a header. At the end, to the error output: the times,
//! the memory, and how many messages are of which kind, for each origin that the second column of the folder's `INDEX.tsv`
//! names.
//!
//! `cargo run --release -p mailroom-mime --example read -- [--repeat N] FOLDER`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mailroom_mime::parse::{ParsedMessage, parse_message};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};

/// Counts what is allocated.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (repeat, folder) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--repeat", times, folder] => (times.parse()?, PathBuf::from(folder)),
        [folder] => (1, PathBuf::from(folder)),
        _ => return Err("usage: read [--repeat N] FOLDER".into()),
    };
    let mut out = std::io::stdout().lock();
    let origins = origins(&folder);
    let (mut costs, mut kinds) = (Vec::new(), BTreeMap::new());
    for file in files(&folder)? {
        let raw = message(&file, std::fs::read(&file)?);
        let name = file.strip_prefix(&folder)?.to_string_lossy().into_owned();
        let cost =
            Cost { microseconds: u64::try_from(fastest(&raw, repeat).as_micros())?, bytes: memory(&raw) };
        let message = parse_message(&raw);
        writeln!(out, "{}", line(&name, cost, &message))?;
        costs.push(cost);
        let origin = origins.get(&name).map_or("", String::as_str);
        *kinds.entry((origin, format!("{:?}", message.kind))).or_insert(0_usize) += 1;
    }
    summary(&costs, &kinds)?;
    Ok(())
}

/// What it takes to read a message.
#[derive(Clone, Copy)]
struct Cost {
    microseconds: u64,
    bytes: usize,
}

/// The message in a file; a body has a header put before it.
fn message(file: &Path, bytes: Vec<u8>) -> Vec<u8> {
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("txt") => "plain",
        Some("html") => "html",
        Some(_) | None => return bytes,
    };
    let header = format!("Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n");
    [header.as_bytes(), &bytes].concat()
}

/// How files end that say something of the messages beside them.
const BESIDE: [&str; 4] = ["json", "md", "own", "tsv"];

/// The file that says what the messages of a folder are.
const INDEX: &str = "INDEX.tsv";

/// Where each file comes from, as the index says.
fn origins(folder: &Path) -> BTreeMap<String, String> {
    let index = std::fs::read_to_string(folder.join(INDEX)).unwrap_or_default();
    let rows = index.lines().filter_map(|row| {
        let mut columns = row.split('\t').map(str::to_owned);
        Some((columns.next()?, columns.next()?))
    });
    rows.collect()
}

fn summary(costs: &[Cost], kinds: &BTreeMap<(&str, String), usize>) -> std::io::Result<()> {
    let mut errors = std::io::stderr().lock();
    writeln!(errors, "{} messages", costs.len())?;
    let times = costs.iter().map(|cost| cost.microseconds);
    writeln!(errors, "{:>20} {}", "time, \u{b5}s", distribution(times.collect()))?;
    let bytes = costs.iter().filter_map(|cost| u64::try_from(cost.bytes).ok());
    writeln!(errors, "{:>20} {}", "memory, bytes", distribution(bytes.collect()))?;
    for ((origin, kind), count) in kinds {
        writeln!(errors, "{origin:>20} {kind:<11} {count:5}")?;
    }
    Ok(())
}

fn distribution(mut values: Vec<u64>) -> String {
    values.sort_unstable();
    let at = |per_cent: usize| {
        let index = (values.len() * per_cent / 100).min(values.len().saturating_sub(1));
        values.get(index).copied().unwrap_or_default()
    };
    format!("p50 {}, p99 {}, most {}", at(50), at(99), at(100))
}

/// The files below `folder`, sorted, so that two runs print the same order.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path
                .extension()
                .is_some_and(|extension| BESIDE.iter().any(|known| extension == *known))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The shortest of `repeat` times: the one that other programs disturbed least.
#[expect(clippy::disallowed_methods, reason = "the real time is what is measured")]
fn fastest(raw: &[u8], repeat: u32) -> Duration {
    let time = || {
        let start = Instant::now();
        std::hint::black_box(parse_message(raw));
        start.elapsed()
    };
    (0..repeat.max(1)).map(|_| time()).min().unwrap_or_default()
}

/// The most bytes that were allocated at once to read it, beside its own.
fn memory(raw: &[u8]) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    std::hint::black_box(parse_message(raw));
    MEMORY.peak_usage().saturating_sub(before)
}

/// What a flow receives; the parts are not stored, and have no keys.
fn line(file: &str, cost: Cost, message: &ParsedMessage<'_>) -> Value {
    let mut parts: Vec<Value> =
        message.parts.iter().map(|part| json!(part.attachment(String::new()))).collect();
    for part in &mut parts {
        part.as_object_mut().and_then(|part| part.remove("key"));
    }
    let defects: Vec<String> = message.defects.iter().map(|defect| format!("{defect:?}")).collect();
    json!({
        "file": file, "microseconds": cost.microseconds, "bytes": cost.bytes, "kind": message.kind, "message": message.content, "parts": parts,
        "report": message.report, "calendar": message.calendar,
        "encrypted": message.encrypted,
        "defects": defects,
    })
}
