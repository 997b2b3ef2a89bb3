//! The commands that a document shows: its fenced `sh` blocks, and what it says that they print.

/// What a document shows in place of text that differs from run to run.
const ANYTHING: char = '…';

/// One `sh` block of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// The heading that the block stands under, without its marks.
    pub section: String,
    /// The lines of the block, to be run in one shell.
    pub text: String,
    /// What the document says they print: the block that follows, in another language than `sh`, with at most one line
    /// between.
    pub output: Option<String>,
}

impl Commands {
    /// Finds all `sh` blocks of a document, in order.
    #[must_use]
    pub fn of(document: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let (mut section, mut after) = (String::new(), None);
        let mut lines = document.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
                let text = block.join("\n");
                if language == "sh" {
                    found.push(Self { section: section.clone(), text, output: None });
                    after = Some(0);
                } else if after.take().is_some_and(|between| between <= 1)
                    && let Some(commands) = found.last_mut()
                {
                    commands.output = Some(text);
                }
            } else if line.starts_with('#') {
                line.trim_start_matches(['#', ' ']).clone_into(&mut section);
                after = None;
            } else if !line.is_empty() {
                after = after.map(|between| between + 1);
            }
        }
        found
    }

    /// The first line that is not a comment: what a person would call the block by.
    #[must_use]
    pub fn first_line(&self) -> &str {
        let mut lines = self.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.next().unwrap_or_default()
    }

    /// Whether the commands only read, so that they can be repeated until they print what is shown.
    #[must_use]
    pub fn only_look(&self) -> bool {
        !["--json", " -X ", " -d ", "send-message"].iter().any(|change| self.text.contains(change))
    }

    /// Whether the document shows this output: `…` in it stands for any text.
    #[must_use]
    pub fn show(&self, printed: &str) -> bool {
        let mut pieces = self.output.as_deref().unwrap_or_default().trim().split(ANYTHING);
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = printed.trim().strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces {
            let Some((_, after)) = rest.split_once(piece) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}
