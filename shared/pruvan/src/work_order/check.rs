//! The checks of a work order, field by field: each fault has a JSON pointer and says what to do.

use serde_json::{Map, Value};

use super::fields::{Field, Kind, SERVICE_FIELDS, SERVICES};
use super::remark::Remark;
use super::shapes::{is_in_us, is_template, is_zip_code, nearest, number_fault, one_line};
use crate::ascii::{ascii_value, is_private, rewritten};
use crate::dates::{WrittenDate, is_no_date};
use crate::html::light;
use crate::lenient::{is_nothing, list, number, structure, text};
use crate::options::{Level, ValueFault, option_named};
use crate::rewrite::Alteration;
use crate::status::OfficeStatus;

/// At most this many services an order; ours, the specification has none.
pub const MAX_SERVICES: usize = 200;

/// So many levels may a value within an order have: beside the order's own three, the order must still be read as JSON.
pub const MAX_VALUE_DEPTH: usize = 64;

/// At most so many fields that an order doesn't have are named one by one.
pub(super) const MAX_UNKNOWN: usize = 20;

const NOT_ASCII: &str = "holds characters that Pruvan doesn't take; they were replaced by similar ASCII ones";

/// What a check has found so far.
#[derive(Default)]
pub(super) struct Check {
    pub errors: Vec<Remark>,
    pub warnings: Vec<Remark>,
}

impl Check {
    /// Something for which the order is refused.
    pub fn error(&mut self, pointer: &str, detail: impl Into<String>) {
        self.errors.push(Remark::new(pointer, detail));
    }

    /// Tells where a value is not sent as it came.
    fn tell(&mut self, pointer: &str, why: &str, altered: Vec<Alteration>) {
        if !altered.is_empty() {
            self.warnings.push(Remark::altered(pointer, why, altered));
        }
    }

    /// Something that is taken, and that its sender may want otherwise.
    fn warn(&mut self, pointer: &str, detail: impl Into<String>) {
        self.warnings.push(Remark::new(pointer, detail));
    }

    /// The fields of a table, in its order, out of `body`: an order or a service, as `what` says in faults.
    pub fn object(
        &mut self,
        prefix: &str,
        table: &[Field],
        mut body: Map<String, Value>,
        what: &str,
    ) -> Vec<(&'static str, Value)> {
        let mut fields = Vec::with_capacity(body.len());
        for field in table {
            let pointer = format!("{prefix}/{}", field.name);
            match body.remove(field.name).filter(|value| !is_nothing(value)) {
                Some(value) => {
                    if let Some(value) = self.value(&pointer, field.kind, value) {
                        fields.push((field.name, value));
                    }
                }
                None if field.required => self.error(&pointer, "is required"),
                None => {}
            }
        }
        if body.len() > MAX_UNKNOWN {
            self.error(prefix, format!("has {} more that are no fields of a {what}", body.len() - MAX_UNKNOWN));
        }
        for unknown in body.keys().take(MAX_UNKNOWN) {
            let pointer = format!("{prefix}/{}", unknown.replace('~', "~0").replace('/', "~1"));
            let reserved = prefix.is_empty() && (1..=6).any(|n| *unknown == format!("attribute{n}"));
            if reserved {
                self.error(&pointer, "is reserved for the address: use attribute7 to attribute15");
            } else {
                let near = nearest(unknown, table.iter().chain([&SERVICES]).map(|field| field.name));
                let advice = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                self.error(&pointer, format!("is not a field of a {what}{advice}"));
            }
        }
        fields
    }

