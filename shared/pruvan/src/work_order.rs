//! *Available workOrder Object Fields* and *Available workOrder service Object Fields*: the tables as data, and the one
//! way to make a [`WorkOrder`] that is fit to be sent.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ascii::{ascii, ascii_value};
use crate::dates::WrittenDate;
use crate::html::light;
use crate::integration::IntegrationType;
use crate::lenient::{is_nothing, number, structure, text};
use crate::options::{Level, ValueFault, option_named};
use crate::status::OfficeStatus;

/// Whether Pruvan takes a new value for a field of an order that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updatable {
    /// Only the value of the creation counts.
    No,
    /// Always.
    Yes,
    /// `Y*`: internal integrations directly, external ones through `auto_admin`; see [`crate::integration`].
    ByIntegration,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// The work order number: 1 to 100 printable ASCII characters, no `::` (that parts it from Pruvan's client code).
    Number,
    /// Text of at most so many characters. The specification gives no lengths; these are ours, generous on purpose.
    Text(usize),
    /// The same, with light HTML in it.
    Html(usize),
    /// A Pruvan office status.
    Status,
    /// The date that becomes noon UTC.
    DueDate,
    /// Any other date.
    Date,
    /// Degrees, at most so many north or south, east or west.
    Degrees(f64),
    /// Mobile configuration options at this level: an object, or one in a JSON string.
    Options(Level),
    /// The services: at least one, none twice.
    Services,
    /// A survey template's id: `id`, `id-vN`, either with `master::` before it.
    SurveyTemplate,
    /// A JSON object, or one in a JSON string.
    Json,
}

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The key in the JSON.
    pub name: &'static str,
    /// Must be there when the order is created.
    pub required: bool,
    /// Can be changed afterwards.
    pub updatable: Updatable,
    /// What Pruvan takes when it is left out on creation, if the specification says so.
    pub default: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
}

const fn field(name: &'static str, required: bool, updatable: Updatable, kind: Kind) -> Field {
    Field { name, required, updatable, default: None, kind }
}

const fn with_default(field: Field, default: &'static str) -> Field {
    Field { default: Some(default), ..field }
}

use Updatable::{ByIntegration, No, Yes};

const LINE: Kind = Kind::Text(255);
const LONG: Kind = Kind::Text(50_000);
const HTML: Kind = Kind::Html(50_000);

/// The fields of a work order, in the specification's order, which is the order they are sent in.
///
/// `attribute1` to `attribute6` are Pruvan's own (the address), so they are no fields here.
pub const WORK_ORDER_FIELDS: [Field; 33] = [
    field("workOrderNumber", true, No, Kind::Number),
    field("workOrderInfo", false, Yes, LONG),
    field("address1", true, No, LINE),
    field("address2", false, No, LINE),
    field("city", true, No, LINE),
    field("state", true, No, LINE),
    field("zip", true, No, LINE),
    field("country", false, No, LINE),
    field("assignedTo", false, ByIntegration, LINE),
    with_default(field("status", false, ByIntegration, Kind::Status), "unassigned"),
    with_default(field("dueDate", false, ByIntegration, Kind::DueDate), "today"),
    field("instructions", false, ByIntegration, HTML),
    field("clientStatus", false, Yes, LINE),
    field("clientDueDate", false, Yes, Kind::Date),
    field("clientInstructions", false, Yes, HTML),
    field("description", false, No, LONG),
    field("reference", false, ByIntegration, LINE),
    field("attribute7", false, No, LONG),
    field("attribute8", false, No, LONG),
    field("attribute9", false, No, LONG),
    field("attribute10", false, No, LONG),
    field("attribute11", false, No, LONG),
    field("attribute12", false, No, LONG),
    field("attribute13", false, No, LONG),
    field("attribute14", false, No, LONG),
    field("attribute15", false, No, LONG),
    field("gpsLatitude", false, No, Kind::Degrees(90.0)),
    field("gpsLongitude", false, No, Kind::Degrees(180.0)),
    field("options", false, No, Kind::Options(Level::WorkOrder)),
    field("startDate", false, Yes, Kind::Date),
    field("source_wo_id", false, No, LINE),
    field("source_wo_number", false, No, LINE),
    field("source_wo_provider", false, No, LINE),
];

/// The last field of a work order, apart because it holds rows of the second table.
pub const SERVICES: Field = field("services", true, Yes, Kind::Services);

