//! Names that Flyte computes, so that tools which know its rules find what they expect.

use crate::id::{Digest, ExecutionId};
use crate::literal::{Row, Timestamp};

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz123456";

/// A text of at most `max` bytes: unchanged if it fits, else `f` and the base-32 form of its
/// FNV-1a-32 digest (eight characters).
#[must_use]
pub fn fixed_length_id(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let hash = text.bytes().fold(0x811c_9dc5_u32, |h, b| {
        (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    format!("f{}", base32(&hash.to_be_bytes()))
}

/// The same with the 64-bit digest (fourteen characters), as names of child executions have it.
#[must_use]
pub fn fixed_length_id_64(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("f{}", base32(&hash.to_be_bytes()))
}

/// The folder of an execution's files, one for each submission: Flyte's
/// `project-domain-name`, which several executions can share (`a-b` of `c`, `b` of `c-a`, an
/// execution of the same name in another organisation or store), and a digest that none does.
///
/// ```
/// use flyte_core::id::{Digest, ExecutionId, Tenant};
/// use flyte_core::literal::Timestamp;
/// use flyte_core::names::execution_folder;
/// let at = Timestamp::UNIX_EPOCH;
/// let of = |p, d, n| execution_folder(&ExecutionId::new(Tenant::new(p, d), n), &Digest([0; 32]), at);
/// let (one, two) = (of("q", "dev", "a-b"), of("q", "dev-a", "b"));
/// assert!(one.starts_with("q-dev-a-b-") && two.starts_with("q-dev-a-b-"));
/// assert_ne!(one, two);
/// ```
#[must_use]
pub fn execution_folder(id: &ExecutionId, plan: &Digest, submitted_at: Timestamp) -> String {
    let bytes = postcard::to_allocvec(&(id, plan, submitted_at));
    let bytes = bytes.expect("invariant: no type that postcard refuses");
    let digest = Digest::of("flyte execution folder v1", &bytes).to_string();
    let t = &id.tenant;
    format!("{}-{}-{}-{}", t.project, t.domain, id.name, &digest[..16])
}

/// The folders of executions, as [`execution_folder`] names them, that texts of a row lie in, also
/// inside of documents; each once.
///
/// ```
/// use flyte_core::id::{Digest, ExecutionId, Tenant};
/// use flyte_core::literal::{Literal, Row, Timestamp};
/// use flyte_core::names::{execution_folder, folders_in};
/// let id = ExecutionId::new(Tenant::new("q", "dev"), "a");
/// let own = execution_folder(&id, &Digest([0; 32]), Timestamp::UNIX_EPOCH);
/// let row = Row::from_pairs([("o0", Literal::string(format!("/data/tasks/{own}/n0/0/file")))]);
/// assert_eq!(folders_in(&row), [own]);
/// assert!(folders_in(&Row::from_pairs([("o0", Literal::string("/data/x"))])).is_empty());
/// ```
#[must_use]
pub fn folders_in(row: &Row) -> Vec<String> {
    // Texts are stored as they are, by this library and by MessagePack.
    let bytes = postcard::to_allocvec(row).expect("invariant: no type that postcard refuses");
    let is_folder = |part: &&[u8]| {
        let (head, digest) = part.split_at(part.len().saturating_sub(16));
        let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        head.ends_with(b"-") && digest.len() == 16 && digest.iter().all(hex)
    };
    // A part that ends the bytes, or begins them, has no slash on that side.
    let parts = bytes.split(|b| *b == b'/').skip(1);
    let mut out: Vec<String> = parts
        .filter(is_folder)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    out.sort();
    out.dedup();
    out
}

/// Parts joined by `-` (leading empty ones give no dash), then [`fixed_length_id`].
#[must_use]
pub fn for_parts(max: usize, parts: &[&str]) -> String {
    let first = parts
        .iter()
        .position(|p| !p.is_empty())
        .unwrap_or(parts.len());
    fixed_length_id(&parts[first..].join("-"), max)
}

/// The name of an attempt: execution, unique node id and attempt, at most 50 bytes.
#[must_use]
pub fn generated_name(execution: &str, unique_node_id: &str, attempt: u32) -> String {
    for_parts(50, &[execution, unique_node_id, &attempt.to_string()])
}

/// The name of the execution that an attempt of a launch plan node starts, at most 20 bytes.
#[must_use]
pub fn child_name(execution: &str, unique_node_id: &str, attempt: u32) -> String {
    fixed_length_id_64(&format!("{execution}-{unique_node_id}-{attempt}"), 20)
}

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    let (mut bits, mut held) = (0u32, 0);
    for b in bytes {
        bits = bits << 8 | u32::from(*b);
        held += 8;
        while held >= 5 {
            held -= 5;
            out.push(ALPHABET[(bits >> held & 31) as usize].into());
        }
    }
    if held > 0 {
        out.push(ALPHABET[(bits << (5 - held) & 31) as usize].into());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(fixed_length_id("short", 20), "short");
        assert_eq!(fixed_length_id("a text that is too long", 20).len(), 8);
        assert_eq!(fixed_length_id_64("a text that is too long", 20).len(), 14);
        assert_eq!(for_parts(20, &["", "n0", "1"]), "n0-1");
        // FNV-1a-32 of "a" is e40c292c.
        assert_eq!(
            fixed_length_id("a", 0),
            format!("f{}", base32(&[0xe4, 0x0c, 0x29, 0x2c]))
        );
    }
}
