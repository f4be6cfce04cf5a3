//! *Pruvan Configuration Options*: what can be set for an order or one of its services.

use serde_json::Value;

use crate::lenient::{flag, text};

/// Where an option may stand; the most specific one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// One phone or tablet. Not set through this API.
    Device,
    /// One Pruvan user. Not set through this API.
    User,
    /// `options` of a work order.
    WorkOrder,
    /// `options` of a service.
    Service,
}

/// One row of the specification's table.
#[derive(Debug, Clone, Copy)]
pub struct MobileOption {
    /// The key in `options`.
    pub name: &'static str,
    /// Where it may stand.
    pub levels: &'static [Level],
    /// What it holds, as far as that is known.
    pub holds: Holds,
}

/// What an option holds. The specification gives no values; these are from Pruvan's support pages and its examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// True or false, also as text or as 1 and 0.
    Flag,
    /// A word; these are known, and there may be more.
    Word(&'static [&'static str]),
    /// A text, a number, or true or false.
    Scalar,
    /// A text, or a list of texts.
    List,
}

/// What is wrong with an option's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueFault {
    /// It can't be used.
    Wrong(String),
    /// It is none of those that are known.
    Unknown(String),
}

impl Holds {
    /// What is wrong with `value`, if anything is.
    pub fn fault(self, value: &Value) -> Option<ValueFault> {
        let scalar = value.is_string() || value.is_number() || value.is_boolean();
        match self {
            Holds::Flag if flag(value).is_none() => Some(ValueFault::Wrong("must be true or false".to_owned())),
            Holds::Word(known) if !text(value).is_some_and(|text| known.contains(&text.as_str())) => {
                let known = known.join(", ");
                Some(match scalar {
                    true => ValueFault::Unknown(format!("is none of those that are known: {known}")),
                    false => ValueFault::Wrong(format!("must be a word, such as {known}")),
                })
            }
            Holds::Scalar if !scalar => Some(ValueFault::Wrong("must be a text or a number".to_owned())),
            Holds::List if !scalar && !value.is_array() => {
                Some(ValueFault::Wrong("must be a list of texts, or a text".to_owned()))
            }
            _ => None,
        }
    }
}

use Level::{Device, Service, User, WorkOrder};

const fn option(name: &'static str, levels: &'static [Level], holds: Holds) -> MobileOption {
    MobileOption { name, levels, holds }
}

use Holds::{Flag, List, Scalar, Word};

/// The specification's table. Pruvan documents further options elsewhere, so a name that isn't here is allowed.
pub const OPTIONS: [MobileOption; 18] = [
    option("all_required_tasks_complete", &[User, WorkOrder], Flag),
    option("allow_manual_work_order_creation", &[User], Flag),
    option("auto_relay", &[Device, User, WorkOrder, Service], Scalar),
    option("camera_icon_hidden", &[User, WorkOrder], Flag),
    option("camera_orientation", &[Device, User, WorkOrder, Service], Word(&["portrait", "landscape"])),
    option("complete_icon_hidden", &[User, WorkOrder], Flag),
    option("evidenceTypes", &[User, WorkOrder, Service], List),
    option("mark_complete_label", &[User, WorkOrder], Scalar),
    option("mark_complete_mode", &[User, WorkOrder], Scalar),
    option("photo_size", &[Device, User, WorkOrder, Service], Scalar),
    option("photo_timestamp", &[Device, User, WorkOrder, Service], Scalar),
    option("required", &[Service], Flag),
    option("upload_pics_only_when_wo_complete", &[Device, User, WorkOrder], Flag),
    option("frame_images", &[User, WorkOrder], Flag),
    option("check_in_required", &[WorkOrder], Flag),
    option("check_in_provider", &[WorkOrder], Word(&["pcn", "ags", "mcsc", "ashc", "stdc"])),
    option("check_in_photo_required", &[WorkOrder], Flag),
    option("check_in_relay", &[WorkOrder], Flag),
];

/// The row of the option `name`; `None` for a name that the table doesn't have.
pub fn option_named(name: &str) -> Option<&'static MobileOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn levels_as_in_the_specification() {
        let allowed_at = |name, level| option_named(name).map(|option| option.levels.contains(&level));
        assert_eq!(allowed_at("required", Service), Some(true));
        assert_eq!(allowed_at("required", WorkOrder), Some(false));
        assert_eq!(allowed_at("check_in_provider", WorkOrder), Some(true));
        assert_eq!(allowed_at("allow_manual_work_order_creation", WorkOrder), Some(false));
        assert_eq!(allowed_at("something_newer", WorkOrder), None);
    }

    #[test]
    fn values_where_they_are_known() {
        let fault = |name, value: Value| option_named(name).and_then(|option| option.holds.fault(&value));
        for (name, value) in [
            ("check_in_required", json!("true")),
            ("required", json!(1)),
            ("camera_orientation", json!("portrait")),
            ("check_in_provider", json!("ags")),
            ("photo_size", json!(1024)),
            ("evidenceTypes", json!(["before", "after"])),
            ("evidenceTypes", json!("before,after")),
        ] {
            assert_eq!(fault(name, value.clone()), None, "{name}: {value}");
        }
        assert!(matches!(fault("required", json!("maybe")), Some(ValueFault::Wrong(_))));
        assert!(matches!(fault("camera_orientation", json!("sideways")), Some(ValueFault::Unknown(_))));
        assert!(matches!(fault("camera_orientation", json!(["portrait"])), Some(ValueFault::Wrong(_))));
        assert!(matches!(fault("photo_size", json!({"width": 1})), Some(ValueFault::Wrong(_))));
        assert!(matches!(fault("evidenceTypes", json!({"before": 1})), Some(ValueFault::Wrong(_))));
    }
}
