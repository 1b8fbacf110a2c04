use super::{Literal, LiteralType, MSGPACK_TAG, SimpleType, TypeKind};

/// Why a literal has no type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// A blob without metadata.
    #[error("a blob without metadata has no type; set its format and dimensionality")]
    BlobWithoutMetadata,
    /// An offloaded literal that does not say.
    #[error("an offloaded literal does not say what type it has; write it with a newer SDK")]
    OffloadedWithoutType,
}

/// The type of a literal, as Flyte finds it.
///
/// A list or map of several types has a union as its element type; an empty one has `NONE`.
///
/// # Errors
/// [`InferError`] if nothing can be said.
pub fn infer(literal: &Literal) -> Result<LiteralType, InferError> {
    let simple = |s| Ok(LiteralType::simple(s));
    match literal.value() {
        Literal::None => simple(SimpleType::None),
        Literal::Integer(_) => simple(SimpleType::Integer),
        Literal::Float(_) => simple(SimpleType::Float),
        Literal::String(_) => simple(SimpleType::String),
        Literal::Boolean(_) => simple(SimpleType::Boolean),
        Literal::Datetime(_) => simple(SimpleType::Datetime),
        Literal::Duration(_) => simple(SimpleType::Duration),
        Literal::Error(_) => simple(SimpleType::Error),
        Literal::Generic(_) => simple(SimpleType::Struct),
        Literal::Binary(b) if *b.tag == *MSGPACK_TAG => simple(SimpleType::Struct),
        Literal::Binary(_) => simple(SimpleType::Binary),
        Literal::Blob(b) if !b.has_metadata => Err(InferError::BlobWithoutMetadata),
        Literal::Blob(b) => Ok(LiteralType::new(TypeKind::Blob(b.blob_type.clone()))),
        Literal::Schema(s) => Ok(LiteralType::new(TypeKind::Schema(s.schema_type.clone()))),
        Literal::StructuredDataset(d) => Ok(LiteralType::new(TypeKind::StructuredDataset(
            d.dataset_type.clone(),
        ))),
        Literal::Union(u) => Ok(LiteralType::union([u.variant.clone()])),
        Literal::Collection(items) => Ok(LiteralType::collection(element(items.iter())?)),
        Literal::Map(m) => Ok(LiteralType::map(element(m.values())?)),
        Literal::Offloaded(o) => o
            .inferred_type
            .clone()
            .ok_or(InferError::OffloadedWithoutType),
        Literal::Annotated(_) => unreachable!("invariant: annotations do not nest"),
    }
}

fn element<'a>(items: impl Iterator<Item = &'a Literal>) -> Result<LiteralType, InferError> {
    let mut distinct: Vec<(String, LiteralType)> = Vec::new();
    for item in items {
        let t = infer(item)?;
        let text = format!("{t:?}");
        if !distinct.iter().any(|(seen, _)| *seen == text) {
            distinct.push((text, t));
        }
    }
    if distinct.len() > 1 {
        // An empty list says nothing when a sibling says something.
        distinct.retain(|(_, t)| !is_empty_collection(t));
    }
    distinct.sort_by(|a, b| a.0.cmp(&b.0));
    match distinct.len() {
        0 => Ok(LiteralType::simple(SimpleType::None)),
        1 => Ok(distinct.remove(0).1),
        _ => Ok(flatten(distinct.into_iter().map(|(_, t)| t).collect())),
    }
}

fn is_empty_collection(t: &LiteralType) -> bool {
    match &t.kind {
        TypeKind::Collection(item) => {
            matches!(item.kind, TypeKind::Simple(SimpleType::None)) || is_empty_collection(item)
        }
        _ => false,
    }
}

/// Several lists become a list of a union, not a union of lists.
fn flatten(types: Vec<LiteralType>) -> LiteralType {
    let all_lists = types
        .iter()
        .all(|t| matches!(t.kind, TypeKind::Collection(_)));
    if !all_lists {
        return LiteralType::union(types);
    }
    let mut inner: Vec<LiteralType> = Vec::new();
    for t in types {
        let TypeKind::Collection(item) = t.kind else {
            continue;
        };
        let variants = match &item.kind {
            TypeKind::Union(v) => v.to_vec(),
            _ => vec![(*item).clone()],
        };
        for v in variants {
            if !inner.contains(&v) {
                inner.push(v);
            }
        }
    }
    inner.sort_by_key(|t| format!("{t:?}"));
    LiteralType::collection(if inner.len() == 1 {
        inner.remove(0)
    } else {
        flatten(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: Vec<Literal>) -> Literal {
        Literal::collection(items)
    }

    #[test]
    fn lists_of_one_type_and_of_several() {
        let ints = list(vec![Literal::Integer(1), Literal::Integer(2)]);
        let int = LiteralType::simple(SimpleType::Integer);
        assert_eq!(infer(&ints), Ok(LiteralType::collection(int.clone())));
        let none = LiteralType::simple(SimpleType::None);
        assert_eq!(infer(&list(vec![])), Ok(LiteralType::collection(none)));
        let mixed = list(vec![Literal::string("a"), Literal::Integer(1)]);
        let string = LiteralType::simple(SimpleType::String);
        let union = LiteralType::union([int.clone(), string.clone()]);
        assert_eq!(infer(&mixed), Ok(LiteralType::collection(union.clone())));
        // Nested: a list of lists of a union, and an empty sibling that says nothing.
        let nested = list(vec![
            list(vec![Literal::Integer(1)]),
            list(vec![Literal::string("a")]),
            list(vec![]),
        ]);
        let want = LiteralType::collection(LiteralType::collection(union));
        assert_eq!(infer(&nested), Ok(want));
    }

    #[test]
    fn what_cannot_be_typed_says_why() {
        let blob = super::super::Blob {
            uri: "s3://b".into(),
            blob_type: None,
            has_metadata: false,
        };
        let blob = Literal::Blob(std::sync::Arc::new(blob));
        assert_eq!(infer(&blob), Err(InferError::BlobWithoutMetadata));
        assert_eq!(
            infer(&list(vec![blob])),
            Err(InferError::BlobWithoutMetadata)
        );
    }
}
