//! Definitions of services in the engine's own words. The client library's types do not hold all of one (they look for its
//! health check under another key), and what is missing from an update is taken away by it.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Method};
use serde_json::{Value, json};

use super::SwarmStack;
use super::services::NAMESPACE;
use crate::stack::StackError;
use crate::stack::docker::{Endpoint, chain};

/// Longest that a manager may take for a call.
const ANSWER: Duration = Duration::from_secs(30);

/// A service as the managers define it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    /// The cluster's own id of it.
    pub(super) id: String,
    /// Its name in the stack file.
    pub(super) name: String,
    /// How often it was changed: an update of an older one is refused.
    version: u64,
    /// Its `Spec`: an object.
    pub(super) spec: Value,
    /// When its last roll-out began, in the managers' words.
    pub(super) begun: Option<String>,
}

impl Definition {
    /// What it wants of its tasks.
    pub(super) fn tasks(&self) -> &Value {
        &self.spec["TaskTemplate"]
    }

    /// How many tasks it wants; `None` where each node runs one.
    pub(super) fn replicas(&self) -> Option<u32> {
        let replicas = self.spec.pointer("/Mode/Replicated/Replicas")?.as_u64()?;
        u32::try_from(replicas).ok()
    }

    #[cfg(test)]
    pub(super) fn of_spec(spec: Value) -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            version: 0,
            spec,
            begun: None,
        }
    }

    fn read(service: &Value, stack: &str) -> Option<Self> {
        let text = |pointer: &str| Some(service.pointer(pointer)?.as_str()?.to_owned());
        let name = text("/Spec/Name")?;
        // Callers index into both.
        service.pointer("/Spec/TaskTemplate")?.as_object()?;
        Some(Self {
            id: text("/ID")?,
            name: name.strip_prefix(stack)?.strip_prefix('_')?.to_owned(),
            version: service.pointer("/Version/Index")?.as_u64()?,
            spec: service.get("Spec")?.clone(),
            begun: text("/UpdateStatus/StartedAt"),
        })
    }
}

/// The part of a service's spec that is about its containers.
pub(super) fn container_of(spec: &mut Value) -> &mut Value {
    let container = &mut spec["TaskTemplate"]["ContainerSpec"];
    if !container.is_object() {
        *container = json!({});
    }
    container
}

impl SwarmStack {
    /// The definitions of this run's stack.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn definitions(&self) -> Result<Vec<Definition>, StackError> {
        let call = "read the definitions";
        let manager = self.leading_endpoint().await?;
        let label = json!({ "label": [format!("{NAMESPACE}={}", self.name)] }).to_string();
        let query = [("filters", label)];
        let asked = ask(&manager, Method::GET, "services", &query, None);
        let failed = |why: String| failed(call, &self.name, why);
        let all = asked.await.map_err(failed)?;
        let all = all.as_array().cloned().unwrap_or_default();
        let read = all.iter().map(|service| {
            Definition::read(service, &self.name).ok_or_else(|| {
                failed("a service is described in a way that is not known".to_owned())
            })
        });
        read.collect()
    }

    /// The definition of one service.
    ///
    /// # Errors
    /// The managers'; [`StackError::Unknown`].
    pub(super) async fn definition(&self, name: &str) -> Result<Definition, StackError> {
        let all = self.definitions().await?;
        let mut has: Vec<&str> = all.iter().map(|d| d.name.as_str()).collect();
        has.sort_unstable();
        let has = has.join(", ");
        let found = all.iter().find(|d| d.name == name).cloned();
        found.ok_or_else(|| StackError::Unknown {
            name: name.to_owned(),
            has,
        })
    }

    /// Changes a service's definition; the cluster goes on from there.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn redefine(
        &self,
        call: &str,
        name: &str,
        change: impl Fn(&mut Value),
    ) -> Result<(), StackError> {
        // Somebody else's change in between is refused by its version; then the next look has the new one.
        for last in [false, false, true] {
            let mut now = self.definition(name).await?;
            change(&mut now.spec);
            let manager = self.leading_endpoint().await?;
            let path = format!("services/{}/update", now.id);
            let version = [("version", now.version.to_string())];
            match ask(&manager, Method::POST, &path, &version, Some(&now.spec)).await {
                Ok(_) => return Ok(()),
                Err(why) if !last && why.contains("out of sequence") => {}
                Err(why) => return Err(failed(call, name, why)),
            }
        }
        let why = "its definition changed at every try".to_owned();
        Err(failed(call, name, why))
    }

    /// Defines a service that is not there.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn define(
        &self,
        call: &str,
        name: &str,
        spec: &Value,
    ) -> Result<(), StackError> {
        let manager = self.leading_endpoint().await?;
        let made = ask(&manager, Method::POST, "services/create", &[], Some(spec)).await;
        made.map(|_| ()).map_err(|why| failed(call, name, why))
    }
}

