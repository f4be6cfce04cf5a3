//! A row of the Orders table: the order as Pruvan gets it, the host's directives beside it, and what Pruvan reported.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use pruvan::work_order::Directives;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::accounts::Account;
use crate::store::{Item, StoreError, unreadable};

/// Of what Pruvan reported, this many reports are kept.
const REPORTS_KEPT: usize = 50;

/// And at most about this many bytes of them.
const REPORT_BYTES_KEPT: usize = 60_000;

/// A row of the Orders table: a work order with all that was reported on it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The order's number, unique in the account.
    pub work_order_number: String,
    /// The order as JSON, without directives.
    pub document: String,
    /// The directives of the host's latest version of the order.
    #[serde(default)]
    pub directives: BTreeMap<String, Directive>,
    /// Grows with every write to the row.
    pub revision: i64,
    /// The revision of the host's last change.
    pub version: i64,
    /// When the host last changed it. Never goes back.
    pub changed_at: i64,
    /// When it was made.
    pub made_at: i64,
    /// When the host gave it a status that ends it (closed, canceled, deleted); what Pruvan reports doesn't.
    #[serde(default)]
    pub ended_at: Option<i64>,
    /// When the host deleted it, if it did.
    #[serde(default)]
    pub deleted_at: Option<i64>,
    /// What Pruvan reported, newest last.
    #[serde(default)]
    pub reports: Vec<Report>,
}

/// What the host wants a field to be that Pruvan's people change, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// As it is sent.
    pub value: String,
    /// When the host set it.
    pub at: i64,
    /// The row's revision with which it was set.
    #[serde(default)]
    pub revision: i64,
    /// False once Pruvan was told it, or has reported something newer. Whether it goes out is another question, which
    /// [`Order::outgoing`] answers: a new push key makes closed ones go out again.
    pub open: bool,
    /// When it was closed.
    #[serde(default)]
    pub closed_at: i64,
    /// For which push key it was closed ([`Account::push_key_serial`]): an integration made anew was told nothing.
    #[serde(default)]
    pub closed_for: i64,
    /// What Pruvan was surely known to have when the host set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// What one call of the status service said of an order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// When it came, in milliseconds since 1970.
    pub at: i64,
    /// The office status (`status`), in the specification's spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The crew's status (`fieldStatus`), in the specification's spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_status: Option<String>,
    /// The host's own status, sent back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_status: Option<String>,
    /// The day that it is due, as `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_date: Option<String>,
    /// Fields that the specification doesn't name, as a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
}

impl Report {
    /// What it says of a directive's field, in the form that is sent.
    pub(crate) fn of(&self, name: &str) -> Option<String> {
        match name {
            "status" => self.status.clone(),
            "dueDate" => Some(format!("{} 1200 +0", self.due_date.as_ref()?)),
            _ => None, // who an order is assigned to is never reported
        }
    }
}

/// How the host's change treats directives that it doesn't change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent<'a> {
    /// The order is given whole, as a nightly synchronisation does: a directive that has the value it had is no new
    /// directive.
    State,
    /// These fields are set: each directive among them is a new directive, also with the value it had.
    Set(&'a [String]),
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The order is new, or was deleted before.
    Created,
    /// It was written: it differs from what was there, or was forced.
    Changed,
    /// It doesn't; nothing was written and nothing will be pushed.
    Unchanged,
}

impl Order {
    /// The directives that go out now, as fields to put before the document's own.
    pub fn fragment(&self, account: &Account) -> String {
        self.outgoing(account).fragment()
    }

    /// The directives that go out now.
    pub fn outgoing(&self, account: &Account) -> Directives {
        let outgoing = self.directives.iter().filter(|(_, directive)| directive.goes_out(account));
        Directives(outgoing.map(|(name, directive)| (name.clone(), directive.value.clone())).collect())
    }

    /// About the bytes that the row takes.
    pub fn bytes(&self) -> usize {
        self.document.len() + self.reports.iter().map(size).sum::<usize>() + 1000
    }

    /// The order as it is kept: the document, which is ASCII and checked, with all of the host's directives in it.
    pub fn as_given(&self) -> Result<Map<String, Value>, StoreError> {
        let fault = |error: serde_json::Error| unreadable("Orders", &error);
        let mut map: Map<String, Value> = serde_json::from_str(&self.document).map_err(fault)?;
        map.extend(
            self.directives.iter().map(|(name, directive)| (name.clone(), Value::from(directive.value.as_str()))),
        );
        Ok(map)
    }

    /// The latest value that Pruvan reported of each field.
    pub fn reported(&self) -> Report {
        let mut latest = Report::default();
        for report in &self.reports {
            latest.at = report.at;
            for (field, value) in [
                (&mut latest.status, &report.status),
                (&mut latest.field_status, &report.field_status),
                (&mut latest.client_status, &report.client_status),
                (&mut latest.due_date, &report.due_date),
            ] {
                if value.is_some() {
                    field.clone_from(value);
                }
            }
        }
        latest
    }

