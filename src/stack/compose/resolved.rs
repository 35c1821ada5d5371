//! The Compose file as firedrill runs it: everything resolved, firedrill's marks on all that it makes, ports published
//! on the loopback alone, and image names that do not hang on the run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::cli::Generation;
use crate::stack::StackError;

/// The file, and what its services run.
#[derive(Debug)]
pub(super) struct Resolved {
    /// JSON, which is YAML too.
    pub(super) text: String,
    /// Its services.
    pub(super) services: BTreeSet<String>,
    /// Service → image, of those that cannot be built.
    pub(super) pulled: BTreeMap<String, String>,
    /// Whether any service can be built.
    pub(super) builds: bool,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// Makes it from what `config` printed. `folder` is the name of the Compose file's folder.
///
/// # Errors
/// [`StackError::InvalidFile`] where the output makes no sense or has no service.
pub(super) fn resolve(
    printed: &str,
    generation: Generation,
    marks: &BTreeMap<&str, String>,
    folder: &str,
) -> Result<Resolved, StackError> {
    let invalid = |why: String| StackError::InvalidFile {
        file: "the output of Compose's `config`".to_owned(),
        why,
    };
    let mut file: Map<String, Value> = match generation {
        Generation::One => {
            serde_saphyr::from_str(&quoted(printed)).map_err(|e| invalid(e.to_string()))?
        }
        Generation::Two => serde_json::from_str(printed).map_err(|e| invalid(e.to_string()))?,
    };
    let mut resolved = Resolved {
        text: String::new(),
        services: BTreeSet::new(),
        pulled: BTreeMap::new(),
        builds: false,
        notes: Vec::new(),
    };
    let services = file.get_mut("services").and_then(Value::as_object_mut);
    let services = services.filter(|s| !s.is_empty());
    for (name, service) in services.ok_or_else(|| invalid("no service is enabled".to_owned()))? {
        let Some(service) = service.as_object_mut() else {
            continue;
        };
        resolved.services.insert(name.clone());
        label(service, marks);
        loopback(name, service, &mut resolved.notes);
        let image = service
            .get("image")
            .and_then(Value::as_str)
            .map(str::to_owned);
        match (image, service.contains_key("build")) {
            (None, true) => {
                service.insert(
                    "image".to_owned(),
                    image_name(folder, name, generation).into(),
                );
                resolved.builds = true;
            }
            (Some(_), true) => resolved.builds = true,
            (Some(image), false) => {
                resolved.pulled.insert(name.clone(), image);
            }
            (None, false) => {}
        }
    }
    let networks = file.entry("networks").or_insert_with(|| json!({}));
    if let Some(networks) = networks.as_object_mut() {
        // Compose makes it unasked, and then without a label.
        networks.entry("default").or_insert_with(|| json!({}));
        label_own(networks, marks);
    }
    if let Some(volumes) = file.get_mut("volumes").and_then(Value::as_object_mut) {
        label_own(volumes, marks);
    }
    resolved.text = Value::Object(file).to_string();
    Ok(resolved)
}

/// Compose 1 writes by the rules of YAML 1.1, for which `1e3` and `0o7` are words; for YAML 1.2 they are numbers.
fn quoted(printed: &str) -> String {
    let mut text = String::with_capacity(printed.len());
    for line in printed.lines() {
        let at = line
            .rfind(": ")
            .map(|i| i + 2)
            .or_else(|| line.rfind("- ").map(|i| i + 2));
        match at.map(|i| line.split_at(i)) {
            Some((key, value)) if is_number_in_1_2_only(value) => {
                text.push_str(key);
                text.push('\'');
                text.push_str(value);
                text.push('\'');
            }
            Some(_) | None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn is_number_in_1_2_only(text: &str) -> bool {
    let digits = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit());
    let unsigned = |t: &str| t.strip_prefix(['-', '+']).unwrap_or(t).to_owned();
    let exponential = text
        .split_once(['e', 'E'])
        .is_some_and(|(mantissa, exponent)| {
            digits(&unsigned(mantissa)) && digits(&unsigned(exponent))
        });
    exponential || text.strip_prefix("0o").is_some_and(digits)
}

/// Labels of networks and volumes that are the project's own; external ones are left alone.
fn label_own(things: &mut Map<String, Value>, marks: &BTreeMap<&str, String>) {
    for thing in things.values_mut() {
        if thing.is_null() {
            *thing = json!({});
        }
        let Some(thing) = thing.as_object_mut() else {
            continue;
        };
        match thing.get("external") {
            None | Some(Value::Bool(false) | Value::Null) => label(thing, marks),
            Some(_) => {}
        }
    }
}

fn label(thing: &mut Map<String, Value>, marks: &BTreeMap<&str, String>) {
    // Compose fills in variables here, too.
    let escaped = marks.iter().map(|(k, v)| (*k, v.replace('$', "$$")));
    let labels = thing.entry("labels").or_insert_with(|| json!({}));
    match labels {
        Value::Array(list) => list.extend(escaped.map(|(k, v)| format!("{k}={v}").into())),
        Value::Object(map) => map.extend(escaped.map(|(k, v)| (k.to_owned(), v.into()))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *labels = escaped
                .map(|(k, v)| (k.to_owned(), Value::from(v)))
                .collect();
        }
    }
}

/// Every published port in the short form that both generations read, on 127.0.0.1.
fn loopback(name: &str, service: &mut Map<String, Value>, notes: &mut Vec<String>) {
    let Some(ports) = service.get_mut("ports").and_then(Value::as_array_mut) else {
        return;
    };
    for port in ports {
        let short = match &*port {
            Value::Object(long) => short_form(long),
            Value::String(text) => shorter(text),
            Value::Number(target) => (String::new(), format!(":{target}")),
            Value::Null | Value::Bool(_) | Value::Array(_) => continue,
        };
        let (address, rest) = short;
        if !matches!(address.as_str(), "" | "127.0.0.1" | "localhost") {
            notes.push(format!(
                "{name}: port {rest} is published on 127.0.0.1, not on {address}"
            ));
        }
        *port = format!("127.0.0.1:{rest}").into();
    }
}

/// `(address, published:target/protocol)` of the long form.
fn short_form(port: &Map<String, Value>) -> (String, String) {
    let text = |key: &str| match port.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let protocol = match text("protocol").as_str() {
        "" => "tcp".to_owned(),
        other => other.to_owned(),
    };
    let published = text("published");
    let published = if published == "0" { "" } else { &published };
    (
        text("host_ip"),
        format!("{published}:{}/{protocol}", text("target")),
    )
}

/// The same of `[address:][published:]target[/protocol]`.
fn shorter(port: &str) -> (String, String) {
    let Some((rest, target)) = port.rsplit_once(':') else {
        return (String::new(), format!(":{port}"));
    };
    match rest.rsplit_once(':') {
        Some((address, published)) => (address.to_owned(), format!("{published}:{target}")),
        None => (String::new(), format!("{rest}:{target}")),
    }
}

/// What Compose calls the image of a service in this folder when left to itself. Under the run's project name every
/// run would build its own.
fn image_name(folder: &str, service: &str, generation: Generation) -> String {
    let separator = match generation {
        Generation::One => '_',
        Generation::Two => '-',
    };
    format!("{}{separator}{service}", project_name(folder))
}

/// A text as Compose allows it in a project's name.
pub(in crate::stack) fn project_name(text: &str) -> String {
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name: String = text.to_lowercase().chars().filter(allowed).collect();
    name.trim_start_matches(['-', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "networks:
  ext: {external: true, name: foo}
services:
  web:
    environment:
      SHA: 12e45
      RATE: 0.5
    image: web:1
    labels:
      a: b
    ports:
    - 0.0.0.0:8080:80/tcp
    - published: 8081
      target: 81
    - target: 82
  worker:
    build: {context: /x}
version: '3.9'
volumes:
  data: null
";

    fn marks() -> BTreeMap<&'static str, String> {
        BTreeMap::from([("run", "r1".to_owned()), ("dir", "/$x".to_owned())])
    }

    fn file(resolved: &Resolved) -> Value {
        serde_json::from_str(&resolved.text).unwrap()
    }

    #[test]
    fn what_the_first_generation_prints() {
        let resolved = resolve(ONE, Generation::One, &marks(), "My.App").unwrap();
        let file = file(&resolved);
        let web = &file["services"]["web"];
        assert_eq!(
            web["ports"],
            json!([
                "127.0.0.1:8080:80/tcp",
                "127.0.0.1:8081:81/tcp",
                "127.0.0.1::82/tcp"
            ])
        );
        assert_eq!(
            web["labels"],
            json!({ "a": "b", "run": "r1", "dir": "/$$x" })
        );
        assert_eq!(web["environment"], json!({ "SHA": "12e45", "RATE": 0.5 }));
        assert_eq!(file["services"]["worker"]["image"], "myapp_worker");
        assert_eq!(
            file["networks"]["default"],
            json!({ "labels": { "run": "r1", "dir": "/$$x" } })
        );
        assert_eq!(
            file["networks"]["ext"],
            json!({ "external": true, "name": "foo" })
        );
        assert_eq!(
            file["volumes"]["data"],
            json!({ "labels": { "run": "r1", "dir": "/$$x" } })
        );
        assert_eq!(
            resolved.pulled,
            BTreeMap::from([("web".to_owned(), "web:1".to_owned())])
        );
        assert!(resolved.builds);
        assert_eq!(
            resolved.notes,
            ["web: port 8080:80/tcp is published on 127.0.0.1, not on 0.0.0.0"]
        );
    }

    #[test]
    fn what_the_second_prints() {
        let printed = json!({ "name": "p", "services": { "web": { "build": { "context": "/x" }, "ports": [
            { "mode": "ingress", "host_ip": "::1", "target": 80, "published": "8080", "protocol": "tcp" },
            { "mode": "ingress", "target": 53, "protocol": "udp" } ] } } });
        let resolved = resolve(&printed.to_string(), Generation::Two, &marks(), "app").unwrap();
        let web = &file(&resolved)["services"]["web"];
        assert_eq!(
            web["ports"],
            json!(["127.0.0.1:8080:80/tcp", "127.0.0.1::53/udp"])
        );
        assert_eq!(web["image"], "app-web");
        assert_eq!(resolved.notes.len(), 1);
    }

    #[test]
    fn a_file_without_services_is_invalid() {
        let none = resolve(
            "services: {}\nversion: '3.9'\n",
            Generation::One,
            &marks(),
            "f",
        )
        .unwrap_err();
        assert!(none.to_string().contains("no service is enabled"), "{none}");
        assert!(resolve("]", Generation::Two, &marks(), "f").is_err());
    }

    #[test]
    fn words_that_look_like_numbers_stay_words() {
        for word in ["1e3", "-12E+45", "0o17"] {
            assert!(is_number_in_1_2_only(word), "{word}");
        }
        for other in ["1.5e3", "e3", "1e", "17", "0x1f", "abc"] {
            assert!(!is_number_in_1_2_only(other), "{other}");
        }
        assert_eq!(
            quoted("a: 1e3\n- 0o7\nb: 1e3x\n"),
            "a: '1e3'\n- '0o7'\nb: 1e3x\n"
        );
    }
}
