use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LiteralType, TypeKind};
use crate::template::{TypedInterface, VariableMap};

/// An interface as the engine and cache keys see it: without descriptions, JSON schemas and
/// annotations (an annotation with the key `cache-key-metadata` stays).
#[must_use]
pub fn strip_interface(interface: &TypedInterface) -> TypedInterface {
    TypedInterface {
        inputs: variables(&interface.inputs),
        outputs: variables(&interface.outputs),
    }
}

fn variables(vars: &VariableMap) -> VariableMap {
    let strip = |v: &crate::template::Variable| {
        let mut v = v.clone();
        v.description.clear();
        v.literal_type = v.literal_type.as_ref().map(strip_type);
        v
    };
    vars.iter()
        .map(|(name, v)| (name.clone(), strip(v)))
        .collect()
}

/// A type as the engine and cache keys see it.
#[must_use]
pub fn strip_type(t: &LiteralType) -> LiteralType {
    let kind = match &t.kind {
        TypeKind::Collection(item) => TypeKind::Collection(Arc::new(strip_type(item))),
        TypeKind::Map(value) => TypeKind::Map(Arc::new(strip_type(value))),
        TypeKind::Union(v) => TypeKind::Union(Arc::new(v.iter().map(strip_type).collect())),
        TypeKind::StructuredDataset(Some(d)) => {
            let mut d = d.clone();
            for c in &mut d.columns {
                c.literal_type = c.literal_type.as_ref().map(strip_type);
            }
            TypeKind::StructuredDataset(Some(d))
        }
        other => other.clone(),
    };
    let structure = t.structure.as_ref().map(|s| {
        let mut s = (**s).clone();
        s.dataclass_type = s
            .dataclass_type
            .iter()
            .map(|(k, v)| (k.clone(), strip_type(v)))
            .collect::<BTreeMap<_, _>>();
        Arc::new(s)
    });
    let keep = |a: &&Arc<super::Struct>| a.contains_key("cache-key-metadata");
    LiteralType {
        kind,
        metadata: None,
        structure,
        annotation: t.annotation.as_ref().filter(keep).cloned(),
    }
}