    /// A value as it is sent, by the kind of its field; none if it can't be sent, or nothing is left of it.
    fn value(&mut self, pointer: &str, kind: Kind, value: Value) -> Option<Value> {
        match kind {
            // PHP writes an object without anything in it as a list.
            Kind::Json | Kind::Options(_) if list(&value).is_some_and(|items| items.is_empty()) => None,
            Kind::Number => self.number(pointer, &value),
            Kind::Line(max) => self.line(pointer, max, &value).map(Value::String),
            Kind::User => self.user(pointer, &value).map(Value::String),
            Kind::Text(max) => self.text(pointer, max, &value).map(Value::String),
            Kind::Html(max) => self.html(pointer, max, &value),
            Kind::Status => self.status(pointer, &value),
            Kind::DueDate => self.due_date(pointer, &value),
            Kind::Date => {
                let sent = self.date(pointer, &value)?.sent();
                sent.map(Value::String).map_err(|error| self.error(pointer, error.to_string())).ok()
            }
            Kind::Degrees(most) => {
                let degrees = number(&value).filter(|degrees| degrees.abs() <= most).map(Value::from);
                degrees
                    .or_else(|| self.none(pointer, format!("must be degrees from -{most} to {most}{}", given(&value))))
            }
            Kind::Options(level) => self.options(pointer, level, value),
            Kind::Services => Some(self.services(&value)),
            Kind::SurveyTemplate => self.template(pointer, &value),
            Kind::Json => match structure(&value) {
                Some(mut json) if json.is_object() => {
                    self.transliterate(pointer, &mut json);
                    self.depth(pointer, &json);
                    Some(json)
                }
                _ => self.none(pointer, "must be a JSON object"),
            },
        }
    }

    /// No value, and the fault for which there is none.
    fn none(&mut self, pointer: &str, detail: impl Into<String>) -> Option<Value> {
        self.error(pointer, detail);
        None
    }

    fn number(&mut self, pointer: &str, value: &Value) -> Option<Value> {
        let number = text(value)?;
        if let Some(fault) = number_fault(&number) {
            self.error(pointer, fault);
        }
        Some(Value::String(number))
    }

    fn html(&mut self, pointer: &str, max: usize, value: &Value) -> Option<Value> {
        let text = self.text(pointer, max, value)?;
        let (sent, left_out) = light(&text);
        self.tell(
            pointer,
            "holds HTML that Pruvan doesn't show: only headers, text styling, lists, line breaks and links were kept",
            left_out,
        );
        if sent.len() > max {
            return self.none(pointer, format!("has {} characters; at most {max} are allowed", sent.len()));
        }
        // Nothing but tags that go is the same as nothing.
        Some(Value::from(sent.trim())).filter(|sent| !is_nothing(sent))
    }

    fn status(&mut self, pointer: &str, value: &Value) -> Option<Value> {
        let text = self.line(pointer, 255, value)?;
        if let Some(status) = OfficeStatus::parse(&text) {
            return Some(Value::from(status.as_str()));
        }
        let known = OfficeStatus::ALL.iter().map(|status| status.as_str());
        let near = nearest(&text, known.clone()).map(|near| format!("; did you mean {near:?}?"));
        let (near, known) = (near.unwrap_or_default(), known.collect::<Vec<_>>().join(", "));
        let given = given(value);
        let detail =
            format!("is not a Pruvan status{near}: one of {known}. Your own status belongs in clientStatus{given}");
        self.none(pointer, detail)
    }

    fn due_date(&mut self, pointer: &str, value: &Value) -> Option<Value> {
        let date = self.date(pointer, value)?;
        let sent = date.due_date();
        let why = if date.would_shift() {
            "is another day in UTC; noon is sent, so that the day you wrote is shown"
        } else {
            "is sent as a day alone, without its time"
        };
        if date.would_shift() || date.has_time() {
            let altered = Alteration { before: text(value).unwrap_or_default(), after: sent.clone() };
            self.tell(pointer, why, vec![altered]);
        }
        Some(Value::String(sent))
    }

    fn template(&mut self, pointer: &str, value: &Value) -> Option<Value> {
        let template = self.line(pointer, 255, value)?;
        if !is_template(&template) {
            self.error(
                pointer,
                "must be a survey template's id: id, id-v2, master::id or master::id-v2, without spaces or further hyphens",
            );
        }
        Some(Value::String(template))
    }

