//! Bodies as they come, from clients of every kind.

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
        --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"1.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
        .to_vec();
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

const FILE: &[u8] = b"\xFF\xD8\xFF\r\n\r\n\n\n--Xtra\r\n--X-\r\r";

/// A body of a payload and a file, in which each line of the form itself ends as the first of these says, with
/// more headers of the file.
fn written(end: &str, headers: &str) -> Vec<u8> {
    let payload = format!("--X{end}Content-Disposition: form-data; name=\"payload\"{end}{end}{{\"username\":\"u\"}}");
    let file = format!("{end}--X{end}{headers}{end}{end}");
    [payload.as_bytes(), file.as_bytes(), FILE, format!("{end}--X--{end}").as_bytes()].concat()
}

/// The file's name has a byte that is no UTF-8, and its part another name.
fn latin_1() -> Vec<u8> {
    let body = written("\r\n", "Content-Disposition: form-data; name=\"upload\"; filename=\"caf?.jpg\"");
    body.iter().map(|byte| if *byte == b'?' { 0xe9 } else { *byte }).collect()
}

const OF_A_FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"1.jpg\"";

#[tokio::test]
async fn what_is_not_in_its_form_is_read_all_the_same() {
    let folded =
        "Content-Disposition: form-data;\r\n name=\"file\";\r\n\tfilename=\"1.jpg\"\r\nContent-Type: image/jpeg";
    for (what, body) in [
        ("bare line feeds", written("\n", OF_A_FILE)),
        ("more headers", written("\n", &format!("{OF_A_FILE}\nContent-Type: image/jpeg"))),
        ("some bare line feeds", written("\r\n", &format!("{OF_A_FILE}\nContent-Type: image/jpeg"))),
        ("folded headers", written("\r\n", folded)),
        ("a control character", written("\r\n", &OF_A_FILE.replace("1.jpg", "1\u{1}\u{7f}.jpg"))),
        ("no name of a header", written("\r\n", &format!(": x\r\n{OF_A_FILE}"))),
        ("names in capitals", written("\r\n", &OF_A_FILE.to_uppercase())),
        ("spaces before a colon", written("\r\n", &OF_A_FILE.replace(':', " :"))),
        ("no quotation marks", written("\r\n", &OF_A_FILE.replace('"', ""))),
        ("an encoding that is none", written("\r\n", &format!("{OF_A_FILE}\r\nContent-Transfer-Encoding: binary"))),
        ("what is not quoted", written("\r\n", &format!("{OF_A_FILE}\r\nContent-Transfer-Encoding: quoted-printable"))),
        ("a name in Latin-1", latin_1()),
        (
            "another parameter first",
            written("\r\n", "Content-Disposition: form-data; x; FileName=\"\u{e9};\"; NAME=\"File\""),
        ),
        ("an extended name", written("\r\n", "Content-Disposition: form-data; name=\"photo\"; filename*=utf-8''1.jpg")),
        ("what is not encoded", written("\r\n", &format!("{OF_A_FILE}\r\nContent-Transfer-Encoding: base64"))),
        ("a byte order mark", [b"\xef\xbb\xbf".as_slice(), &written("\r\n", OF_A_FILE)].concat()),
        ("a preamble", [b"a\nb\n".as_slice(), &written("\n", OF_A_FILE)].concat()),
    ] {
        for header in [Some("multipart/form-data; boundary=X"), None] {
            let read = read(request(header, body.clone())).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(read.payload["username"], "u", "{what}");
            assert_eq!(read.file.as_deref(), Some(FILE), "{what}");
        }
        let cut = request(Some("multipart/form-data; boundary=X"), &body[..body.len() - 6]);
        assert_eq!(read(cut).await.unwrap_err(), PayloadError::Garbled, "{what}, cut");
    }
}

#[tokio::test]
async fn a_file_that_ends_like_a_line_keeps_its_end_also_where_it_comes_first() {
    for (end, file) in [("\n", &b"bytes\r"[..]), ("\n", b"bytes\n"), ("\r\n", b"bytes\r"), ("\r\n", b"bytes\r\n")] {
        let head = format!("--X{end}{OF_A_FILE}{end}x:\t1{end}{end}");
        let payload =
            format!("{end}--X{end}Content-Disposition: form-data; name=payload{end}{end}{{}}\r{end}--X--{end}");
        let body = [head.as_bytes(), file, payload.as_bytes()].concat();
        let read = read(request(None, body)).await.unwrap();
        assert_eq!(read.file.as_deref(), Some(file), "{end:?} {file:?}");
    }
}

