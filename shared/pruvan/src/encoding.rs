//! Bytes as text: what says that it is UTF-8 and isn't must not keep a photo out.

use std::borrow::Cow;

/// Windows-1252 has these where Latin-1 has control characters, from 0x80 on.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// The bytes as text, whatever they are, without a byte order mark: UTF-8 or UTF-16, and each byte that is neither as
/// Windows-1252 has it.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some(text) = utf_16(bytes) {
        return text.into();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => without_mark(text).into(),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|byte| windows(*byte)));
            }
            without_mark(&text).to_owned().into()
        }
    }
}

fn windows(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS.chars().nth(usize::from(byte - 0x80)).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}

/// The text without byte order marks before it, also those that were encoded once more on their way.
pub fn without_mark(text: &str) -> &str {
    let mut text = text;
    while let Some(rest) = ["\u{feff}", "\u{ef}\u{bb}\u{bf}"].iter().find_map(|mark| text.strip_prefix(mark)) {
        text = rest;
    }
    text
}

/// A text in UTF-16: with a byte order mark, or with a zero in every other byte of its beginning.
pub fn utf_16(bytes: &[u8]) -> Option<String> {
    let zeros = |at: usize| {
        let start = bytes.get(..bytes.len().min(64)).unwrap_or_default();
        start.len() > 3 && start.iter().skip(at).step_by(2).all(|byte| *byte == 0)
    };
    let little = bytes.starts_with(&[0xff, 0xfe]) || zeros(1);
    if !little && !bytes.starts_with(&[0xfe, 0xff]) && !zeros(0) {
        return None;
    }
    let unit = |pair: &[u8]| match (pair, little) {
        ([low, high], true) => u16::from_le_bytes([*low, *high]),
        ([high, low], false) => u16::from_be_bytes([*high, *low]),
        _ => 0xfffd,
    };
    let units: Vec<u16> = bytes.chunks(2).map(unit).skip_while(|unit| *unit == 0xfeff).collect();
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_is_read_and_what_is_right_stays() {
        let units =
            |order: fn(u16) -> [u8; 2]| "\u{feff}{\"a\":\"é\"}".encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for (bytes, text) in [
            ("caf\u{e9}".as_bytes(), "caf\u{e9}"),
            (b"\xef\xbb\xbfcaf\xe9", "caf\u{e9}"),
            (b"don\x92t \xc3\xa9", "don\u{2019}t \u{e9}"),
            ("\u{ef}\u{bb}\u{bf}\u{feff}{}".as_bytes(), "{}"),
            (b"", ""),
            (&units(u16::to_le_bytes), "{\"a\":\"\u{e9}\"}"),
            (&units(u16::to_be_bytes), "{\"a\":\"\u{e9}\"}"),
            // A character that was cut in its middle doesn't change those before it.
            (b"\xc3\xa9 \xf0\x9f\x91", "\u{e9} \u{f0}\u{178}\u{2018}"),
        ] {
            assert_eq!(decode(bytes), text, "{bytes:?}");
        }
    }
}
