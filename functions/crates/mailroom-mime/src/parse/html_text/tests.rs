use proptest::prelude::*;

use super::{Role, lines, text};

#[test]
fn a_reader_sees_lines() {
    for (html, wanted) in [
        ("", ""),
        ("<p>a  b\n c</p><p>d&amp;&nbsp;e &euro;</p>", "a b c\n\nd& e €\n"),
        ("a<br>b<br><br>c", "a\nb\n\nc\n"),
        ("<div>a</div><div><br></div><div>b</div>", "a\n\nb\n"),
        ("<p class=MsoNormal>a</p><p class=MsoNormal>b</p>", "a\nb\n"),
        ("<ul><li>one<li>two</ul>", "- one\n- two\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc\n"),
        ("<a href='https://example.org/x'>here</a>.", "here <https://example.org/x>.\n"),
        (
            "<a href='https://example.org/'>example.org</a> <a href='mailto:a@b.c'>Ann</a>",
            "example.org Ann\n",
        ),
        ("<title>t</title><style>p {}</style><script>if (a < b) {}</script>x<!-- y -->", "x\n"),
        ("<div style='display: none'>pre<div>header</div></div>seen", "seen\n"),
        (
            "a<blockquote type=cite>b<blockquote type=cite>c</blockquote></blockquote>d",
            "a\n\n> b\n>\n>> c\n\nd\n",
        ),
        ("Ann <ann@example.org> wrote", "Ann <ann@example.org> wrote\n"),
        ("<pre>a\n  b</pre>", "a\n  b\n"),
        ("<img src=x alt=Logo> <img src=y>", "Logo\n"),
        ("zero\u{200b}width\u{ad}", "zerowidth\n"),
        ("&#0;&#x1F600;&#xD800;&bogus;<", "\u{fffd}😀\u{fffd}&bogus;<\n"),
    ] {
        assert_eq!(text(html), wanted, "{html}");
    }
}

#[test]
fn the_markup_of_clients_gives_lines_their_roles() {
    let html = "<div>own</div><div class='gmail_signature'>sig</div><div class=gmail_attr>On x:</div>\
        <blockquote class=gmail_quote>q<div>r</div></blockquote><blockquote>in</blockquote>\
        <div class='ydp1yahoo_quoted'>y<div>z</div></div>after<div id=divRplyFwdMsg>h</div>";
    let roles: Vec<(String, Role)> = lines(html)
        .into_iter()
        .filter(|line| !line.text.is_empty())
        .map(|line| (line.text, line.role))
        .collect();
    let wanted = [
        ("own", Role::Plain),
        ("sig", Role::Signature),
        ("On x:", Role::Attribution),
        ("q", Role::Quoted),
        ("r", Role::Quoted),
        ("in", Role::Indented),
        ("y", Role::Quoted),
        ("z", Role::Quoted),
        ("after", Role::Plain),
        ("h", Role::History),
    ];
    assert_eq!(roles, wanted.map(|(text, role)| (text.to_owned(), role)));
}

/// Lines and bytes never outgrow the document: what is inside each other costs what it costs side by side.
#[test]
fn elements_inside_each_other_give_no_more_than_they_hold() {
    let pieces = [
        "<div>",
        "<div>x",
        "<blockquote>",
        "<blockquote>x",
        "</div>",
        "<",
        "<!--",
        "<a href=x ",
        "<a b=c d",
        "&",
        "&#",
        "&amp",
        "<b><i><p>",
        "<table><tr><td>",
        "<pre>\n",
        "<br>",
        "<style>",
        "<![if",
        "<div class=gmail_quote style=display:none>",
        "<div id=divRplyFwdMsg>x",
        "\u{a0}",
        "<svg><title>",
        "<li>",
        "<hr>",
        "<x@y.z>",
    ];
    for piece in pieces {
        let size = if piece == "<div>x" { 5_000_000 } else { 300_000 };
        let html = piece.repeat(size / piece.len());
        let lines = lines(&html);
        let size: usize = lines.iter().map(|line| line.text.len() + 1).sum();
        assert!(size <= html.len() * 4, "{piece}: {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn no_html_makes_it_fail(html in "(<[a-z/!]{0,10}[ a-z='\"]{0,9}>?|&[#a-z0-9]{0,4};?|<blockquote>|</blockquote>|<pre>|[\\PC\n]{0,5}){0,60}") {
        for line in lines(&html) {
            prop_assert!(!line.text.contains('\n'));
        }
        text(&html);
    }
}
