//! Bodies that are broken or made to hurt: nothing fails, nothing is made up, nothing takes long.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::of;
use super::lines;

/// Within a time that even a slow machine has, where anything quadratic would take minutes.
#[test]
#[expect(clippy::disallowed_methods, reason = "the real time it takes is what is tested")]
fn the_largest_body_of_anything_costs_little() {
    let pieces = [
        "On ",
        "On 1 May 2026 at 10:30 a@b.c wrote",
        "wrote:\n",
        "On 2026 10:30\n",
        "From: a@b\n",
        "From:\n\n",
        "Subject: x\nFrom: y\n",
        "-----Original Message-----\n",
        "-- \n",
        "--\n",
        "> \n",
        ">",
        "a\n> b\n",
        "-",
        "_\n",
        "Sent from my \n",
        "\n",
        "confidential ",
        "confidential\n\n",
        "CAUTION: external\n",
        "ß",
        "写道",
        "Disclaimer\n\n",
        "a\n",
        "*",
        "<blockquote>a",
        "<div>On 1 May 2026 at 10:30 wrote:",
    ];
    let start = Instant::now();
    for piece in pieces {
        let body = piece.repeat(260_000 / piece.len());
        of(Some(&body), Some(&body));
        of(None, Some(&body));
    }
    assert!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
}

fn nearly_a_reply() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "On Mon, 2 Nov 2026 at 09:15, Ben <b@example.org> wrote:", "wrote:", "Am 2.11.26 um 9:15 schrieb Ben:", "> quoted", ">", ">:",
            "From: Ben <b@example.org>", "Sent: Monday", "To: a@b.c", "Subject: x", "-----Original Message-----", "-- ", "--", "Sent from my iPhone",
            "Disclaimer", "own", "x On 1 May 2026 at 10:30, b@c wrote:", "--- ", "____", "CAUTION: external", "", "写道：", "ß",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
    ];
    prop::collection::vec(piece, 0..25).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    /// Each line found is one of the body, or how one begins; never is there nothing where something is said to be.
    #[test]
    fn nothing_is_made_up(body in nearly_a_reply()) {
        if let Some(found) = of(Some(&body), None) {
            let all = lines(&body);
            prop_assert!(!found.trim().is_empty());
            for line in lines(&found) {
                prop_assert!(all.iter().any(|known| known.starts_with(&line)), "{}", line);
            }
        }
        of(None, Some(&body));
    }

    /// Without any mark of a quote or a signature, all of it was written now.
    #[test]
    fn a_letter_stays_whole(words in prop::collection::vec("[a-zäöüж]{1,9}( [a-zäöüж]{1,9}){0,8}[.?!]", 1..12)) {
        let body = words.join("\n");
        prop_assert_eq!(of(Some(&body), None), Some(body));
    }
}
