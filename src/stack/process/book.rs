//! What the processes of a run are meant to be, kept in the run's directory so that another process can mend them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::order::variables;
use crate::model::{ComponentId, ProcessSpec, Ready, Template, TemplateError, Variable};
use crate::stack::ports::free_ports_besides;
use crate::stack::{Resolve, StackContext, StackError, Surroundings};

/// Everything needed to start a replica again at the same address. Secrets stay references.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    /// Services in the order they are started.
    pub(super) order: Vec<String>,
    /// Every port drawn for this run.
    drawn: BTreeSet<u16>,
    pub(super) services: BTreeMap<String, ServiceBook>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ServiceBook {
    pub(super) ready: Option<Ready>,
    /// Whether its replicas have addresses.
    listens: bool,
    pub(super) replicas: BTreeMap<u32, Replica>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Replica {
    /// `127.0.0.1:port`, the same at each start.
    pub(super) listen: Option<String>,
    /// False once scaled away; its address is kept for its return.
    pub(super) wanted: bool,
    pub(super) definition: Definition,
    /// Handle of a process that was told to end: whatever it still does, it does not count as running.
    pub(super) ending: Option<String>,
    /// The process last started for it.
    pub(super) main: Option<Main>,
}

/// A process that was started, so that it is known again without the label in its environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Main {
    /// Start times count from the boot: a handle means nothing after the next one.
    pub(super) boot: String,
    pub(super) handle: String,
    /// Its session, and that of its whole group.
    pub(super) session: i32,
    /// Fingerprint of what it was started from; the replica's definition may be another by now.
    pub(super) definition: String,
}

/// What a process is started from. `${listen}` and secrets stay references.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Definition {
    pub(super) command: Vec<Template>,
    pub(super) env: BTreeMap<String, Template>,
}

impl Definition {
    /// Tells definitions apart in a process's environment.
    pub(super) fn fingerprint(&self) -> String {
        let words = self.command.iter().map(ToString::to_string);
        let text: Vec<String> = words.chain(self.env_lines()).collect();
        format!("{:08x}", crc32c::crc32c(text.join("\0").as_bytes()))
    }

    /// `NAME=template` lines, as an undo keeps them.
    pub(super) fn env_lines(&self) -> impl Iterator<Item = String> {
        self.env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
    }

    /// The definition that an undo keeps.
    pub(super) fn of_lines(command: &[String], env: &[String]) -> Result<Self, TemplateError> {
        let command = command
            .iter()
            .map(|w| Template::parse(w))
            .collect::<Result<_, _>>()?;
        let pair = |line: &String| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            Ok((name.to_owned(), Template::parse(value)?))
        };
        let env = env.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Self { command, env })
    }
}

impl Book {
    /// Draws the addresses and fills in the definitions.
    pub(super) fn draw(
        spec: &ProcessSpec,
        order: Vec<String>,
        context: &StackContext,
    ) -> Result<Self, StackError> {
        let mut drawn: BTreeSet<u16> = context.ports.values().copied().collect();
        let mut surroundings = Surroundings::of(context);
        let mut services = BTreeMap::new();
        for (name, service) in &spec.services {
            let listens = variables(service).any(|v| *v == Variable::Listen);
            let listen = draw_addresses(if listens { service.replicas } else { 0 }, &mut drawn)?;
            if listens {
                surroundings = surroundings.with(name, listen.clone());
            }
            services.insert(name.clone(), listen);
        }
        let mut filled = BTreeMap::new();
        for (name, listen) in services {
            let service = &spec.services[&name];
            let fill = |template: &Template| {
                let place = || format!("stack.process.services.{name}");
                surroundings
                    .fill(template)
                    .map_err(|source| StackError::Template {
                        place: place(),
                        source,
                    })
            };
            let definition = Definition {
                command: service.command.iter().map(fill).collect::<Result<_, _>>()?,
                env: service
                    .env
                    .iter()
                    .map(|(k, v)| Ok((k.clone(), fill(v)?)))
                    .collect::<Result<_, StackError>>()?,
            };
            let ready = match &service.ready {
                Some(Ready { http, within }) => Some(Ready {
                    http: http.as_ref().map(fill).transpose()?,
                    within: *within,
                }),
                None => None,
            };
            let replica = |index: u32| {
                let at = usize::try_from(index).unwrap_or(usize::MAX) - 1;
                Replica {
                    listen: listen.get(at).cloned(),
                    wanted: true,
                    definition: definition.clone(),
                    ending: None,
                    main: None,
                }
            };
            let replicas = (1..=service.replicas)
                .map(|index| (index, replica(index)))
                .collect();
            filled.insert(
                name,
                ServiceBook {
                    ready,
                    listens: !listen.is_empty(),
                    replicas,
                },
            );
        }
        Ok(Self {
            order,
            drawn,
            services: filled,
        })
    }

