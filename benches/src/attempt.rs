//! What isolation costs: how long it takes until the program of an attempt runs, and until its private files are
//! deleted.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::contract::{
    AttemptLocations, EnvironmentSecrets, LaunchContext, LaunchRequest, Plugin,
};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::literal::Row;
use flyte_core::template::{Container, TaskTarget, TaskTemplate, TypedInterface};
use flyte_plugin_process::{ProcessOptions, ProcessPlugin};
use serde::Serialize;

use crate::Done;

/// How it is run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Files of the code tree; one line is printed for each.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 10_000])]
    files: Vec<u32>,
    /// Bytes of a file.
    #[arg(long, default_value_t = 2_048)]
    bytes: usize,
    /// Attempts of each kind; the median counts.
    #[arg(long, default_value_t = 9)]
    repeat: u32,
    /// The folder where the tree and the attempts are made; a temporary one of the system otherwise.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// One JSON array on standard output.
    #[arg(long)]
    json: bool,
}

/// Medians, in milliseconds.
#[derive(Debug, Serialize)]
struct Line {
    files: u32,
    shared_start_ms: f64,
    private_start_ms: f64,
    shared_finalize_ms: f64,
    private_finalize_ms: f64,
}

pub(crate) fn run(options: &Options) -> Done {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    let mut lines = Vec::new();
    for &files in &options.files {
        let folder = match &options.folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let code = folder.path().join("code");
        for n in 0..files {
            let package = code.join(format!("package_{}", n / 100));
            if n % 100 == 0 {
                std::fs::create_dir_all(&package)?;
            }
            std::fs::write(
                package.join(format!("module_{n}.py")),
                vec![b'#'; options.bytes],
            )?;
        }
        let (mut shared, mut private) = (Samples::default(), Samples::default());
        // They alternate, so that a machine that changes its mood changes it for both.
        for n in 0..options.repeat {
            runtime.block_on(shared.add(folder.path(), &code, 2 * n, true))?;
            runtime.block_on(private.add(folder.path(), &code, 2 * n + 1, false))?;
        }
        lines.push(Line {
            files,
            shared_start_ms: median(shared.start),
            private_start_ms: median(private.start),
            shared_finalize_ms: median(shared.finalize),
            private_finalize_ms: median(private.finalize),
        });
    }
    if options.json {
        println!("{}", serde_json::to_string(&lines)?);
        return Ok(());
    }
    println!("files of the code   start: shared, private   finalize: shared, private (ms)");
    for l in lines {
        println!(
            "{:>17}   {:>13.1}, {:>7.1}   {:>16.1}, {:>7.1}",
            l.files,
            l.shared_start_ms,
            l.private_start_ms,
            l.shared_finalize_ms,
            l.private_finalize_ms
        );
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Samples {
    start: Vec<Duration>,
    finalize: Vec<Duration>,
}

impl Samples {
    /// Runs one attempt.
    async fn add(&mut self, folder: &Path, code: &Path, attempt: u32, shared: bool) -> Done {
        let plugin = ProcessPlugin::new(ProcessOptions {
            working_dir: shared.then(|| code.to_path_buf()),
            ..ProcessOptions::default()
        });
        let request = request(folder, code, attempt, shared);
        let cx = LaunchContext::new(Arc::new(EnvironmentSecrets::default()));
        let begun = Instant::now();
        let launched = plugin.launch(&cx, vec![request]).await.remove(0)?;
        self.start.push(begun.elapsed());
        loop {
            let status = plugin.observe(std::slice::from_ref(&launched.handle)).await;
            let phase = status.into_iter().next().ok_or("no answer")??.phase;
            match phase {
                flyte_core::contract::JobPhase::Succeeded(_) => break,
                phase if phase.is_terminal() => return Err(format!("{phase:?}").into()),
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        let begun = Instant::now();
        plugin.finalize(&launched.handle).await?;
        self.finalize.push(begun.elapsed());
        Ok(())
    }
}

fn request(folder: &Path, code: &Path, attempt: u32, shared: bool) -> LaunchRequest {
    let id = Identifier::new(ResourceType::Task, "attempt", "1");
    let mut template = TaskTemplate::new(id, "container", TypedInterface::default());
    template.target = Some(TaskTarget::Container(Container {
        command: vec!["true".into()],
        ..Container::default()
    }));
    let key = AttemptKey {
        execution: ExecutionId::new(Tenant::default(), "attempt"),
        addr: NodeAddr::default(),
        attempt,
    };
    let mut request = LaunchRequest::new(key, Arc::new(template), Row::default());
    let place = |name: &str| {
        let path = folder.join(format!("{attempt}/{name}"));
        path.to_string_lossy().into_owned()
    };
    request.locations = AttemptLocations {
        inputs: place("inputs.pb"),
        output_prefix: place("outputs"),
        raw_output_prefix: place("raw"),
        checkpoint_prefix: place("checkpoints"),
        previous_checkpoint: None,
    };
    if !shared {
        let code = code.to_string_lossy().into_owned();
        request.parameters.insert("source_dir".into(), code);
    }
    request
}

fn median(mut samples: Vec<Duration>) -> f64 {
    samples.sort();
    let middle = samples.get(samples.len() / 2).copied();
    middle.unwrap_or_default().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_both_kinds_run_and_end() {
        let options = Options {
            files: vec![3],
            bytes: 10,
            repeat: 1,
            folder: None,
            json: false,
        };
        run(&options).unwrap();
    }
}
