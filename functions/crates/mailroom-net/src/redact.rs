//! Removes credentials from the texts of servers, before they are logged or shown.

use secrecy::{ExposeSecret as _, SecretString};

/// The shortest word, in bytes, that is removed when it is a part of a secret: a server may echo a credential cut
/// anywhere.
const SHORTEST_ECHO: usize = 6;

/// The secrets that are removed from texts.
#[derive(Default)]
pub struct Redactor(Vec<SecretString>);

impl Redactor {
    /// Adds a secret. An empty one is ignored.
    pub fn add(&mut self, secret: SecretString) {
        if !secret.expose_secret().is_empty() {
            self.0.push(secret);
        }
    }

    /// `text` with `…` in place of every secret, and of every word that is a part of one.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.expose_secret(), "…");
        }
        let separators = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | ':');
        let cut: Vec<String> = text
            .split(separators)
            .filter(|token| {
                token.len() >= SHORTEST_ECHO
                    && self.0.iter().any(|secret| secret.expose_secret().contains(token))
            })
            .map(str::to_owned)
            .collect();
        for token in cut {
            text = text.replace(&token, "…");
        }
        text
    }
}
