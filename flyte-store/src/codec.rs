//! How values and names are stored, alike in every database.

use flyte_core::contract::CommitBatch;
use flyte_core::id::{Digest, ExecutionId, ResourceType};
use flyte_core::{Error, ErrorKind, Result};

pub(crate) fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value)
        .map_err(|e| Error::new(ErrorKind::Other, "encode", e.to_string()).with_source(e))
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes)
        .map_err(|e| Error::new(ErrorKind::Corrupt, "decode", e.to_string()).with_source(e))
}

/// What tells a batch from another one under the same number.
pub(crate) fn batch_digest(batch: &CommitBatch) -> Digest {
    let mut all = batch.number.to_le_bytes().to_vec();
    all.extend(batch.consumed.to_le_bytes());
    for frame in &batch.frames {
        all.extend((frame.len() as u64).to_le_bytes());
        all.extend_from_slice(frame);
    }
    Digest::of("flyte batch v1", &all)
}

/// What keeps rows of one execution together: a hash of its whole name, tenant included.
pub(crate) fn id_of(id: &ExecutionId) -> Result<Vec<u8>> {
    let bytes = encode(id)?;
    Ok(Digest::of("flyte index execution v1", &bytes).0[..16].to_vec())
}

/// The number of a kind of entity; never used for another one.
pub(crate) fn kind_of(kind: ResourceType) -> i64 {
    match kind {
        ResourceType::Unspecified => 0,
        ResourceType::Task => 1,
        ResourceType::Workflow => 2,
        ResourceType::LaunchPlan => 3,
        ResourceType::Dataset => 4,
    }
}
