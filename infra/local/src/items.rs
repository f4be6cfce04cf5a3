//! stub
use serde_json::{Map, Value};
/// An item
pub struct Item { /// f
pub fields: Map<String, Value>, /// n
pub file_name: String, /// b
pub file: Vec<u8> }
/// j
pub struct Job<'a> { /// a
pub project: &'a Map<String, Value>, /// a
pub number: &'a str, /// a
pub client_code: &'a str, /// a
pub username: &'a str, /// a
pub crew: &'a str, /// a
pub at: jiff::Timestamp, /// a
pub seed: u64 }
impl Job<'_> {
    fn item(&self) -> Item { Item { fields: Map::new(), file_name: String::new(), file: Vec::new() } }
    /// a
    pub fn picture(&self, _: &str, _: &str, _: Option<(String, Vec<u8>)>) -> Item { self.item() }
    /// a
    pub fn survey(&self, _: &str, _: &[(String, String)]) -> Item { self.item() }
    /// a
    pub fn check_in(&self) -> Item { self.item() }
    /// a
    pub fn csr(&self, _: usize) -> Item { self.item() }
    /// a
    pub fn video(&self, _: &str, _: &str, _: &str) -> Item { self.item() }
}
