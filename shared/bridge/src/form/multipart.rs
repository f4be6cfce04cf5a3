//! The form that a multipart body must have for `multer` to read it: lines that end in CRLF, headers of one line each,
//! contents that are not encoded. What clients send otherwise is put into that form: written by hand, by old libraries
//! or through something that changed line ends on the way.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use memchr::memmem::{Finder, find};
use pruvan::PayloadError;

use crate::secrets::sha256_hex;

/// What a web server takes in the headers of a whole request; `multer` limits their number (32 a part) and not their
/// length.
pub const MAX_PART_HEADERS: usize = 16 * 1024;

/// The same with what stands between them: no further is looked for their end.
const MAX_HEADER_LINES: usize = 2 * MAX_PART_HEADERS;

/// RFC 2046 allows 70 characters, and clients make 60 at most.
pub const MAX_BOUNDARY: usize = 200;

/// More parts than any client sends; `multer` counts bytes but not parts.
pub const MAX_PARTS: usize = 100;

/// The boundary of a body, if it is multipart: the header's, if the body has it, or else that of the body's own first
/// line, or last.
pub fn boundary(header: Option<&str>, body: &[u8]) -> Result<Option<String>, PayloadError> {
    let named = header.and_then(named_boundary);
    let start = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    let first = line_boundary(start.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default());
    let has = |boundary: &str| delimiters(body, boundary).next().is_some();
    let chosen = match (named, first) {
        (Some(named), Some(first)) if first == named || !has(named) => Some(first),
        // A preamble may come before the first boundary.
        (Some(named), _) if has(named) => Some(named),
        (_, Some(first)) => Some(first),
        (_, None) => {
            let last = body.trim_ascii_end().rsplit(|byte| matches!(byte, b'\r' | b'\n')).next();
            last.and_then(|line| line_boundary(line.strip_suffix(b"--")?)).filter(|last| has(last))
        }
    };
    match chosen {
        Some(boundary) if boundary.len() > MAX_BOUNDARY => Err(PayloadError::LongBoundary),
        chosen => Ok(chosen.map(str::to_owned)),
    }
}

/// What a line that is a boundary names.
fn line_boundary(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line.strip_prefix(b"--")?).ok()?;
    Some(line.trim_end()).filter(|boundary| !boundary.is_empty())
}

/// The boundary that a `Content-Type` names. It may hold signs that must stand in quotation marks, and doesn't always.
fn named_boundary(header: &str) -> Option<&str> {
    const NAME: &str = "boundary=";
    let at = header.to_ascii_lowercase().find(NAME)? + NAME.len();
    let rest = header.get(at..)?.trim_start();
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split(';').next(),
    };
    value.map(str::trim_end).filter(|boundary| !boundary.is_empty())
}

/// A line that parts a body.
struct Delimiter {
    /// Where it begins, at `--`.
    start: usize,
    /// Where what follows begins: behind the line's end.
    end: usize,
    /// Whether it is the last.
    closes: bool,
}

/// The lines of a body that are its boundary.
fn delimiters<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = Delimiter> + 'a {
    let mark = format!("--{boundary}").into_bytes();
    let finder = Finder::new(&mark).into_owned();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + finder.find(body.get(from..)?)?;
            from = start + mark.len();
            // Looked at first: of a line that is no boundary the end is not searched for.
            let begins = start == 0 || body[start - 1] == b'\n' || body[..start] == *b"\xEF\xBB\xBF";
            if !begins {
                continue;
            }
            let rest = &body[from..];
            let closes = rest.starts_with(b"--");
            let rest = if closes { &rest[2..] } else { rest };
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            // Some put something behind the last.
            let ends = closes || (line.trim_ascii().is_empty() && line.len() < rest.len());
            if ends {
                let end = body.len() - rest.len() + (line.len() + 1).min(rest.len());
                return Some(Delimiter { start, end, closes });
            }
        }
    })
}

/// Whether `multer` reads a body as it was meant. Where lines don't end in CRLF it may take a part's first bytes for
/// headers, and what is encoded it gives as it is.
pub fn is_in_form(body: &[u8], boundary: &str) -> bool {
    // More parts are refused by their number.
    delimiters(body, boundary).take(MAX_PARTS + 2).all(|delimiter| {
        let after = &body[delimiter.end..];
        let after = &after[..after.len().min(MAX_HEADER_LINES)];
        let headers = &after[..find(after, b"\r\n\r\n").map_or(after.len(), |length| length + 2)];
        let before = &body[..delimiter.start];
        let in_lines = (before.trim_ascii().is_empty() || before.ends_with(b"\r\n"))
            && (delimiter.closes || body[..delimiter.end].ends_with(b"\r\n"));
        let plain = |line: &[u8]| {
            line.strip_suffix(b"\r").is_some_and(|line| line.iter().all(|byte| !byte.is_ascii_control()))
                && !line.starts_with(b" ")
                && encoding(line).is_none()
                && is_plain_disposition(line)
        };
        let lines = headers.strip_suffix(b"\n").map(|headers| headers.split(|byte| *byte == b'\n'));
        in_lines && (delimiter.closes || lines.is_some_and(|mut lines| lines.all(plain)))
    })
}

