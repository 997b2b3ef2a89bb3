//! The small page at the end of a sign-in.

/// What a page tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// The person is signed in.
    Success,
    /// The sign-in failed.
    Failure,
}

/// A page with a heading and sentences, and a link to where the person goes on, if that is a page of ours. All of it is
/// escaped: some comes from a provider.
pub(crate) fn page(kind: PageKind, heading: &str, sentences: &[&str], back: Option<&str>) -> String {
    let (sign, colour) = match kind {
        PageKind::Success => ("✓", "#1a7f37"),
        PageKind::Failure => ("!", "#b3261e"),
    };
    let text: String = sentences.iter().map(|sentence| format!("<p>{}</p>\n", escaped(sentence))).collect();
    let back = back.map(|url| format!("<p><a href=\"{}\">Back to your mailbox</a></p>\n", escaped(url)));
    let text = text + &back.unwrap_or_default();
    let heading = escaped(heading);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{heading} – Mailroom</title>\n<style>\n\
         body {{ font: 1.05rem/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center; }}\n\
         main {{ max-width: 34rem; padding: 2rem; overflow-wrap: anywhere; }}\n\
         h1 {{ font-size: 1.5rem; display: flex; gap: .75rem; align-items: center; }}\n\
         h1 span {{ flex: none; width: 2.25rem; height: 2.25rem; border-radius: 50%; display: grid; place-items: center; \
         background: {colour}; color: #fff; }}\n\
         </style>\n</head>\n<body>\n<main>\n<h1><span aria-hidden=\"true\">{sign}</span>{heading}</h1>\n{text}</main>\n\
         </body>\n</html>\n"
    )
}

/// Text in HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_provider_says_is_text() {
        let page = page(PageKind::Failure, "No", &["<script>alert('a')</script> \"&\""], Some("/a?b&c"));
        assert!(page.contains("<a href=\"/a?b&amp;c\">"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;a&#39;)&lt;/script&gt; &quot;&amp;&quot;"), "{page}");
        assert_eq!(page.matches("<p>").count(), 2);
    }
}
