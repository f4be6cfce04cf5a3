//! What is said of a field.

use serde::Serialize;

use crate::rewrite::Alteration;

/// Something about one field: an error that kept the order from being taken, or a warning beside one that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// JSON pointer (RFC 6901) to the field in the order, such as `/services/0/serviceName`.
    pub field: String,
    /// What is wrong and what to do; of a value that was altered, what it became.
    pub detail: String,
    /// The places where the value was altered, or left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub altered: Vec<Alteration>,
}

impl Remark {
    /// Of the field with this JSON pointer.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Remark {
        Remark { field: field.into(), detail: detail.into(), altered: Vec::new() }
    }

    /// That a value is not sent as it came: `why`, and what became of each place.
    pub fn altered(field: impl Into<String>, why: &str, altered: Vec<Alteration>) -> Remark {
        let mut detail = format!("{why}: ");
        for (at, Alteration { before, after }) in altered.iter().take(MOST_PLACES).enumerate() {
            let and = if at == 0 { "" } else { "; " };
            detail.push_str(and);
            detail.push_str(&match after.as_str() {
                "" => format!("\"{before}\" was left out"),
                after => format!("\"{before}\" became \"{after}\""),
            });
        }
        if altered.len() > MOST_PLACES {
            detail.push_str(&format!("; and {} more places", altered.len() - MOST_PLACES));
        }
        Remark { field: field.into(), detail, altered }
    }
}

/// So many places of a value are told in words; all of them stand in [`Remark::altered`].
const MOST_PLACES: usize = 20;
