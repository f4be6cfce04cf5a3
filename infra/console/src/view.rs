//! What of it all is looked at: it stands in the URL, so that every view can be kept, shared and gone back to.

use serde::{Deserialize, Serialize};

/// The query of the page's URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The account: a user name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The work order that is looked at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order: String,
    /// What projects must have in their number or address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub find: String,
    /// Page of the projects, from 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub page: usize,
    /// What of our side.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tab: String,
    /// Which task's photos; `*` for all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// Where our side's list goes on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cursor: String,
    /// Which exchanges are listed: `host` for Pruvan's calls of the host, `pruvan` for the host's of Pruvan,
    /// `breaches` for those that break the specification; empty for all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wire: String,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl View {
    /// The page's URL for it.
    pub fn url(&self) -> String {
        match self.query() {
            query if query.is_empty() => "/console".to_owned(),
            query => format!("/console?{query}"),
        }
    }

    /// The query of the page's URL, without its path; empty if nothing is chosen.
    pub fn query(&self) -> String {
        serde_urlencoded::to_string(self).unwrap_or_default()
    }

    /// The view of another account, with nothing chosen in it; which exchanges are listed stays.
    pub fn account(&self, account: &str) -> View {
        View { account: account.to_owned(), wire: self.wire.clone(), ..View::default() }
    }

    /// Another work order, on both sides.
    pub fn order(&self, order: &str) -> View {
        let tab = if order.is_empty() || self.is_list() { String::new() } else { self.tab.clone() };
        View { order: order.to_owned(), task: String::new(), cursor: String::new(), tab, ..self.clone() }
    }

    /// Something else of our side.
    pub fn tab(&self, tab: &str) -> View {
        View { tab: tab.to_owned(), cursor: String::new(), ..self.clone() }
    }

    /// The photos of another task.
    pub fn task(&self, task: &str) -> View {
        View { task: task.to_owned(), cursor: String::new(), ..self.clone() }
    }

    /// The next page of our side.
    pub fn cursor(&self, cursor: &str) -> View {
        View { cursor: cursor.to_owned(), ..self.clone() }
    }

    /// Another page of the projects.
    pub fn page(&self, page: usize) -> View {
        View { page, ..self.clone() }
    }

    /// The same view with other exchanges listed.
    pub fn wire(&self, wire: &str) -> View {
        View { wire: wire.to_owned(), ..self.clone() }
    }

    /// Whether our side shows a list of the account's rather than a work order.
    fn is_list(&self) -> bool {
        matches!(self.tab.as_str(), "orders" | "unmatched" | "queue")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_its_url() {
        let view = View { account: "a b".to_owned(), order: "1/2&3".to_owned(), page: 2, ..View::default() };
        assert_eq!(view.url(), "/console?account=a+b&order=1%2F2%263&page=2");
        assert_eq!(serde_urlencoded::from_str::<View>(&view.query()).unwrap(), view);
        assert_eq!(View::default().url(), "/console");
        assert_eq!(view.tab("queue").order("4").tab, "");
        assert_eq!(view.tab("photos").order("4").tab, "photos");
    }
}
