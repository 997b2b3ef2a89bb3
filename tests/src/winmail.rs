//! Files of the format of `winmail.dat`, as real programs wrote them, and what another reader finds in them: the test data
//! of tnefparse (LGPL-3.0), from PyPI, which is not copied here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use mailroom_local::toolbox::Toolbox;
use serde_json::Value;

use crate::or_panic::or_panic;

/// The reader; its source has the files.
const READER: &str = "tnefparse==1.4.0";

/// Prints, for each file, the names and sizes of the attachments in it.
const SCRIPT: &str = "import json, pathlib, sys
from tnefparse import TNEF
def read(path):
    found = TNEF(path.read_bytes(), do_checksum=False).attachments
    # It leaves out zeros at the end of some.
    return [[str(one.long_filename()), len(bytes(one.data).rstrip(b'\\0'))] for one in found]
print(json.dumps({path.name: read(path) for path in pathlib.Path(sys.argv[1]).glob('*.tnef')}))";

/// A file, and the names and sizes of what the other reader finds in it.
pub type Sample = (Vec<u8>, Vec<(String, usize)>);

/// All files by their names.
///
/// # Panics
/// When PyPI cannot be reached, or the other reader fails.
#[must_use]
pub fn samples() -> BTreeMap<String, Sample> {
    let toolbox = Toolbox::here();
    let programs = or_panic(toolbox.install("tnefparse", &[READER, "setuptools"], "tnefparse"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let downloaded = folder.path().to_str().expect("a path in UTF-8");
    let options = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", downloaded, READER];
    run(Command::new(programs.join("pip")).args(options));
    run(Command::new("tar").args(["xzf", "tnefparse-1.4.0.tar.gz"]).current_dir(downloaded));
    let files: PathBuf = folder.path().join("tnefparse-1.4.0/tests/examples");
    let printed = run(Command::new(programs.join("python")).args(["-c", SCRIPT]).arg(&files));
    let found: BTreeMap<String, Value> = serde_json::from_str(&printed).expect("JSON");
    let sample = |(name, found): (String, Value)| {
        let pair = |one: &Value| {
            let size = one[1].as_u64().and_then(|size| usize::try_from(size).ok()).expect("a size");
            (one[0].as_str().expect("a name").to_owned(), size)
        };
        let found = found.as_array().expect("a list").iter().map(pair).collect();
        let bytes = std::fs::read(files.join(&name)).expect("a file");
        (name, (bytes, found))
    };
    found.into_iter().map(sample).collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
