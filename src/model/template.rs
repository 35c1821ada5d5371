//! Text with `${…}` in it, kept as references until the moment of use.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a `${…}` stands for. Upper-case variables are gone by then: they are put in when the scenario is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// `${addr:NAME}` or `${addr:NAME:PORT}`: where a service answers (its first replica).
    Addr { name: String, port: Option<u16> },
    /// `${addrs:NAME}` or `${addrs:NAME:PORT}`: all replicas, comma-separated.
    Addrs { name: String, port: Option<u16> },
    /// `${free_port}`: a port free for the whole run. The number tells the mentions apart.
    FreePort(u32),
    /// `${listen}`: the address a process is to listen on.
    Listen,
    /// `${firedrill}`: this binary.
    Firedrill,
    /// `${scenario_dir}`: the folder of the scenario file.
    ScenarioDir,
    /// `${env:NAME}`: a secret from the environment.
    SecretEnv(String),
    /// `${file:path}`: a secret from a file.
    SecretFile(String),
    /// `${user}`: the arrival's user number.
    User,
    /// `${n}`: the arrival's number.
    N,
    /// `${uuid}`: a fresh UUID, derived from seed and arrival.
    Uuid,
    /// `${row.COLUMN}` of the data file.
    Row(String),
    /// `${victim}`: the name of the component taken.
    Victim,
    /// `${victim.host}`: its host name.
    VictimHost,
    /// `${victim.address}`: its address.
    VictimAddress,
    /// A name that an `extract` gave.
    Extracted(String),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Literal(String),
    /// To be looked up.
    Variable(Variable),
}

/// Text with variables. Written and read as `text ${variable} text`, `$$` for a dollar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// The pieces, in order.
    pub parts: Vec<Part>,
}

/// Why a template could not be read or filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("`${{` without `}}`; write `$$` for a dollar sign")]
    Unclosed,
    /// Not a variable.
    #[error("`${{{0}}}` is not a variable")]
    Unknown(String),
    /// Its value is not known here.
    #[error("`${{{variable}}}` has no value: {why}")]
    NoValue { variable: String, why: String },
}

/// Gives variables their values.
pub trait Lookup {
    /// The variable's value here and now.
    ///
    /// # Errors
    /// [`TemplateError::NoValue`] where it has none.
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError>;
}

impl Template {
    /// A template without variables.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Literal(text.into())],
        }
    }

    /// Reads `text ${variable}`.
    ///
    /// # Errors
    /// [`TemplateError`] for an unclosed or unknown variable.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Variable(Variable::parse(name)?));
                rest = after;
            } else {
                rest = rest.strip_prefix('$').unwrap_or(rest);
                literal.push('$');
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The text with every variable filled in.
    ///
    /// # Errors
    /// The first variable that has no value.
    pub fn resolve(&self, values: &dyn Lookup) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Variable(variable) => text.push_str(&values.lookup(variable)?),
            }
        }
        Ok(text)
    }

    /// The template with those variables filled in for which `value` has one; the others stay.
    ///
    /// # Errors
    /// Those of `value`.
    pub fn fill(
        &self,
        value: impl Fn(&Variable) -> Result<Option<String>, TemplateError>,
    ) -> Result<Self, TemplateError> {
        let fill = |part: &Part| {
            Ok(match part {
                Part::Literal(_) => part.clone(),
                Part::Variable(variable) => {
                    value(variable)?.map_or_else(|| part.clone(), Part::Literal)
                }
            })
        };
        let parts = self.parts.iter().map(fill).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// The variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|p| match p {
            Part::Literal(_) => None,
            Part::Variable(v) => Some(v),
        })
    }
}

impl Variable {
    /// Whether its value is put in only where it is used, and never written to disk: secrets, and `${listen}`, which is
    /// another for each replica.
    #[must_use]
    pub fn is_late(&self) -> bool {
        match self {
            Self::SecretEnv(_) | Self::SecretFile(_) | Self::Listen => true,
            Self::Addr { .. }
            | Self::Addrs { .. }
            | Self::FreePort(_)
            | Self::Firedrill
            | Self::ScenarioDir
            | Self::User
            | Self::N
            | Self::Uuid
            | Self::Row(_)
            | Self::Victim
            | Self::VictimHost
            | Self::VictimAddress
            | Self::Extracted(_) => false,
        }
    }

