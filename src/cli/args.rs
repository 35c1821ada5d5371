//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A fire drill for production systems: stands a stack up, loads it, breaks it on schedule, and proves on one clock
/// whether users noticed and the right alerts fired.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    /// When to colour: also NO_COLOR and CLICOLOR_FORCE.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(super) color: Colour,
    /// Print the verdict line only.
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
}

const EXIT_CODES: &str = "Exit codes:\n  \
    0    every objective met, everything mended\n  \
    1    an objective missed, or a stop condition met\n  \
    2    usage error, or an invalid scenario or Compose file: nothing was touched\n  \
    3    inconclusive: it could not be tested\n  \
    4    a fault or a stack could not be mended or taken down\n  \
    129, 130, 143  hang-up, Ctrl-C, SIGTERM, after everything was mended";

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check scenario files, offline: every problem at once, with its line.
    Validate(Validate),
    /// Say what a run would do: targets, timeline, calls, undos, evidence. Touches nothing.
    Plan(Plan),
    /// Say what this machine allows, and what that means for a drill. Changes nothing.
    Doctor(Doctor),
    /// Carry out scenarios and judge them.
    Run(Run),
    /// Heal all that a run has broken, now, and end it; from any terminal.
    Abort(Abort),
    /// Put right what a run left broken when it died.
    Recover(Recover),
    /// Wait for the end of a run, and put right what it leaves broken.
    #[command(hide = true)]
    Guard(Guard),
    /// Hold packet rules in a network namespace for a limited time.
    #[command(hide = true)]
    HoldRules(HoldRules),
    /// Drive load against one address, and say what its callers saw.
    Load(Box<super::load::Load>),
    /// Carry a scenario out on the game day's screen, or watch a run that goes on.
    Tui(Tui),
    /// Show a recorded run as it went, at any speed.
    Replay(Replay),
    /// Judge a recorded run again; writes nothing.
    Judge(Judge),
    /// Write a recorded run's reports anew, and print one.
    Report(Report),
    /// Print every request of a run as CSV.
    Export(Export),
    /// Print the JSON Schema of scenario files, of result.json, or of plans.
    Schema(Schema),
    /// Run a part of the built-in demo system.
    #[command(subcommand)]
    Demo(Demo),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// What changes how a scenario is read.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// Give an upper-case variable a value; may be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) vars: Vec<(String, String)>,
    /// Seed of every random choice; drawn and printed when left out.
    #[arg(long, env = "FIREDRILL_SEED")]
    pub(super) seed: Option<u64>,
}