/// The fields of a service. `surveyDynamic` is not in the specification; Pruvan's support pages document it for rework.
pub const SERVICE_FIELDS: [Field; 22] = [
    field("serviceName", true, No, LINE),
    field("survey", false, No, Kind::SurveyTemplate),
    field("instructions", false, Yes, HTML),
    field("options", false, Yes, Kind::Options(Level::Service)),
    field("source_service", false, No, LINE),
    field("source_service_id", false, No, LINE),
    field("attribute1", false, No, LONG),
    field("attribute2", false, No, LONG),
    field("attribute3", false, No, LONG),
    field("attribute4", false, No, LONG),
    field("attribute5", false, No, LONG),
    field("attribute6", false, No, LONG),
    field("attribute7", false, No, LONG),
    field("attribute8", false, No, LONG),
    field("attribute9", false, No, LONG),
    field("attribute10", false, No, LONG),
    field("attribute11", false, No, LONG),
    field("attribute12", false, No, LONG),
    field("attribute13", false, No, LONG),
    field("attribute14", false, No, LONG),
    field("attribute15", false, No, LONG),
    field("surveyDynamic", false, No, Kind::Json),
];

/// At most this many services an order; ours, the specification has none.
pub const MAX_SERVICES: usize = 200;

/// An order as JSON has at most this many bytes, so that it fits a push, and twice a database row of 400 KB with room
/// for what is reported: an index on the row counts against the same limit.
pub const MAX_DOCUMENT: usize = 150_000;

/// So many levels may a value within an order have: beside the order's own three, the order must still be read as JSON.
pub const MAX_VALUE_DEPTH: usize = 64;

/// At most so many fields that an order doesn't have are named one by one.
const MAX_UNKNOWN: usize = 20;

/// Something about one field: an error that kept the order from being taken, or a warning beside one that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// JSON pointer (RFC 6901) to the field in the order, such as `/services/0/serviceName`.
    pub field: String,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Remark {
    fn new(field: &str, detail: impl Into<String>) -> Remark {
        Remark { field: field.to_owned(), detail: detail.into() }
    }
}

/// A whole work order with every field checked and in the form that Pruvan gets.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkOrder {
    number: String,
    /// In the specification's order.
    fields: Vec<(&'static str, Value)>,
}

/// Fields that are wishes and not state: Pruvan's people change them too, so each is sent only until Pruvan has it.
pub const DIRECTIVES: [&str; 3] = ["assignedTo", "status", "dueDate"];

/// The values of the [`DIRECTIVES`], by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives(pub std::collections::BTreeMap<String, String>);

impl Directives {
    /// As fields to put in front of a document's own: `"dueDate":"2016-05-25 1200 +0","status":"rush",`. Empty without
    /// any.
    pub fn fragment(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{}:{},", Value::from(name.as_str()), Value::from(value.as_str())))
            .collect()
    }
}

impl WorkOrder {
    /// Checks a whole order for the number it has or is to have, and brings it into the form that is sent.
    ///
    /// Text is transliterated to ASCII, numbers are read as text where text is due, `dueDate` becomes noon UTC of the
    /// day meant. `null` and `""` are the same as leaving a field out. What is accepted and yet changed is told in the
    /// warnings; otherwise every fault found is told, not only the first.
    pub fn parse(number: &str, mut body: Map<String, Value>) -> Result<(WorkOrder, Vec<Remark>), Vec<Remark>> {
        let mut check = Check::default();
        if let Some(given) = body.get("workOrderNumber").and_then(text)
            && given != number
        {
            check.error("/workOrderNumber", format!("is {given:?}, but the order addressed is {number:?}"));
        }
        body.insert("workOrderNumber".to_owned(), Value::from(number));
        let services = body.remove(SERVICES.name);
        let mut fields = check.object("", &WORK_ORDER_FIELDS, body, "work order");
        match services.as_ref().filter(|services| !is_nothing(services)) {
            Some(services) => fields.push((SERVICES.name, check.services(services))),
            None => check.error(
                "/services",
                "is required: a list of at least one service, such as [{\"serviceName\": \"Photos\"}]",
            ),
        }
        let order = WorkOrder { number: number.to_owned(), fields };
        if check.errors.is_empty() {
            let size = order.document().len();
            if size > MAX_DOCUMENT {
                check.error(
                    "",
                    format!("the order has {size} bytes as JSON; at most {MAX_DOCUMENT} can be stored and pushed"),
                );
            }
        }
        if check.errors.is_empty() { Ok((order, check.warnings)) } else { Err(check.errors) }
    }

    /// The same with these services, which were checked before: those of the order as it is.
    pub fn with_services(&self, services: Value) -> WorkOrder {
        let mut order = self.clone();
        order.fields.retain(|(name, _)| *name != SERVICES.name);
        order.fields.push((SERVICES.name, services));
        order
    }

