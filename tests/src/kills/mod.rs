//! Schedulers are killed at drawn moments while they run processes and functions; in the end a
//! judge compares what was acknowledged, what the journals have, and what attempts said of
//! themselves.
//!
//! What is drawn is when to kill, and what; what the machine does in between is not, so that a
//! seed gives the same plan and not the same life.

mod host;
mod hosts;
mod judge;
mod lanes;
mod left;
mod member;
mod options;
mod shapes;
mod soak;
mod table;
mod versions;
mod witness;

use std::time::Instant;

use crate::draw;

pub use host::Host;
pub use options::Options;
pub use shapes::{HOSTED, PYTHON, hosted};
pub use soak::{Sample, Soak, SoakHost, SoakOptions, soak};
pub use table::Table;

/// Kills as often as the options say, lets everything come to its end, and judges.
///
/// # Errors
/// What keeps the harness from working, such as a Python without flytekit; what is wrong with the
/// schedulers is in the table.
pub async fn run(options: &Options) -> Result<Table, String> {
    let begun = Instant::now();
    if let Some(url) = &options.fleet {
        let mut table = hosts::kill_fleet(options, url, options.kills).await?;
        table.seed = options.seed;
        table.seconds = begun.elapsed().as_secs_f64();
        return Ok(table);
    }
    let python = options.kills * Options::OF_FLYTE_RS / 100;
    let mut table = Table {
        seed: options.seed,
        ..Table::default()
    };
    // Each by itself: the figures of one are not those of the other's load.
    table.add(lanes::kill(options, python).await?);
    table.add(hosts::kill(options, options.kills - python).await?);
    table.seconds = begun.elapsed().as_secs_f64();
    Ok(table)
}
