//! Compressed RTF ([MS-OXRTFCP]).
//!
//! The crate for it (`compressed-rtf` 1.0) panics on fewer than 16 bytes and allocates what a message announces; the
//! tests hold this against it.

use super::little_endian::Reader;

/// Bytes that are decompressed at most: the markup of a body may take several times its text.
pub(super) const MAX_RTF_BYTES: usize = 4 * 1024 * 1024;

const COMPRESSED: u32 = 0x7546_5a4c;
const UNCOMPRESSED: u32 = 0x414c_454d;

/// What the dictionary holds at the beginning (§2.1.2.1).
const BEGINNING: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
    \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

const DICTIONARY_BYTES: usize = 4096;

/// The RTF, and whether it is whole.
pub(super) fn decompress(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut reader = Reader { rest: bytes };
    // The size of what follows, the size without compression, the kind, a checksum.
    let header = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
    let [Some(_), Some(size), Some(kind), Some(_)] = header else { return (Vec::new(), false) };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    match kind {
        UNCOMPRESSED => {
            let length = size.min(reader.rest.len()).min(MAX_RTF_BYTES);
            (reader.rest.get(..length).unwrap_or_default().to_vec(), length == size)
        }
        COMPRESSED => {
            let mut dictionary = Dictionary::new();
            let ended = dictionary.expand(&mut reader).is_some();
            (dictionary.written, ended)
        }
        _ => (Vec::new(), false),
    }
}

/// The last 4096 bytes that were written, as a ring.
struct Dictionary {
    ring: [u8; DICTIONARY_BYTES],
    at: usize,
    written: Vec<u8>,
}

impl Dictionary {
    fn new() -> Self {
        let mut ring = [0; DICTIONARY_BYTES];
        for (to, from) in ring.iter_mut().zip(BEGINNING) {
            *to = *from;
        }
        Self { ring, at: BEGINNING.len(), written: Vec::new() }
    }

    /// Expands up to the mark of the end; `None` where the mark is missing, or too much would be written.
    fn expand(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        loop {
            let control = reader.u8()?;
            for bit in 0..8 {
                if self.written.len() >= MAX_RTF_BYTES {
                    return None;
                }
                if control >> bit & 1 == 0 {
                    let byte = reader.u8()?;
                    self.write(byte);
                    continue;
                }
                let reference = u16::from_be_bytes([reader.u8()?, reader.u8()?]);
                let from = usize::from(reference >> 4);
                if from == self.at {
                    return Some(());
                }
                for n in 0..usize::from(reference & 0xf) + 2 {
                    let byte = self.ring.get((from + n) % DICTIONARY_BYTES).copied()?;
                    self.write(byte);
                }
            }
        }
    }

    fn write(&mut self, byte: u8) {
        self.written.push(byte);
        if let Some(place) = self.ring.get_mut(self.at) {
            *place = byte;
        }
        self.at = (self.at + 1) % DICTIONARY_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The examples of §4.1 and §4.2.
    #[test]
    fn the_specifications_examples_are_read() {
        let simple = hex::decode("2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232 0af32068656c09002062770 5b06c647d0a800fa0".replace(' ', "")).unwrap();
        let (text, whole) = decompress(&simple);
        assert_eq!((&text[..], whole), (&b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"[..], true));
        let crossing = hex::decode("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0").unwrap();
        let (text, whole) = decompress(&crossing);
        assert_eq!((&text[..], whole), (&b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"[..], true));
    }

    #[test]
    fn what_would_grow_without_end_is_cut() {
        // Each pair of bytes stands for 17, and none of them for the end.
        let mut bytes = [0_u8; 16].to_vec();
        bytes[8..12].copy_from_slice(&COMPRESSED.to_le_bytes());
        let mut at = u16::try_from(BEGINNING.len()).unwrap();
        for _ in 0..60_000 {
            bytes.extend([0xff]);
            for _ in 0..8 {
                bytes.extend(((((at + 1) % 4096) << 4) | 0xf).to_be_bytes());
                at = (at + 17) % 4096;
            }
        }
        let (text, whole) = decompress(&bytes);
        assert!(text.len() < MAX_RTF_BYTES + 17 && !whole, "{}", text.len());
    }

    proptest! {
        #[test]
        fn what_another_program_compresses_comes_back(text in "[ -~]{0,300}([a-c]{0,40}){0,20}") {
            let compressed = compressed_rtf::compress_rtf(&text).unwrap();
            prop_assert_eq!(decompress(&compressed), (text.clone().into_bytes(), true));
            let plain = compressed_rtf::encode_rtf(&text).unwrap();
            prop_assert_eq!(decompress(&plain), (text.into_bytes(), true));
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..500), kind in any::<bool>()) {
            if let Some(place) = bytes.get_mut(8..12) {
                place.copy_from_slice(&(if kind { COMPRESSED } else { UNCOMPRESSED }).to_le_bytes());
            }
            decompress(&bytes);
        }
    }
}
