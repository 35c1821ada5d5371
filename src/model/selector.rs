//! Naming parts of a stack by what they are, not by what is chosen of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ComponentId;

/// A label that the platform puts on components.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// The value that it must have; any where `None`.
    pub value: Option<String>,
}

impl Label {
    /// Whether a component with this label bears it.
    #[must_use]
    pub fn is(&self, key: &str, value: &str) -> bool {
        self.key == key && self.value.as_deref().is_none_or(|wanted| wanted == value)
    }
}

impl FromStr for Label {
    type Err = String;

    /// `key` or `key=value`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        if key.trim().is_empty() {
            return Err(format!("`{text}` names no label"));
        }
        Ok(Self {
            key: key.trim().to_owned(),
            value: value.map(|v| v.trim().to_owned()),
        })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// What names components.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Every component of a service.
    Service(String),
    /// One component.
    Component(ComponentId),
    /// Every component that bears a label.
    Label(Label),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => f.write_str(service),
            Self::Component(component) => write!(f, "{component}"),
            Self::Label(label) => write!(f, "label {label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_without_a_value_is_borne_with_any() {
        let label = |text: &str| text.parse::<Label>().unwrap();
        assert!(label("tier").is("tier", "db"));
        assert!(label("tier=db").is("tier", "db"));
        assert!(!label("tier=db").is("tier", "web"));
        assert!(!label("tier=").is("tier", "db"));
        assert_eq!(label("a=b=c").value.as_deref(), Some("b=c"));
        assert!("=db".parse::<Label>().is_err());
    }
}
