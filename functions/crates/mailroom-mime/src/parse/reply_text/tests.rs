//! Labelled messages: what [`of`] finds in each, against what its author wrote.
//!
//! A sample is a body, `.txt` or `.html`; beside it, with `.own` behind its name, is what was written now, empty where
//! that is nothing. `samples/README.md` says where each folder comes from.

mod hostile;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mailroom_fuzzing::score::{Score, lines};

use super::of;

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// Recall is the lines of authors that were found, precision the lines found that are an author's.
#[test]
fn what_was_written_is_found_and_little_else() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/parse/reply_text/tests/samples"));
    let mut scores = BTreeMap::new();
    for folder in entries(root).into_iter().filter(|path| path.is_dir()) {
        let origin = folder.file_name().unwrap().to_string_lossy().into_owned();
        for body in entries(&folder) {
            let extension = body.extension().unwrap().to_string_lossy().into_owned();
            if extension == "own" {
                continue;
            }
            let text = std::fs::read_to_string(&body).unwrap();
            let wanted = std::fs::read_to_string(format!("{}.own", body.display())).unwrap();
            let found = if extension == "html" { of(None, Some(&text)) } else { of(Some(&text), None) };
            assert!(found.as_ref().is_none_or(|found| !found.trim().is_empty()));
            let (found, wanted) = (lines(&found.unwrap_or_default()), lines(&wanted));
            if found != wanted {
                let lost: Vec<&String> = wanted.iter().filter(|line| !found.contains(line)).collect();
                let kept: Vec<&String> = found.iter().filter(|line| !wanted.contains(line)).collect();
                eprintln!("{}: lost {lost:?}, kept {kept:?}", body.strip_prefix(root).unwrap().display());
            }
            scores.entry(origin.clone()).or_insert_with(Score::default).add(&found, &wanted);
        }
    }
    let total = scores.values().copied().reduce(Score::plus).unwrap();
    scores.insert("all".to_owned(), total);
    for (origin, score) in &scores {
        eprintln!(
            "{origin:20} {:4} messages, {:4} exact, {:2} missed; lines: recall {:4} ‰, precision {:4} ‰",
            score.samples,
            score.exact,
            score.missed,
            score.recall(),
            score.precision(),
        );
    }
    assert!(total.samples > 300);
    assert!(total.recall() >= 995, "recall {} ‰", total.recall());
    assert!(total.precision() >= 950, "precision {} ‰", total.precision());
    assert!(total.missed <= 1, "{} missed", total.missed);
}

#[test]
fn the_html_is_asked_where_the_text_shows_no_history() {
    let html = "<div>Yes.</div><div class=gmail_signature>Ann Roe<br>Example Ltd</div>";
    assert_eq!(of(Some("Yes.\nAnn Roe\nExample Ltd\n"), Some(html)).as_deref(), Some("Yes."));
    assert_eq!(of(Some("Yes.\n> No?\n"), Some("<p>other")).as_deref(), Some("Yes."));
    assert_eq!(of(Some("Yes."), Some("<p>Yes, indeed")).as_deref(), Some("Yes."));
    assert_eq!(of(Some(" \n"), Some("<p>Yes")).as_deref(), Some("Yes"));
    assert_eq!(of(None, None), None);
}