    /// What an earlier value of the same run wrote; `None` if nothing was.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, StackError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path, error)),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| unreadable(path, error.into()))
    }

    /// Writes it whole, readable by its owner alone; on disk when this returns.
    pub(super) fn store(&self, path: &Path) -> Result<(), StackError> {
        let beside = path.with_extension("json.new");
        let write = || {
            let text = serde_json::to_vec_pretty(self)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            path.parent()
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error: io::Error| unreadable(path, error))
    }

    pub(super) fn service(&self, name: &str) -> Result<&ServiceBook, StackError> {
        self.services.get(name).ok_or_else(|| self.unknown(name))
    }

    pub(super) fn service_mut(&mut self, name: &str) -> Result<&mut ServiceBook, StackError> {
        let unknown = self.unknown(name);
        self.services.get_mut(name).ok_or(unknown)
    }

    pub(super) fn replica(&self, id: &ComponentId) -> Result<&Replica, StackError> {
        let replica = self.service(&id.service)?.replicas.get(&id.index);
        replica.ok_or_else(|| self.unknown(&id.to_string()))
    }

    pub(super) fn replica_mut(&mut self, id: &ComponentId) -> Result<&mut Replica, StackError> {
        let unknown = self.unknown(&id.to_string());
        self.service_mut(&id.service)?
            .replicas
            .get_mut(&id.index)
            .ok_or(unknown)
    }

    /// The replicas that are to run, by identity.
    pub(super) fn wanted(&self) -> Vec<(ComponentId, Replica)> {
        let each = self.services.iter().flat_map(|(name, service)| {
            let wanted = service.replicas.iter().filter(|(_, r)| r.wanted);
            wanted.map(move |(index, r)| (ComponentId::new(name.clone(), *index), r.clone()))
        });
        each.collect()
    }

    /// The process last started for each replica, whether it is still to run or not.
    pub(super) fn mains(&self) -> Vec<(ComponentId, Main)> {
        let each = self.services.iter().flat_map(|(name, service)| {
            let started = service
                .replicas
                .iter()
                .filter_map(|(index, r)| Some((index, r.main.clone()?)));
            started.map(move |(index, main)| (ComponentId::new(name.clone(), *index), main))
        });
        each.collect()
    }

    /// Makes `indexes` the replicas of a service that are to run. A new one takes `definition` and an address of its own.
    pub(super) fn want(
        &mut self,
        service: &str,
        indexes: &BTreeSet<u32>,
        definition: &Definition,
    ) -> Result<(), StackError> {
        let known = self.service(service)?;
        let new: Vec<u32> = indexes
            .iter()
            .filter(|index| !known.replicas.contains_key(index))
            .copied()
            .collect();
        let count = if known.listens {
            u32::try_from(new.len()).unwrap_or(u32::MAX)
        } else {
            0
        };
        let mut addresses = draw_addresses(count, &mut self.drawn)?;
        let service = self.service_mut(service)?;
        for index in new {
            let listen = addresses.pop();
            let replica = Replica {
                listen,
                wanted: true,
                definition: definition.clone(),
                ending: None,
                main: None,
            };
            service.replicas.insert(index, replica);
        }
        for (index, replica) in &mut service.replicas {
            replica.wanted = indexes.contains(index);
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> StackError {
        let has: Vec<&str> = self.services.keys().map(String::as_str).collect();
        StackError::Unknown {
            name: name.to_owned(),
            has: has.join(", "),
        }
    }
}

impl ServiceBook {
    /// Numbers of the replicas that are to run.
    pub(super) fn indexes(&self) -> BTreeSet<u32> {
        self.replicas
            .iter()
            .filter(|(_, r)| r.wanted)
            .map(|(index, _)| *index)
            .collect()
    }
}

fn draw_addresses(count: u32, drawn: &mut BTreeSet<u16>) -> Result<Vec<String>, StackError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let ports = free_ports_besides(count, drawn).map_err(|error| StackError::NotUp {
        why: error.to_string(),
    })?;
    drawn.extend(&ports);
    Ok(ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect())
}

fn unreadable(path: &Path, source: io::Error) -> StackError {
    StackError::Io {
        path: path.display().to_string(),
        source,
    }
}
