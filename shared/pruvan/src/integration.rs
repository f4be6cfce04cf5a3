//! *Pruvan Integration Types*: who owns the crews decides what the host may set.

use serde::{Deserialize, Serialize};

/// How a Pruvan user's account is joined to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntegrationType {
    /// Formerly Mode 1: the crews are the host's own users.
    Internal,
    /// Formerly Mode 2: the crews belong to a vendor, who manages them in Pruvan.
    #[default]
    External,
}

/// Work order fields that an external integration can't set directly once the order exists: Pruvan's people own them.
/// With the `auto_admin` option it can set all but `assignedTo`.
pub const OFFICE_FIELDS: [&str; 5] = ["assignedTo", "status", "dueDate", "instructions", "reference"];

impl IntegrationType {
    /// Whether Pruvan takes a change of `field` (one of [`OFFICE_FIELDS`], or any other) from this integration.
    ///
    /// *External Integrations* and *Setting the Pruvan Status* name status, dueDate and instructions for `auto_admin`;
    /// live systems show it for reference, too. `force` in a push overrides this.
    pub fn may_set(self, field: &str, auto_admin: bool) -> bool {
        match self {
            IntegrationType::Internal => true,
            IntegrationType::External => !OFFICE_FIELDS.contains(&field) || (auto_admin && field != "assignedTo"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification() {
        assert!(IntegrationType::Internal.may_set("status", false));
        assert!(!IntegrationType::External.may_set("status", false));
        assert!(IntegrationType::External.may_set("status", true));
        assert!(!IntegrationType::External.may_set("assignedTo", true));
        assert!(IntegrationType::External.may_set("clientStatus", false));
    }
}
