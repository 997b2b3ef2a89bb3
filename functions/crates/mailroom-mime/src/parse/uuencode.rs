//! Files in the middle of a text, as mail had them before MIME (POSIX `uuencode`).

/// A file that was in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its name, in an unknown charset.
    pub(super) name: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

/// A text without its files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) text: Vec<u8>,
    pub(super) files: Vec<File>,
}

/// Whether a text may hold files, at little cost.
pub(super) fn may_hold_files(text: &[u8]) -> bool {
    lines(text).any(|line| name(line).is_some())
}

/// Takes at most `most` files out of a text. What does not end as a file does stays in the text. One pass: within a file no
/// line can begin another.
pub(super) fn split(text: &[u8], most: usize) -> Split {
    let mut split = Split { text: Vec::with_capacity(text.len()), files: Vec::new() };
    let mut rest = text;
    while let Some(line) = next_line(rest) {
        let behind = rest.get(line.len()..).unwrap_or_default();
        match name(line).filter(|_| split.files.len() < most) {
            None => {
                split.text.extend_from_slice(line);
                rest = behind;
            }
            Some(name) => match data(behind) {
                Ok((bytes, length)) => {
                    split.files.push(File { name: name.to_vec(), bytes });
                    rest = behind.get(length..).unwrap_or_default();
                }
                Err(length) => {
                    let (kept, behind) = rest.split_at((line.len() + length).min(rest.len()));
                    split.text.extend_from_slice(kept);
                    rest = behind;
                }
            },
        }
    }
    split
}

/// Decodes one line of a file to `bytes`: a character for the length, and four characters for each three bytes. Spaces at
/// the end may be missing.
pub(super) fn decode_line(line: &[u8], bytes: &mut Vec<u8>) {
    let Some((&length, data)) = line.split_first() else { return };
    let wanted = bytes.len() + usize::from(six_bits(length));
    for group in data.chunks(4) {
        let value = (0..4).fold(0_u32, |value, at| {
            value << 6 | u32::from(six_bits(group.get(at).copied().unwrap_or(b' ')))
        });
        let [_, high, middle, low] = value.to_be_bytes();
        bytes.extend([high, middle, low]);
    }
    bytes.truncate(wanted);
}

fn six_bits(character: u8) -> u8 {
    character.wrapping_sub(b' ') & 0x3f
}

/// The bytes of a file whose first line is behind us, and how long it is with its last line; or how long what is no file
/// is.
fn data(text: &[u8]) -> Result<(Vec<u8>, usize), usize> {
    let (mut bytes, mut length, mut ended) = (Vec::new(), 0, false);
    while let Some(whole) = next_line(text.get(length..).unwrap_or_default()) {
        let line = whole.trim_ascii_end();
        if line == b"end" && !bytes.is_empty() {
            return Ok((bytes, length + whole.len()));
        }
        let is_data = line.iter().all(|byte| (b' '..=b'`').contains(byte));
        if !is_data || (ended && !line.is_empty()) {
            return Err(length);
        }
        let count = line.first().map_or(0, |first| usize::from(six_bits(*first)));
        // Some programs add a character that checks the line.
        if line.len() > count.div_ceil(3) * 4 + 2 {
            return Err(length);
        }
        ended = count == 0;
        decode_line(line, &mut bytes);
        length += whole.len();
    }
    Err(length)
}

/// The name in the first line of a file: `begin`, the mode in octal, the name.
fn name(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"begin ")?.trim_ascii();
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let (mode, name) = rest.split_at(space);
    let is_mode = (3..=4).contains(&mode.len()) && mode.iter().all(|byte| (b'0'..=b'7').contains(byte));
    Some(name.trim_ascii()).filter(|name| is_mode && !name.is_empty())
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

fn next_line(text: &[u8]) -> Option<&[u8]> {
    lines(text).next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the program writes it, with a grave accent for zero.
    fn encoded(name: &str, bytes: &[u8]) -> String {
        let character = |bits: u32| match bits & 0x3f {
            0 => '`',
            bits => char::from(u8::try_from(bits + 32).unwrap()),
        };
        let mut text = format!("begin 644 {name}\n");
        for line in bytes.chunks(45) {
            text.push(character(u32::try_from(line.len()).unwrap()));
            for group in line.chunks(3) {
                let byte = |at| u32::from(group.get(at).copied().unwrap_or_default());
                let value = byte(0) << 16 | byte(1) << 8 | byte(2);
                text.extend([18, 12, 6, 0].map(|shift| character(value >> shift)));
            }
            text.push('\n');
        }
        text.push_str("`\nend\n");
        text
    }

    #[test]
    fn a_file_is_taken_out_of_its_text() {
        let text = "Hello,\n\nbegin 644 cat.txt\n#0V%T\n`\nend\n\nBye\n";
        let split = split(text.as_bytes(), 10);
        assert_eq!(String::from_utf8_lossy(&split.text), "Hello,\n\n\nBye\n");
        assert_eq!(split.files, [File { name: b"cat.txt".to_vec(), bytes: b"Cat".to_vec() }]);
    }

    #[test]
    fn what_only_looks_like_a_file_stays() {
        for text in [
            "begin 644 cat.txt\n#0V%T\n`\n",
            "begin 644 cat.txt\n#0V%T\nHello there, said the cat.\nend\n",
            "begin with 644 cats\nend\n",
            "begin 644 \nend\n",
            "begin 644 empty\n`\nend\n",
            "We begin 644 cat.txt\n#0V%T\n`\nend\n",
            "begin 999 cat.txt\n#0V%T\n`\nend\n",
        ] {
            let split = split(text.as_bytes(), 10);
            assert_eq!((String::from_utf8_lossy(&split.text).as_ref(), split.files.len()), (text, 0));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            files in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..4),
            crlf in any::<bool>(),
        ) {
            let mut text = String::from("before\n");
            for (n, bytes) in files.iter().enumerate() {
                text.push_str(&encoded(&format!("{n} a.bin"), bytes));
                text.push_str("between\n");
            }
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            let split = split(text.as_bytes(), 10);
            let found: Vec<&[u8]> = split.files.iter().map(|file| file.bytes.as_slice()).collect();
            prop_assert_eq!(found, files.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let rest = String::from_utf8(split.text).unwrap().replace("\r\n", "\n");
            prop_assert_eq!(rest, format!("before\n{}", "between\n".repeat(files.len())));
        }

        #[test]
        fn no_text_is_lost(text in "(begin 644 a\n|#0V%T\n|`\n|end\n|x\n|\n){0,30}") {
            let found = split(text.as_bytes(), 2);
            let encoded: usize = found.files.iter().map(|file| file.bytes.len()).sum();
            prop_assert!(found.text.len() + encoded <= text.len());
            prop_assert_eq!(may_hold_files(text.as_bytes()), text.lines().any(|line| line.starts_with("begin ")));
            if found.files.is_empty() {
                prop_assert_eq!(found.text, text.as_bytes());
            }
        }
    }
}
