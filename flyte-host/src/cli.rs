use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use flyte_core::id::Tenant;

use crate::attempts::AttemptArguments;
use crate::source::Copy;
use crate::uploads::InputOptions;

/// Runs flytekit workflows on this machine, durably.
#[derive(Debug, Parser)]
#[command(name = "flyte-rs", version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// The store of executions: `memory` (for `run` only), `sqlite:PATH` or `postgres://...`.
    ///
    /// Default: the variable `FLYTE_STORE`. Without it `run` and `doctor` use `.flyte/flyte.db`;
    /// other commands read that file and each store that a run of this folder has used. `graph`
    /// reads no store.
    #[arg(long, global = true)]
    pub(crate) store: Option<String>,
    /// The place of files: a folder, `s3://BUCKET/PREFIX`, `gs://...` or `az://...`.
    ///
    /// Default: the variable `FLYTE_BLOBS`. Without it `run` uses `.flyte/data`; other commands use
    /// the place that the run of the execution used. `graph`, `timeline` and `get` of lists read no
    /// files.
    #[arg(long, global = true)]
    pub(crate) blobs: Option<String>,
    /// The project: that of a new execution (default `flytesnacks`), else only its executions.
    #[arg(long, global = true)]
    pub(crate) project: Option<String>,
    /// The domain: that of a new execution (default `development`), else only its executions.
    #[arg(long, global = true)]
    pub(crate) domain: Option<String>,
    /// One JSON value on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The Python interpreter of `run`, `graph` and `doctor`; with `--install` the one that
    /// .flyte/venv is made from.
    ///
    /// An execution keeps the interpreter that it started with: commands that continue it refuse
    /// another one. Commands that neither read code nor run tasks do not use it.
    #[arg(long, global = true)]
    pub(crate) python: Option<PathBuf>,
}

impl Common {
    /// Whether a tenant is that of `--project` and `--domain`, as far as they are given.
    pub(crate) fn fits(&self, tenant: &Tenant) -> bool {
        let fits = |want: &Option<String>, have: &str| want.as_ref().is_none_or(|w| w == have);
        fits(&self.project, &tenant.project) && fits(&self.domain, &tenant.domain)
    }

    /// The tenant of what is new.
    pub(crate) fn tenant(&self) -> Tenant {
        let default = Tenant::default();
        Tenant::new(
            self.project.as_deref().unwrap_or(&default.project),
            self.domain.as_deref().unwrap_or(&default.domain),
        )
    }
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // There is one.
pub(crate) enum Command {
    /// Run a workflow, launch plan or task of a Python file, a package or a folder.
    Run(RunArguments),
    /// Go on with executions that a dead run left.
    Resume {
        /// Only this one.
        execution: Option<String>,
        #[command(flatten)]
        attempts: AttemptArguments,
    },
    /// End an execution for good.
    Abort {
        execution: String,
        /// Why.
        #[arg(long, default_value = "aborted by hand")]
        reason: String,
    },
    /// Let a parked execution go on.
    Release {
        execution: String,
    },
    /// Give a signal that a gate of an execution waits for.
    Signal {
        execution: String,
        /// The signal's name.
        signal: String,
        /// Its value; `true` or `false` for an approval.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Run the training pipeline of the examples, written in Rust; the second time it is cached.
    #[cfg(feature = "demo")]
    Demo {
        /// How much each tree corrects the ones before.
        #[arg(long, default_value_t = 0.3)]
        learning_rate: f64,
        /// How many trees.
        #[arg(long, default_value_t = 40)]
        trees: u32,
        /// Draws who is held out, and what each tree sees.
        #[arg(long, default_value_t = 7)]
        seed: u32,
    },
    /// Show what there is.
    Get {
        #[command(subcommand)]
        what: What,
    },
    /// Draw a workflow, launch plan or task.
    Graph(GraphArguments),
    /// Draw nodes and attempts of an execution over time, as SVG.
    Timeline {
        execution: String,
        /// Where the picture goes; `-` is stdout.
        #[arg(short, long, value_name = "FILE", default_value = "-")]
        out: PathBuf,
    },
    Prune(crate::prune::PruneArguments),
    /// Say whether a run would work here.
    Doctor,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// All executions.
    Executions,
    /// One execution.
    Execution { name: String },
    /// The nodes of an execution.
    Nodes { name: String },
}

#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// A JSON or YAML file with inputs; inputs on the command line win.
    #[arg(long)]
    pub(crate) inputs_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) input_options: InputOptions,
    /// Put pinned flytekit, and the requirements.txt beside the file, into .flyte/venv.
    #[arg(long)]
    pub(crate) install: bool,
    /// The code of a package that brings none.
    #[arg(long)]
    pub(crate) source: Option<PathBuf>,
    /// The execution's name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Store output values of more bytes as files of their own, beside the other files, and read
    /// them where they are used; at least 262144. Else what the variable `FLYTE_OFFLOAD_ABOVE`
    /// says, which counts for all commands; else all values stay in the database.
    #[arg(long, value_name = "BYTES")]
    pub(crate) offload_above: Option<u64>,
    /// Nodes that run at once; 0 has no bound.
    #[arg(long, default_value_t = 0)]
    pub(crate) max_parallelism: u32,
    /// Processes that run at once; one for each core if unset.
    #[arg(long)]
    pub(crate) slots: Option<u32>,
    #[command(flatten)]
    pub(crate) attempts: AttemptArguments,
    /// Which files tasks find around the loaded modules; else those beside the file and in its
    /// packages, up to a bound.
    #[arg(long, value_enum)]
    pub(crate) copy: Option<Copy>,
    /// A variable for every task; it wins over what tasks get from this environment.
    #[arg(long = "env", value_name = "K=V")]
    pub(crate) envs: Vec<String>,
    /// A variable of this environment that tasks get, also where they get no others.
    #[arg(long, value_name = "NAME")]
    pub(crate) env_from: Vec<String>,
    /// Tasks get no variables of this environment, and the file is read without them.
    #[arg(long)]
    pub(crate) clean_env: bool,
    /// Compute everything anew and replace what the cache has.
    #[arg(long)]
    pub(crate) overwrite_cache: bool,
    /// List the items of arrays, too; else they are counted.
    #[arg(long)]
    pub(crate) items: bool,
    /// Say nothing on the way.
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Where the outputs go as a LiteralMap.
    #[arg(long)]
    pub(crate) outputs_pb: Option<PathBuf>,
    /// A Python file; a package made by `pyflyte package`; a folder of .pb files or of Python code.
    pub(crate) file: PathBuf,
    /// The entity, and its inputs as `--name VALUE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 1.., required = true)]
    pub(crate) rest: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct GraphArguments {
    /// What the picture is written as.
    #[arg(long, value_enum, default_value_t = Format::Svg)]
    pub(crate) format: Format,
    /// Where the picture goes; `-` is stdout.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) out: PathBuf,
    /// Put pinned flytekit, and the requirements.txt beside the file, into .flyte/venv.
    #[arg(long)]
    pub(crate) install: bool,
    /// A Python file; a package made by `pyflyte package`; a folder of .pb files or of Python code.
    pub(crate) file: PathBuf,
    /// The workflow, launch plan or task.
    pub(crate) entity: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// A picture.
    Svg,
    /// Graphviz's language.
    Dot,
    /// A Mermaid flow chart.
    Mermaid,
}
