//! How far the work is.

/// By the evidence type of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Before,
    During,
    After,
}

impl Stage {
    /// Of an evidence type, such as `before`; `After` of any other.
    pub fn of(evidence: &str) -> Stage {
        let evidence = evidence.to_ascii_lowercase();
        if evidence.contains("before") {
            Stage::Before
        } else if evidence.contains("during") {
            Stage::During
        } else {
            Stage::After
        }
    }
}
