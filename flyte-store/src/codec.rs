//! How values and names are stored, alike in every database.

use flyte_core::contract::CommitBatch;
use flyte_core::id::{Digest, ExecutionId, ResourceType};
use flyte_core::{Error, ErrorKind, Result};

/// A value's bytes, with their checksum at the end: databases do not notice a flipped bit.
pub(crate) fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = postcard::to_allocvec(value)
        .map_err(|e| Error::new(ErrorKind::Other, "encode", e.to_string()).with_source(e))?;
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    Ok(bytes)
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let damaged = |text: &str| {
        let text = format!("{text}; the store is damaged: restore it from a backup");
        Error::new(ErrorKind::Corrupt, "decode", text)
    };
    let Some((value, sum)) = bytes.split_last_chunk::<4>() else {
        return Err(damaged("a stored value is cut off"));
    };
    if crc32fast::hash(value) != u32::from_le_bytes(*sum) {
        return Err(damaged("a stored value does not have its checksum"));
    }
    postcard::from_bytes(value).map_err(|e| damaged(&e.to_string()).with_source(e))
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
    let bytes = postcard::to_allocvec(id)
        .map_err(|e| Error::new(ErrorKind::Other, "encode", e.to_string()).with_source(e))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_stored_value_is_noticed() {
        let value = ("a name".to_owned(), 7_u64, vec![1_u8, 2, 3]);
        let bytes = encode(&value).unwrap();
        assert_eq!(decode::<(String, u64, Vec<u8>)>(&bytes).unwrap(), value);
        for i in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[i / 8] ^= 1 << (i % 8);
            let e = decode::<(String, u64, Vec<u8>)>(&flipped).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Corrupt, "bit {i}");
        }
        assert!(decode::<u8>(&[1, 2]).is_err());
    }
}