#[tokio::test]
async fn what_is_encoded_is_decoded() {
    let base64 = |headers: &str, content: &str| {
        let head = format!(
            "--X\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{{}}\r\n--X\r\n{OF_A_FILE}\r\n{headers}\r\n\r\n"
        );
        format!("{head}{content}\r\n--X--\r\n")
    };
    for (headers, content) in [
        ("Content-Transfer-Encoding: base64", "/9j/4AAQ"),
        ("content-transfer-encoding:BASE64 ", "/9j/\r\n4AAQ\r\n"),
        ("Content-Transfer-Encoding: quoted-printable", "=FF=D8=FF=E0=00=\r\n=10"),
    ] {
        let read = read(request(None, base64(headers, content))).await.unwrap();
        assert_eq!(read.file.as_deref(), Some(&b"\xFF\xD8\xFF\xE0\0\x10"[..]), "{headers}");
    }
    let read = read(request(None, base64("Content-Transfer-Encoding: 8bit", "/9j/4AAQ"))).await.unwrap();
    assert_eq!(read.file.as_deref(), Some(&b"/9j/4AAQ"[..]));
}

#[tokio::test]
async fn boundaries_that_nobody_quotes() {
    let body = String::from_utf8(form(b"bytes")).unwrap();
    for boundary in ["a=b", "----=_Part_1.2", "a:b", "a b"] {
        let body = format!("This is a multi-part message.\r\n{}", body.replace("--X", &format!("--{boundary}")));
        for header in [
            Some(format!("multipart/form-data; boundary={boundary}")),
            Some(format!("multipart/form-data; charset=utf-8; Boundary=\"{boundary}\"; x=1")),
            Some("multipart/form-data".to_owned()),
        ] {
            let read = read(request(header.as_deref(), body.clone())).await.unwrap();
            assert_eq!(read.file.as_deref(), Some(&b"bytes"[..]), "{header:?}");
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_is_compressed_is_unpacked_up_to_a_limit() {
    let packed = |encoding: &str, body: Vec<u8>| {
        let mut request = request(Some("multipart/form-data; boundary=X"), body);
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        request
    };
    let read = async |request: Request| super::read(request).await.map(|form| form.file.unwrap_or_default());
    assert_eq!(read(packed("gzip", gzip(&form(FILE)))).await.as_deref(), Ok(FILE));
    assert_eq!(read(request(None, gzip(&form(FILE)))).await.as_deref(), Ok(FILE));
    let room = MAX_BODY - form(b"").len();
    assert_eq!(read(request(None, gzip(&form(&vec![0; room])))).await.map(|file| file.len()), Ok(room));
    assert_eq!(read(request(None, gzip(&form(&vec![0; room + 1])))).await, Err(PayloadError::TooLong));
    let mut cut = gzip(&form(FILE));
    cut.truncate(cut.len() - 10);
    assert_eq!(read(request(None, cut)).await, Err(PayloadError::Garbled));
    assert_eq!(read(packed("br", b"\x1b\x03\x00".to_vec())).await, Err(PayloadError::Packed));
    // Some say so and don't.
    assert_eq!(read(packed("deflate", form(FILE))).await.as_deref(), Ok(FILE));
    assert_eq!(read(packed("gzip", form(FILE))).await.as_deref(), Ok(FILE));
}

#[tokio::test]
async fn no_body_is_longer_than_lambda_takes() {
    let read = async |body: Vec<u8>| super::read(request(None, body)).await.map(|form| form.file.is_some());
    assert_eq!(read(form(&vec![7; MAX_BODY - 1000])).await, Ok(true));
    assert_eq!(read(form(&vec![7; MAX_BODY + 100_000])).await, Err(PayloadError::Garbled));
    let bare = |size: usize| {
        let whole = written("\n", OF_A_FILE);
        let at = whole.len() - "\n--X--\n".len();
        [&whole[..at], &vec![7; size], &whole[at..]].concat()
    };
    assert_eq!(read(bare(MAX_BODY - 1000)).await, Ok(true));
    assert_eq!(read(bare(MAX_BODY + 100_000)).await, Err(PayloadError::Garbled));
}

#[tokio::test]
async fn empty_files_are_none_and_latin_1_is_read() {
    assert_eq!(read(request(None, form(b""))).await.unwrap().file, None);
    let read = read(request(None, b"{\"notes\":\"caf\xE9\"}".to_vec())).await.unwrap();
    assert_eq!(read.payload["notes"], "caf\u{e9}");
    let encoded = super::read(request(None, "payload=%7B%22notes%22%3A%22caf%E9+%92%22%7D")).await.unwrap();
    assert_eq!(encoded.payload["notes"], "caf\u{e9} \u{2019}");
    let utf_16: Vec<u8> = "\u{feff}{\"notes\":\"caf\u{e9}\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [
        utf_16,
        b"\xef\xbb\xbf {\"notes\":\"caf\xc3\xa9\"}".to_vec(),
        b"\xef\xbb\xbfpayload={\"notes\":\"caf\xe9\"}".to_vec(),
    ] {
        assert_eq!(super::read(request(None, body)).await.unwrap().payload["notes"], "caf\u{e9}");
    }
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
