//! An update of one row: which attributes it sets and removes, and on what condition. What is written is decided by
//! values; DynamoDB's expression is made of them here and nowhere else.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use crate::store::{Item, StoreError, conditional, n};
use crate::transaction::Action;

/// An update that is not sent yet.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    table: String,
    key: Item,
    sets: Vec<String>,
    removes: Vec<String>,
    deletes: Vec<String>,
    condition: Option<&'static str>,
    names: Vec<(String, String)>,
    values: Vec<(String, AttributeValue)>,
}

impl Update {
    /// Of the row with this key; it changes nothing yet.
    pub fn new(table: &str, key: Item) -> Update {
        let (sets, removes, deletes) = (Vec::new(), Vec::new(), Vec::new());
        Update { table: table.to_owned(), key, sets, removes, deletes, condition: None, names: vec![], values: vec![] }
    }

    /// Sets an attribute, or a member of one: `path` is `name`, or `name.member`.
    pub fn set(mut self, path: &str, value: AttributeValue) -> Update {
        let (path, value) = (self.path(path), self.value(value));
        self.sets.push(format!("{path} = {value}"));
        self
    }

    /// Sets an attribute that the row doesn't have yet.
    pub fn set_if_missing(mut self, path: &str, value: AttributeValue) -> Update {
        let (path, value) = (self.path(path), self.value(value));
        self.sets.push(format!("{path} = if_not_exists({path}, {value})"));
        self
    }

    /// Makes a number one larger; one that is missing counts as zero.
    pub fn count_up(mut self, path: &str) -> Update {
        let (path, zero, one) = (self.path(path), self.value(n(0)), self.value(n(1)));
        self.sets.push(format!("{path} = if_not_exists({path}, {zero}) + {one}"));
        self
    }

    /// Removes attributes, whether they are there or not.
    pub fn remove<const N: usize>(mut self, paths: [&str; N]) -> Update {
        for path in paths {
            let path = self.path(path);
            self.removes.push(path);
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
        let (path, members) = (self.path(path), self.value(AttributeValue::Ss(members)));
        self.deletes.push(format!("{path} {members}"));
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

    /// A name for the condition: `#name` stands for this member.
    pub fn named(mut self, placeholder: &str, name: &str) -> Update {
        self.names.push((placeholder.to_owned(), name.to_owned()));
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

    /// As a request of its own.
    pub fn request(self, client: &Client) -> UpdateItemFluentBuilder {
        client
            .update_item()
            .update_expression(self.expression())
            .table_name(self.table)
            .set_key(Some(self.key))
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(some(self.names))
            .set_expression_attribute_values(some(self.values))
    }

    /// Writes it; false if its condition doesn't hold.
    pub async fn send(self, client: &Client, operation: &'static str) -> Result<bool, StoreError> {
        let request = self.request(client);
        conditional(operation, || request.clone().send()).await
    }

    fn expression(&self) -> String {
        let clause = |word: &str, parts: &[String]| (!parts.is_empty()).then(|| format!("{word} {}", parts.join(", ")));
        let clauses = [clause("SET", &self.sets), clause("REMOVE", &self.removes), clause("DELETE", &self.deletes)];
        clauses.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Placeholders for the names of a path: each may be a word that DynamoDB reserves.
    fn path(&mut self, path: &str) -> String {
        let placeholders = path.split('.').map(|name| {
            let placeholder = format!("#n{}", self.names.len());
            self.names.push((placeholder.clone(), name.to_owned()));
            placeholder
        });
        placeholders.collect::<Vec<_>>().join(".")
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.push((placeholder.clone(), value));
        placeholder
    }
}

/// DynamoDB refuses an empty list of names or values.
fn some<T, C: FromIterator<T>>(list: Vec<T>) -> Option<C> {
    (!list.is_empty()).then(|| list.into_iter().collect())
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
            "SET #n0.#n1 = :v0, #n2 = if_not_exists(#n2, :v1), #n3 = if_not_exists(#n3, :v2) + :v3 \
             REMOVE #n4, #n5, #n6 DELETE #n7 :v4"
        );
        let names: Vec<&str> = update.names.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["keys", "k1", "queuedAt", "wakes", "endedAt", "attempts", "lastError", "without"]);
    }
}
