//! How well messages are read, beside other readers. To see the table:
//! `cargo test -p mailroom-tests --test it reply_text -- --nocapture`.

use std::process::Command;

use mailroom_local::toolbox::Toolbox;
use mailroom_tests::readme::Commands;
use mailroom_tests::reply_readers::{OURS, compare};
use serde_json::Value;

#[test]
fn the_reader_prints_a_line_for_each_message_of_a_folder() {
    let document = std::fs::read_to_string(Toolbox::root().join("functions/README.md")).unwrap();
    let commands = Commands::of(&document);
    let shown = commands.iter().find(|one| one.section == "How messages are read").unwrap();
    let words: Vec<&str> = shown.first_line().split(' ').collect();
    let [program, arguments @ .., folder] = words.as_slice() else { panic!("{words:?}") };
    let mut command = Command::new(program);
    command.args(arguments).arg(folder).current_dir(Toolbox::root());
    // Linking as for a deployment takes minutes.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files = std::fs::read_dir(Toolbox::root().join(folder)).unwrap();
    let messages = files.filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "eml").count();
    assert_eq!(lines.len(), messages);
    let case = lines.iter().find(|line| line["file"] == "c30-hz-gb-2312.eml").unwrap();
    assert_eq!((&case["kind"], &case["message"]["subject"]), (&"message".into(), &"你好".into()));
    assert!(case["microseconds"].is_u64() && case["bytes"].as_u64().unwrap() > 0, "{case}");
}

#[test]
fn reply_text_has_more_of_what_was_written_and_less_else_than_any_other_reader_finds() {
    let all = compare();
    for (reader, results) in &all {
        println!("{reader:22} {}", results.row());
    }
    let ours = all[OURS].score;
    assert!(ours.samples > 300 && all.len() > 4, "{} samples, {} readers", ours.samples, all.len());
    for (reader, results) in all.iter().filter(|(reader, _)| *reader != OURS) {
        assert!(ours.recall() > results.score.recall(), "{reader}: {}", results.row());
        assert!(ours.precision() > results.score.precision(), "{reader}: {}", results.row());
    }
}
