//! The tables of *Available workOrder Object Fields* and *Available workOrder service Object Fields*, as data.

use crate::options::Level;
use Updatable::{ByIntegration, No, Yes};

/// Whether Pruvan takes a new value for a field of an order that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updatable {
    /// Only the value of the creation counts.
    No,
    /// Every order or service has it.
    Yes,
    /// `Y*`: internal integrations directly, external ones through `auto_admin`; see [`crate::integration`].
    ByIntegration,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// The work order number: 1 to 100 printable ASCII characters, no `::` (that parts it from Pruvan's client code).
    Number,
    /// Text of one line and at most so many characters: a name, an address, a code. The specification gives no lengths;
    /// these are ours, generous on purpose.
    Line(usize),
    /// The name of a Pruvan user, or `~all~`: one line, in which an `@` is doubted.
    User,
    /// Text of several lines and at most so many characters.
    Text(usize),
    /// The same, with light HTML in it.
    Html(usize),
    /// A Pruvan office status.
    Status,
    /// The date that becomes noon UTC.
    DueDate,
    /// A date that is sent as it was meant, with its time.
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
    /// What its value is checked as.
    pub kind: Kind,
}

const fn field(name: &'static str, required: bool, updatable: Updatable, kind: Kind) -> Field {
    Field { name, required, updatable, default: None, kind }
}

const fn with_default(field: Field, default: &'static str) -> Field {
    Field { default: Some(default), ..field }
}

const LINE: Kind = Kind::Line(255);
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
    field("assignedTo", false, ByIntegration, Kind::User),
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

/// Fields that are directives and not state: Pruvan's people change them too, so each is sent only until Pruvan has it.
pub const DIRECTIVES: [&str; 3] = ["assignedTo", "status", "dueDate"];
