//! The hash of a message that Flyte puts into wire names, by the feature `hash`.
//!
//! It is SHA-256 over the message's proto3 JSON, value by value, so that neither field numbers nor
//! the order of maps matter. A catalog that Flyte's own engine fills is found again only under the
//! names made here; the cache of this workspace has keys of its own and needs none of them.
//!
//! ```
//! use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
//! use flyte_core::template::{Variable, VariableMap};
//! use flyte_idl::hash::{cache_tag, interface_hash};
//!
//! # fn main() -> Result<(), flyte_idl::convert::WireError> {
//! let inputs = Row::from_pairs([("1", Literal::Integer(1)), ("2", Literal::Integer(2))]);
//! let tag = "flyte_cached-GQid5LjHbakcW68DS3P2jp80QLbiF0olFHF2hTh5bg8";
//! assert_eq!(cache_tag(&inputs, &[]), tag);
//!
//! let integer = || Variable::new(LiteralType::simple(SimpleType::Integer));
//! let variables = VariableMap::from([("1".into(), integer()), ("2".into(), integer())]);
//! assert_eq!(interface_hash(&variables)?, "UxVtPm0k");
//! # Ok(())
//! # }
//! ```

mod artifact;
mod json;
mod literal;
mod types;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flyte_core::literal::{Row, strip_type};
use flyte_core::template::VariableMap;

use crate::convert::WireError;
use json::Object;
use literal::Hasher;

/// How many characters of an interface's hash stand in a name.
const INTERFACE_CHARACTERS: usize = 8;

/// The hash of a `LiteralMap`, every literal whole.
#[must_use]
pub fn literal_map_hash(literals: &Row) -> [u8; 32] {
    Hasher { for_cache: false }.map(literals.iter())
}

/// The hash of a `VariableMap`, every variable whole.
///
/// # Errors
/// Bytes of an artifact reference that are no such message, or that hold a time out of range.
pub fn variable_map_hash(variables: &VariableMap) -> Result<[u8; 32], WireError> {
    let mut entries = Object::default();
    for (name, v) in variables {
        entries.set(name, types::variable(v).map_err(|e| e.at(&**name))?);
    }
    let mut map = Object::default();
    map.entries("variables", entries);
    Ok(map.hash())
}

/// The tag under which Flyte's catalog keeps the outputs of a call with these inputs, those of
/// `ignored` names left out.
///
/// A literal with a `hash` counts by that alone, inside lists and maps too, though not inside
/// unions; `metadata` of lists and maps does not count.
#[must_use]
pub fn cache_tag(inputs: &Row, ignored: &[String]) -> String {
    let used = inputs
        .iter()
        .filter(|(name, _)| !ignored.iter().any(|i| **i == ***name));
    let hash = Hasher { for_cache: true }.map(used);
    format!("flyte_cached-{}", URL_SAFE_NO_PAD.encode(hash))
}

/// The hash of a task's inputs or outputs as it stands in the version of a dataset in Flyte's
/// catalog: 8 characters, over the variables without what does not matter for a cache.
///
/// # Errors
/// As [`variable_map_hash`].
pub fn interface_hash(variables: &VariableMap) -> Result<String, WireError> {
    let mut stripped = variables.clone();
    for v in stripped.values_mut() {
        v.description.clear();
        v.literal_type = v.literal_type.as_ref().map(strip_type);
    }
    let mut text = URL_SAFE_NO_PAD.encode(variable_map_hash(&stripped)?);
    text.truncate(INTERFACE_CHARACTERS);
    Ok(text)
}