    /// What Pruvan is last known to have in a directive's field: what it reported, or what it was told since. `None` if
    /// that is not sure, since a directive may have arrived or not.
    fn in_pruvan(&self, name: &str, may_have_told: impl Fn(&Directive) -> bool) -> Option<String> {
        let reported = self.reports.iter().rev().find_map(|report| Some((report.at, report.of(name)?)));
        let reported_since =
            |at: i64| reported.clone().filter(|(reported_at, _)| *reported_at >= at).map(|(_, value)| value);
        match self.directives.get(name) {
            Some(directive) if directive.open && may_have_told(directive) => None,
            Some(directive) if directive.open => reported_since(directive.at).or_else(|| directive.before.clone()),
            Some(directive) => reported_since(directive.closed_at).or_else(|| Some(directive.value.clone())),
            None => reported_since(0),
        }
    }

    /// Closes each directive that goes out and for which `told` is true: for the push key that the account had when it
    /// was read, since what an earlier integration was told is of no use to this one.
    pub(crate) fn close(&mut self, account: &Account, now: i64, told: impl Fn(&str, &Directive) -> bool) {
        for (name, directive) in &mut self.directives {
            if directive.goes_out(account) && told(name, directive) {
                directive.open = false;
                directive.closed_at = now;
                directive.closed_for = account.push_key_serial;
            }
        }
    }

    /// The latest push key for which a directive was closed: a later one makes all of them go out again.
    pub(crate) fn settled_for(&self) -> i64 {
        let closed = self.directives.values().filter(|directive| !directive.open);
        closed.map(|directive| directive.closed_for).max().unwrap_or(0)
    }
}

impl Directive {
    /// Whether Pruvan may have been told it, of the order `number`, by a pull or by a push.
    pub fn may_have_been_told(&self, account: &Account, number: &str) -> bool {
        account.may_have_pulled(self.at)
            || account.in_flight.may_have_told(account.push_key_serial, number, self.revision)
    }

    /// Whether it is still to be told to the integration that the account has now.
    fn goes_out(&self, account: &Account) -> bool {
        self.open || self.closed_for < account.push_key_serial
    }
}

/// What a pull needs of an order: enough to copy it out.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The order's number, unique in the account.
    pub work_order_number: String,
    /// The order as JSON.
    pub document: String,
    /// When the host last changed it.
    pub changed_at: i64,
    /// The row's revision when it was read.
    pub revision: i64,
    /// Directives still to be told, as fields.
    open: String,
    /// All directives, as fields.
    all: String,
    settled_for: i64,
}

impl Pulled {
    /// Takes the texts out of the row; nothing is copied, and no name is looked up.
    pub(crate) fn from_item(item: Item) -> Result<Pulled, StoreError> {
        let (mut number, mut document, mut changed_at, mut revision) = (None, None, None, None);
        let (mut open, mut all, mut settled_for) = (String::new(), String::new(), 0);
        for (name, value) in item {
            match (name.as_str(), value) {
                ("workOrderNumber", AttributeValue::S(text)) => number = Some(text),
                ("document", AttributeValue::S(text)) => document = Some(text),
                ("open", AttributeValue::S(text)) => open = text,
                ("wishes", AttributeValue::S(text)) => all = text,
                ("changedAt", AttributeValue::N(number)) => changed_at = number.parse().ok(),
                ("revision", AttributeValue::N(number)) => revision = number.parse().ok(),
                ("settledFor", AttributeValue::N(number)) => settled_for = number.parse().unwrap_or(0),
                _ => {}
            }
        }
        let missing = |name| StoreError::Row { table: "Orders", fault: format!("it has no {name}") };
        Ok(Pulled {
            work_order_number: number.ok_or_else(|| missing("workOrderNumber"))?,
            document: document.ok_or_else(|| missing("document"))?,
            changed_at: changed_at.ok_or_else(|| missing("changedAt"))?,
            revision: revision.ok_or_else(|| missing("revision"))?,
            open,
            all,
            settled_for,
        })
    }

    /// The directives that go out now, as fields to put before the document's own.
    pub fn fragment(&self, account: &Account) -> &str {
        if account.push_key_serial > self.settled_for { &self.all } else { &self.open }
    }
}