    /// `workOrderNumber`.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// A field's value in the form that is sent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The order as compact ASCII JSON, keys in the specification's order, without the [`DIRECTIVES`].
    pub fn document(&self) -> String {
        let mut document = "{".to_owned();
        for (name, value) in self.fields.iter().filter(|(name, _)| !DIRECTIVES.contains(name)) {
            if document.len() > 1 {
                document.push(',');
            }
            document.push_str(&format!("\"{name}\":{value}"));
        }
        document.push('}');
        document
    }

    /// The directives that the order gives.
    pub fn directives(&self) -> Directives {
        let given = self.fields.iter().filter(|(name, _)| DIRECTIVES.contains(name));
        Directives(given.map(|(name, value)| ((*name).to_owned(), text(value).unwrap_or_default())).collect())
    }
}

/// Why a text can't be a work order number, if it can't.
pub fn number_fault(number: &str) -> Option<&'static str> {
    if number.is_empty() {
        Some("is required")
    } else if number.len() > 100 {
        Some("is too long: at most 100 characters")
    } else if !number.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Some("may hold printable ASCII characters only")
    } else if number.trim() != number {
        Some("must not begin or end with a space")
    } else if matches!(number, "." | "..") {
        Some("must be more than dots: no URL can have it in its path")
    } else if number.starts_with(':') {
        Some("must not begin with a colon: Pruvan puts \"::\" in front of it")
    } else if number.contains("::") {
        Some("must not contain \"::\": Pruvan puts that between its client code and the number")
    } else {
        None
    }
}

/// The services of an order's document, by name, each with its survey or an empty text. Pruvan takes no other survey
/// under the same name (*Available workOrder service Object Fields*).
pub fn surveys(document: &Map<String, Value>) -> std::collections::BTreeMap<String, String> {
    let services = document.get("services").and_then(Value::as_array).into_iter().flatten();
    let named = services.filter_map(|service| {
        let text = |name: &str| service.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text("serviceName")?, text("survey").unwrap_or_default()))
    });
    named.collect()
}

/// The order's document without these services: what goes first where a survey is to change under the same name.
pub fn without_services(document: &str, names: &std::collections::BTreeSet<String>) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(document) else { return document.to_owned() };
    if let Some(Value::Array(services)) = fields.get_mut("services") {
        services.retain(|service| {
            service.get("serviceName").and_then(Value::as_str).is_none_or(|name| !names.contains(name))
        });
    }
    Value::Object(fields).to_string()
}

/// A field of an order that Pruvan has, whose new value it won't take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUpdated {
    /// JSON pointer (RFC 6901) to the field in the order, such as `/services/0/instructions`.
    pub field: String,
    /// Why it won't.
    pub why: WhyNotUpdated,
}

/// Why Pruvan won't take a new value over, by the tables of fields and the kind of integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhyNotUpdated {
    /// The field isn't updateable.
    #[error("is not updated once Pruvan has the order: it keeps what it was created with")]
    NeverOfOrder,
    /// An external integration may set it only by force.
    #[error("is not taken from an external integration once Pruvan has the order: \"force\": true overrides that")]
    OnlyByForce,
    /// An external integration may set it only with its option `auto_admin`, or by force.
    #[error(
        "is not taken from an external integration without its option auto_admin once Pruvan has the order: override with \"force\": true"
    )]
    OnlyByAutoAdmin,
    /// A field that is left out stays as it is.
    #[error("is left out now, and Pruvan keeps what it has: send another text to replace it")]
    LeftOut,
    /// The service's field isn't updateable.
    #[error("is not updated once Pruvan has the service: give the service another serviceName")]
    NeverOfService,
    /// The specification says of the service's field that it is updateable, and that it isn't.
    #[error(
        "may not be updated once Pruvan has the service (the specification says both): give the service another serviceName if the crew must see it"
    )]
    PerhapsOfService,
}

