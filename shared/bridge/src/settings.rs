//! A function's settings: the environment variables that template.yaml gives it.

use std::collections::BTreeMap;

/// Environment variables by name.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

/// A setting that keeps the function from starting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not set, or empty.
    #[error("the environment variable {0} is not set: template.yaml must give it to this function")]
    Missing(&'static str),
    /// Set to something that can't be used.
    #[error("the environment variable {name} can't be used: {fault}")]
    Invalid {
        /// The setting's name.
        name: &'static str,
        /// What it should be.
        fault: &'static str,
    },
}

impl Settings {
    /// Those of this process.
    pub fn from_process() -> Settings {
        Settings(std::env::vars().collect())
    }

    /// The value of `name`.
    pub fn get(&self, name: &'static str) -> Result<&str, SettingError> {
        self.optional(name).ok_or(SettingError::Missing(name))
    }

    /// All settings, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of `name`, if it is set and not empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Settings {
        Settings(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