/// The directives of `given`, as they stand after the host's change.
pub(crate) fn directives(
    account: &Account,
    known: Option<&Order>,
    given: &Directives,
    intent: Intent<'_>,
    force: bool,
    (now, revision): (i64, i64),
) -> BTreeMap<String, Directive> {
    let directive = |(name, value): (&String, &String)| {
        let same = known.and_then(|known| known.directives.get(name)).filter(|directive| directive.value == *value);
        // What is forced is meant to arrive, whatever was told before.
        let set_anew = force || matches!(intent, Intent::Set(fields) if fields.contains(name));
        let directive = match same {
            Some(same) if !set_anew => same.clone(),
            _ => {
                let before = known.and_then(|known| {
                    known.in_pruvan(name, |directive| directive.may_have_been_told(account, &known.work_order_number))
                });
                Directive { value: value.clone(), at: now, revision, open: true, closed_at: 0, closed_for: 0, before }
            }
        };
        (name.clone(), directive)
    };
    given.0.iter().map(directive).collect()
}

/// About the bytes that a report takes.
fn size(report: &Report) -> usize {
    let texts = [&report.other, &report.status, &report.field_status, &report.client_status, &report.due_date];
    texts.into_iter().flatten().map(String::len).sum::<usize>() + 100
}

pub(crate) fn trim(reports: &mut Vec<Report>) {
    let mut bytes = 0;
    let fits = |report: &&Report| {
        bytes += size(report);
        bytes <= REPORT_BYTES_KEPT
    };
    let kept = reports.iter().rev().take(REPORTS_KEPT).take_while(fits).count().max(1);
    drop(reports.drain(..reports.len().saturating_sub(kept)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directive(value: &str, at: i64, open: bool, before: Option<&str>) -> Directive {
        let closed_at = if open { 0 } else { at + 1 };
        Directive {
            value: value.to_owned(),
            at,
            revision: at,
            open,
            closed_at,
            closed_for: 0,
            before: before.map(str::to_owned),
        }
    }

    fn order(status: Directive, reports: Vec<Report>) -> Order {
        Order {
            work_order_number: "1".to_owned(),
            document: "{}".to_owned(),
            directives: BTreeMap::from([("status".to_owned(), status)]),
            revision: 1,
            version: 1,
            changed_at: 0,
            made_at: 0,
            ended_at: None,
            deleted_at: None,
            reports,
        }
    }

    #[test]
    fn an_unchanged_directive_is_a_new_directive_only_when_it_is_set() {
        let account: Account = serde_json::from_str(r#"{"username":"u","madeAt":0}"#).unwrap();
        let known = order(directive("assigned", 1, false, None), Vec::new());
        let given = |status: &str| Directives(BTreeMap::from([("status".to_owned(), status.to_owned())]));
        let named = ["status".to_owned()];
        let status = |given: Directives, intent, force| {
            directives(&account, Some(&known), &given, intent, force, (5, 5)).remove("status")
        };
        assert_eq!(status(given("assigned"), Intent::State, false), Some(directive("assigned", 1, false, None)));
        assert_eq!(status(given("assigned"), Intent::Set(&[]), false), Some(directive("assigned", 1, false, None)));
        assert_eq!(
            status(given("assigned"), Intent::State, true),
            Some(directive("assigned", 5, true, Some("assigned")))
        );
        assert_eq!(
            status(given("assigned"), Intent::Set(&named), false),
            Some(directive("assigned", 5, true, Some("assigned")))
        );
        assert_eq!(status(given("rework"), Intent::State, false), Some(directive("rework", 5, true, Some("assigned"))));
        assert_eq!(status(Directives::default(), Intent::State, false), None);
    }

    #[test]
    fn what_pruvan_has_is_the_latest_of_what_it_said_and_was_told() {
        let report = |at| Report { at, status: Some("complete".to_owned()), ..Report::default() };
        let has = |status, reports| order(status, reports).in_pruvan("status", |_| false);
        assert_eq!(has(directive("assigned", 5, false, None), vec![]).as_deref(), Some("assigned"));
        assert_eq!(has(directive("assigned", 5, false, None), vec![report(6)]).as_deref(), Some("complete"));
        assert_eq!(has(directive("rework", 5, false, None), vec![report(5)]).as_deref(), Some("rework"));
        assert_eq!(has(directive("rush", 5, true, Some("rework")), vec![report(4)]).as_deref(), Some("rework"));
        assert_eq!(has(directive("rework", 5, true, Some("assigned")), vec![]).as_deref(), Some("assigned"));
        assert_eq!(has(directive("assigned", 5, true, None), vec![]), None);
        // It may have arrived or not.
        assert_eq!(
            order(directive("rush", 5, true, Some("rework")), vec![report(6)]).in_pruvan("status", |_| true),
            None
        );
    }

    #[test]
    fn old_reports_make_room() {
        let mut reports: Vec<Report> = (0..60).map(|at| Report { at, ..Report::default() }).collect();
        trim(&mut reports);
        assert_eq!((reports.len(), reports[0].at), (50, 10));
        let large = |at| Report { at, other: Some("x".repeat(40_000)), ..Report::default() };
        let mut reports = vec![large(1), large(2)];
        trim(&mut reports);
        assert_eq!(reports.len(), 1);
    }
}
