//! Runs container-shaped tasks as local processes that outlive their scheduler.
//!
//! An attempt's folder is the whole truth about it: what was started (`job.json`), by which
//! process (`pid`: id, start time and boot), what it printed (`stdout.log`, `stderr.log`) and how
//! it ended (`exit`). Any scheduler that finds the folder can observe, abort and finish the job.
//! It is beside the outputs, or in `ProcessOptions::scratch` where those are in a cloud: then the
//! program writes them there itself, as flytekit does, with the credentials that it is given.
//!
//! An attempt works in a private tree (`tree` in its folder), a copy of the code that the execution's
//! parameter `source_dir` names: it sees no file that another attempt wrote, and changes none of the
//! code. It reads private copies (`inputs`) of the files of this machine that its inputs name, up to a bound
//! an input; above it the originals, read-only as far as possible, and a changed one fails the attempt.
//! Tree and copies are deleted when the attempt's outcome is durable; logs and `exit` stay.
//!
//! The program runs under a small `sh` wrapper (`wrapper.sh`) in a session of its own, so that a signal
//! to the scheduler's terminal does not reach it. Readers in the same session copy its output to the
//! logs: no pipe ends in the scheduler, whose death therefore does not disturb it.
//!
//! When the program is over, everything that it left running is ended before the outcome is told
//! (`remains.rs`). An attempt has a control group of its own for that, where one can be made.
//!
//! Secrets are variables of the program, or files in a private folder in memory (`/dev/shm`), which
//! `finalize` removes. Their values are in no file of the attempt's folder where there is such memory.
//!
//! Invariant: nothing about a job is kept in memory only.
#![deny(missing_docs)]

mod cgroup;
mod copy;
mod ending;
mod environment;
mod exit;
mod folder;
mod image;
mod inputs;
mod kept;
mod leader;
mod logs;
mod off_thread;
mod options;
mod originals;
mod plugin;
mod private;
mod processes;
mod remains;
mod secret_folder;
mod secrets;
mod settle;
mod status;
mod taken;
mod template;
mod tree;
mod uris;
mod wrapper;

pub use options::ProcessOptions;
pub use plugin::ProcessPlugin;