    /// Whether its value may appear in no output.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::SecretEnv(_) | Self::SecretFile(_))
    }

    /// Whether its value tells one victim of a step from another.
    #[must_use]
    pub fn is_victim(&self) -> bool {
        match self {
            Self::Victim | Self::VictimHost | Self::VictimAddress => true,
            Self::SecretEnv(_)
            | Self::SecretFile(_)
            | Self::Listen
            | Self::Addr { .. }
            | Self::Addrs { .. }
            | Self::FreePort(_)
            | Self::Firedrill
            | Self::ScenarioDir
            | Self::User
            | Self::N
            | Self::Uuid
            | Self::Row(_)
            | Self::Extracted(_) => false,
        }
    }

    /// Reads what stands between `${` and `}`. A lower-case name of no known kind is an extracted one.
    ///
    /// # Errors
    /// [`TemplateError::Unknown`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let unknown = || TemplateError::Unknown(text.to_owned());
        let place = |rest: &str| match rest.split_once(':') {
            Some((name, port)) => Some((name.to_owned(), Some(port.parse::<u16>().ok()?))),
            None => Some((rest.to_owned(), None)),
        };
        if let Some((kind, rest)) = text.split_once(':') {
            if rest.is_empty() {
                return Err(unknown());
            }
            return match kind {
                "addr" => place(rest)
                    .map(|(name, port)| Self::Addr { name, port })
                    .ok_or_else(unknown),
                "addrs" => place(rest)
                    .map(|(name, port)| Self::Addrs { name, port })
                    .ok_or_else(unknown),
                "env" => Ok(Self::SecretEnv(rest.to_owned())),
                "file" => Ok(Self::SecretFile(rest.to_owned())),
                _ => Err(unknown()),
            };
        }
        if let Some(column) = text.strip_prefix("row.") {
            return if column.is_empty() {
                Err(unknown())
            } else {
                Ok(Self::Row(column.to_owned()))
            };
        }
        if let Some(number) = text.strip_prefix("free_port#") {
            return number.parse().map(Self::FreePort).map_err(|_| unknown());
        }
        Ok(match text {
            "free_port" => Self::FreePort(0),
            "listen" => Self::Listen,
            "firedrill" => Self::Firedrill,
            "scenario_dir" => Self::ScenarioDir,
            "user" => Self::User,
            "n" => Self::N,
            "uuid" => Self::Uuid,
            "victim" => Self::Victim,
            "victim.host" => Self::VictimHost,
            "victim.address" => Self::VictimAddress,
            name if is_extractable(name) => Self::Extracted(name.to_owned()),
            _ => return Err(unknown()),
        })
    }
}

/// Whether an `extract` may give this name: lower case, digits and `_`, not starting with a digit.
fn is_extractable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr { name, port: None } => write!(f, "addr:{name}"),
            Self::Addr {
                name,
                port: Some(port),
            } => write!(f, "addr:{name}:{port}"),
            Self::Addrs { name, port: None } => write!(f, "addrs:{name}"),
            Self::Addrs {
                name,
                port: Some(port),
            } => write!(f, "addrs:{name}:{port}"),
            Self::FreePort(0) => write!(f, "free_port"),
            Self::FreePort(number) => write!(f, "free_port#{number}"),
            Self::Listen => write!(f, "listen"),
            Self::Firedrill => write!(f, "firedrill"),
            Self::ScenarioDir => write!(f, "scenario_dir"),
            Self::SecretEnv(name) => write!(f, "env:{name}"),
            Self::SecretFile(path) => write!(f, "file:{path}"),
            Self::User => write!(f, "user"),
            Self::N => write!(f, "n"),
            Self::Uuid => write!(f, "uuid"),
            Self::Row(column) => write!(f, "row.{column}"),
            Self::Victim => write!(f, "victim"),
            Self::VictimHost => write!(f, "victim.host"),
            Self::VictimAddress => write!(f, "victim.address"),
            Self::Extracted(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('$', "$$"))?,
                Part::Variable(variable) => write!(f, "${{{variable}}}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_read() {
        for text in [
            "plain",
            "http://${addr:nginx:80}/x",
            "${addrs:backend}",
            "$$5 ${env:A} ${file:a/b}",
            "${row.name}${token}${victim.address}",
            "${free_port#3}",
        ] {
            assert_eq!(Template::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(Template::parse("${"), Err(TemplateError::Unclosed));
        assert_eq!(
            Template::parse("${Nope}"),
            Err(TemplateError::Unknown("Nope".into()))
        );
        assert_eq!(
            Template::parse("${addr:x:99999}"),
            Err(TemplateError::Unknown("addr:x:99999".into()))
        );
    }
}
