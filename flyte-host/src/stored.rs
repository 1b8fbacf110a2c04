use std::time::Duration;

use flyte_core::id::ExecutionId;
use flyte_scheduler::{Pruner, StoredFiles, SweptFiles};

use crate::fail::Result;
use crate::machine::Machine;

/// How long stored inputs and code stay that nothing names.
const UNUSED: Duration = Duration::from_secs(3_600);

/// What was deleted, or would be, of what executions share.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) inputs: SweptFiles,
    pub(crate) code: SweptFiles,
    /// Why everything stays, if it does.
    pub(crate) left: Option<String>,
}

impl Stored {
    /// Deletes stored inputs and snapshots of code that no store of this folder names; `gone` are
    /// executions of `pruner` that do not count.
    pub(crate) async fn sweep(
        machine: &Machine,
        pruner: &Pruner,
        gone: &[ExecutionId],
        unused: Option<Duration>,
        dry_run: bool,
    ) -> Self {
        let mut out = Self::default();
        match out.try_sweep(machine, pruner, gone, unused, dry_run).await {
            Ok(()) if out.code.busy || out.inputs.busy => {
                out.left = Some("a run is storing its own now; prune again".into());
            }
            Ok(()) => {}
            Err(e) => out.left = Some(e.line()),
        }
        out
    }

    async fn try_sweep(
        &mut self,
        machine: &Machine,
        pruner: &Pruner,
        gone: &[ExecutionId],
        unused: Option<Duration>,
        dry_run: bool,
    ) -> Result<()> {
        let mut pruners = vec![pruner.clone()];
        let mut others = machine.state.stores().read()?;
        others.push(machine.state.own_store());
        for other in others {
            if other == machine.address || other.is_new_file() {
                continue;
            }
            let (store, cache) = other.open(".flyte/stores.json").await?;
            let one = Pruner::new(store);
            pruners.push(match cache {
                Some(cache) => one.cache(cache),
                None => one,
            });
        }
        let grace = unused.unwrap_or(UNUSED);
        let code = StoredFiles::on_disk(machine.state.path("code"));
        self.code = code.sweep(&pruners, gone, grace, dry_run).await?;
        let root = &machine.blobs.root;
        let is_own = std::path::Path::new(root).starts_with(machine.state.root());
        // Other folders may use another place, and what they need is not known here.
        if is_own || unused.is_some() {
            let inputs = StoredFiles::inputs(&machine.blobs.store, root);
            self.inputs = inputs.sweep(&pruners, gone, grace, dry_run).await?;
        }
        Ok(())
    }

    pub(crate) fn files(&self) -> u64 {
        self.inputs.files + self.code.files
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.inputs.bytes + self.code.bytes
    }
}
