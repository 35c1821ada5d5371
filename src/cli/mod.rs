//! Arguments, one file per subcommand, exit codes. The only place that prints, reads the environment or exits.

mod abort;
mod args;
mod confirm;
mod context;
mod demo;
mod doctor;
mod exit;
mod guard;
mod hold;
mod judge;
mod load;
mod marks;
mod plan;
mod progress;
mod read;
mod recover;
mod run;
mod surface;
mod tui;
mod unmended;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, SchemaOf};
use exit::Exit;
use surface::Surface;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows where each belongs: help to stdout, mistakes to stderr. A closed pipe is no news.
            let _closed = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Pass
            }
            .into();
        }
    };
    let surface = Surface::new(cli.color, cli.quiet);
    surface.hide_in_panics();
    let exit = match cli.command {
        Command::Validate(args) => read::validate(&surface, &args),
        Command::Plan(args) => plan::plan(&surface, &args),
        Command::Doctor(args) => doctor::doctor(&surface, &args),
        Command::Run(args) => run::run(&surface, &args),
        Command::Abort(args) => abort::abort(&surface, &args),
        Command::Recover(args) => recover::recover(&surface, &args),
        Command::Guard(args) => guard::guard(&surface, &args),
        Command::HoldRules(args) => hold::hold(&surface, &args),
        Command::Load(args) => load::load(&surface, &args),
        Command::Tui(args) => tui::tui(&surface, args),
        Command::Replay(args) => tui::replay(&surface, &args),
        Command::Judge(args) => judge::judge(&surface, &args),
        Command::Report(args) => judge::report(&surface, &args),
        Command::Export(args) => judge::export(&surface, &args),
        Command::Schema(args) => {
            surface.json(&match args.of {
                SchemaOf::Scenario => crate::scenario::json_schema(),
                SchemaOf::Result => schemars::schema_for!(crate::judge::Judgement).to_value(),
                SchemaOf::Plan => schemars::schema_for!(plan::Document).to_value(),
                SchemaOf::Load => schemars::schema_for!(load::Document<'_>).to_value(),
                SchemaOf::Capacity => schemars::schema_for!(load::CapacityDocument<'_>).to_value(),
            });
            Exit::Pass
        }
        Command::Demo(args) => demo::demo(&surface, args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "firedrill", &mut script);
            surface.bytes(&script);
            Exit::Pass
        }
        Command::Man => {
            let mut page = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut page) {
                Ok(()) => {
                    surface.bytes(&page);
                    Exit::Pass
                }
                Err(error) => surface.failed(&error, Exit::Inconclusive),
            }
        }
    };
    exit.into()
}
