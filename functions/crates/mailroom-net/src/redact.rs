//! What we log in with, kept out of what a server's words are repeated in.

use secrecy::{ExposeSecret as _, SecretString};

/// What a server may never see quoted: it could be a part of the credential that it echoes, cut anywhere.
const SHORTEST_ECHO: usize = 6;

/// What must not appear in anybody's words.
#[derive(Default)]
pub struct Secrets(Vec<SecretString>);

impl Secrets {
    /// Adds one. An empty one is none.
    pub fn add(&mut self, secret: SecretString) {
        if !secret.expose_secret().is_empty() {
            self.0.push(secret);
        }
    }

    /// `text` without our secrets, whole or cut.
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
