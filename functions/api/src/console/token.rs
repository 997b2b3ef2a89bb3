//! Proof that a form is ours: a random token, in a cookie and in each form. A page of another site can have a form sent,
//! and can neither read the cookie nor set it.

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::http::request::Request;

/// The cookie's name where browsers reach the console by https: no other host of the domain can set it.
const COOKIE: &str = "__Host-mailroom-form";

/// The cookie's name where they reach it without, as on this machine: browsers take the other one by https only.
const PLAIN_COOKIE: &str = "mailroom-form";

/// The name of the field that repeats the token.
pub(crate) const FIELD: &str = "token";

/// The length of a token: 16 bytes in hexadecimal.
const LENGTH: usize = 32;

/// The token of a browser.
pub(crate) struct Token {
    text: String,
    is_new: bool,
    secure: bool,
}

impl Token {
    /// The token that the browser has, or a new one; `None` where the system gives no random bytes.
    pub(crate) fn of(request: &Request, secure: bool) -> Option<Self> {
        let is_token =
            |text: &&str| text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(text) = request.cookies(name(secure)).find(is_token) {
            return Some(Self { text: text.to_owned(), is_new: false, secure });
        }
        Some(Self { text: random()?, is_new: true, secure })
    }

    /// What forms repeat.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The cookie to set, if the browser does not have it.
    pub(crate) fn cookie(&self) -> Option<String> {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie =
            // Lax, because Strict would be left out of the way back from a provider, and a new one would void open forms.
            || format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", name(self.secure), self.text);
        self.is_new.then(cookie)
    }

    /// Whether a form that was sent with `field` comes from a page of ours.
    pub(crate) fn admits(&self, request: &Request, field: &str) -> bool {
        let same_origin = match (request.header("sec-fetch-site"), request.header("origin")) {
            (Some(site), _) => site == "same-origin",
            // A browser that is older than the header: the host has to be the one that it talks to.
            (None, Some(origin)) => {
                let host = origin.split_once("://").map(|(_, host)| host);
                host.is_some() && host == request.header("host")
            }
            (None, None) => true,
        };
        same_origin && !self.is_new && equal(field.as_bytes(), self.text.as_bytes())
    }
}

/// 16 random bytes in hexadecimal.
pub(crate) fn random() -> Option<String> {
    let mut bytes = [0; LENGTH / 2];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

const fn name(secure: bool) -> &'static str {
    if secure { COOKIE } else { PLAIN_COOKIE }
}

/// Compares in a time that does not tell where the difference is.
fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TEXT: &str = "0123456789abcdef0123456789abcdef";

    fn admits(cookies: &[&str], headers: &Value, field: &str) -> bool {
        let request = Request::parse(json!({
            "rawPath": "/console", "headers": headers, "cookies": cookies,
            "requestContext": {"http": {"method": "POST"}},
        }))
        .unwrap();
        Token::of(&request, true).unwrap().admits(&request, field)
    }

    #[test]
    fn only_a_form_of_ours_is_admitted() {
        let ours = format!("__Host-mailroom-form={TEXT}");
        let same = json!({"sec-fetch-site": "same-origin"});
        assert!(admits(&[&ours], &same, TEXT));
        assert!(admits(&[&ours], &json!({"origin": "https://a.example", "host": "a.example"}), TEXT));
        for (cookies, headers, field) in [
            (vec![ours.as_str()], json!({"sec-fetch-site": "cross-site"}), TEXT),
            (vec![&ours], json!({"sec-fetch-site": "same-site"}), TEXT),
            (vec![&ours], json!({"origin": "https://b.example", "host": "a.example"}), TEXT),
            (vec![&ours], json!({"origin": "null", "host": "a.example"}), TEXT),
            (vec![&ours], same.clone(), ""),
            (vec![&ours], same.clone(), "0123456789abcdef0123456789abcdee"),
            (vec![], same.clone(), TEXT),
            // Another host of the domain can set this one.
            (vec!["mailroom-form=0123456789abcdef0123456789abcdef"], same, TEXT),
        ] {
            assert!(!admits(&cookies, &headers, field), "{cookies:?} {headers} {field}");
        }
    }
}
