//! The columns of a CSV file of orders: which field each of them fills.

use pruvan::work_order::{SERVICE_FIELDS, WORK_ORDER_FIELDS, nearest};

use super::row::{Choices, MOST_COLUMNS, ReadError};

/// Where a column's values go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    /// A field of the order.
    Order(&'static str),
    /// An option of the order.
    OrderOption(String),
    /// A field of the service.
    Service(&'static str),
    /// An option of the service.
    ServiceOption(String),
    /// In our own lists: when the order was deleted.
    Deleted,
    /// In our own lists: tells whether the number is the one that stood there.
    NumberCheck,
    /// Its values are passed over.
    Ignored,
}

/// The columns of Pruvan's own import that are not called like a field, as [`plain`] has them.
const PRUVANS_NAMES: [(&str, Column); 14] = [
    ("projectnumber", Column::Order("workOrderNumber")),
    // And as other systems call the number: `WO #`, `Work Order`, `Order No.`.
    ("wo", Column::Order("workOrderNumber")),
    ("wono", Column::Order("workOrderNumber")),
    ("wonumber", Column::Order("workOrderNumber")),
    ("workorder", Column::Order("workOrderNumber")),
    ("workorderno", Column::Order("workOrderNumber")),
    ("orderno", Column::Order("workOrderNumber")),
    ("ordernumber", Column::Order("workOrderNumber")),
    ("projectinfo", Column::Order("workOrderInfo")),
    ("zipcode", Column::Order("zip")),
    ("task", Column::Service("serviceName")),
    ("taskname", Column::Service("serviceName")),
    ("service", Column::Service("serviceName")),
    ("taskinstructions", Column::Service("instructions")),
];

/// Fields of a service that no order has: they need no `service.` in front.
const OF_SERVICES_ALONE: [&str; 5] = ["serviceName", "survey", "surveyDynamic", "source_service", "source_service_id"];

/// What our own lists have beside the fields: it says how an order stands, and is passed over.
const OF_OUR_LISTS: [&str; 2] = ["changed", "ended"];

/// Without what people write differently: `Zip Code*` is `zipcode`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

fn column(name: &str, choices: &Choices) -> Option<Column> {
    let wanted = plain(name);
    if name == "deleted" {
        return Some(Column::Deleted);
    }
    if wanted == "numbercheck" {
        return Some(Column::NumberCheck);
    }
    let ours = OF_OUR_LISTS.contains(&name) || name.starts_with("reported.");
    if ours || wanted.is_empty() || choices.ignore.iter().any(|ignored| plain(ignored) == wanted) {
        return Some(Column::Ignored);
    }
    let name = name.trim();
    let after = |prefix: &str| {
        name.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &name[prefix.len()..])
    };
    if let Some(option) = after("options.") {
        return Some(Column::OrderOption(option.to_owned()));
    }
    if let Some(option) = after("service.options.") {
        return Some(Column::ServiceOption(option.to_owned()));
    }
    let service_field = |wanted: &str| SERVICE_FIELDS.iter().map(|field| field.name).find(|name| plain(name) == wanted);
    if let Some(field) = after("service.") {
        return service_field(&plain(field)).map(Column::Service);
    }
    if let Some((_, column)) = PRUVANS_NAMES.iter().find(|(name, _)| *name == wanted) {
        return Some(column.clone());
    }
    let order_field = WORK_ORDER_FIELDS.iter().map(|field| field.name).find(|name| plain(name) == wanted);
    order_field
        .map(Column::Order)
        .or_else(|| service_field(&wanted).filter(|name| OF_SERVICES_ALONE.contains(name)).map(Column::Service))
}

/// What a column that is no field may be a slip of.
fn unknown(name: &str) -> String {
    let fields = WORK_ORDER_FIELDS.iter().map(|field| field.name).chain(OF_SERVICES_ALONE);
    let near =
        nearest(name, fields.chain(["Project Number", "Zip Code"])).map(|near| format!(" (did you mean {near:?}?)"));
    format!("{name:?}{}", near.unwrap_or_default())
}

/// The columns of a table.
pub(super) struct Columns {
    /// What each of them is.
    pub list: Vec<Column>,
    /// What the file calls it.
    pub names: Vec<String>,
}

/// Whether a row names a column for the number.
pub(super) fn has_number(names: &csv::StringRecord) -> bool {
    names.iter().any(|name| column(name, &Choices::default()) == Some(Column::Order("workOrderNumber")))
}

/// The columns that the row of names has.
pub(super) fn columns(names: &csv::StringRecord, choices: &Choices) -> Result<Columns, ReadError> {
    // Empty cells beyond the last name are none.
    let used =
        (0..names.len()).rev().find(|at| names.get(*at).is_some_and(|name| !name.is_empty())).map_or(0, |at| at + 1);
    if used > MOST_COLUMNS {
        return Err(ReadError::TooManyColumns(used));
    }
    let mut columns = Vec::new();
    let (mut strange, mut slips) = (Vec::new(), Vec::new());
    for name in names.iter().take(used) {
        match column(name, choices) {
            Some(column) if column != Column::Ignored && columns.contains(&column) => {
                return Err(ReadError::ColumnTwice(name.to_owned()));
            }
            Some(column) => columns.push(column),
            None => {
                strange.push(name.to_owned());
                slips.push(unknown(name));
            }
        }
    }
    if columns.iter().all(|column| *column == Column::Ignored) {
        return Err(ReadError::NoNumber);
    }
    if !strange.is_empty() {
        return Err(ReadError::NoFields { columns: strange, slips });
    }
    if !columns.contains(&Column::Order("workOrderNumber")) {
        return Err(ReadError::NoNumber);
    }
    Ok(Columns { list: columns, names: names.iter().take(used).map(str::to_owned).collect() })
}