/// What Pruvan won't take over when an order that it has changes from `was` to `is`, by the tables of fields and the
/// kind of integration; `set` are wishes that are set anew, also with the value they had; `anew` says whether the
/// service of a name is deleted there first. It does no harm to send all the same: Pruvan may know better.
pub fn not_updated(
    was: &Map<String, Value>,
    is: &Map<String, Value>,
    integration: IntegrationType,
    auto_admin: bool,
    force: bool,
    set: &[String],
    anew: impl Fn(&str) -> bool,
) -> Vec<NotUpdated> {
    let mut found = Vec::new();
    for field in &WORK_ORDER_FIELDS {
        let (before, now) = (was.get(field.name), is.get(field.name));
        if before == now && !set.iter().any(|name| name == field.name) {
            continue;
        }
        let why = match field.updatable {
            Updatable::No => WhyNotUpdated::NeverOfOrder,
            Updatable::ByIntegration if force || integration.may_set(field.name, auto_admin) => match now {
                None if !DIRECTIVES.contains(&field.name) => WhyNotUpdated::LeftOut,
                _ => continue,
            },
            Updatable::ByIntegration if field.name == "assignedTo" => WhyNotUpdated::OnlyByForce,
            Updatable::ByIntegration => WhyNotUpdated::OnlyByAutoAdmin,
            Updatable::Yes if now.is_none() => WhyNotUpdated::LeftOut,
            Updatable::Yes => continue,
        };
        found.push(NotUpdated { field: format!("/{}", field.name), why });
    }
    let services = |of: &Map<String, Value>| of.get("services").and_then(Value::as_array).cloned().unwrap_or_default();
    let before = services(was);
    for (index, service) in services(is).iter().enumerate() {
        let name = service.get("serviceName").and_then(Value::as_str).unwrap_or_default();
        let Some(before) = before.iter().find(|before| before.get("serviceName").and_then(Value::as_str) == Some(name))
        else {
            continue;
        };
        if anew(name) {
            continue;
        }
        for field in SERVICE_FIELDS.iter().filter(|field| before.get(field.name) != service.get(field.name)) {
            let why = match field.updatable {
                Updatable::No => WhyNotUpdated::NeverOfService,
                _ => WhyNotUpdated::PerhapsOfService,
            };
            found.push(NotUpdated { field: format!("/services/{index}/{}", field.name), why });
        }
    }
    found
}

/// The document that deletes an order in Pruvan. An external integration can't, so the client's own status says it,
/// too.
pub fn delete_request(number: &str) -> String {
    serde_json::json!({ "workOrderNumber": number, "status": "deleted", "clientStatus": "Deleted" }).to_string()
}

/// Applies an RFC 7386 merge patch: objects are merged, `null` removes, all else (so `services` too) is replaced.
pub fn merge_patch(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                target.remove(&key);
            }
            Value::Object(change) => {
                let slot = target.entry(key).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(slot) = slot {
                    merge_patch(slot, change);
                }
            }
            change => {
                target.insert(key, change);
            }
        }
    }
}

#[derive(Default)]
struct Check {
    errors: Vec<Remark>,
    warnings: Vec<Remark>,
}

impl Check {
    fn error(&mut self, pointer: &str, detail: impl Into<String>) {
        self.errors.push(Remark::new(pointer, detail));
    }

    fn warn(&mut self, pointer: &str, detail: impl Into<String>) {
        self.warnings.push(Remark::new(pointer, detail));
    }

    fn object(
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

    fn value(&mut self, pointer: &str, kind: Kind, value: Value) -> Option<Value> {
        match kind {
            Kind::Number => {
                let number = text(&value)?;
                if let Some(fault) = number_fault(&number) {
                    self.error(pointer, fault);
                }
                Some(Value::String(number))
            }
            Kind::Text(max) => self.text(pointer, max, &value).map(Value::String),
            Kind::Html(max) => {
                let text = self.text(pointer, max, &value)?;
                let (sent, lost) = light(&text);
                if lost {
                    self.warn(pointer, "holds HTML that Pruvan doesn't show: only headers, text styling, lists, line breaks and links were kept");
                }
                if sent.len() > max {
                    self.error(pointer, format!("has {} characters; at most {max} are allowed", sent.len()));
                    return None;
                }
                // Nothing but tags that go is the same as nothing.
                Some(Value::from(sent.trim())).filter(|sent| !is_nothing(sent))
            }
            Kind::Status => {
                let text = self.text(pointer, 255, &value)?;
                match OfficeStatus::parse(&text) {
                    Some(status) => Some(Value::from(status.as_str())),
                    None => {
                        let known = OfficeStatus::ALL.iter().map(|status| status.as_str());
                        let near = nearest(&text, known.clone()).map(|near| format!("; did you mean {near:?}?"));
                        self.error(
                            pointer,
                            format!(
                                "is not a Pruvan status{}: one of {}. Your own status belongs in clientStatus",
                                near.unwrap_or_default(),
                                known.collect::<Vec<_>>().join(", ")
                            ),
                        );
                        None
                    }
                }
            }
            Kind::DueDate => {
                let date = self.date(pointer, &value)?;
                if date.would_shift() {
                    self.warn(
                        pointer,
                        format!(
                            "is another day in UTC; {} is sent, so that the day you wrote is shown",
                            date.due_date()
                        ),
                    );
                }
                Some(Value::String(date.due_date()))
            }
            Kind::Date => match self.date(pointer, &value)?.sent() {
                Ok(sent) => Some(Value::String(sent)),
                Err(error) => {
                    self.error(pointer, error.to_string());
                    None
                }
            },
            Kind::Degrees(most) => match number(&value).filter(|degrees| degrees.abs() <= most) {
                Some(degrees) => Some(Value::from(degrees)),
                None => {
                    self.error(pointer, format!("must be degrees from -{most} to {most}"));
                    None
                }
            },
            Kind::Options(level) => self.options(pointer, level, value),
            Kind::Services => Some(self.services(&value)),
            Kind::SurveyTemplate => {
                let template = self.text(pointer, 255, &value)?;
                if !is_template(&template) {
                    self.error(
                        pointer,
                        "must be a survey template's id: id, id-v2, master::id or master::id-v2, without spaces or further hyphens",
                    );
                }
                Some(Value::String(template))
            }
            Kind::Json => match structure(&value) {
                Some(mut json) if json.is_object() => {
                    self.transliterate(pointer, &mut json);
                    self.depth(pointer, &json);
                    Some(json)
                }
                _ => {
                    self.error(pointer, "must be a JSON object");
                    None
                }
            },
        }
    }

    fn text(&mut self, pointer: &str, max: usize, value: &Value) -> Option<String> {
        if !matches!(value, Value::String(_) | Value::Number(_)) {
            self.error(pointer, "must be a text");
            return None;
        }
        let text = text(value)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.error(pointer, "holds a character that was lost on the way here: send UTF-8 (in Excel: CSV UTF-8)");
            return None;
        }
        // Of what nobody sees nothing may be left, or spaces.
        let sent = ascii(&text).trim().to_owned();
        if is_nothing(&Value::from(sent.as_str())) {
            self.error(pointer, "holds no character that Pruvan takes");
            return None;
        }
        if sent != text {
            self.warn(pointer, "holds characters that Pruvan doesn't take; they were replaced by similar ASCII ones");
        }
        if sent.len() > max {
            self.error(pointer, format!("has {} characters; at most {max} are allowed", sent.len()));
            return None;
        }
        Some(sent)
    }

