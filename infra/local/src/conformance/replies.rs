//! What all replies of the run have in common: their shapes, and that they give nothing away.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use super::Suite;
use crate::report::{Fault, Outcome};
use crate::spec::{Breach, GENERAL, Service, URL_FORMAT};

/// What was seen in the replies.
#[derive(Default)]
pub struct Seen {
    replies: BTreeMap<&'static str, usize>,
    breaches: Vec<Told>,
    /// What was sent, and which secret came back.
    repeated: Vec<(String, &'static str)>,
}

struct Told {
    breach: Breach,
    /// The first call that it was met in.
    sent: String,
    times: usize,
}

impl Seen {
    pub fn note(&mut self, service: Service, sent: &str, breaches: Vec<Breach>, repeated: Vec<&'static str>) {
        *self.replies.entry(service.name()).or_default() += 1;
        for breach in breaches {
            match self.breaches.iter_mut().find(|told| told.breach == breach) {
                Some(told) => told.times += 1,
                None => self.breaches.push(Told { breach, sent: sent.to_owned(), times: 1 }),
            }
        }
        self.repeated.extend(repeated.into_iter().map(|name| (sent.to_owned(), name)));
    }

    /// What breaks these rules.
    fn outcome(&self, of: impl Fn(&Breach) -> bool, pass: String) -> Outcome {
        let broken: Vec<&Told> = self.breaches.iter().filter(|told| of(&told.breach)).collect();
        let Some(first) = broken.first() else { return Outcome::Pass(pass) };
        let times = if first.times > 1 { format!(" ({} times)", first.times) } else { String::new() };
        let seen = format!("sent {}{times}: {}", first.sent, first.breach.what);
        let next = match broken.len() {
            1 => format!("see {} in the specification", first.breach.section),
            count => {
                let others: Vec<String> = broken[1..]
                    .iter()
                    .take(4)
                    .map(|told| format!("{}: {}", told.breach.section, told.breach.what))
                    .collect();
                let more = if count > 5 { format!("; and {} more", count - 5) } else { String::new() };
                format!("also {}{more}", others.join("; "))
            }
        };
        Outcome::Fail(Fault::new(seen, next))
    }
}

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

impl Suite {
    pub fn noted(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