/// Where runs are kept.
#[derive(Debug, Args)]
pub(super) struct Reports {
    /// Folder of the runs' directories.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "reports",
        env = "FIREDRILL_OUT"
    )]
    pub(super) out: PathBuf,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` has no `=`; write NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Scenario files.
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The scenario file.
    pub(super) file: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(super) format: PlanFormat,
    #[command(flatten)]
    pub(super) reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// A scenario file: checks its engine and its Prometheus, and against what it needs.
    pub(super) file: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(super) format: PlanFormat,
    #[command(flatten)]
    pub(super) reports: Reports,
    #[command(flatten)]
    pub(super) reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Scenario files, carried out one after the other.
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    /// What to show while it runs.
    #[arg(long, value_enum, default_value_t = Ui::Auto, env = "FIREDRILL_UI")]
    pub(super) ui: Ui,
    #[command(flatten)]
    pub(super) carry: Carry,
}

/// How a scenario is carried out.
#[derive(Debug, Args)]
pub(super) struct Carry {
    /// What to print at the end.
    #[arg(long, value_enum, default_value_t = Format::Text, env = "FIREDRILL_FORMAT")]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) reports: Reports,
    /// Dispatch this step and no others; may be repeated.
    #[arg(long, value_name = "STEP")]
    pub(super) only: Vec<String>,
    /// Leave this step out; may be repeated.
    #[arg(long, value_name = "STEP")]
    pub(super) skip: Vec<String>,
    /// Dispatch no step: a control run.
    #[arg(long)]
    pub(super) no_faults: bool,
    /// Leave the stack standing.
    #[arg(long)]
    pub(super) keep_stack: bool,
    /// Do not ask before breaking a stack that firedrill did not start.
    #[arg(long, short)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Tui {
    /// The scenario file.
    #[arg(required_unless_present = "watch")]
    pub(super) file: Option<PathBuf>,
    /// Look on at a run that goes on in another terminal: a run's directory, its id, or a scenario (its latest run).
    #[arg(long, value_name = "RUN", conflicts_with = "file")]
    pub(super) watch: Option<String>,
    #[command(flatten)]
    pub(super) carry: Carry,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// A run's directory, its id, or a scenario (its latest run).
    pub(super) run: String,
    /// Where to begin: a step, or a time after the end of warm-up as in `31s`.
    #[arg(long, value_name = "STEP|TIME")]
    pub(super) at: Option<String>,
    /// How many times as fast as it was.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub(super) speed: f64,
    #[command(flatten)]
    pub(super) reports: Reports,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text
        .parse()
        .map_err(|_| "write a number, as in 4".to_owned())?;
    if (0.125..=64.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("it must be from 0.125 to 64".to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Ui {
    /// The game day screen where a person sits at a terminal, for as long as the run lasts; else lines.
    Auto,
    /// Lines as things happen.
    Plain,
    /// The game day screen; it stays until it is left.
    Tui,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Junit,
    Markdown,
    Github,
}

#[derive(Debug, Args)]
pub(super) struct Abort {
    /// A run's directory, its id, or a scenario (its latest run); the run that is going on when left out.
    pub(super) run: Option<String>,
    #[command(flatten)]
    pub(super) reports: Reports,
}

#[derive(Debug, Args)]
pub(super) struct Recover {
    /// A run's directory, its id, or a scenario (its latest run); every run that was not mended when left out.
    pub(super) run: Option<String>,
    /// Go by the marks on the platforms too: for runs whose files are lost, or are on another machine.
    #[arg(long)]
    pub(super) scan: bool,
    /// With --scan and RUN: it is over, though that cannot be seen from here.
    #[arg(long, requires_all = ["scan", "run"])]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) reports: Reports,
}

#[derive(Debug, Args)]
pub(super) struct HoldRules {
    /// Name of the chain.
    pub(super) chain: String,
    /// A process in the network namespace.
    #[arg(long)]
    pub(super) of: i32,
    /// Limit, in ms.
    #[arg(long)]
    pub(super) ms: u64,
    /// A peer whose packets are dropped; everybody's without one.
    #[arg(long)]
    pub(super) peer: Vec<std::net::IpAddr>,
    /// IPv6, too.
    #[arg(long)]
    pub(super) v6: bool,
}

#[derive(Debug, Args)]
pub(super) struct Guard {
    /// The run's directory.
    pub(super) run: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Judge {
    /// A run's directory.
    pub(super) run: PathBuf,
    /// Judge by the objectives of this scenario instead of the run's own.
    #[arg(long, value_name = "FILE")]
    pub(super) scenario: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Report {
    /// A run's directory.
    pub(super) run: PathBuf,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// A run's directory.
    pub(super) run: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which schema.
    #[arg(value_enum, default_value_t = SchemaOf::Scenario)]
    pub(super) of: SchemaOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaOf {
    Scenario,
    Result,
    Plan,
    /// `load --format json`.
    Load,
    /// `load --capacity-up-to … --format json`.
    Capacity,
}

#[derive(Debug, Subcommand)]
pub(super) enum Demo {
    /// A backend: health, metrics, versions, and outages on request.
    Backend(DemoBackend),
    /// An edge: least connections, passive and active health checks, retries.
    Edge(DemoEdge),
}

#[derive(Debug, Args)]
pub(super) struct DemoBackend {
    /// Where to listen.
    #[arg(long)]
    pub(super) listen: SocketAddr,
    /// Version that it says it is.
    #[arg(long = "as-version", env = "APP_VERSION", default_value = "v1")]
    pub(super) version_label: String,
    /// Name that it answers with; its address unless given.
    #[arg(long, env = "FIREDRILL_COMPONENT")]
    pub(super) instance: Option<String>,
    /// Time that an answer takes.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
    pub(super) service_time: Duration,
    /// A scripted outage, as in `at=4s for=2s mode=refuse`; may be repeated.
    #[arg(long = "outage", value_name = "OUTAGE")]
    pub(super) outages: Vec<crate::demo::Outage>,
    /// Decides which requests an outage with a share hits.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// File that gets every outage and request as it happened, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(super) truth: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DemoEdge {
    /// Where to listen.
    #[arg(long)]
    pub(super) listen: SocketAddr,
    /// Backends, comma-separated.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(super) backends: Vec<String>,
    /// Turn passive health checks off.
    #[arg(long)]
    pub(super) no_passive_checks: bool,
    /// Turn active health checks on: GET this path of each backend.
    #[arg(long, value_name = "PATH")]
    pub(super) check: Option<String>,
    /// From one active check of a backend to its next.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "500ms")]
    pub(super) check_interval: Duration,
    /// Other backends tried after one that failed.
    #[arg(long, default_value_t = 2)]
    pub(super) retries: u32,
}