/// What a manager answers; an error in its own words.
async fn ask(
    manager: &Endpoint,
    method: Method,
    path: &str,
    query: &[(&str, String)],
    body: Option<&Value>,
) -> Result<Value, String> {
    let (client, base) = client(manager)?;
    let mut request = client
        .request(method, format!("{base}/{path}"))
        .query(query);
    if let Some(body) = body {
        request = request.json(body);
    }
    let said = async {
        let answer = request.send().await?;
        Ok((answer.status(), answer.bytes().await?))
    };
    let (status, text) = said
        .await
        .map_err(|e: reqwest::Error| format!("{manager}: {}", chain(&e)))?;
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(value);
    }
    let message = value["message"].as_str();
    Err(message.map_or_else(
        || format!("{manager} answers {status}"),
        |m| m.trim().to_owned(),
    ))
}

/// A client for an engine, and what its addresses begin with.
fn client(manager: &Endpoint) -> Result<(Client, String), String> {
    let builder = Client::builder().no_proxy().timeout(ANSWER);
    let (builder, base) = match manager {
        Endpoint::Unix(path) => (
            builder.unix_socket(path.as_str()),
            "http://localhost".to_owned(),
        ),
        Endpoint::Tcp(host) => (builder, format!("http://{host}")),
        Endpoint::Tls { host, certs } => {
            let read = |name: &str| {
                let path = certs.join(name);
                std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
            };
            let told = |e: reqwest::Error| format!("{}: {}", certs.display(), chain(&e));
            let own = [read("cert.pem")?, read("key.pem")?].join(&b'\n');
            let own = Identity::from_pem(&own).map_err(told)?;
            let authorities = Certificate::from_pem_bundle(&read("ca.pem")?).map_err(told)?;
            let builder = builder.identity(own).tls_certs_only(authorities);
            (builder, format!("https://{host}"))
        }
    };
    let client = builder.build().map_err(|e| chain(&e))?;
    Ok((client, base))
}

fn failed(call: &str, service: &str, why: String) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: service.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_definition_is_lost() {
        let spec = json!({
            "Name": "fd-1_web",
            "TaskTemplate": { "ContainerSpec": { "Image": "web:1", "Healthcheck": { "Retries": 3 }, "Unheard": "of" } },
            "Mode": { "Replicated": { "Replicas": 2 } },
        });
        let service = json!({
            "ID": "s1",
            "Version": { "Index": 7 },
            "Spec": spec,
            "UpdateStatus": { "StartedAt": "2026-11-22T19:43:29Z" },
        });
        let read = Definition::read(&service, "fd-1").unwrap();
        assert_eq!((read.name.as_str(), read.replicas()), ("web", Some(2)));
        assert_eq!(read.spec, spec);
        let mut changed = read.spec.clone();
        container_of(&mut changed)["Image"] = json!("web:2");
        container_of(&mut changed)["Image"] = json!("web:1");
        assert_eq!(changed, spec);
        assert_eq!(Definition::read(&service, "fd-2"), None);
    }
}
