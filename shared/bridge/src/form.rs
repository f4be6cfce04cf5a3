//! Reading a request of Pruvan's: the POST variable `payload`, and the file beside it.
//!
//! All forms seen or documented are read, by what the body is and not by what its header says: multipart (also under
//! the specification's own spelling `Mulipart/Form-Data`, also without a boundary in the header), urlencoded, and plain
//! JSON from test tools.

use bytes::Bytes;
use lambda_http::{Body, Request};
use multer::{Constraints, Multipart, SizeLimit};
use pruvan::PayloadError;
use pruvan::lenient::is_nothing;
use pruvan::payload;
use pruvan::survey::verbatim;
use serde_json::{Map, Value};

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

/// More parts than any client sends; `multer` counts bytes but not parts.
const MAX_PARTS: usize = 100;

/// RFC 2046 allows 70 characters, and clients make 60 at most.
const MAX_BOUNDARY: usize = 200;

/// What a web server takes in the headers of a whole request; `multer` limits their number (32 a part) and not their
/// length.
const MAX_PART_HEADERS: usize = 16 * 1024;

/// Lambda takes no event above 6 MB, so no body is larger; base64 makes it 4.7 MB.
const MAX_BODY: u64 = 6_291_456;

/// Reads a request. The body is taken out of it and the file is cut out of the body.
pub async fn read(request: Request) -> Result<PruvanForm, PayloadError> {
    let header =
        request.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = match request.into_body() {
        Body::Binary(bytes) => Bytes::from(bytes),
        Body::Text(text) => Bytes::from(text),
        _ => Bytes::new(),
    };
    if let Some(boundary) = boundary(header.as_deref(), &body)? {
        return multipart(body, boundary).await;
    }
    let text = decode(&body);
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return from_payload(&text, None);
    }
    let field = form_urlencoded::parse(&body).find(|(name, _)| name == "payload");
    from_payload(&field.ok_or(PayloadError::Missing)?.1, None)
}

fn from_payload(text: &str, file: Option<Bytes>) -> Result<PruvanForm, PayloadError> {
    let payload = payload::parse(text)?;
    let survey = payload.get("survey").filter(|survey| !is_nothing(survey));
    let survey = survey.and_then(|_| payload::verbatim(text, "survey")).map(|survey| verbatim(&survey));
    Ok(PruvanForm { payload, survey, file })
}

/// The multipart boundary: the header's, if the body has it, or else the body's own first line.
fn boundary(header: Option<&str>, body: &[u8]) -> Result<Option<String>, PayloadError> {
    let named = header.and_then(|header| header.parse::<mime::Mime>().ok());
    let named = named.and_then(|mime| mime.get_param(mime::BOUNDARY).map(|boundary| boundary.as_str().to_owned()));
    let start = body.trim_ascii_start();
    let first = start.strip_prefix(b"--").and_then(|rest| rest.split(|byte| *byte == b'\r' || *byte == b'\n').next());
    let first =
        first.and_then(|line| std::str::from_utf8(line).ok()).map(str::trim_end).filter(|line| !line.is_empty());
    if first.or(named.as_deref()).is_some_and(|boundary| boundary.len() > MAX_BOUNDARY) {
        return Err(PayloadError::LongBoundary);
    }
    Ok(match (named, first) {
        (Some(named), Some(first)) if first == named => Some(named),
        // A preamble may come before the first boundary.
        (Some(named), None) => {
            let mark = format!("--{named}");
            body.windows(mark.len()).any(|window| window == mark.as_bytes()).then_some(named)
        }
        (_, Some(first)) => Some(first.to_owned()),
        (None, None) => None,
    })
}

async fn multipart(body: Bytes, boundary: String) -> Result<PruvanForm, PayloadError> {
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(MAX_BODY));
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
        let name = part.name().unwrap_or_default().to_owned();
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

