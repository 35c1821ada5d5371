//! Secrets, which scenarios name and never hold.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use super::Resolve;
use crate::model::{Lookup, Redactor, Template, TemplateError, Variable};

/// Where `${env:NAME}` and `${file:path}` get their values.
#[derive(Clone)]
pub struct SecretStore {
    env: BTreeMap<String, String>,
    scenario_dir: PathBuf,
    redactor: Redactor,
}

impl SecretStore {
    /// A store of this environment; relative files lie in `scenario_dir`.
    #[must_use]
    pub fn new(env: BTreeMap<String, String>, scenario_dir: PathBuf) -> Self {
        Self {
            env,
            scenario_dir,
            redactor: Redactor::default(),
        }
    }

    /// The same store, which has `redactor` learn every value that it gives: a file may hold another one the next time.
    #[must_use]
    pub fn telling(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// Keeps out of outputs the values of the secrets among these variables; one without a value hides nothing.
    pub fn redactor<'a>(&self, variables: impl IntoIterator<Item = &'a Variable>) -> Redactor {
        for variable in variables {
            if variable.is_secret() {
                let _without_value = self.lookup(variable);
            }
        }
        self.redactor.clone()
    }

    fn value(&self, variable: &Variable) -> Result<String, TemplateError> {
        match variable {
            Variable::SecretEnv(name) => {
                self.env.get(name).cloned().ok_or_else(|| {
                    no_value(variable, format!("{name} is not set in the environment"))
                })
            }
            Variable::SecretFile(path) => {
                let path = self.scenario_dir.join(path);
                let text = fs::read_to_string(&path)
                    .map_err(|e| no_value(variable, format!("{}: {e}", path.display())))?;
                // Editors and `echo` end files with a newline that belongs to no password.
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            Variable::Addr { .. }
            | Variable::Addrs { .. }
            | Variable::FreePort(_)
            | Variable::Listen
            | Variable::Firedrill
            | Variable::ScenarioDir
            | Variable::User
            | Variable::N
            | Variable::Uuid
            | Variable::Row(_)
            | Variable::Victim
            | Variable::VictimHost
            | Variable::VictimAddress
            | Variable::Extracted(_) => Err(no_value(variable, "it is not known here".to_owned())),
        }
    }
}

impl Lookup for SecretStore {
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
        let value = self.value(variable)?;
        self.redactor.learn(&value);
        Ok(value)
    }
}

impl Resolve for SecretStore {
    fn resolve(&self, template: &Template) -> Result<String, TemplateError> {
        template.resolve(self)
    }
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretStore({})", self.scenario_dir.display())
    }
}

pub(super) fn no_value(variable: &Variable, why: String) -> TemplateError {
    TemplateError::NoValue {
        variable: variable.to_string(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_environment_and_files_and_vanish_from_outputs() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        let env = BTreeMap::from([("PASS".to_owned(), "hunter2".to_owned())]);
        let store = SecretStore::new(env, folder.path().to_owned());
        let template = Template::parse("${env:PASS} ${file:token}").unwrap();
        assert_eq!(store.resolve(&template).unwrap(), "hunter2 s3cret");
        assert_eq!(
            store.fill(&template).unwrap(),
            template,
            "secrets stay references"
        );
        let redactor = store.redactor(template.variables());
        assert_eq!(
            redactor.redact("a hunter2 b s3cret"),
            "a [redacted] b [redacted]"
        );
        assert!(!format!("{store:?}").contains("hunter2"));
        fs::write(folder.path().join("token"), "rotated\n").unwrap();
        store.resolve(&template).unwrap();
        assert_eq!(redactor.redact("was rotated"), "was [redacted]");
    }

    #[test]
    fn what_is_missing_is_named() {
        let store = SecretStore::new(BTreeMap::new(), "/nowhere".into());
        for (text, named) in [
            ("${env:PASS}", "PASS is not set"),
            ("${file:token}", "/nowhere/token"),
        ] {
            let error = store.resolve(&Template::parse(text).unwrap()).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
