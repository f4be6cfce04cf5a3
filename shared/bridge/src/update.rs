//! An update of one row: which attributes it sets and removes, and on what condition. What is written is decided by
//! values; DynamoDB's expression is made of them here and nowhere else.
//!
//! A call that took effect can lose its reply, and the SDK then makes it again: the second time its own condition is
//! false. So a row whose condition doesn't hold is looked at. If it is as the update makes it, the update was made.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use crate::contention::Contention;
use crate::store::{Item, StoreError, conditional, n};
use crate::transaction::Action;

/// An update that is not sent yet.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    table: String,
    key: Item,
    sets: String,
    removes: String,
    deletes: String,
    condition: Option<&'static str>,
    names: HashMap<String, String>,
    values: Item,
    /// The paths that it sets, with the placeholders of their values, and those that it removes.
    made: Vec<(String, Option<String>)>,
    known_by: Option<(String, AttributeValue)>,
}

/// Attributes of our tables that are called like a word that DynamoDB reserves.
const RESERVED: [&str; 6] = ["keys", "open", "order", "path", "size", "without"];

impl Update {
    /// Of the row with this key; it changes nothing yet.
    pub fn new(table: &str, key: Item) -> Update {
        Update {
            table: table.to_owned(),
            key,
            sets: String::new(),
            removes: String::new(),
            deletes: String::new(),
            condition: None,
            names: HashMap::new(),
            values: Item::with_capacity(16),
            made: Vec::with_capacity(16),
            known_by: None,
        }
    }

    /// Sets an attribute, or a member of one: `path` is `name`, or `name.member`.
    pub fn set(mut self, path: &str, value: AttributeValue) -> Update {
        let (name, path, value) = (path, self.path(path), self.value(path, value));
        self.made.push((name.to_owned(), Some(value.clone())));
        append(&mut self.sets, &[&path, " = ", &value]);
        self
    }

    /// Sets an attribute that the row doesn't have yet.
    pub fn set_if_missing(mut self, path: &str, value: AttributeValue) -> Update {
        let (path, value) = (self.path(path), self.value(path, value));
        append(&mut self.sets, &[&path, " = if_not_exists(", &path, ", ", &value, ")"]);
        self
    }

    /// Sets an attribute to what the row has as `other`, and to the value only if it has none: for transactions, since
    /// nobody could tell from the row whether it was made.
    pub fn set_unless(mut self, path: &str, other: &str, value: AttributeValue) -> Update {
        let (other, path, value) = (self.path(other), self.path(path), self.value(path, value));
        append(&mut self.sets, &[&path, " = if_not_exists(", &other, ", ", &value, ")"]);
        self
    }

    /// Makes a number one larger; one that is missing counts as zero.
    pub fn count_up(mut self, path: &str) -> Update {
        let path = self.path(path);
        self.values.insert(":zero".to_owned(), n(0));
        self.values.insert(":one".to_owned(), n(1));
        append(&mut self.sets, &[&path, " = if_not_exists(", &path, ", :zero) + :one"]);
        self
    }

    /// Removes attributes, whether they are there or not.
    pub fn remove<const N: usize>(mut self, paths: [&str; N]) -> Update {
        for name in paths {
            let path = self.path(name);
            self.made.push((name.to_owned(), None));
            append(&mut self.removes, &[&path]);
        }
        self
    }

    /// Sets an attribute to the value that there is, and removes it if there is none.
    pub fn set_or_remove(self, path: &str, value: Option<AttributeValue>) -> Update {
        match value {
            Some(value) => self.set(path, value),
            None => self.remove([path]),
        }
    }

    /// Takes members out of a set.
    pub fn delete_from(mut self, path: &str, members: Vec<String>) -> Update {
        let (path, members) = (self.path(path), self.value(path, AttributeValue::Ss(members)));
        append(&mut self.deletes, &[&path, " ", &members]);
        self
    }