    fn date(&mut self, pointer: &str, value: &Value) -> Option<WrittenDate> {
        match WrittenDate::parse(value) {
            Ok(date) => Some(date),
            Err(error) => {
                self.error(pointer, error.to_string());
                None
            }
        }
    }

    fn transliterate(&mut self, pointer: &str, json: &mut Value) {
        if ascii_value(json) {
            self.warn(pointer, "holds characters that Pruvan doesn't take; they were replaced by similar ASCII ones");
        }
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

    fn services(&mut self, value: &Value) -> Value {
        let Some(Value::Array(items)) = structure(value) else {
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
            let Value::Object(body) = item else {
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

/// Levels of lists and objects.
fn depth(json: &Value) -> usize {
    match json {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// `id`, `id-vN`, `master::id`, `master::id-vN`: an id has no spaces and no hyphens.
fn is_template(template: &str) -> bool {
    let (master, id) = template.split_once("::").unwrap_or(("master", template));
    let (id, version) = id.split_once("-v").unwrap_or((id, "1"));
    let whole = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace) && !text.contains("::");
    let number = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && version.starts_with(|c: char| c.is_ascii_digit());
    whole(master) && whole(id) && !id.contains('-') && number
}

/// The candidate that `text` is most likely a slip of.
pub fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let wanted = plain(&text.chars().take(64).collect::<String>());
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn simple() -> Map<String, Value> {
        let Value::Object(map) = json!({
            "workOrderNumber": "Simple", "address1": "110 East Main Street", "city": "Round Rock", "state": "TX",
            "zip": "78664", "services": [{"serviceName": "Task"}]
        }) else {
            unreachable!()
        };
        map
    }

    fn with(name: &str, value: Value) -> Result<(WorkOrder, Vec<Remark>), Vec<Remark>> {
        let mut body = simple();
        body.insert(name.to_owned(), value);
        WorkOrder::parse("Simple", body)
    }

    fn faults(name: &str, value: Value) -> Vec<String> {
        with(name, value).unwrap_err().into_iter().map(|error| format!("{} {}", error.field, error.detail)).collect()
    }

    #[test]
    fn the_simplest_order_is_sent_as_the_specification_shows_it() {
        let (order, warnings) = WorkOrder::parse("Simple", simple()).unwrap();
        assert_eq!(
            order.document(),
            r#"{"workOrderNumber":"Simple","address1":"110 East Main Street","city":"Round Rock","state":"TX","zip":"78664","services":[{"serviceName":"Task"}]}"#
        );
        assert_eq!(warnings, []);
        assert_eq!(order.directives(), Directives::default());
    }

    #[test]
    fn directives_are_kept_apart() {
        let mut body = simple();
        merge_patch(
            &mut body,
            json!({"status": "Assigned", "assignedTo": "vendor1", "dueDate": "2016-05-25"})
                .as_object()
                .unwrap()
                .clone(),
        );
        let (order, _) = WorkOrder::parse("Simple", body).unwrap();
        assert!(!order.document().contains("status"));
        assert_eq!(
            order.directives().fragment(),
            r#""assignedTo":"vendor1","dueDate":"2016-05-25 1200 +0","status":"assigned","#
        );
    }

    #[test]
    fn every_required_field_is_missed_at_once() {
        let errors = WorkOrder::parse("1", Map::new()).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["/address1", "/city", "/state", "/zip", "/services"]);
        for nothing in [json!(null), json!(""), json!("null")] {
            assert_eq!(faults("city", nothing), ["/city is required"]);
        }
    }

    /// Goes through both tables: each field takes a good value and, where it has a rule, refuses a bad one.
    #[test]
    fn every_field_of_both_tables() {
        for (prefix, table) in [("", &WORK_ORDER_FIELDS[1..]), ("/services/0", &SERVICE_FIELDS[..])] {
            for field in table {
                let (good, bad): (Value, Option<Value>) = match field.kind {
                    Kind::Text(max) | Kind::Html(max) => (json!("x".repeat(max)), Some(json!("x".repeat(max + 1)))),
                    Kind::Status => (json!("Cancelled"), Some(json!("caneled"))),
                    Kind::DueDate | Kind::Date => (json!("2016-05-25 1200 +0"), Some(json!("tomorrow"))),
                    Kind::Degrees(most) => (json!(most.to_string()), Some(json!(most + 0.1))),
                    Kind::Options(_) => {
                        (json!("{\"photo_size\":\"1024\"}"), Some(json!({"allow_manual_work_order_creation": true})))
                    }
                    Kind::SurveyTemplate => (json!("master::id-v2"), Some(json!("my survey"))),
                    Kind::Json => (json!({"questions": []}), Some(json!([1]))),
                    Kind::Number | Kind::Services => continue,
                };
                let order = |value: Value| {
                    let mut body = simple();
                    if prefix.is_empty() {
                        body.insert(field.name.to_owned(), value);
                    } else {
                        body["services"][0][field.name] = value;
                    }
                    WorkOrder::parse("Simple", body)
                };
                let accepted = order(good);
                assert!(accepted.is_ok(), "{}: {accepted:?}", field.name);
                let refused = order(bad.unwrap_or_default()).unwrap_err();
                assert!(refused[0].field.starts_with(&format!("{prefix}/{}", field.name)), "{refused:?}");
            }
        }
    }

    #[test]
    fn survey_templates_in_every_form() {
        let with_survey =
            |survey: &str| with("services", json!([{"serviceName": "S", "survey": survey}])).map(|(order, _)| order);
        for good in ["id", "id-v3", "master::id", "vendor1::PRVQCINSP-v1", "my-master::id", "hpirFull-v3.1"] {
            assert!(with_survey(good).is_ok(), "{good}");
        }
        for bad in ["my survey", "my-survey", "id-v", "id-vX", "::id", "master::", "a::b::c", "id-v1-v2", "-v1"] {
            assert!(with_survey(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_are_refused_where_they_cannot_stand_and_when_they_hold_nonsense() {
        assert_eq!(faults("options", json!({"required": true})), ["/options/required can't be set for a work order"]);
        assert_eq!(
            faults("options", json!({"frame_images": "maybe"})),
            ["/options/frame_images must be true or false"]
        );
        assert_eq!(
            faults("services", json!([{"serviceName": "S", "options": {"check_in_required": true}}])),
            ["/services/0/options/check_in_required can't be set for a service"]
        );
        let (_, warnings) = with("options", json!({"check_in_provider": "someone"})).unwrap();
        assert!(warnings[0].detail.starts_with("is none of those that are known: pcn"), "{warnings:?}");
    }

    #[test]
    fn instructions_keep_light_html() {
        let given = "<h1>Gate</h1><script>x()</script>code 12";
        for name in ["instructions", "clientInstructions"] {
            let (order, warnings) = with(name, json!(given)).unwrap();
            assert_eq!(order.get(name), Some(&json!("<h1>Gate</h1>code 12")));
            assert_eq!((warnings.len(), warnings[0].field.as_str()), (1, format!("/{name}").as_str()));
        }
        let (order, warnings) = with("services", json!([{"serviceName": "S", "instructions": given}])).unwrap();
        assert_eq!(order.get("services").unwrap()[0]["instructions"], "<h1>Gate</h1>code 12");
        assert_eq!(warnings[0].field, "/services/0/instructions");
        for nothing in ["<div></div>", "<script>x()</script> "] {
            let (order, warnings) = with("instructions", json!(nothing)).unwrap();
            assert_eq!((order.get("instructions"), warnings.len()), (None, 1), "{nothing}");
        }
        // No web view.
        let (order, warnings) = with("description", json!(given)).unwrap();
        assert_eq!((order.get("description"), warnings), (Some(&json!(given)), Vec::new()));
    }

    /// Each field of both tables changes in an order that Pruvan has, for each kind of integration.
    #[test]
    fn what_pruvan_does_not_take_over_is_told() {
        use IntegrationType::{External, Internal};
        let told = |was: &Map<String, Value>, is: &Map<String, Value>, integration, auto_admin, force| {
            let found = not_updated(was, is, integration, auto_admin, force, &[], |_| false);
            found.into_iter().map(|found| found.field).collect::<Vec<_>>()
        };
        let order = |name: &str, value: &str| {
            let mut order = simple();
            order.insert(name.to_owned(), json!(value));
            order
        };
        for field in &WORK_ORDER_FIELDS[1..] {
            let (was, is) = (order(field.name, "a"), order(field.name, "b"));
            let pointer = vec![format!("/{}", field.name)];
            let never = field.updatable == Updatable::No;
            let office = field.updatable == Updatable::ByIntegration;
            let by = |integration, auto_admin, force| told(&was, &is, integration, auto_admin, force) == pointer;
            assert_eq!(by(Internal, false, false), never, "{}", field.name);
            assert_eq!(by(External, false, false), never || office, "{}", field.name);
            assert_eq!(by(External, true, false), never || field.name == "assignedTo", "{}", field.name);
            assert_eq!(by(External, false, true), never, "{}", field.name);
            assert_eq!(told(&was, &was, External, false, false), Vec::<String>::new());
            // Leaving it out takes nothing back there; a wish is no state.
            if !field.required {
                let without = told(&was, &simple(), Internal, false, false);
                assert_eq!(without == pointer, !DIRECTIVES.contains(&field.name), "{}", field.name);
            }
        }
        for field in &SERVICE_FIELDS[1..] {
            let order = |value: &str| {
                let mut order = simple();
                order["services"][0][field.name] = json!(value);
                order
            };
            let (was, is) = (order("a"), order("b"));
            assert_eq!(told(&was, &is, Internal, true, true), [format!("/services/0/{}", field.name)]);
            assert_eq!(not_updated(&was, &is, Internal, true, false, &[], |name| name == "Task"), []);
        }
        let other = order("services", "");
        assert_eq!(told(&simple(), &other, Internal, true, false), Vec::<String>::new());
    }

    #[test]
    fn slips_are_recognised() {
        assert_eq!(
            faults("adress2", json!("x")),
            ["/adress2 is not a field of a work order; did you mean \"address2\"?"]
        );
        assert_eq!(
            faults("due_date", json!("x")),
            ["/due_date is not a field of a work order; did you mean \"dueDate\"?"]
        );
        assert_eq!(faults("nonsense", json!("x")), ["/nonsense is not a field of a work order"]);
        assert_eq!(
            faults("attribute3", json!("x")),
            ["/attribute3 is reserved for the address: use attribute7 to attribute15"]
        );
        assert_eq!(
            faults("services", json!([{"service_name": "Task"}])),
            [
                "/services/0/serviceName is required",
                "/services/0/service_name is not a field of a service; did you mean \"serviceName\"?"
            ]
        );
        assert!(faults("status", json!("assinged"))[0].contains("did you mean \"assigned\"?"));
        assert!(faults("city", json!("Caf\u{fffd}"))[0].contains("send UTF-8"));
    }

    #[test]
    fn what_is_taken_can_be_read_again_however_deep_it_came() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let services = |levels: usize| json!([{"serviceName": "S", "surveyDynamic": nested(levels)}]).to_string();
        let (order, _) = with("services", json!(services(MAX_VALUE_DEPTH))).unwrap();
        assert!(serde_json::from_str::<Value>(&order.document()).is_ok());
        assert_eq!(
            faults("services", json!(services(MAX_VALUE_DEPTH + 1))),
            ["/services/0/surveyDynamic is nested too deep: at most 64 levels are sent"]
        );
        assert!(with("options", json!(nested(MAX_VALUE_DEPTH))).is_ok());
        assert_eq!(
            faults("options", json!(nested(MAX_VALUE_DEPTH + 1))),
            ["/options is nested too deep: at most 64 levels are sent"]
        );
    }

    #[test]
    fn a_flood_of_unknown_fields_is_not_told_one_by_one() {
        let flood = |count: usize| {
            let mut body = simple();
            body.extend((0..count).map(|n| (format!("x{n}"), json!(1))));
            WorkOrder::parse("Simple", body).unwrap_err()
        };
        assert_eq!(flood(MAX_UNKNOWN).len(), MAX_UNKNOWN);
        let errors = flood(10_000);
        assert_eq!(errors.len(), MAX_UNKNOWN + 1);
        assert_eq!(errors[0].detail, "has 9980 more that are no fields of a work order");
    }

    #[test]
    fn services_complete_and_none_twice() {
        assert_eq!(faults("services", json!([])).len(), 1);
        assert_eq!(faults("services", json!("Task")).len(), 1);
        assert_eq!(faults("services", json!([7])).len(), 1);
        let twice = faults("services", json!([{"serviceName": "Task"}, {"serviceName": "task "}]));
        assert!(twice[0].contains("twice"), "{twice:?}");
    }

    #[test]
    fn values_are_brought_into_shape_and_changes_are_told() {
        let (order, warnings) = with("zip", json!(78664)).unwrap();
        assert_eq!(order.get("zip"), Some(&json!("78664")));
        assert_eq!(warnings, []);
        let (order, warnings) = with("instructions", json!("Zoë’s gate")).unwrap();
        assert_eq!(order.get("instructions"), Some(&json!("Zoe's gate")));
        assert_eq!(warnings[0].field, "/instructions");
        let (_, warnings) = with("dueDate", json!("2016-05-25 2359 -07")).unwrap();
        assert!(warnings[0].detail.contains("2016-05-25 1200 +0"));
        let (_, warnings) = with("options", json!({"newer": 1})).unwrap();
        assert_eq!(warnings[0].field, "/options/newer");
    }

    #[test]
    fn what_is_nothing_in_ascii_is_no_value() {
        for nothing in ["\u{200b}", "\u{feff}", "\0", "\u{a0}\u{200b}", "\u{ff4e}ull"] {
            assert_eq!(faults("city", json!(nothing)), ["/city holds no character that Pruvan takes"], "{nothing:?}");
        }
        let (order, _) = with("city", json!("\u{200b}\u{a0}Ulm")).unwrap();
        assert_eq!(order.get("city"), Some(&json!("Ulm")));
    }

    #[test]
    fn numbers() {
        for (number, fine) in [
            ("A/1 %20#", true),
            ("x", true),
            ("", false),
            (" x", false),
            ("SMC::1", false),
            ("né", false),
            ("a\tb", false),
            ("..", false),
            (":A", false),
            ("A:1", true),
        ] {
            assert_eq!(number_fault(number).is_none(), fine, "{number:?}");
        }
        assert!(number_fault(&"9".repeat(100)).is_none());
        assert!(number_fault(&"9".repeat(300)).is_some());
        assert!(WorkOrder::parse("Other", simple()).is_err());
    }

    #[test]
    fn merge_patches_as_in_rfc_7386() {
        let patched = |target: Value, patch: Value| {
            let (Value::Object(mut target), Value::Object(patch)) = (target, patch) else { unreachable!() };
            merge_patch(&mut target, patch);
            Value::Object(target)
        };
        assert_eq!(patched(json!({"a": "b"}), json!({"a": "c"})), json!({"a": "c"}));
        assert_eq!(patched(json!({"a": "b", "b": "c"}), json!({"a": null})), json!({"b": "c"}));
        assert_eq!(patched(json!({"a": [1]}), json!({"a": [2, 3]})), json!({"a": [2, 3]}));
        assert_eq!(patched(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}})), json!({"a": {"b": "d"}}));
        assert_eq!(patched(json!({"e": null}), json!({"a": 1})), json!({"e": null, "a": 1}));
        assert_eq!(patched(json!({}), json!({"a": {"bb": {"ccc": null}}})), json!({"a": {"bb": {}}}));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "[a-zA-Z]{1,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z_]{1,12}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever stands in whatever field: no panic, and what is accepted is ASCII JSON that parses to itself.
        #[test]
        fn any_json_in_any_field(
            fields in prop::collection::vec((prop::sample::select(
                WORK_ORDER_FIELDS.iter().chain([&SERVICES]).map(|field| field.name).collect::<Vec<_>>()), any_json()), 0..4),
            service in prop::option::of((prop::sample::select(
                SERVICE_FIELDS.iter().map(|field| field.name).collect::<Vec<_>>()), any_json())),
        ) {
            let mut body = simple();
            body.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
            if let (Some((name, value)), Some(Value::Array(services))) = (service, body.get_mut("services"))
                && let Some(Value::Object(first)) = services.first_mut()
            {
                first.insert(name.to_owned(), value);
            }
            if let Ok((order, _)) = WorkOrder::parse("Simple", body) {
                let document = order.document();
                prop_assert!(document.is_ascii());
                let mut again: Map<String, Value> = serde_json::from_str(&document).unwrap();
                for (name, value) in order.directives().0 {
                    again.insert(name, Value::from(value));
                }
                prop_assert_eq!(WorkOrder::parse("Simple", again).unwrap().0, order);
            }
        }
    }
}
