//! Calls of the web services as Pruvan makes them, and what comes back.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use simulator::spec::Service;
use simulator::wire::forms;

use super::receiver::Receiver;
use crate::reply::Reply;
use crate::report::Fault;

/// An order that no account has.
pub const NO_ORDER: &str = "conformance-no-such-order";

/// Whose credentials are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The user name and the API key that the options give.
    Right,
    /// The right user, with another key.
    WrongKey,
    /// A user that there isn't.
    UnknownUser,
    /// The right user, with an empty token.
    EmptyToken,
}

/// How a call's body is made, and its header spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Multipart as *URL format* spells it: `Mulipart/Form-Data`.
    AsSpecified,
    /// Multipart as everybody else does.
    Usual,
    /// `application/x-www-form-urlencoded`; no file can be sent so.
    Urlencoded,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub service: Service,
    pub who: Who,
    /// What the payload has beside the credentials: a JSON object.
    pub fields: Value,
    /// What it is about, and those of the fields that are worth telling.
    pub about: String,
    pub shown: Value,
    pub file: Option<(String, Vec<u8>)>,
    /// Unless it is the suite's own.
    pub spelling: Option<Spelling>,
    /// A header of the payload's part.
    pub payload_type: Option<&'static str>,
    pub file_first: bool,
    /// The payload in Latin-1, where that is no UTF-8.
    pub latin_1: bool,
    /// The body ends within the file.
    pub cut: bool,
    /// A fault that writers of payloads have.
    pub slip: Option<Slip>,
}

/// What is seen in payloads and keeps no photo out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    /// A byte order mark before the payload.
    ByteOrderMark,
    /// The lines of the multipart body end in LF alone.
    BareLineFeeds,
    /// Where the payload says [`EMOJI`] it has the first half of one, escaped.
    HalfAnEmoji,
}

/// What [`Slip::HalfAnEmoji`] cuts in its middle.
pub const EMOJI: &str = "\u{1f3e0}";

impl Call {
    /// With the right key.
    pub fn new(service: Service, fields: Value) -> Call {
        Call {
            service,
            who: Who::Right,
            about: String::new(),
            shown: fields.clone(),
            fields,
            file: None,
            spelling: None,
            payload_type: None,
            file_first: false,
            latin_1: false,
            cut: false,
            slip: None,
        }
    }

    /// The same by another.
    pub fn by(self, who: Who) -> Call {
        Call { who, ..self }
    }

    /// The same with a file.
    pub fn with_file(self, name: &str, bytes: &[u8]) -> Call {
        Call { file: Some((name.to_owned(), bytes.to_vec())), ..self }
    }

    /// The body, and its header.
    pub fn body(&self, payload: &str, spelling: Spelling) -> (String, Vec<u8>) {
        let payload = match self.slip {
            Some(Slip::ByteOrderMark) => format!("\u{feff}{payload}"),
            Some(Slip::HalfAnEmoji) => payload.replace(EMOJI, "\\ud83c"),
            _ => payload.to_owned(),
        };
        let end = if self.slip == Some(Slip::BareLineFeeds) { "\n" } else { "\r\n" };
        let payload = match self.latin_1 {
            true => payload.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
            false => payload.as_bytes().to_vec(),
        };
        let kind = match spelling {
            Spelling::Urlencoded => {
                let body = [b"payload=".to_vec(), form_urlencoded::byte_serialize(&payload).collect::<String>().into()];
                return ("application/x-www-form-urlencoded".to_owned(), body.concat());
            }
            Spelling::AsSpecified => "Mulipart/Form-Data",
            Spelling::Usual => "multipart/form-data",
        };
        let boundary = format!("----Pruvan{}", hex::encode(&Sha1::digest(&payload)[..12]));
        let kind_of_payload = self.payload_type.map(|kind| format!("{end}Content-Type: {kind}")).unwrap_or_default();
        let head =
            format!("--{boundary}{end}Content-Disposition: form-data; name=\"payload\"{kind_of_payload}{end}{end}");
        let payload = [head.as_bytes(), &payload, end.as_bytes()].concat();
        let file = self.file.as_ref().map(|(name, bytes)| {
            let head = format!(
                "--{boundary}{end}Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"{end}Content-Type: application/octet-stream{end}{end}"
            );
            let bytes = if self.cut { &bytes[..bytes.len() / 2] } else { bytes };
            [head.as_bytes(), bytes].concat()
        });
        let mut body = match file {
            None => payload,
            Some(file) if self.file_first => [&file, end.as_bytes(), &payload].concat(),
            Some(file) => [&payload, file.as_slice()].concat(),
        };
        if !self.cut {
            let before = if self.file.is_some() && !self.file_first { end } else { "" };
            body.extend_from_slice(format!("{before}--{boundary}--{end}").as_bytes());
        }
        (format!("{kind}; boundary={boundary}"), body)
    }

