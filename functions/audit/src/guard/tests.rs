use super::*;

/// Passes the bytes in pieces of this length, each command allowed a mebibyte and literals of 100 bytes.
fn pass(bytes: &[u8], piece: usize) -> Result<(), Excess> {
    let mut scan = Scan { bytes_left: 1 << 20, max_literal: 100, ..Scan::default() };
    bytes.chunks(piece).try_for_each(|piece| scan.pass(piece))
}

#[track_caller]
fn assert_pass(bytes: &[u8], expected: Result<(), Excess>) {
    for piece in [1, 2, 3, 7, bytes.len().max(1)] {
        assert_eq!(pass(bytes, piece), expected, "in pieces of {piece}: {}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn what_servers_say_passes() {
    let parentheses = "(".repeat(100);
    for fine in [
        "* OK [CAPABILITY IMAP4rev1] ready {3} \"\r\n",
        "* 3 FETCH (UID 7 FLAGS (\\Seen $x) INTERNALDATE \" 1-Nov-2026 10:00:00 +0000\" RFC822.SIZE 20)\r\n",
        "* 3 FETCH (UID 7 BODY[]<0> {4}\r\n((\"\n)\r\na1 OK done\r\n",
        "* 3 FETCH (UID 7 BODY[] {0}\r\n)\r\n",
        "* 3 FETCH (BODY[] NIL UID 7)\r\n",
        "* BYE \u{e4} (\r\n",
        "+ \r\n",
        // A message may hold anything.
        &format!("* 3 fetch (BODY[] {{100}}\r\n{parentheses})\r\n* 4 EXISTS\r\n"),
    ] {
        assert_pass(fine.as_bytes(), Ok(()));
    }
}

#[test]
fn what_breaks_a_bound_does_not() {
    let long = "x".repeat(MAX_TEXT + 1);
    let deep = "(".repeat(MAX_PARENTHESES + 1);
    for (wrong, why) in [
        (format!("* OK {long}"), Excess::Text),
        (format!("* 1 FETCH (BODYSTRUCTURE {deep}"), Excess::Nesting),
        (format!("* X {deep}"), Excess::Nesting),
        ("* 1 FETCH (BODY[] {101}\r\n".to_owned(), Excess::Literal),
        ("* 1 FETCH (BODY[] {99999999999999999999999}\r\n".to_owned(), Excess::Literal),
        ("* OK [ALERT]\u{fc}\r\n".to_owned(), Excess::Form),
    ] {
        assert_pass(wrong.as_bytes(), Err(why));
    }
    let mut scan = Scan { bytes_left: 10, ..Scan::default() };
    assert_eq!(scan.pass(b"* OK\r\n* OK\r\n"), Err(Excess::Bytes));
}

/// Each of these hides what follows from the scan, if a literal is seen where the parser sees none.
#[test]
fn a_literal_begins_only_where_the_parser_reads_one() {
    for wrong in [
        "* OK {90}\r\n",
        "a1 OK {90}\r\n",
        "* LIST () \"/\" {90}\r\n",
        "* 1 FETCH (X ({90}\r\n) BODYSTRUCTURE (",
        "* 1 FETCH (X a{90}\r\n) BODYSTRUCTURE (",
        "* 1 FETCH (X \"a {90}\r\n\" BODYSTRUCTURE (",
        "* 1 FETCH (X \"a\\\" {90}\r\n",
        "* 1 FETCH (BODY[]{90}\r\n",
        "* 1 FETCH ) {90}\r\n",
        "* 1 FETCH (A B) {90}\r\n",
        "* 1 FETCHX (BODY[] {90}\r\n",
        "* 1 FETCH (A\nB)\r\n",
        "* 1 FETCH (A\rB)\r\n",
    ] {
        assert_pass(wrong.as_bytes(), Err(Excess::Form));
    }
}
