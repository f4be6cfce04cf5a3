//! Reading a request of Pruvan's: the POST variable `payload`, and the file beside it.
//!
//! All forms seen or documented are read, by what the body is and not by what its header says: multipart (also under
//! the specification's own spelling `Mulipart/Form-Data`, also without a boundary in the header), urlencoded, and plain
//! JSON from test tools.

mod multipart;

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use lambda_http::http::HeaderName;
use lambda_http::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use lambda_http::{Body, Request};
use multer::{Constraints, Multipart, SizeLimit};
use percent_encoding::percent_decode;
use pruvan::PayloadError;
use pruvan::encoding::decode;
use pruvan::lenient::is_nothing;
use pruvan::payload;
use pruvan::survey::verbatim;
use serde_json::{Map, Value};

use multipart::{MAX_BOUNDARY, MAX_PART_HEADERS, MAX_PARTS, boundary, in_form, is_in_form};

/// A payload and, for uploads, a file.
#[derive(Debug)]
pub struct PruvanForm {
    /// The payload's fields, credentials among them.
    pub payload: Map<String, Value>,
    /// The payload's `survey` exactly as it came, if it is anything.
    pub survey: Option<String>,
    /// The file: the part named `file`, or else the first part that has a file name. Empty files are none.
    pub file: Option<Bytes>,
}

/// Lambda takes no event above 6 MB, so no body is larger; base64 makes it 4.7 MB.
const MAX_BODY: usize = 6_291_456;

/// Reads a request. The body is taken out of it and the file is cut out of the body.
pub async fn read(request: Request) -> Result<PruvanForm, PayloadError> {
    let header = |name: HeaderName| {
        request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let (content_type, encoding) = (header(CONTENT_TYPE), header(CONTENT_ENCODING).unwrap_or_default());
    let body = match request.into_body() {
        Body::Binary(bytes) => Bytes::from(bytes),
        Body::Text(text) => Bytes::from(text),
        _ => Bytes::new(),
    };
    let body = unpacked(body, &encoding)?;
    if let Some(boundary) = boundary(content_type.as_deref(), &body)? {
        return multipart(body, &boundary).await;
    }
    let text = decode(&body);
    if text.trim_start().starts_with(['{', '"']) {
        return from_payload(&text, None);
    }
    match field(text.trim_start().as_bytes(), "payload") {
        Some(payload) => from_payload(&payload, None),
        None if !matches!(encoding.trim(), "" | "identity" | "gzip" | "x-gzip" | "deflate") => {
            Err(PayloadError::Packed)
        }
        None => Err(PayloadError::Missing),
    }
}

/// The body as it was before it was compressed, if it was: told from its bytes, and deflate, which has no sign of its
/// own, from the header.
fn unpacked(body: Bytes, encoding: &str) -> Result<Bytes, PayloadError> {
    let mut unpacked = Vec::new();
    let most = u64::try_from(MAX_BODY).unwrap_or(u64::MAX) + 1;
    let read = if body.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(&body[..]).take(most).read_to_end(&mut unpacked)
    } else if encoding.trim().eq_ignore_ascii_case("deflate") {
        ZlibDecoder::new(&body[..]).take(most).read_to_end(&mut unpacked)
    } else {
        return Ok(body);
    };
    match read {
        // Some name deflate and don't compress.
        Err(_) if !body.starts_with(&[0x1f, 0x8b]) => Ok(body),
        Ok(length) if length > MAX_BODY => Err(PayloadError::TooLong),
        Ok(_) => Ok(unpacked.into()),
        Err(_) => Err(PayloadError::Garbled),
    }
}

/// A field of a urlencoded form, in whatever encoding its text is.
fn field(body: &[u8], name: &str) -> Option<String> {
    body.split(|byte| *byte == b'&').find_map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=').map(|part| {
            let spaced: Vec<u8> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            decode(&percent_decode(&spaced).collect::<Vec<u8>>()).into_owned()
        });
        (parts.next()?.trim() == name).then(|| parts.next().unwrap_or_default())
    })
}

fn from_payload(text: &str, file: Option<Bytes>) -> Result<PruvanForm, PayloadError> {
    let payload = payload::parse(text)?;
    let survey = payload.get("survey").filter(|survey| !is_nothing(survey));
    let survey = survey.and_then(|_| payload::verbatim(text, "survey")).map(|survey| verbatim(&survey));
    Ok(PruvanForm { payload, survey, file })
}

/// Reads a body as it is, and if it is not in its form, or nothing comes of it so, in its form.
async fn multipart(body: Bytes, boundary: &str) -> Result<PruvanForm, PayloadError> {
    let fault = if is_in_form(&body, boundary) {
        match in_parts(body.clone(), boundary.to_owned()).await {
            Err(fault @ (PayloadError::Garbled | PayloadError::Missing)) => fault,
            read => return read,
        }
    } else {
        PayloadError::Garbled
    };
    match in_form(&body, boundary)? {
        Some((boundary, body)) => in_parts(body, boundary).await,
        None => Err(fault),
    }
}

async fn in_parts(body: Bytes, boundary: String) -> Result<PruvanForm, PayloadError> {
    // Put into its form, each part may have a longer header.
    let most = u64::try_from(MAX_BODY + MAX_PARTS * MAX_BOUNDARY).unwrap_or(u64::MAX);
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(most));
    let stream = futures_util::stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body)));
    let mut parts = Multipart::with_constraints(stream, boundary, constraints);
    let (mut payload, mut named_file, mut other_file) = (None, None, None);
    for _ in 0..MAX_PARTS {
        let Some(mut part) = parts.next_field().await.map_err(fault)? else {
            let payload: Bytes = payload.ok_or(PayloadError::Missing)?;
            let full = |file: Option<Bytes>| file.filter(|bytes| !bytes.is_empty());
            let file = full(named_file).or(full(other_file));
            return from_payload(&decode(&payload), file);
        };
        let headers: usize = part.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if headers > MAX_PART_HEADERS {
            return Err(PayloadError::LongHeaders);
        }
        let name = part.name().unwrap_or_default().trim().to_ascii_lowercase();
        let has_file_name = part.file_name().is_some();
        // The whole body is there, so a part comes in one piece, which is a slice and not a copy.
        let mut bytes = part.chunk().await.map_err(fault)?.unwrap_or_default();
        while let Some(more) = part.chunk().await.map_err(fault)? {
            bytes = [bytes, more].concat().into();
        }
        let slot = match name.as_str() {
            "payload" => &mut payload,
            "file" => &mut named_file,
            _ if has_file_name => &mut other_file,
            _ => continue,
        };
        slot.get_or_insert(bytes);
    }
    Err(PayloadError::TooManyFields)
}

fn fault(error: multer::Error) -> PayloadError {
    match error {
        multer::Error::ReadHeaderFailed(reason) if reason.to_string() == "too many headers" => {
            PayloadError::LongHeaders
        }
        _ => PayloadError::Garbled,
    }
}

#[cfg(test)]
mod tests;
