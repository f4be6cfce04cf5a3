//! What Pruvan holds for one integration, by the specification's own rules: what is required and what can be updated,
//! services replaced whole and no survey changed under the same name, `dueDate` at noon UTC, sub-users that there
//! aren't left out, so many orders an hour.

use std::collections::{BTreeMap, BTreeSet};

use pruvan::dates::WrittenDate;
use pruvan::integration::IntegrationType;
use pruvan::work_order::{SERVICE_FIELDS, SERVICES, Updatable, WORK_ORDER_FIELDS};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const HOUR_MS: i64 = 3_600_000;

/// The projects of an integration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Projects {
    /// Who owns the crews.
    pub kind: IntegrationType,
    /// The integration's `auto_admin` option.
    pub auto_admin: bool,
    /// The account's sub-users; any will do if it isn't said.
    pub crews: Option<BTreeSet<String>>,
    /// Orders an hour that are taken by pushes (*General*).
    pub hourly_limit: usize,
    /// Orders with which Pruvan fails as a whole: with this status and body, whatever else is in the push.
    pub breaks_on: BTreeMap<String, (u16, String)>,
    /// By number, without a client code.
    pub by_number: BTreeMap<String, Map<String, Value>>,
    /// Orders that pushes brought, with the time, in milliseconds.
    pub brought: Vec<(i64, usize)>,
}

impl Default for Projects {
    fn default() -> Projects {
        Projects {
            kind: IntegrationType::default(),
            auto_admin: false,
            crews: None,
            hourly_limit: 5000,
            breaks_on: BTreeMap::new(),
            by_number: BTreeMap::new(),
            brought: Vec::new(),
        }
    }
}

/// What became of a list of orders.
#[derive(Debug, Default)]
pub struct Counted {
    created: u64,
    updated: u64,
    deleted: u64,
    errors: Vec<Value>,
}

impl Counted {
    /// The reply of the Push API.
    pub fn reply(self) -> Value {
        let errors = if self.errors.is_empty() { Value::Null } else { Value::from(self.errors) };
        let counts = json!({ "created": self.created, "updated": self.updated, "deleted": self.deleted });
        json!({ "response": counts, "error": errors })
    }
}

impl Projects {
    /// How a push of these orders breaks, if it does.
    pub fn breaks(&self, orders: &[Value]) -> Option<(u16, String)> {
        orders.iter().find_map(|order| self.breaks_on.get(order["workOrderNumber"].as_str()?)).cloned()
    }

    /// Takes what a push brought at `now`, or nothing of it if that passes the hourly limit.
    pub fn push(&mut self, orders: &[Value], now: i64) -> Value {
        self.brought.push((now, orders.len()));
        let within: usize = self.brought.iter().filter(|(at, _)| *at > now - HOUR_MS).map(|(_, orders)| orders).sum();
        if within > self.hourly_limit {
            // The wording is not documented.
            return json!({ "response": false, "error": "hourly limit exceeded" });
        }
        self.take(orders).reply()
    }

    /// Creates, updates and deletes.
    pub fn take(&mut self, orders: &[Value]) -> Counted {
        let mut counted = Counted::default();
        for order in orders {
            let empty = Map::new();
            let order = order.as_object().unwrap_or(&empty);
            let number = order.get("workOrderNumber").and_then(Value::as_str).unwrap_or_default().to_owned();
            let force = order.get("force").and_then(Value::as_bool).unwrap_or(false);
            let deletes = order.get("status").and_then(Value::as_str) == Some("deleted")
                && (force || self.kind.may_set("status", self.auto_admin));
            if deletes {
                counted.deleted += u64::from(self.by_number.remove(&number).is_some());
            } else if self.by_number.contains_key(&number) {
                self.update(&number, order, force);
                counted.updated += 1;
            } else if let Some(missing) = missing(order) {
                let error = format!("{missing} is required");
                counted.errors.push(json!({ "workOrderNumber": number, "error": error }));
            } else {
                self.create(number, order);
                counted.created += 1;
            }
        }
        counted
    }

    fn create(&mut self, number: String, order: &Map<String, Value>) {
        let known = order.iter().filter(|(name, _)| name.as_str() != "force");
        let mut project: Map<String, Value> =
            known.filter_map(|(name, value)| Some((name.clone(), self.as_held(name, value)?))).collect();
        project.entry("status").or_insert_with(|| Value::from("unassigned"));
        project.entry("fieldStatus").or_insert_with(|| Value::from("new"));
        self.by_number.insert(number, project);
    }

    fn update(&mut self, number: &str, order: &Map<String, Value>, force: bool) {
        for field in WORK_ORDER_FIELDS.iter().chain([&SERVICES]) {
            let Some(value) = order.get(field.name) else { continue };
            let taken = match field.updatable {
                Updatable::No => false,
                Updatable::Yes => true,
                Updatable::ByIntegration => force || self.kind.may_set(field.name, self.auto_admin),
            };
            let Some(value) = self.as_held(field.name, value).filter(|_| taken) else { continue };
            let Some(project) = self.by_number.get_mut(number) else { return };
            let value = if field.name == "services" { services(project.get("services"), &value) } else { value };
            project.insert(field.name.to_owned(), value);
        }
    }

