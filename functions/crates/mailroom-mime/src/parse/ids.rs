//! Message ids of header fields (RFC 5322 §3.6.4).

use super::header::Block;
use super::limits::{MAX_ID_BYTES, MAX_IDS};
use super::{charset, encoded_word};

/// Message ids, in order and without angle brackets.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) ids: Vec<String>,
    /// Whether some were left out, or one was cut.
    pub(super) cut: bool,
}

impl Ids {
    /// The ids of the first field called `name`.
    ///
    /// What is not in brackets is passed over, as `In-Reply-To` once held phrases (§4.5.4); where there are no
    /// brackets at all, words that look like ids are taken.
    pub(super) fn read(block: &Block<'_>, name: &str) -> Self {
        // No id holds an encoded word, but some programs fold long ids into them.
        let value = encoded_word::decode(&block.first(name).unwrap_or_default());
        let mut found = Self::default();
        for text in value.split('<').skip(1) {
            found.push(text.split_once('>').map_or("", |(id, _)| id));
        }
        if found.ids.is_empty() {
            for word in value.split([' ', '\t', ',']).filter(|word| word.contains('@')) {
                found.push(word.trim_matches(['<', '>', '"']));
            }
        }
        if found.ids.len() > MAX_IDS {
            found.cut = true;
            found.ids.drain(1..found.ids.len() - (MAX_IDS - 1));
        }
        found
    }

    /// The id of the `Message-ID` field, alone: the first in brackets, or else the whole value, if it is one word.
    pub(super) fn own(block: &Block<'_>) -> Self {
        let mut found = Self::read(block, "Message-ID");
        found.ids.truncate(1);
        if found.ids.is_empty() {
            let value = block.first("Message-ID").unwrap_or_default();
            found.push(value.trim_matches(['<', '>', ' ']));
        }
        found
    }

    /// Adds an id without the spaces that folding leaves in it.
    fn push(&mut self, text: &str) {
        let mut id: String = text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        self.cut |= charset::cut(&mut id, MAX_ID_BYTES);
        if !id.is_empty() {
            self.ids.push(id);
        }
    }
}