    /// The condition on which the row is written at all. Names that DynamoDB reserves stand in it as `#name`.
    pub fn only_if<const N: usize>(
        mut self,
        condition: &'static str,
        values: [(&'static str, AttributeValue); N],
    ) -> Update {
        self.condition = Some(condition);
        self.values.extend(values.map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// The value at `path` alone shows that this update was made, whatever others have made of the rest of the row.
    pub fn known_by(mut self, path: &str, value: AttributeValue) -> Update {
        self.known_by = Some((path.to_owned(), value));
        self
    }

    /// A name for the condition: `#name` stands for this member.
    pub fn named(mut self, placeholder: &str, name: &str) -> Update {
        self.names.insert(placeholder.to_owned(), name.to_owned());
        self
    }

    /// As an action of a transaction.
    pub fn action(self) -> Result<Action, StoreError> {
        let update = aws_sdk_dynamodb::types::Update::builder()
            .update_expression(self.expression())
            .table_name(self.table)
            .set_key(Some(self.key))
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(some(self.names))
            .set_expression_attribute_values(some(self.values));
        let update = update.build().map_err(|_| StoreError::Unfit("an update without an expression"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Writes it; false if its condition doesn't hold.
    pub async fn send(
        self,
        client: &Client,
        contention: &Contention,
        operation: &'static str,
    ) -> Result<bool, StoreError> {
        Ok(self.attempt(client, contention, operation, ReturnValue::None).await?.is_some())
    }

    /// Writes it, and gives the row as it is then; `None` if its condition doesn't hold.
    pub async fn send_and_read(
        self,
        client: &Client,
        contention: &Contention,
        operation: &'static str,
    ) -> Result<Option<Item>, StoreError> {
        self.attempt(client, contention, operation, ReturnValue::AllNew).await
    }

    async fn attempt(
        self,
        client: &Client,
        contention: &Contention,
        operation: &'static str,
        read: ReturnValue,
    ) -> Result<Option<Item>, StoreError> {
        let trace = self.trace();
        let request = self
            .request(client)
            .return_values(read)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional(contention, operation, || request.clone().send()).await? {
            Ok(reply) => Ok(Some(reply.attributes.unwrap_or_default())),
            Err(UpdateItemError::ConditionalCheckFailedException(found)) => {
                Ok(found.item.filter(|row| is_there(row, &trace)))
            }
            Err(_) => Ok(None),
        }
    }

    fn request(self, client: &Client) -> UpdateItemFluentBuilder {
        client
            .update_item()
            .update_expression(self.expression())
            .table_name(self.table)
            .set_key(Some(self.key))
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(some(self.names))
            .set_expression_attribute_values(some(self.values))
    }

    /// What a row has, by path, after this update and before others.
    fn trace(&self) -> Vec<(String, Option<AttributeValue>)> {
        if let Some((path, value)) = &self.known_by {
            return vec![(path.clone(), Some(value.clone()))];
        }
        let value = |placeholder: &String| self.values.get(placeholder).cloned();
        self.made.iter().map(|(path, placeholder)| (path.clone(), placeholder.as_ref().and_then(value))).collect()
    }

    fn expression(&self) -> String {
        let mut expression = String::with_capacity(16 + self.sets.len() + self.removes.len() + self.deletes.len());
        for (word, clause) in [("SET ", &self.sets), (" REMOVE ", &self.removes), (" DELETE ", &self.deletes)] {
            if !clause.is_empty() {
                expression.push_str(if expression.is_empty() { word.trim_start() } else { word });
                expression.push_str(clause);
            }
        }
        expression
    }

    /// A path as it may stand in an expression: members and reserved words have placeholders.
    fn path<'a>(&mut self, path: &'a str) -> Cow<'a, str> {
        if !path.contains('.') && !RESERVED.contains(&path) {
            return Cow::Borrowed(path);
        }
        let placeholders = path.split('.').map(|name| {
            let placeholder = format!("#n{}", self.names.len());
            self.names.insert(placeholder.clone(), name.to_owned());
            placeholder
        });
        Cow::Owned(placeholders.collect::<Vec<_>>().join("."))
    }

    fn value(&mut self, path: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{}", path.rsplit('.').next().unwrap_or(path));
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}

/// Whether a row has exactly these values at these paths, and nothing where there is none.
fn is_there(row: &Item, trace: &[(String, Option<AttributeValue>)]) -> bool {
    trace.iter().all(|(path, value)| {
        let (name, member) = path.split_once('.').map_or((path.as_str(), None), |(name, member)| (name, Some(member)));
        let found = row.get(name);
        let found = match member {
            None => found,
            Some(member) => member.split('.').try_fold(found, |of, name| Some(of?.as_m().ok()?.get(name))).flatten(),
        };
        found == value.as_ref()
    })
}

fn append(clause: &mut String, parts: &[&str]) {
    if !clause.is_empty() {
        clause.push_str(", ");
    }
    parts.iter().for_each(|part| clause.push_str(part));
}

/// DynamoDB refuses an empty list of names or values.
fn some<T>(list: HashMap<String, T>) -> Option<HashMap<String, T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::s;

    #[test]
    fn the_expression_is_made_of_what_is_set_removed_and_taken_out() {
        let update = Update::new("Orders", Item::new())
            .set("keys.k1", s("a"))
            .set_if_missing("queuedAt", n(5))
            .count_up("wakes")
            .set_or_remove("endedAt", None)
            .remove(["attempts", "lastError"])
            .delete_from("without", vec!["1".to_owned()]);
        assert_eq!(
            update.expression(),
            "SET #n0.#n1 = :k1, queuedAt = if_not_exists(queuedAt, :queuedAt), wakes = if_not_exists(wakes, :zero) + :one \
             REMOVE endedAt, attempts, lastError DELETE #n2 :without"
        );
        assert_eq!(["#n0", "#n1", "#n2"].map(|name| update.names[name].as_str()), ["keys", "k1", "without"]);
        assert_eq!(update.values.len(), 5);
    }

    #[test]
    fn a_row_shows_that_the_update_was_made_by_all_that_it_sets_and_removes() {
        let update = Update::new("Accounts", Item::new())
            .set("leaseOwner", s("me"))
            .set("keys.k1", s("a"))
            .count_up("wakes")
            .remove(["probe", "keys.k2"]);
        let row = |owner: &str, keys: &[&str], more: &[&str]| {
            let keys = keys.iter().map(|key| ((*key).to_owned(), s("a"))).collect();
            let more = more.iter().map(|name| ((*name).to_owned(), s("x")));
            let fixed = [("leaseOwner".to_owned(), s(owner)), ("keys".to_owned(), AttributeValue::M(keys))];
            fixed.into_iter().chain(more).collect::<Item>()
        };
        let made = |row: Item| is_there(&row, &update.trace());
        assert!(made(row("me", &["k1", "k3"], &["wakes", "username"])));
        assert!(!made(row("another", &["k1"], &[])) && !made(row("me", &[], &[])));
        assert!(!made(row("me", &["k1"], &["probe"])) && !made(row("me", &["k1", "k2"], &[])));
        assert!(!made(Item::from([("leaseOwner".to_owned(), s("me"))])), "there are no keys at all");
        let known = update.clone().known_by("keys.k1", s("a"));
        assert!(is_there(&row("another", &["k1"], &["probe"]), &known.trace()));
        assert!(!is_there(&row("me", &["k2"], &[]), &known.trace()));
    }
}
