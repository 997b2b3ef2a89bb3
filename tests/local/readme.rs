//! The commands in `infra/README.md`.

use std::fs;

use mailroom_local::toolbox::Toolbox;

/// The first line of a block that goes on while others are typed.
const OWN_TERMINAL: &str = "# in a terminal of its own\n";

/// A block of commands.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The lines as they are typed, each with its line break.
    pub(crate) text: String,
    /// Whether it goes on in a terminal of its own.
    pub(crate) own_terminal: bool,
}

impl Block {
    /// Commands that come to an end by themselves.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: format!("{text}\n"), own_terminal: false }
    }

    /// Commands that go on until they are interrupted.
    pub(crate) fn in_own_terminal(text: &str) -> Self {
        Self { own_terminal: true, ..Self::new(text) }
    }
}

/// The blocks marked `sh` of a section.
pub(crate) fn section(title: &str) -> Vec<Block> {
    let readme = fs::read_to_string(Toolbox::root().join("infra/README.md")).expect("infra/README.md");
    let start = format!("\n## {title}\n");
    let (_, rest) =
        readme.split_once(&start).unwrap_or_else(|| panic!("infra/README.md has no section {title}"));
    let body = rest.split("\n## ").next().unwrap_or_default();
    let blocks: Vec<Block> = body
        .split("\n```sh\n")
        .skip(1)
        .map(|part| {
            let text = part.split("```").next().unwrap_or_default().to_owned();
            Block { own_terminal: text.starts_with(OWN_TERMINAL), text }
        })
        .collect();
    assert!(!blocks.is_empty(), "the section {title} of infra/README.md has no commands");
    blocks
}