    /// A value as it is held; `None` if it is left out.
    fn as_held(&self, name: &str, value: &Value) -> Option<Value> {
        match name {
            "dueDate" => {
                let instant = WrittenDate::parse(value).and_then(WrittenDate::instant);
                Some(instant.map_or_else(|_| value.clone(), |at| WrittenDate::Unix(at).due_date().into()))
            }
            "assignedTo" => {
                let known =
                    |crew: &str| crew == "~all~" || self.crews.as_ref().is_none_or(|crews| crews.contains(crew));
                value.as_str().filter(|crew| known(crew)).map(Value::from)
            }
            _ => Some(value.clone()),
        }
    }
}

fn missing(order: &Map<String, Value>) -> Option<&'static str> {
    let mut required = WORK_ORDER_FIELDS.iter().chain([&SERVICES]).filter(|field| field.required);
    required.find(|field| !order.contains_key(field.name)).map(|field| field.name)
}

/// The list that came, in which a service that was there keeps all that can't be updated, its survey among it.
fn services(held: Option<&Value>, came: &Value) -> Value {
    let (Some(held), Some(came)) = (held.and_then(Value::as_array), came.as_array()) else { return came.clone() };
    let service = |new: &Value| {
        let Some(known) = held.iter().find(|service| service["serviceName"] == new["serviceName"]) else {
            return new.clone();
        };
        let mut merged = known.clone();
        for field in SERVICE_FIELDS.iter().filter(|field| matches!(field.updatable, Updatable::Yes)) {
            match new.get(field.name) {
                Some(value) => merged[field.name] = value.clone(),
                None => drop(merged.as_object_mut().map(|fields| fields.remove(field.name))),
            }
        }
        merged
    };
    came.iter().map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(more: Value) -> Value {
        let mut order = json!({
            "workOrderNumber": "1", "address1": "a", "city": "b", "state": "TX", "zip": "1",
            "services": [{ "serviceName": "Task" }, { "serviceName": "Form", "survey": "a" }],
        });
        if let (Value::Object(order), Value::Object(more)) = (&mut order, more) {
            order.extend(more);
        }
        order
    }

    fn internal() -> Projects {
        Projects { kind: IntegrationType::Internal, ..Projects::default() }
    }

    #[test]
    fn what_can_be_updated_is() {
        let mut pruvan = internal();
        pruvan.take(&[order(json!({ "description": "d", "dueDate": "2016-05-25 2359 -07" }))]);
        assert_eq!(pruvan.by_number["1"]["dueDate"], "2016-05-26 1200 +0");
        pruvan.take(&[order(
            json!({ "address1": "other", "clientStatus": "x", "description": "other", "reference": "r" }),
        )]);
        let project = &pruvan.by_number["1"];
        assert_eq!((&project["address1"], &project["clientStatus"]), (&json!("a"), &json!("x")));
        assert_eq!((&project["description"], &project["reference"]), (&json!("d"), &json!("r")));
        let reply = pruvan.take(&[json!({ "workOrderNumber": "2", "status": "rush" })]).reply();
        assert_eq!(reply["error"][0]["workOrderNumber"], "2");
        assert_eq!(
            pruvan.take(&[json!({ "workOrderNumber": "1", "status": "deleted" })]).reply()["response"]["deleted"],
            1
        );
        assert_eq!(
            pruvan.take(&[json!({ "workOrderNumber": "1", "status": "deleted" })]).reply()["response"]["deleted"],
            0
        );
    }

    #[test]
    fn services_are_replaced_whole_and_surveys_stay_under_their_name() {
        let mut pruvan = internal();
        pruvan.take(&[order(json!({}))]);
        let services = json!([{ "serviceName": "Form", "survey": "b", "instructions": "i" }, { "serviceName": "New" }]);
        pruvan.take(&[order(json!({ "services": services }))]);
        let expected = json!([{ "serviceName": "Form", "survey": "a", "instructions": "i" }, { "serviceName": "New" }]);
        assert_eq!(pruvan.by_number["1"]["services"], expected);
    }

    #[test]
    fn an_unknown_sub_user_is_left_out_and_the_hour_has_its_limit() {
        let mut pruvan = internal();
        pruvan.crews = Some(BTreeSet::from(["crew1".to_owned()]));
        pruvan.hourly_limit = 3;
        pruvan.push(&[order(json!({ "assignedTo": "crew1" }))], 0);
        pruvan.push(&[order(json!({ "assignedTo": "nobody" })), order(json!({ "clientStatus": "x" }))], 1000);
        assert_eq!(pruvan.by_number["1"]["assignedTo"], "crew1");
        assert_eq!(pruvan.push(&[order(json!({ "clientStatus": "y" }))], 2000)["response"], false);
        assert_eq!(pruvan.by_number["1"]["clientStatus"], "x");
        assert_eq!(pruvan.push(&[order(json!({ "clientStatus": "y" }))], 3_602_001)["error"], Value::Null);
    }
}