    /// A text of one line. It is a name, an address or a code, so that nothing of it may be made up.
    fn line(&mut self, pointer: &str, max: usize, value: &Value) -> Option<String> {
        if let Value::Number(number) = value
            && !number.is_i64()
            && !number.is_u64()
        {
            self.error(
                pointer,
                format!("is the number {number}: write it in quotes, so that it is kept as you mean it"),
            );
            return None;
        }
        let ascii = self.ascii(pointer, value)?;
        if let Some(strange) = value.as_str().unwrap_or_default().chars().find(|c| is_private(*c)) {
            let code = u32::from(strange);
            self.error(pointer, format!("holds U+{code:04X}, which only one program shows: write it in letters"));
            return None;
        }
        let (line, altered) = one_line(&ascii);
        let line = line.into_owned();
        self.tell(pointer, "is one line for Pruvan", altered);
        self.fits(pointer, max, line)
    }

    /// A text of any number of lines.
    fn text(&mut self, pointer: &str, max: usize, value: &Value) -> Option<String> {
        if let Value::Number(number) = value
            && !number.is_i64()
            && !number.is_u64()
            && number.as_f64().is_none_or(|number| number.abs() >= EXACT)
        {
            self.error(pointer, format!("is the number {number}, which JSON doesn't keep exactly: write it in quotes"));
            return None;
        }
        let text = self.ascii(pointer, value)?;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.fits(pointer, max, text)
    }

