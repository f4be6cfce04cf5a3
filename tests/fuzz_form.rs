//! Fuzzes what Pruvan can send to uploadPictures, without stores: `cargo run --release -p tests --example fuzz-form -- 60` for so many
//! seconds, `… -- 10000000 inputs` for so many inputs. A third argument is the seed, which is printed.
//!
//! Valid envelopes are made first and then mutated inside, so that most inputs get past the first check. Whatever comes, nothing panics, no
//! file's place leaves its account, and an envelope that was not mutated gives exactly what was put in.

use std::io::Write as _;
use std::time::{Duration, Instant};

use bridge::uploads::{fingerprint, item_id};
use bridge::{files, form};
use lambda_http::{Body, Request};
use pruvan::survey::Survey;
use pruvan::upload::UploadRequest;
use serde_json::{Map, Value, json};

/// Stands for half of an escaped surrogate pair, or a whole one, which no JSON writer makes.
const HALF: &str = "@half@";

/// splitmix64: enough to choose, and the same from the same seed.
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    fn text(&mut self) -> String {
        const TEXTS: [&str; 23] = [
            "",
            "null",
            "1",
            "../../etc/passwd",
            "a/b\\c",
            "\0",
            "SMC::Simple",
            "::",
            "caf\u{e9} \u{1f44d}",
            "\"}{[",
            "--X",
            "\r\n--X--\r\n",
            "1414434574",
            "-97.67852886",
            "1e400",
            "https://x.example/v.mp4",
            "picture",
            "%2e%2e",
            "content:x",
            "sha256:x",
            "version:x:000001",
            HALF,
            "owner::form-v2",
        ];
        match self.below(8) {
            0 => "x".repeat(self.below(3000)),
            1 => String::from_utf8_lossy(&self.bytes(40)).into_owned(),
            _ => (*self.one(&TEXTS)).to_owned(),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.next().is_multiple_of(2)),
            2 => json!(i64::from_ne_bytes(self.next().to_ne_bytes())),
            3 => json!(f64::from_bits(self.next())),
            4 | 5 => json!(self.text()),
            6 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            7 => Value::Object((0..self.below(4)).map(|_| (self.text(), self.value(depth - 1))).collect()),
            // JSON inside JSON.
            _ => Value::from(self.value(depth - 1).to_string()),
        }
    }

    fn survey(&mut self) -> Value {
        let answers: Vec<Value> = (0..self.below(4))
            .map(|_| {
                let options = match self.below(3) {
                    0 => self.value(2),
                    1 => json!([{ "answer": self.text() }, 7]),
                    _ => json!([{ "answer": self.text(), "display": self.text() }]),
                };
                json!({ "id": self.value(0), "answer": self.value(1), "picIds": self.value(1), "answerOptions": options })
            })
            .collect();
        let mut survey =
            json!({ "meta": { "surveyId": self.text(), "surveyTemplateId": self.text() }, "answers": answers });
        if self.below(6) == 0 {
            survey["answers"] = Value::from(survey["answers"].to_string());
        }
        match self.below(4) {
            0 => self.value(3),
            1 => Value::from(survey.to_string()),
            2 => Value::from(Value::from(survey.to_string()).to_string()),
            _ => survey,
        }
    }

    fn payload(&mut self) -> Map<String, Value> {
        let mut payload = Map::new();
        for name in
            ["username", "token", "uuId", "key2", "key4", "fileName", "fileExt", "evidenceType", "notes", "attribute7"]
        {
            if self.below(8) > 0 {
                payload.insert(name.to_owned(), if self.below(6) == 0 { self.value(2) } else { json!(self.text()) });
            }
        }
        if self.below(2) == 0 {
            payload.insert("fileExt".to_owned(), json!(*self.one(&["jpg", ".JPG", "jpeg", "pdf", ".json", "mov"])));
        }
        let types = ["picture", "CSR", "survey", "check-in", "checkin", "file", "report", ""];
        payload.insert("fileType".to_owned(), json!(*self.one(&types)));
        let scalars = [
            "timestamp",
            "gpsTimestamp",
            "gpsLatitude",
            "gpsLongitude",
            "authenticated",
            "csrCertifiedTime",
            "csrPictureCount",
            "template",
            "videoUri",
        ];
        for name in scalars {
            if self.below(3) > 0 {
                payload.insert(name.to_owned(), self.value(1));
            }
        }
        if self.below(3) == 0 {
            payload.insert("survey".to_owned(), self.survey());
        }
        payload
    }

    fn file(&mut self) -> Vec<u8> {
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
        let (head, rest) = (*self.one(&heads), self.bytes(200));
        if self.below(4) == 0 { head.to_vec() } else { [head, &rest].concat() }
    }

    /// The payload's text, and whether it says the same: not if it is no object, or has halves of surrogate pairs.
    fn written(&mut self, payload: &Map<String, Value>) -> (String, bool) {
        let text = Value::Object(payload.clone()).to_string();
        let halves = ["\\ud83d", "\\udc4d", "\\ud83d\\udc4d", "\\ud83d\\u0041", "\\ud8"];
        let text = match text.contains(HALF) {
            true => return (text.replace(HALF, self.one::<&str>(&halves)), false),
            false => text,
        };
        match self.below(24) {
            0 => (format!("[{text}]"), false),
            1 => (Value::from(format!("[{text}]")).to_string(), false),
            2 => (Value::from(text).to_string(), true),
            3 => (format!("\u{feff}  {text}\n"), true),
            _ => (text, true),
        }
    }

    /// An envelope: its header, its body, and whether it must be read as it was made.
    fn envelope(&mut self, payload: &str, file: &[u8]) -> (Option<String>, Vec<u8>, bool) {
        let boundary = *self.one(&["X", "----Pruvan8f", "a'b()+_,-./:=?", "0"]);
        let headers =
            ["multipart/form-data; boundary=", "Mulipart/Form-Data; boundary=", "MULTIPART/FORM-DATA;boundary="];
        match self.below(7) {
            0 => (None, payload.as_bytes().to_vec(), false),
            // Parts before the payload: a few, or more than anyone sends.
            2 => {
                let many = [3, 98, 99, 150][self.below(4)];
                let mut body = String::from(*self.one(&["", "a preamble\r\n", "\r\n"]));
                for n in 0..many {
                    body.push_str(&format!(
                        "--{boundary}\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n1\r\n"
                    ));
                }
                body.push_str(&format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{payload}\r\n--{boundary}--\r\n"
                ));
                (Some(format!("{}{boundary}", self.one(&headers))), body.into_bytes(), false)
            }
            1 => {
                let body = format!("x=1&payload={}", form_encode(payload));
                (Some("application/x-www-form-urlencoded".to_owned()), body.into_bytes(), false)
            }
            _ => {
                let mut body =
                    format!("--{boundary}\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{payload}\r\n")
                        .into_bytes();
                let name = *self.one(&["file", "file", "other", "payload"]);
                body.extend(
                    format!(
                        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"1.jpg\"\r\n\r\n"
                    )
                    .bytes(),
                );
                body.extend_from_slice(file);
                body.extend(format!("\r\n--{boundary}--\r\n").bytes());
                let header = match self.below(4) {
                    0 => None,
                    _ => Some(format!("{}{boundary}", self.one(&headers))),
                };
                // A file that holds the boundary ends where it does.
                let mark = format!("\r\n--{boundary}");
                let inside = [b"\r\n", file].concat();
                let clean =
                    !inside.windows(mark.len()).any(|window| window == mark.as_bytes()) && !payload.contains(&mark);
                (header, body, clean && name != "payload")
            }
        }
    }

    fn mutate(&mut self, body: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(body.len());
            match self.below(5) {
                0 => body.truncate(at),
                1 if at < body.len() => body[at] ^= 1 << self.below(8),
                2 => drop(body.splice(at..at, self.bytes(8))),
                3 => {
                    let end = (at + self.below(40)).min(body.len());
                    drop(body.drain(at.min(end)..end));
                }
                _ => {
                    let end = (at + self.below(60)).min(body.len());
                    let copy = body[at.min(end)..end].to_vec();
                    drop(body.splice(at..at, copy));
                }
            }
        }
    }
}

