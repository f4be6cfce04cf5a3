//! What all replies of the run have in common: their shapes, and that they give nothing away.

use simulator::spec::{Breach, GENERAL, Service, URL_FORMAT};

use super::suite::Suite;
use crate::report::{Fault, Outcome};

/// Sections about what is in the orders, each with its row.
const OF_ORDERS: [(&str, &str); 7] = [
    ("Available workOrder Object Fields", "work orders have their fields, in the documented types"),
    ("Available workOrder service Object Fields", "services have their fields, in the documented types"),
    ("Numbered Attributes", "attribute1 to attribute6 of work orders are left to Pruvan"),
    ("Requirements", "no work order number is there twice"),
    ("Limits", "at most 5000 work orders in a reply"),
    ("Pruvan Status Values", "statuses are Pruvan's"),
    ("Date Fields", "dates can be read"),
];

const NOT_ASCII: &str = "not ASCII";

/// The rows about all replies.
pub fn checks(suite: &mut Suite) {
    let mut rows: Vec<(&'static str, String, Outcome)> = Vec::new();
    {
        let seen = suite.noted();
        for service in Service::ALL {
            let count = seen.replies.get(service.name()).copied().unwrap_or_default();
            let outcome = match count {
                0 => Outcome::Skip("it was not called".to_owned()),
                count => seen.outcome(|breach| breach.section == service.section(), format!("{count} replies")),
            };
            rows.push((
                service.section(),
                format!("replies of {} have the documented shapes", service.name()),
                outcome,
            ));
        }
        let count: usize = seen.replies.values().sum();
        let typed = seen.outcome(|breach| breach.section == URL_FORMAT, String::new());
        rows.push((URL_FORMAT, "replies are text/plain or application/json".to_owned(), typed));
        let ascii = |breach: &Breach| breach.section == GENERAL && breach.what.contains(NOT_ASCII);
        let json = |breach: &Breach| breach.section == GENERAL && !breach.what.contains(NOT_ASCII);
        rows.push((GENERAL, "replies are ASCII".to_owned(), seen.outcome(ascii, format!("{count} replies"))));
        rows.push((GENERAL, "replies are JSON, with HTTP status 200".to_owned(), seen.outcome(json, String::new())));
        for (section, check) in OF_ORDERS {
            let outcome = match suite.orders.is_empty() {
                true => suite.no_order(),
                false => {
                    seen.outcome(|breach| breach.section == section, format!("{} work orders", suite.orders.len()))
                }
            };
            rows.push((section, check.to_owned(), outcome));
        }
        let repeated = match seen.repeated.first() {
            None => Outcome::Pass(String::new()),
            Some((sent, name)) => {
                let times = seen.repeated.len();
                Outcome::Fail(Fault::new(
                    format!("sent {sent}: {name} came back ({times} times in all)"),
                    "Pruvan shows errors as they are, to anybody there: repeat no credentials and no payload in them",
                ))
            }
        };
        rows.push((GENERAL, "replies hold no token, password or push key".to_owned(), repeated));
    }
    for (section, check, outcome) in rows {
        suite.row(section, &check, outcome);
    }
}
