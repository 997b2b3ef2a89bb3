//! Message properties as the format encodes them ([MS-OXTNEF] §2.1.3.4).

use super::super::charset;
use super::little_endian::Reader;

/// A property, by the lower half of its tag ([MS-OXPROPS]).
#[derive(Debug)]
pub(super) struct Property<'a> {
    pub(super) id: u16,
    pub(super) value: Value<'a>,
}

/// The value of a property; the first where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Text in the code page.
    Narrow(&'a [u8]),
    /// Text in UTF-16.
    Wide(&'a [u8]),
    Binary(&'a [u8]),
    Object(&'a [u8]),
    Number(u32),
    /// Dates, identifiers and the like.
    Other,
}

impl<'a> Value<'a> {
    /// The text, up to the zero that ends it; `None` where it is empty.
    pub(super) fn text(self, charset: Option<&str>) -> Option<String> {
        let text = match self {
            Self::Narrow(bytes) | Self::Binary(bytes) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                charset::decode(bytes.get(..end).unwrap_or_default(), charset).text
            }
            Self::Wide(bytes) => {
                let units =
                    bytes.chunks_exact(2).filter_map(|unit| unit.try_into().ok().map(u16::from_le_bytes));
                let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
                String::from_utf16_lossy(&units)
            }
            Self::Object(_) | Self::Number(_) | Self::Other => return None,
        };
        let text = charset::clean_body(&text);
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Binary(bytes) | Self::Object(bytes) => Some(bytes),
            Self::Narrow(_) | Self::Wide(_) | Self::Number(_) | Self::Other => None,
        }
    }

    pub(super) fn number(self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number),
            Self::Narrow(_) | Self::Wide(_) | Self::Binary(_) | Self::Object(_) | Self::Other => None,
        }
    }

    /// Whether it is text of which nothing is left without spaces and zeros.
    pub(super) fn is_blank(self) -> bool {
        match self {
            Self::Narrow(bytes) | Self::Wide(bytes) => bytes.iter().all(|byte| matches!(byte, 0 | b' ')),
            Self::Binary(_) | Self::Object(_) | Self::Number(_) | Self::Other => true,
        }
    }
}

/// The properties of an attribute, and whether all of them were read.
pub(super) fn properties(data: &[u8]) -> (Vec<Property<'_>>, bool) {
    let mut reader = Reader { rest: data };
    let mut properties = Vec::new();
    let Some(count) = reader.u32() else { return (properties, false) };
    for _ in 0..count {
        let Some(property) = property(&mut reader) else { return (properties, false) };
        properties.push(property);
    }
    (properties, true)
}

fn property<'a>(reader: &mut Reader<'a>) -> Option<Property<'a>> {
    let kind = reader.u16()?;
    let id = reader.u16()?;
    if id >= 0x8000 {
        // A named property: its set, and a number or a name.
        reader.take(16)?;
        match reader.u32()? {
            0 => reader.take(4)?,
            _ => {
                let length = reader.u32()?;
                padded(reader, length)?
            }
        };
    }
    let (several, kind) = (kind & 0x1000 != 0, kind & 0x0fff);
    let value = match kind {
        0x1e | 0x1f | 0x0d | 0x102 => {
            let mut first = None;
            for _ in 0..reader.u32()? {
                let length = reader.u32()?;
                first = first.or(Some(padded(reader, length)?));
            }
            let bytes = first.unwrap_or_default();
            match kind {
                0x1e => Value::Narrow(bytes),
                0x1f => Value::Wide(bytes),
                0x0d => Value::Object(bytes),
                _ => Value::Binary(bytes),
            }
        }
        _ => {
            let size = size_of(kind)?;
            let count = if several { reader.u32()? } else { 1 };
            let bytes = padded(reader, size.checked_mul(count)?)?;
            match (Reader { rest: bytes }).u32() {
                Some(number) if size == 4 => Value::Number(number),
                _ => Value::Other,
            }
        }
    };
    Some(Property { id, value })
}

/// Bytes of a value of a type that has a fixed size ([MS-OXCDATA] §2.11.1).
fn size_of(kind: u16) -> Option<u32> {
    Some(match kind {
        0x01 => 0,
        0x02 | 0x0b => 2,
        0x03 | 0x04 | 0x0a => 4,
        0x05 | 0x06 | 0x07 | 0x14 | 0x40 => 8,
        0x48 => 16,
        _ => return None,
    })
}

/// Bytes that are filled up to a multiple of four. The last ones of an attribute may not be.
fn padded<'a>(reader: &mut Reader<'a>, length: u32) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok()?;
    let taken = reader.take(length)?;
    let padding = length.wrapping_neg() % 4;
    reader.take(padding.min(reader.rest.len()))?;
    Some(taken)
}