/// UTF-8, or else Latin-1, which no bytes are wrong in: notes from the field must not keep a photo out.
fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Request {
        let mut request = lambda_http::http::Request::builder().method("POST").uri("/uploadPictures.html");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        request.body(Body::Binary(body.into())).unwrap()
    }

    fn form(file: &[u8]) -> Vec<u8> {
        let mut body = b"--X\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{\"username\":\"u\"}\r\n\
            --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"1.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n".to_vec();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--X--\r\n");
        body
    }

    #[tokio::test]
    async fn every_header_that_multipart_comes_with() {
        for header in [
            Some("multipart/form-data; boundary=X"),
            Some("Mulipart/Form-Data; boundary=X"),
            Some("Mulipart/Form-Data"),
            Some("multipart/form-data; boundary=\"X\""),
            Some("application/x-www-form-urlencoded"),
            Some("rubbish"),
            None,
        ] {
            let file = b"\xFF\xD8\xFF\0--X--\r\n--Y\r\nbytes";
            let read = read(request(header, form(file))).await.unwrap();
            assert_eq!(read.payload["username"], "u", "{header:?}");
            assert_eq!(read.file.as_deref(), Some(&file[..]), "{header:?}");
        }
    }

    #[tokio::test]
    async fn urlencoded_and_plain_json() {
        let json = read(request(None, " {\"username\":\"u\"}")).await.unwrap();
        assert_eq!(json.payload["username"], "u");
        let encoded = read(request(None, "x=1&payload=%7B%22username%22%3A%22u%20v%22%7D")).await.unwrap();
        assert_eq!(encoded.payload["username"], "u v");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told() {
        let error = |body: Vec<u8>| async { read(request(None, body)).await.unwrap_err() };
        assert_eq!(error(Vec::new()).await, PayloadError::Missing);
        assert_eq!(error(b"nothing=1".to_vec()).await, PayloadError::Missing);
        let whole = form(b"\xFF\xD8\xFF");
        for end in 60..whole.len() - 8 {
            let error = error(whole[..end].to_vec()).await;
            assert_eq!(error, PayloadError::Garbled, "cut at {end}");
        }
    }

    #[tokio::test]
    async fn limits_act_one_past_them() {
        let read = |body: String| async { read(request(None, body)).await.map(|form| form.payload.len()) };
        let part = |boundary: &str, headers: &str, text: &str| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{text}\"{headers}\r\n\r\n{{}}\r\n")
        };
        let payload = part("X", "", "payload");
        let parts = |count: usize| part("X", "", "f").repeat(count - 2) + &payload + "--X--\r\n";
        assert_eq!(read(parts(MAX_PARTS)).await, Ok(0));
        assert_eq!(read(parts(MAX_PARTS + 1)).await, Err(PayloadError::TooManyFields));

        let bounded = |length: usize| part(&"b".repeat(length), "", "payload") + "--" + &"b".repeat(length) + "--\r\n";
        assert_eq!(read(bounded(MAX_BOUNDARY)).await, Ok(0));
        assert_eq!(read(bounded(MAX_BOUNDARY + 1)).await, Err(PayloadError::LongBoundary));
        let header = format!("multipart/form-data; boundary={}", "b".repeat(MAX_BOUNDARY + 1));
        let preamble = format!("a preamble\r\n{}", bounded(MAX_BOUNDARY + 1));
        assert_eq!(super::read(request(Some(&header), preamble)).await.unwrap_err(), PayloadError::LongBoundary);

        // The part's first header has 44 bytes, and the second's name one.
        let headed = |length: usize| part("X", &format!("\r\nx: {}", "h".repeat(length - 45)), "payload") + "--X--\r\n";
        assert_eq!(read(headed(MAX_PART_HEADERS)).await, Ok(0));
        assert_eq!(read(headed(MAX_PART_HEADERS + 1)).await, Err(PayloadError::LongHeaders));
        let many = |count: usize| part("X", &"\r\nx: 1".repeat(count - 1), "payload") + "--X--\r\n";
        assert_eq!(read(many(32)).await, Ok(0));
        assert_eq!(read(many(33)).await, Err(PayloadError::LongHeaders));
    }

    #[tokio::test]
    async fn empty_files_are_none_and_latin_1_is_read() {
        assert_eq!(read(request(None, form(b""))).await.unwrap().file, None);
        let read = read(request(None, b"{\"notes\":\"caf\xE9\"}".to_vec())).await.unwrap();
        assert_eq!(read.payload["notes"], "caf\u{e9}");
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>, content_type in ".{0,40}") {
            let content_type = lambda_http::http::HeaderValue::from_str(&content_type).ok();
            let mut request = request(None, body);
            if let Some(content_type) = content_type {
                request.headers_mut().insert("content-type", content_type);
            }
            let _ = block_on(read(request));
        }

        /// Valid envelopes, mutated inside: a file of any bytes comes out as it went in, and a cut body is never taken
        /// for a whole one.
        #[test]
        fn any_file_comes_out_as_it_went_in(file: Vec<u8>, cut in 0..2000usize) {
            let whole = form(&file);
            let form = block_on(read(request(None, whole.clone()))).unwrap();
            proptest::prop_assert_eq!(form.file.as_deref().unwrap_or_default(), file.as_slice());
            let cut = cut.min(whole.len() - 8);
            proptest::prop_assert!(block_on(read(request(None, whole[..cut].to_vec()))).is_err());
        }
    }
}