    /// What was sent, in few words and without credentials.
    pub fn told(&self) -> String {
        const SHOWN: usize = 90;
        let who = match self.who {
            Who::Right => "",
            Who::WrongKey => " with a wrong key",
            Who::UnknownUser => " with an unknown user",
            Who::EmptyToken => " with an empty token",
        };
        let mut fields = self.shown.clone();
        if let Value::Object(fields) = &mut fields {
            fields.remove("pushkey");
        }
        let about = if self.about.is_empty() { String::new() } else { format!(" of {}", self.about) };
        let fields: String =
            fields.to_string().chars().flat_map(char::escape_default).collect::<String>().replace("\\\"", "\"");
        let shown: String = fields.chars().take(SHOWN).collect();
        let more = if fields.chars().nth(SHOWN).is_some() { " ..." } else { "" };
        let fields = if shown == "{}" { String::new() } else { format!(" {shown}{more}") };
        format!("{}{about}{fields}{who}", self.service.name())
    }
}

/// The reply to a call, with what is needed to tell of both.
#[derive(Debug, Clone)]
pub struct Answer {
    pub service: Service,
    /// What was sent, in few words.
    pub sent: String,
    /// The reply, with `***` in place of each secret.
    pub reply: Reply,
    /// The JSON in it; null if there is none.
    pub json: Value,
}

impl Answer {
    /// Whether it says yes, in whatever shape; that has rows of its own.
    pub fn says_yes(&self) -> bool {
        match self.service {
            Service::Validate => self.json["validated"] == true,
            // Null is seen in the field for an empty list.
            Service::GetWorkOrders => self.json.get("workOrders").is_some(),
            Service::UploadPictures | Service::Status => self.json["status"] == true,
        }
    }

    /// Whether it says no, in JSON.
    pub fn says_no(&self) -> bool {
        self.json.is_object() && !self.says_yes()
    }

    /// A fault: what was sent, and what came.
    pub fn fault(&self, next: impl Into<String>) -> Fault {
        Fault::new(format!("sent {}; got {}", self.sent, self.reply.seen()), next)
    }

    /// It must say yes.
    pub fn taken(&self) -> Result<(), Fault> {
        match self.says_yes() {
            true => Ok(()),
            false => Err(self.fault(format!("documented is {}", self.service.documented()))),
        }
    }

    /// It must say no.
    pub fn refused(&self) -> Result<(), Fault> {
        let documented = self.service.documented_refusal();
        match (self.says_yes(), self.says_no()) {
            (true, _) => Err(self.fault(format!("this must be refused; documented is {documented}"))),
            (_, false) => Err(self.fault(format!("documented is {documented}"))),
            _ => Ok(()),
        }
    }
}

/// What must be in no reply and no report.
pub struct Secrets {
    pub token: SecretString,
    pub sha1: SecretString,
    push: Option<SecretString>,
}

impl Secrets {
    pub fn new(token: &SecretString, receiver: Option<&Receiver>) -> Secrets {
        let sha1 = hex::encode(Sha1::digest(token.expose_secret().as_bytes()));
        Secrets { token: token.clone(), sha1: sha1.into(), push: receiver.map(|receiver| receiver.secret().into()) }
    }

    /// Each with its name, in all forms that a reply may have it in.
    fn forms(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = [
            ("the token", Some(&self.token)),
            ("the password", Some(&self.sha1)),
            ("the push key", self.push.as_ref()),
        ];
        all.into_iter()
            .filter_map(|(name, secret)| Some((name, secret?)))
            .flat_map(|(name, secret)| forms(secret.expose_secret()).map(|form| (name, form)))
    }

    /// The text without them.
    pub fn mask(&self, text: &str) -> String {
        self.forms().fold(text.to_owned(), |text, (_, form)| text.replace(&form, "***"))
    }

    /// Which are in a text.
    pub fn in_text(&self, text: &str) -> Vec<&'static str> {
        let mut found: Vec<_> = self.forms().filter(|(_, form)| text.contains(form)).map(|(name, _)| name).collect();
        found.dedup();
        found
    }
}
