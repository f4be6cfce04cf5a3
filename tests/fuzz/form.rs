//! A request of Pruvan's, in every form: `shared/bridge/src/form.rs`. An input is a line that is the content type, and
//! the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bridge::form;
use futures_util::FutureExt as _;
use lambda_http::{Body, Request};
use pruvan::PayloadError;
use pruvan::survey::Survey;

use crate::choices::Choices;
use crate::payloads::{self, upload_holds};
use crate::{Target, Whole};

pub const FORM: Target = Target {
    name: "form",
    about: "multipart, urlencoded or plain JSON: the payload, and the file beside it",
    make,
    any,
    floods: &[
        ("multipart/form-data; boundary=-\n", "-", ""),
        ("multipart/form-data; boundary=X\n", "--X\r\n", ""),
        (
            "multipart/form-data; boundary=X\n",
            "--X\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n1\r\n",
            "--X--\r\n",
        ),
        ("\n--X\r\nContent-Disposition: form-data; name=\"", "name ", "\"\r\n\r\n{}\r\n--X--\r\n"),
        ("\n--X\r\nContent-Disposition: form-data; name=\"", "\\\"", "\"\r\n\r\n{}\r\n--X--\r\n"),
        ("\n--X\r\n", "a: b\r\n", "\r\n{}\r\n--X--\r\n"),
        ("\n--X\r\nContent-Disposition: form-data; name=payload\r\n\r\n{}", "\r\n--", "\r\n--X--\r\n"),
        ("\n", "payloaD=%7B&", "payload=%7B%7D"),
        ("\n--X\nContent-Disposition: form-data; name=payload\n\n{}", "\n--X", "\n--X--\n"),
        ("\n--X\nContent-Disposition: form-data; name=payload", "\n ", "\n\n{}\n--X--\n"),
        ("multipart/form-data; boundary=part-0\n--part-0\n\n", "part-0 part-1 ", "\n--part-0--\n"),
        ("\npayload=", "%7B%22a%22%3A", ""),
        ("\n{\"a\":\"", "\\ud83d", "\"}"),
        ("\n{\"a\":[", "{\"a\":1},", "1]}"),
    ],
    most: 1_000_000,
};

fn make(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let (payload, file) = (payloads::upload(choices), file(choices));
    let (written, same) = choices.written(&payload);
    let (header, body, exact) = envelope(choices, &written, &file);
    let input = [header.unwrap_or_default().as_bytes(), b"\n", &body].concat();
    let whole = input.clone();
    let check = move || {
        let read = read(&whole);
        if exact && same {
            let Ok(read) = read else { panic!("an envelope that is whole is refused: {read:?}") };
            assert_eq!(read.payload, payload, "the payload comes out as it went in");
            assert_eq!(read.file.as_deref().unwrap_or_default(), file, "and so does the file");
        }
    };
    (input, Box::new(check))
}

fn read(input: &[u8]) -> Result<form::PruvanForm, PayloadError> {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (header, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default().to_vec());
    let odd = body.len() % 2 == 1;
    let mut request = Request::new(match String::from_utf8(body) {
        Ok(text) if text.is_empty() => Body::Empty,
        Ok(text) if odd => Body::Text(text),
        Ok(text) => Body::Binary(text.into_bytes()),
        Err(bytes) => Body::Binary(bytes.into_bytes()),
    });
    if let Some(header) = lambda_http::http::HeaderValue::from_bytes(header).ok().filter(|header| !header.is_empty()) {
        request.headers_mut().insert("content-type", header);
    }
    let Some(read) = form::read(request).now_or_never() else { panic!("the body is there, and is waited for") };
    read
}

fn any(input: &[u8]) {
    match read(input) {
        Ok(read) => {
            let file = read.file.unwrap_or_default();
            assert!(file.len() <= input.len() || input.windows(2).any(|pair| pair == [0x1f, 0x8b]));
            if let Some(survey) = &read.survey {
                let _ = Survey::from_json(survey);
            }
            upload_holds(read.payload, &file);
        }
        Err(error) => payloads::error_holds(&error),
    }
}

fn file(choices: &mut Choices) -> Vec<u8> {
    let heads: [&[u8]; 8] = [
        b"\xFF\xD8\xFF\xE0",
        b"\x89PNG\r\n\x1a\n",
        b"%PDF-1.4",
        b"\0\0\0\x18ftypmp42",
        b"{\"a\": 1}",
        b"[1,",
        b"<html>",
        b"",
    ];
    let (head, rest) = (*choices.one(&heads), choices.bytes(200));
    if choices.once_in(4) { head.to_vec() } else { [head, &rest].concat() }
}

/// An envelope: its header, its body, and whether it must be read as it was made.
fn envelope(choices: &mut Choices, payload: &str, file: &[u8]) -> (Option<String>, Vec<u8>, bool) {
    let boundary = *choices.one(&["X", "----Pruvan8f", "a'b()+_,-./:=?", "0"]);
    let headers = ["multipart/form-data; boundary=", "Mulipart/Form-Data; boundary=", "MULTIPART/FORM-DATA;boundary="];
    match choices.below(7) {
        0 => (None, payload.as_bytes().to_vec(), false),
        // Parts before the payload: a few, or more than anyone sends.
        2 => {
            let many = [3, 98, 99, 150][choices.below(4)];
            let mut body = String::from(*choices.one(&["", "a preamble\r\n", "\r\n"]));
            for n in 0..many {
                body.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n1\r\n"));
            }
            body.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{payload}\r\n--{boundary}--\r\n"
            ));
            (Some(format!("{}{boundary}", choices.one(&headers))), body.into_bytes(), false)
        }
        1 => {
            let body = format!("x=1&payload={}", form_encode(payload));
            (Some("application/x-www-form-urlencoded".to_owned()), body.into_bytes(), false)
        }
        _ => {
            // As it must be, and as some write it.
            let (end, headers_of_file) = *choices.one(&[
                ("\r\n", ""),
                ("\r\n", ""),
                ("\n", ""),
                ("\n", "\nContent-Type: image/jpeg"),
                ("\r\n", "\nContent-Type: image/jpeg"),
                ("\r\n", ";\r\n x=1"),
                ("\r\n", "\r\nx: \u{1}"),
                ("\r\n", "\r\nContent-Transfer-Encoding: base64"),
            ]);
            let mut body = format!(
                "--{boundary}{end}Content-Disposition: form-data; name=\"payload\"{end}{end}{payload}{end}--{boundary}{end}"
            )
            .into_bytes();
            let name = *choices.one(&["file", "file", "other", "payload"]);
            let disposition = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"1.jpg\"");
            body.extend(format!("{disposition}{headers_of_file}{end}{end}").bytes());
            let encoded = headers_of_file.contains("base64");
            body.extend_from_slice(&if encoded { STANDARD.encode(file).into_bytes() } else { file.to_vec() });
            body.extend(format!("{end}--{boundary}--{end}").bytes());
            let header = match choices.below(4) {
                0 => None,
                _ => Some(format!("{}{boundary}", choices.one(&headers))),
            };
            // A file that holds the boundary ends where it does.
            let mark = format!("\n--{boundary}");
            let inside = [b"\n", file].concat();
            let clean = !inside.windows(mark.len()).any(|window| window == mark.as_bytes()) && !payload.contains(&mark);
            (header, body, clean && name != "payload")
        }
    }
}

fn form_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