fn form_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// One input; true if it was read.
async fn one(choices: &mut Choices) -> bool {
    let (payload, file) = (choices.payload(), choices.file());
    let (written, same) = choices.written(&payload);
    let (header, mut body, exact) = choices.envelope(&written, &file);
    let exact = exact && same;
    let mutated = choices.below(3) > 0;
    if mutated {
        choices.mutate(&mut body);
    }
    let body = match (choices.below(4), String::from_utf8(body)) {
        (0, Ok(text)) if text.is_empty() => Body::Empty,
        (0 | 1, Ok(text)) => Body::Text(text),
        (_, Ok(text)) => Body::Binary(text.into_bytes()),
        (_, Err(bytes)) => Body::Binary(bytes.into_bytes()),
    };
    let mut request = Request::new(body);
    if let Some(header) = header.and_then(|header| header.parse().ok()) {
        request.headers_mut().insert("content-type", header);
    }
    let read = match form::read(request).await {
        Ok(read) => read,
        Err(error) => {
            assert!(mutated || !exact, "an envelope that is whole is refused: {error}");
            assert!(error.to_string().is_ascii());
            return false;
        }
    };
    if exact && !mutated {
        assert_eq!(read.payload, payload, "the payload comes out as it went in");
        assert_eq!(read.file.as_deref().unwrap_or_default(), file, "and so does the file");
    }
    if let Some(survey) = &read.survey {
        let _ = Survey::from_json(survey);
    }
    let format = files::sniff(read.file.as_deref().unwrap_or_default());
    let upload = UploadRequest::from_payload(read.payload).upload;
    let _ = (
        upload.taken_at(),
        upload.position(),
        upload.authenticated(),
        upload.certified_time(),
        upload.certified_location(),
        upload.picture_count(),
        upload.survey_template().map(|template| template.to_string()),
        files::mismatch(format, &upload),
    );
    assert!(!["token", "password", "pushkey"].iter().any(|secret| upload.fields.contains_key(*secret)));
    let (id, number) = (item_id(&upload, None), upload.work_order_number().unwrap_or_default());
    assert!((1..=200).contains(&id.len()), "{id:?}");
    for text in [&upload.file_name, &upload.key4, &upload.evidence_type].into_iter().flatten() {
        let name = files::part_of_name(text);
        assert!(!name.starts_with('.') && !name.contains(['/', '\\', '\0', ':']) && name.len() <= 120, "{name:?}");
    }
    let path = files::path("user", number, &id, &fingerprint(&upload, None), format.extension);
    let parts: Vec<&str> = path.split('/').collect();
    assert!(
        parts.len() == 4 && parts[0] == "user" && !path.contains("..") && path.is_ascii() && path.len() < 1024,
        "{path}"
    );
    true
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let amount: u64 = arguments.first().and_then(|amount| amount.parse().ok()).unwrap_or(60);
    let inputs = arguments.get(1).is_some_and(|unit| unit == "inputs");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = arguments.get(2).and_then(|seed| seed.parse().ok()).unwrap_or(now.as_secs());
    let mut out = std::io::stdout();
    let _ = writeln!(out, "seed {seed}");
    let (begun, mut done, mut read) = (Instant::now(), 0u64, 0u64);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        while if inputs { done < amount } else { begun.elapsed() < Duration::from_secs(amount) } {
            // Each input from a seed of its own, so that one that fails is made again alone.
            let mut choices = Choices(seed.wrapping_add(done));
            let before = format!("input {}", seed.wrapping_add(done));
            let input = std::panic::AssertUnwindSafe(one(&mut choices));
            match futures_util::FutureExt::catch_unwind(input).await {
                Ok(was_read) => read += u64::from(was_read),
                Err(_) => {
                    let _ = writeln!(out, "{before} failed: run it again with 1 inputs {}", seed.wrapping_add(done));
                    std::process::exit(1);
                }
            }
            done += 1;
        }
    });
    let _ = writeln!(out, "{done} inputs in {:.0} s, {read} of them read to the end", begun.elapsed().as_secs_f64());
}
