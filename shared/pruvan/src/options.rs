//! *Pruvan Configuration Options*: what can be set for an order or one of its services.

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
}

use Level::{Device, Service, User, WorkOrder};

const fn option(name: &'static str, levels: &'static [Level]) -> MobileOption {
    MobileOption { name, levels }
}

/// The specification's table. Pruvan documents further options elsewhere, so a name that isn't here is allowed.
pub const OPTIONS: [MobileOption; 18] = [
    option("all_required_tasks_complete", &[User, WorkOrder]),
    option("allow_manual_work_order_creation", &[User]),
    option("auto_relay", &[Device, User, WorkOrder, Service]),
    option("camera_icon_hidden", &[User, WorkOrder]),
    option("camera_orientation", &[Device, User, WorkOrder, Service]),
    option("complete_icon_hidden", &[User, WorkOrder]),
    option("evidenceTypes", &[User, WorkOrder, Service]),
    option("mark_complete_label", &[User, WorkOrder]),
    option("mark_complete_mode", &[User, WorkOrder]),
    option("photo_size", &[Device, User, WorkOrder, Service]),
    option("photo_timestamp", &[Device, User, WorkOrder, Service]),
    option("required", &[Service]),
    option("upload_pics_only_when_wo_complete", &[Device, User, WorkOrder]),
    option("frame_images", &[User, WorkOrder]),
    option("check_in_required", &[WorkOrder]),
    option("check_in_provider", &[WorkOrder]),
    option("check_in_photo_required", &[WorkOrder]),
    option("check_in_relay", &[WorkOrder]),
];

/// Whether the option `name` may stand at `level`; `None` for a name that the table doesn't have.
pub fn allowed_at(name: &str, level: Level) -> Option<bool> {
    OPTIONS.iter().find(|option| option.name == name).map(|option| option.levels.contains(&level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_as_in_the_specification() {
        assert_eq!(allowed_at("required", Service), Some(true));
        assert_eq!(allowed_at("required", WorkOrder), Some(false));
        assert_eq!(allowed_at("check_in_provider", WorkOrder), Some(true));
        assert_eq!(allowed_at("allow_manual_work_order_creation", WorkOrder), Some(false));
        assert_eq!(allowed_at("something_newer", WorkOrder), None);
    }
}
