//! The bytes of a file of orders as text, or what they are instead.

use std::borrow::Cow;

use pruvan::encoding::{utf_16, without_mark};

use super::row::ReadError;

const WORKBOOK: &str = "is a workbook, as Excel, Numbers and LibreOffice save it, and no text: save the sheet as \
                        \"CSV UTF-8 (Comma delimited)\" and send that";
const PDF: &str = "is a PDF: export the table that it shows as CSV, and send that";
const HTML: &str =
    "is a page of HTML, whatever its name: open it in a spreadsheet, save it as \"CSV UTF-8\" and send that";
const GARBLED: &str =
    "was no UTF-8 when it was sent, and lost its letters on the way: in Excel save it as \"CSV UTF-8\"";

/// The text, from UTF-8 or UTF-16, without a byte order mark.
pub fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, ReadError> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(ReadError::NoText(WORKBOOK));
    }
    if bytes.starts_with(b"%PDF") {
        return Err(ReadError::NoText(PDF));
    }
    let text: Cow<'_, str> = match utf_16(bytes) {
        Some(text) => text.into(),
        None => std::str::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)?.into(),
    };
    let begins = text.trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']).get(..9).unwrap_or_default();
    if ["<!doctype", "<html", "<table", "<?xml"]
        .iter()
        .any(|tag| begins.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
    {
        return Err(ReadError::NoText(HTML));
    }
    // UTF-16 that something read as UTF-8.
    if text.contains('\0') || text.starts_with("\u{fffd}\u{fffd}") {
        return Err(ReadError::NoText(if text.contains("PK\u{3}\u{4}") { WORKBOOK } else { GARBLED }));
    }
    Ok(match text {
        Cow::Borrowed(text) => without_mark(text).into(),
        text => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_and_utf_16_are_read_with_and_without_a_mark() {
        let text = "Project Number;City\n1;Zo\u{eb}";
        let units = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            marked(b"\xff\xfe", units(u16::to_le_bytes)),
            marked(b"\xfe\xff", units(u16::to_be_bytes)),
        ] {
            assert_eq!(text_of(&bytes).unwrap(), text);
        }
        let plain: Vec<u8> = "Project Number\n1001".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text_of(&plain).unwrap(), "Project Number\n1001");
    }

    #[test]
    fn what_is_no_table_is_told_in_one_sentence() {
        for (bytes, says) in [
            (&b"PK\x03\x04xl/workbook.xml"[..], "is a workbook"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a workbook"),
            (b"%PDF-1.7", "is a PDF"),
            (b" <!DOCTYPE html><table>", "is a page of HTML"),
            (b"<table><tr>", "is a page of HTML"),
            ("\u{fffd}\u{fffd}P\0r\0o\0".as_bytes(), "was no UTF-8"),
            (b"Project Number\n1,Zo\xeb", "is not UTF-8"),
        ] {
            let error = text_of(bytes).unwrap_err().to_string();
            assert!(error.starts_with(says) && error.contains("CSV"), "{error}");
        }
    }
}
