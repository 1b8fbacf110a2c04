//! Values with a checksum at their end: SQLite does not notice a flipped bit.

use flyte_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::codec;

/// A value's bytes, sealed.
pub(super) fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    encode_with(&[], value)
}

/// The same, of what has a stored form of its own.
pub(super) fn seal_bytes(bytes: Vec<u8>) -> Vec<u8> {
    seal(&[], bytes)
}

/// The same; the checksum holds for `key`, too, which lies in a column of its own.
pub(super) fn encode_with(key: &[u8], value: &impl serde::Serialize) -> Result<Vec<u8>> {
    Ok(seal(key, codec::encode(value)?))
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    decode_with(&[], bytes)
}

/// What was sealed, if it is whole.
pub(super) fn open_bytes(bytes: &[u8]) -> Result<&[u8]> {
    open(&[], bytes)
}

pub(super) fn decode_with<T: serde::de::DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T> {
    codec::decode(open(key, bytes)?)
}

fn open<'a>(key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8]> {
    let damaged = |text: &str| {
        let text = format!("{text}; the store is damaged: restore it from a backup");
        Error::new(ErrorKind::Corrupt, "decode", text)
    };
    let Some((value, sum)) = bytes.split_last_chunk::<4>() else {
        return Err(damaged("a stored value is cut off"));
    };
    if checksum(key, value) != u32::from_le_bytes(*sum) {
        return Err(damaged("a stored value does not have its checksum"));
    }
    Ok(value)
}

fn seal(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    value.extend(checksum(key, &value).to_le_bytes());
    value
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// Lets SQL seal what an older version wrote: `sealed(key, value)`.
pub(super) fn teach(c: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    c.create_scalar_function("sealed", 2, flags, |of| {
        Ok(seal(&of.get::<Vec<u8>>(0)?, of.get(1)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_stored_value_is_noticed() {
        let value = ("a name".to_owned(), 7_u64, vec![1_u8, 2, 3]);
        let bytes = encode_with(b"key", &value).unwrap();
        let read = |key, bytes: &[u8]| decode_with::<(String, u64, Vec<u8>)>(key, bytes);
        assert_eq!(read(b"key", &bytes).unwrap(), value);
        assert!(read(b"kez", &bytes).is_err());
        for i in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[i / 8] ^= 1 << (i % 8);
            let e = read(b"key", &flipped).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Corrupt, "bit {i}");
        }
        assert!(decode::<u8>(&[1, 2]).is_err());
    }
}