/// Whether `multer` finds the names in a line, if it has any: it wants them in UTF-8, in lower case and not extended.
fn is_plain_disposition(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let lower = line.to_ascii_lowercase();
    let names = |text: &str| text.matches("name=").count();
    !lower.contains("name*") && names(&lower) == names(line)
}

/// How a part's content is encoded.
#[derive(Clone, Copy)]
enum Encoding {
    Base64,
    QuotedPrintable,
}

/// By a header that says so; most say that it isn't.
fn encoding(header: &[u8]) -> Option<Encoding> {
    let value = value(header, "content-transfer-encoding")?.to_ascii_lowercase();
    match value.as_str() {
        "base64" => Some(Encoding::Base64),
        "quoted-printable" => Some(Encoding::QuotedPrintable),
        _ => None,
    }
}

/// The value of a header of this name.
fn value(header: &[u8], name: &str) -> Option<String> {
    let (start, rest) = header.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name.as_bytes()) {
        return None;
    }
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    Some(String::from_utf8_lossy(value).trim().to_owned())
}

/// The body in the form that `multer` reads, with a boundary that is in none of its parts. `None` if its end is
/// missing: then it was cut short.
pub fn in_form(body: &Bytes, boundary: &str) -> Result<Option<(String, Bytes)>, PayloadError> {
    let delimiters: Vec<Delimiter> = delimiters(body, boundary).take(MAX_PARTS + 2).collect();
    if !delimiters.last().is_some_and(|last| last.closes) && delimiters.len() <= MAX_PARTS {
        return Ok(None);
    }
    // Whether a CR before a boundary belongs to it, or to a file that ends so, is seen by how the first line ends.
    let in_lines = delimiters.first().is_some_and(|first| body[..first.end].ends_with(b"\r\n"));
    // Nobody can put it into the body.
    let ours = sha256_hex(body);
    let mut form = Vec::with_capacity(body.len() + 1024);
    for pair in delimiters.windows(2) {
        let [before, after] = pair else { continue };
        if before.closes {
            break;
        }
        let part = body.get(before.end..after.start).unwrap_or_default();
        let line = part.strip_suffix(b"\n").unwrap_or(part);
        let part = if in_lines { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        let (headers, content) = headers(part)?;
        form.extend_from_slice(format!("--{ours}\r\n{}\r\n\r\n", disposition(&headers)).as_bytes());
        form.extend_from_slice(&decoded(content, headers.iter().find_map(|header| encoding(header.as_bytes()))));
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{ours}--\r\n").as_bytes());
    Ok(Some((ours, form.into())))
}

/// The headers of a part, each in one line and without control characters, and its content.
fn headers(part: &[u8]) -> Result<(Vec<String>, &[u8]), PayloadError> {
    let (mut headers, mut rest): (Vec<String>, &[u8]) = (Vec::new(), part);
    loop {
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        rest = rest.get(length + 1..).unwrap_or_default();
        if part.len() - rest.len() > MAX_HEADER_LINES || headers.len() > 32 {
            return Err(PayloadError::LongHeaders);
        }
        if line.trim().is_empty() {
            return Ok((headers, rest));
        }
        let plain: String = line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match headers.last_mut() {
            // It goes on the line before.
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(plain.trim());
            }
            _ => headers.push(plain),
        }
    }
}

/// The one header that the form is read by: the part's name, and whether it has a file's.
fn disposition(headers: &[String]) -> String {
    let given = headers.iter().find_map(|header| value(header.as_bytes(), "content-disposition")).unwrap_or_default();
    let name = match parameter(&given, "name").map(|name| name.trim().to_ascii_lowercase()).as_deref() {
        Some("payload") => "payload",
        Some("file") => "file",
        _ => "other",
    };
    let has_file_name = parameter(&given, "filename").or_else(|| parameter(&given, "filename*")).is_some();
    let file_name = if has_file_name { "; filename=\"file\"" } else { "" };
    format!("Content-Disposition: form-data; name=\"{name}\"{file_name}")
}

/// A parameter of a header, in quotation marks or not.
fn parameter(header: &str, name: &str) -> Option<String> {
    let (mut quoted, mut escaped) = (false, false);
    let parameters = header.split(|c| {
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        c == ';' && !quoted
    });
    parameters.skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').map_or(value, |value| value.strip_suffix('"').unwrap_or(value));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// Whether a content has no other bytes than this encoding has, and each `=` stands for a byte or a line's end.
fn is_quoted_printable(content: &[u8]) -> bool {
    let printable = content.iter().all(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~'));
    printable
        && content.split(|byte| *byte == b'=').skip(1).all(|rest| match rest {
            [b'\n', ..] | [b'\r', b'\n', ..] => true,
            [first, second, ..] => first.is_ascii_hexdigit() && second.is_ascii_hexdigit(),
            _ => false,
        })
}

/// The content as it was before it was encoded. What isn't in the encoding that its header names was not encoded.
fn decoded(content: &[u8], encoding: Option<Encoding>) -> std::borrow::Cow<'_, [u8]> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let decoded = match encoding {
        None => None,
        Some(Encoding::Base64) => {
            let text: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(text).ok()
        }
        // The library drops what it can't read.
        Some(Encoding::QuotedPrintable) if is_quoted_printable(content) => {
            quoted_printable::decode(content, quoted_printable::ParseMode::Robust).ok()
        }
        Some(Encoding::QuotedPrintable) => None,
    };
    decoded.map_or(content.into(), Into::into)
}