    /// A text in ASCII, without spaces at its ends.
    fn ascii(&mut self, pointer: &str, value: &Value) -> Option<String> {
        if !matches!(value, Value::String(_) | Value::Number(_)) {
            self.error(pointer, "must be a text");
            return None;
        }
        let text = text(value)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.error(pointer, "holds a character that was lost on the way here: send UTF-8 (in Excel: CSV UTF-8)");
            return None;
        }
        let (sent, altered) = rewritten(&text);
        // Of what nobody sees nothing may be left, or spaces.
        let sent = sent.trim().to_owned();
        if is_nothing(&Value::from(sent.as_str())) {
            self.error(pointer, "holds no character that Pruvan takes");
            return None;
        }
        self.tell(pointer, NOT_ASCII, altered);
        Some(sent)
    }

    fn fits(&mut self, pointer: &str, max: usize, text: String) -> Option<String> {
        if text.len() > max {
            self.error(pointer, format!("has {} characters; at most {max} are allowed", text.len()));
            return None;
        }
        Some(text)
    }

    /// A Pruvan user, or `~all~`.
    fn user(&mut self, pointer: &str, value: &Value) -> Option<String> {
        let user = self.line(pointer, 255, value)?;
        if user.contains('@') {
            self.warn(pointer, "looks like an e-mail address: Pruvan assigns by the user name");
        }
        Some(user)
    }

    /// What fields say together: the place that Pruvan finds on the map.
    pub fn place(&mut self, fields: &mut Vec<(&'static str, Value)>) {
        let of = |fields: &[(&'static str, Value)], name: &str| {
            fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone())
        };
        let text_of = |name: &str| of(fields, name).as_ref().and_then(text).unwrap_or_default();
        let (state, zip, country) = (text_of("state"), text_of("zip"), text_of("country"));
        if !zip.is_empty() && is_in_us(&state, &country) && !is_zip_code(&zip) {
            self.warn("/zip", "is no ZIP code of the US: it has five digits, or nine, such as 78664 or 78664-1234");
        }
        let degrees = ["gpsLatitude", "gpsLongitude"].map(|name| of(fields, name).as_ref().and_then(number));
        let why = match degrees {
            [Some(latitude), Some(longitude)] if latitude == 0.0 && longitude == 0.0 => {
                "gpsLatitude and gpsLongitude are 0, which is in the sea: they were left out, and Pruvan locates the address"
            }
            [Some(_), None] | [None, Some(_)] => {
                "gpsLatitude and gpsLongitude go together: the one alone was left out, and Pruvan locates the address"
            }
            _ => return,
        };
        for (name, _) in ["gpsLatitude", "gpsLongitude"].iter().zip(degrees).filter(|(_, degrees)| degrees.is_some()) {
            self.warn(&format!("/{name}"), why);
        }
        fields.retain(|(name, _)| !matches!(*name, "gpsLatitude" | "gpsLongitude"));
    }

    fn date(&mut self, pointer: &str, value: &Value) -> Option<WrittenDate> {
        match WrittenDate::parse(value) {
            Ok(date) => Some(date),
            Err(_) if is_no_date(value) => {
                let altered = Alteration { before: text(value).unwrap_or_default(), after: String::new() };
                self.tell(pointer, "is how a database writes that there is no date", vec![altered]);
                None
            }
            Err(error) => {
                self.error(pointer, format!("{error}{}", given(value)));
                None
            }
        }
    }

    fn transliterate(&mut self, pointer: &str, json: &mut Value) {
        let altered = ascii_value(json);
        self.tell(pointer, NOT_ASCII, altered);
    }

    /// A value may come as JSON in a text, and be deeper than what holds it.
    fn depth(&mut self, pointer: &str, json: &Value) {
        if depth(json) > MAX_VALUE_DEPTH {
            self.error(pointer, format!("is nested too deep: at most {MAX_VALUE_DEPTH} levels are sent"));
        }
    }

    fn options(&mut self, pointer: &str, level: Level, value: Value) -> Option<Value> {
        let Some(Value::Object(options)) = structure(&value) else {
            self.error(pointer, "must be a JSON object, such as {\"photo_size\": \"1024\"}");
            return None;
        };
        for (name, value) in &options {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            match option_named(name) {
                Some(option) if option.levels.contains(&level) => match option.holds.fault(value) {
                    Some(ValueFault::Wrong(fault)) => self.error(&pointer, fault),
                    Some(ValueFault::Unknown(remark)) => self.warn(&pointer, remark),
                    None => {}
                },
                Some(_) => {
                    let place = if level == Level::Service { "a service" } else { "a work order" };
                    self.error(&pointer, format!("can't be set for {place}"));
                }
                None => self.warn(&pointer, "is not an option that the specification names; it is sent as it is"),
            }
        }
        let mut options = Value::Object(options);
        self.transliterate(pointer, &mut options);
        self.depth(pointer, &options);
        Some(options)
    }

    /// A list of services, complete and none twice.
    pub fn services(&mut self, value: &Value) -> Value {
        let Some(items) = list(value) else {
            self.error("/services", "must be a list of services, such as [{\"serviceName\": \"Photos\"}]");
            return Value::Null;
        };
        if items.is_empty() || items.len() > MAX_SERVICES {
            self.error("/services", format!("must have 1 to {MAX_SERVICES} services; an order can't be without any"));
        }
        let mut names = std::collections::BTreeSet::new();
        let mut services = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate().take(MAX_SERVICES) {
            let pointer = format!("/services/{index}");
            let Some(Value::Object(body)) = structure(&item) else {
                self.error(&pointer, "must be an object, such as {\"serviceName\": \"Photos\"}");
                continue;
            };
            let fields = self.object(&pointer, &SERVICE_FIELDS, body, "service");
            if let Some((_, Value::String(name))) = fields.first().filter(|(field, _)| *field == "serviceName")
                && !names.insert(name.to_ascii_lowercase())
            {
                self.error(
                    &format!("{pointer}/serviceName"),
                    format!("{name:?} is there twice: Pruvan tells services apart by their names"),
                );
            }
            services.push(Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()));
        }
        Value::Array(services)
    }
}

/// What was given, for the end of a fault, if it is short enough to be seen at once.
fn given(value: &Value) -> String {
    let text = text(value).filter(|text| text.len() <= 60 && text.chars().all(|c| !c.is_control()));
    text.map(|text| format!(" (given: {text:?})")).unwrap_or_default()
}

/// Above this a whole number in JSON may become its neighbour.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Levels of lists and objects.
fn depth(json: &Value) -> usize {
    match json {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
