//! Reads every message of a folder and prints one JSON line for each: its file, the microseconds it took, and what
//! a flow would receive. Two versions of the reader are compared by comparing their output. At the end, to the error
//! output: the times, and how many messages are of which kind, for each origin that the second column of the folder's
//! `INDEX.tsv` names.
//!
//! `cargo run -p mailroom-mime --example read -- [--repeat N] FOLDER`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mailroom_mime::parse::{ParsedMessage, parse_message};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (repeat, folder) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--repeat", times, folder] => (times.parse()?, PathBuf::from(folder)),
        [folder] => (1, PathBuf::from(folder)),
        _ => return Err("usage: read [--repeat N] FOLDER".into()),
    };
    let mut out = std::io::stdout().lock();
    let origins = origins(&folder);
    let (mut times, mut kinds) = (Vec::new(), BTreeMap::new());
    for file in files(&folder)?.into_iter().filter(|file| !file.ends_with(INDEX)) {
        let raw = std::fs::read(&file)?;
        let name = file.strip_prefix(&folder)?.to_string_lossy().into_owned();
        let time = fastest(&raw, repeat);
        let microseconds = u64::try_from(time.as_micros())?;
        let message = parse_message(&raw);
        writeln!(out, "{}", line(&name, microseconds, &message))?;
        times.push(microseconds);
        let origin = origins.get(&name).map_or("", String::as_str);
        *kinds.entry((origin, format!("{:?}", message.kind))).or_insert(0_usize) += 1;
    }
    summary(&mut times, &kinds)?;
    Ok(())
}

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

fn summary(times: &mut [u64], kinds: &BTreeMap<(&str, String), usize>) -> std::io::Result<()> {
    times.sort_unstable();
    let at = |per_cent: usize| times.get((times.len() * per_cent / 100).min(times.len().saturating_sub(1)));
    let [half, most, all] = [50, 99, 100].map(|per_cent| at(per_cent).copied().unwrap_or_default());
    let mut errors = std::io::stderr().lock();
    writeln!(errors, "{} messages: p50 {half} µs, p99 {most} µs, longest {all} µs", times.len())?;
    for ((origin, kind), count) in kinds {
        writeln!(errors, "{origin:>20} {kind:<11} {count:5}")?;
    }
    Ok(())
}

/// The files below `folder`, sorted, so that two runs print the same order.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
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

/// What a flow receives; the parts are not stored, and have no keys.
fn line(file: &str, microseconds: u64, message: &ParsedMessage<'_>) -> Value {
    let mut parts: Vec<Value> =
        message.parts.iter().map(|part| json!(part.attachment(String::new()))).collect();
    for part in &mut parts {
        part.as_object_mut().and_then(|part| part.remove("key"));
    }
    let defects: Vec<String> = message.defects.iter().map(|defect| format!("{defect:?}")).collect();
    json!({
        "file": file, "microseconds": microseconds, "kind": message.kind, "message": message.content, "parts": parts,
        "report": message.report, "calendar": message.calendar,
        "encrypted": message.encrypted,
        "defects": defects,
    })
}
