use std::sync::Arc;

use flyte_core::contract::{AttemptLocations, LaunchRequest, Prepared, TaskIdentity};
use flyte_core::id::{AttemptKey, NodeAddr};
use flyte_core::literal::{Row, Timestamp};
use flyte_core::names::{execution_folder, for_parts, generated_name};
use flyte_core::plan::Target;
use flyte_core::template::{TaskTarget, TaskTemplate};

use super::{AttemptRef, Engine, Execution};

impl Engine {
    /// What a plugin needs to start an attempt; `prepared` is filled in before it is sent.
    pub(super) fn request(
        &self,
        ex: &Execution,
        at: AttemptRef,
        inputs: Row,
        deadline: Option<Timestamp>,
    ) -> LaunchRequest {
        let key = AttemptKey {
            execution: ex.id.clone(),
            addr: at.addr,
            attempt: at.attempt,
        };
        let settings = ex.frame(at.addr.frame).settings(at.addr.node.0);
        let interruptible = settings
            .interruptible
            .or(ex.submission.options.interruptible)
            .unwrap_or(ex.frame(flyte_core::id::FrameIx(0)).graph().interruptible);
        LaunchRequest {
            key,
            epoch: self.config.epoch,
            template: ex.template(at.addr),
            inputs,
            prepared: Prepared::default(),
            locations: self.locations(ex, at),
            identity: ex.identity(at),
            envs: ex.submission.options.envs.clone(),
            parameters: ex.submission.options.parameters.clone(),
            interruptible,
            deadline,
        }
    }

    /// The folder that an attempt's outputs are in, and no other's.
    pub(super) fn output_prefix(&self, ex: &Execution, at: AttemptRef) -> String {
        self.locations(ex, at).output_prefix
    }

    /// Flyte's layout of folders: the data folder is shared by a node's attempts, the output
    /// folder is one attempt's own.
    fn locations(&self, ex: &Execution, at: AttemptRef) -> AttemptLocations {
        let folder = ex.folder();
        let mut dir = format!("{}/{folder}", self.config.metadata_prefix);
        let mut chain = vec![at.addr];
        while let Some(parent) = ex.frame(chain[chain.len() - 1].frame).parent {
            chain.push(parent);
        }
        for (depth, addr) in chain.iter().rev().enumerate() {
            let frame = ex.frame(addr.frame);
            if frame.items.is_some() {
                // Items of an array lie beside each other, each attempt with inputs of its own.
                let attempt = ex.attempt(*addr);
                dir = format!("{dir}/{}/{attempt}", addr.node.0);
                continue;
            }
            if depth > 0 {
                // The folder of the enclosing node's attempt.
                let outer = chain[chain.len() - depth];
                let item = ex.frame(outer.frame).items.is_some();
                if !item {
                    dir = format!("{dir}/{}", ex.attempt(outer));
                }
            }
            dir = format!("{dir}/{}", frame.id(addr.node.0));
            if depth == 0 {
                dir.push_str("/data");
            }
        }
        let item = ex.frame(at.addr.frame).items.is_some();
        let raw_root = match &*ex.submission.options.output_location_prefix {
            "" => &self.config.raw_prefix,
            own => own.trim_end_matches('/'),
        };
        let identity = ex.identity(at);
        let raw = |attempt: u32| {
            let name = ex.generated_name(&identity.unique_node_id, attempt);
            format!("{raw_root}/{folder}/{}/{name}", shard_of(&name))
        };
        AttemptLocations {
            inputs: format!("{dir}/inputs.pb"),
            output_prefix: match item {
                true => dir,
                false => format!("{dir}/{}", at.attempt),
            },
            raw_output_prefix: raw(at.attempt),
            checkpoint_prefix: format!("{}/_flytecheckpoints", raw(at.attempt)),
            previous_checkpoint: at
                .attempt
                .checked_sub(1)
                .map(|n| format!("{}/_flytecheckpoints", raw(n))),
        }
    }
}

impl Execution {
    /// The folder of its files; see [`execution_folder`].
    #[must_use]
    pub fn folder(&self) -> String {
        let s = &self.submission;
        execution_folder(&s.id, &s.plan, s.submitted_at)
    }

    /// The task of a node with what the node changes about it.
    fn template(&self, addr: NodeAddr) -> Arc<TaskTemplate> {
        let frame = self.frame(addr.frame);
        let Target::Task(t) = frame.target(addr.node.0) else {
            unreachable!("invariant: only task nodes have a template")
        };
        let template = &frame.loaded.plan.tasks[t as usize];
        let Some(overrides) = &frame.settings(addr.node.0).overrides else {
            return template.clone();
        };
        let mut own = (**template).clone();
        if let Some(TaskTarget::Container(c)) = &mut own.target {
            if let Some(r) = &overrides.resources {
                c.resources = Some(r.clone());
            }
            if !overrides.container_image.is_empty() {
                c.image.clone_from(&overrides.container_image);
            }
        }
        if let Some(e) = &overrides.extended_resources {
            let extended = own.extended_resources.get_or_insert_default();
            if e.gpu_accelerator.is_some() {
                extended.gpu_accelerator.clone_from(&e.gpu_accelerator);
            }
            if e.shared_memory.is_some() {
                extended.shared_memory.clone_from(&e.shared_memory);
            }
        }
        if let Some(pod) = &overrides.pod_template {
            own.target = Some(TaskTarget::K8sPod(pod.clone()));
        }
        Arc::new(own)
    }

    /// Flyte's unique id of a node: its own id at the top, else one made of its parent's.
    #[must_use]
    pub fn unique_id(&self, addr: NodeAddr) -> String {
        let frame = self.frame(addr.frame);
        let id = frame.id(addr.node.0);
        match frame.parent {
            None => for_parts(20, &[&id]),
            Some(parent) => {
                // Not the current one: names of what an earlier attempt began stay.
                let attempt = frame.attempt.to_string();
                for_parts(20, &[&self.unique_id(parent), &attempt, &id])
            }
        }
    }

    fn generated_name(&self, unique_node_id: &str, attempt: u32) -> String {
        generated_name(&self.id.name, unique_node_id, attempt)
    }

    fn identity(&self, at: AttemptRef) -> TaskIdentity {
        let unique_node_id = self.unique_id(at.addr);
        let t = &self.id.tenant;
        TaskIdentity {
            workflow: format!("{}:{}:{}", t.project, t.domain, self.loaded.plan.id.name),
            generated_name: self.generated_name(&unique_node_id, at.attempt),
            unique_node_id,
            node_path: self.path(at.addr),
        }
    }
}

/// Two characters that spread raw outputs over folders, as Flyte chooses them.
fn shard_of(name: &str) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let hash = name.bytes().fold(0x811c_9dc5_u32, |h, b| {
        (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    let i = (hash % 1296) as usize;
    [ALPHABET[i / 36], ALPHABET[i % 36]]
        .iter()
        .map(|b| char::from(*b))
        .collect()
}
