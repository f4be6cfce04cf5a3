//! Calls of the web services as Pruvan makes them, and what comes back.

use bridge::secrets::hex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::receiver::Receiver;
use super::{Suite, TIMEOUT};
use crate::doctor::{Reply, cause};
use crate::report::Fault;
use crate::spec::Service;
use crate::wire::forms;

/// An order that no account has.
pub const NO_ORDER: &str = "conformance-no-such-order";

/// Whose credentials are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The right ones.
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

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    pub service: Service,
    pub who: Who,
    /// Beside the credentials.
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
}

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
    fn body(&self, payload: &str, spelling: Spelling) -> (String, Vec<u8>) {
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
        let boundary = format!("----Pruvan{}", hex(&Sha1::digest(&payload)[..12]));
        let kind_of_payload = self.payload_type.map(|kind| format!("\r\nContent-Type: {kind}")).unwrap_or_default();
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"payload\"{kind_of_payload}\r\n\r\n");
        let payload = [head.as_bytes(), &payload, b"\r\n"].concat();
        let file = self.file.as_ref().map(|(name, bytes)| {
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
            );
            let bytes = if self.cut { &bytes[..bytes.len() / 2] } else { bytes };
            [head.as_bytes(), bytes].concat()
        });
        let mut body = match file {
            None => payload,
            Some(file) if self.file_first => [&file, b"\r\n".as_slice(), &payload].concat(),
            Some(file) => [&payload, file.as_slice()].concat(),
        };
        if !self.cut {
            let end = if self.file.is_some() && !self.file_first { "\r\n" } else { "" };
            body.extend_from_slice(format!("{end}--{boundary}--\r\n").as_bytes());
        }
        (format!("{kind}; boundary={boundary}"), body)
    }

    /// What was sent, in few words and without credentials.
    fn told(&self) -> String {
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

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub service: Service,
    /// What was sent, in few words.
    pub sent: String,
    /// Without secrets.
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
    token: SecretString,
    sha1: SecretString,
    push: Option<SecretString>,
}

impl Secrets {
    pub fn new(token: &SecretString, receiver: Option<&Receiver>) -> Secrets {
        let sha1 = hex(&Sha1::digest(token.expose_secret().as_bytes()));
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
    fn in_text(&self, text: &str) -> Vec<&'static str> {
        let mut found: Vec<_> = self.forms().filter(|(_, form)| text.contains(form)).map(|(name, _)| name).collect();
        found.dedup();
        found
    }
}

impl Suite {
    /// The Validate button, which hands the push key over.
    pub fn validate(&self) -> Call {
        Call::new(
            Service::Validate,
            match &self.receiver {
                Ok(receiver) => json!({ "pushkey": receiver.push_key() }),
                // One that leads nowhere would take the place of the one that is there.
                Err(_) => json!({}),
            },
        )
    }

    /// Makes a call as Pruvan does, and notes what breaks the specification in its reply. An error says why there was none.
    pub async fn call(&self, call: &Call) -> Result<Answer, Fault> {
        let wrong = "conformance-wrong-key";
        let sha1 = |token: &str| hex(&Sha1::digest(token.as_bytes()));
        let (username, password, token) = match call.who {
            Who::Right => {
                let (sha1, token) = (self.secrets.sha1.expose_secret(), self.secrets.token.expose_secret());
                (self.options.username.as_str(), sha1.to_owned(), token)
            }
            Who::WrongKey => (self.options.username.as_str(), sha1(wrong), wrong),
            Who::UnknownUser => ("conformance-unknown-user", sha1(wrong), wrong),
            Who::EmptyToken => (self.options.username.as_str(), sha1(""), ""),
        };
        let mut payload = json!({ "username": username, "password": password, "token": token });
        if let (Value::Object(payload), Value::Object(fields)) = (&mut payload, call.fields.clone()) {
            payload.extend(fields);
        }
        let payload = payload.to_string();
        let (content_type, body) = call.body(&payload, call.spelling.unwrap_or(self.spelling));
        let sent_secrets = self.secrets.in_text(&payload);
        let dot = if self.options.extension.is_empty() { "" } else { "." };
        let extension = self.options.extension.trim_start_matches('.');
        let url = format!("{}/{}{dot}{extension}", self.url.as_str().trim_end_matches('/'), call.service.name());
        let sent = self.secrets.mask(&call.told());
        let no_reply = |error: reqwest::Error| {
            let next =
                format!("a reply is due within {} seconds: look into the log of the implementation", TIMEOUT.as_secs());
            Fault::new(format!("sent {sent}; no reply: {}", cause(&error)), next)
        };
        let reply =
            self.client.post(url).header("content-type", content_type).body(body).send().await.map_err(no_reply)?;
        let status = reply.status().as_u16();
        let content_type = reply.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = reply.bytes().await.map_err(no_reply)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut repeated = self.secrets.in_text(&text);
        repeated.retain(|name| sent_secrets.contains(name));
        let text = self.secrets.mask(&text);
        let content_type = content_type.map(|kind| self.secrets.mask(&kind));
        let breaches = crate::spec::reply(call.service, status, content_type.as_deref(), text.as_bytes());
        self.noted().note(call.service, &sent, breaches, repeated);
        let json = serde_json::from_str(&text).unwrap_or_default();
        let reply = Reply { status, content_type: content_type.unwrap_or_default(), text };
        Ok(Answer { service: call.service, sent, reply, json })
    }
}
