use super::{
    LiteralType, SchemaColumnType, SchemaType, SimpleType, StructuredDatasetType, TypeKind,
    jsonschema,
};

/// Whether a value of type `from` may feed an input of type `to`.
///
/// Flyte's rules with their quirks: integers never become floats, a dataset accepts None, a
/// string feeds an enum, a union accepts what exactly one of its variants accepts.
///
/// ```
/// use flyte_core::literal::{LiteralType, SimpleType, castable};
/// let int = LiteralType::simple(SimpleType::Integer);
/// let float = LiteralType::simple(SimpleType::Float);
/// assert!(castable(&int, &int));
/// assert!(!castable(&int, &float));
/// assert!(castable(&int, &LiteralType::union([int.clone(), float])));
/// ```
#[must_use]
pub fn castable(from: &LiteralType, to: &LiteralType) -> bool {
    if let TypeKind::Union(variants) = &from.kind
        && let [lone] = &variants[..]
        && rule(lone, to)
    {
        return true;
    }
    rule(from, to)
}

/// Whether the binding of an input of this type may be left out.
///
/// Beside unions with a None variant these are all unions with a variant that is not simple:
/// Flyte reads the zero of its enum there.
#[must_use]
pub fn is_optional(t: &LiteralType) -> bool {
    match &t.kind {
        TypeKind::Union(variants) => variants
            .iter()
            .any(|v| !matches!(&v.kind, TypeKind::Simple(s) if *s != SimpleType::None)),
        _ => false,
    }
}

// The rule is picked by `to`. Unlike `castable` it does not unwrap a union of one variant.
fn rule(from: &LiteralType, to: &LiteralType) -> bool {
    match &to.kind {
        TypeKind::Simple(SimpleType::None) => is_none(from),
        TypeKind::Collection(d) => match &from.kind {
            TypeKind::Collection(u) => is_none(u) || rule(u, d),
            _ => false,
        },
        TypeKind::Map(d) => match &from.kind {
            TypeKind::Map(u) => is_none(u) || rule(u, d),
            _ => false,
        },
        TypeKind::Blob(Some(d)) => match &from.kind {
            TypeKind::Blob(Some(u)) => {
                u.format.is_empty() || d.format.is_empty() || u.format == d.format
            }
            _ => false,
        },
        TypeKind::Schema(Some(d)) => match &from.kind {
            TypeKind::Schema(Some(u)) => schema_columns(u, d),
            TypeKind::StructuredDataset(Some(u)) => {
                is_parquet(&u.format) && dataset_feeds_schema(u, d)
            }
            _ => false,
        },
        TypeKind::StructuredDataset(Some(d)) => match &from.kind {
            TypeKind::Simple(SimpleType::None) => true,
            TypeKind::Schema(Some(u)) => is_parquet(&d.format) && schema_feeds_dataset(u, d),
            TypeKind::StructuredDataset(Some(u)) => {
                let formats = u.format.is_empty()
                    || d.format.is_empty()
                    || u.format.eq_ignore_ascii_case(&d.format);
                formats && dataset_columns(u, d)
            }
            _ => false,
        },
        TypeKind::Blob(None) | TypeKind::Schema(None) | TypeKind::StructuredDataset(None) => false,
        TypeKind::Union(variants) => match &from.kind {
            TypeKind::Union(ups) => ups.iter().all(|u| variants.iter().any(|d| castable(u, d))),
            _ => variants.iter().filter(|d| castable(from, d)).count() == 1,
        },
        TypeKind::Simple(_) | TypeKind::Enum(_) => trivial(from, to),
    }
}

fn trivial(from: &LiteralType, to: &LiteralType) -> bool {
    let string = |t: &LiteralType| matches!(t.kind, TypeKind::Simple(SimpleType::String));
    let choice = |t: &LiteralType| matches!(t.kind, TypeKind::Enum(_));
    if (choice(from) && string(to)) || (string(from) && choice(to)) {
        return true;
    }
    if !from.tag().is_empty() && from.tag() != to.tag() {
        return false;
    }
    let structure = |t: &LiteralType| matches!(t.kind, TypeKind::Simple(SimpleType::Struct));
    if structure(from) && structure(to) {
        return match (&from.metadata, &to.metadata) {
            (Some(u), Some(d)) => u == d || jsonschema::contains(d, u),
            _ => true,
        };
    }
    from.kind == to.kind
}

fn is_none(t: &LiteralType) -> bool {
    matches!(t.kind, TypeKind::Simple(SimpleType::None))
}

fn is_parquet(format: &str) -> bool {
    format.is_empty() || format.eq_ignore_ascii_case("parquet")
}

fn schema_columns(u: &SchemaType, d: &SchemaType) -> bool {
    u.columns.is_empty()
        || d.columns.iter().all(|want| {
            u.columns
                .iter()
                .any(|c| c.name == want.name && c.column_type == want.column_type)
        })
}

fn dataset_columns(u: &StructuredDatasetType, d: &StructuredDatasetType) -> bool {
    u.columns.is_empty()
        || d.columns.iter().all(|want| {
            u.columns.iter().filter(|c| c.name == want.name).any(|c| {
                match (&c.literal_type, &want.literal_type) {
                    (Some(u), Some(d)) => rule(u, d),
                    _ => false,
                }
            })
        })
}

fn dataset_feeds_schema(u: &StructuredDatasetType, d: &SchemaType) -> bool {
    u.columns.is_empty()
        || d.columns.iter().all(|want| {
            let want_type = column_type(want.column_type);
            u.columns
                .iter()
                .any(|c| c.name == want.name && is_simple(&c.literal_type, want_type))
        })
}

fn schema_feeds_dataset(u: &SchemaType, d: &StructuredDatasetType) -> bool {
    u.columns.is_empty()
        || d.columns.iter().all(|want| {
            u.columns.iter().any(|c| {
                c.name == want.name && is_simple(&want.literal_type, column_type(c.column_type))
            })
        })
}

fn is_simple(t: &Option<LiteralType>, s: SimpleType) -> bool {
    t.as_ref().is_some_and(|t| t.kind == TypeKind::Simple(s))
}

fn column_type(c: SchemaColumnType) -> SimpleType {
    match c {
        SchemaColumnType::Integer => SimpleType::Integer,
        SchemaColumnType::Float => SimpleType::Float,
        SchemaColumnType::String => SimpleType::String,
        SchemaColumnType::Boolean => SimpleType::Boolean,
        SchemaColumnType::Datetime => SimpleType::Datetime,
        SchemaColumnType::Duration => SimpleType::Duration,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BlobType, Dimensionality};
    use super::*;

    fn s(t: SimpleType) -> LiteralType {
        LiteralType::simple(t)
    }

    fn dataset(format: &str) -> LiteralType {
        LiteralType::new(TypeKind::StructuredDataset(Some(StructuredDatasetType {
            format: format.into(),
            ..Default::default()
        })))
    }

    fn blob(format: &str, dimensionality: Dimensionality) -> LiteralType {
        LiteralType::new(TypeKind::Blob(Some(BlobType {
            format: format.into(),
            dimensionality,
        })))
    }

    #[test]
    fn the_table() {
        use SimpleType::{Float, Integer, None, String, Struct};
        let choice = LiteralType::enumeration(["a", "b"]);
        let list = LiteralType::collection;
        let union = |v: &[LiteralType]| LiteralType::union(v.to_vec());
        let none_tagged = union(&[s(None).tagged("none")]);
        let cases = [
            (s(None), s(None), true),
            (s(Integer), s(None), false),
            (s(Integer), s(Float), false),
            (s(Float), s(Integer), false),
            (choice.clone(), s(String), true),
            (s(String), choice.clone(), true),
            (choice.clone(), LiteralType::enumeration(["b", "a"]), false),
            (s(Integer).tagged("int"), s(Integer), false),
            (s(Integer), s(Integer).tagged("int"), true),
            (list(s(None)), list(s(Integer)), true),
            (list(s(Integer)), list(s(Float)), false),
            // A lone variant is unwrapped at the top, not inside a list.
            (union(&[s(Integer)]), s(Integer), true),
            (list(union(&[s(Integer)])), list(s(Integer)), false),
            (
                list(union(&[s(Integer)])),
                list(union(&[s(Integer), s(String)])),
                true,
            ),
            (s(String), union(&[s(String), choice.clone()]), false),
            (s(Integer), union(&[s(String), choice]), false),
            (union(&[]), union(&[s(Integer)]), true),
            (s(None), dataset("csv"), true),
            (s(None), union(&[dataset(""), s(None)]), false),
            (
                none_tagged,
                union(&[dataset(""), s(None).tagged("none")]),
                true,
            ),
            (dataset("PARQUET"), dataset("parquet"), true),
            (dataset("csv"), dataset("parquet"), false),
            (
                blob("csv", Dimensionality::Single),
                blob("", Dimensionality::Multipart),
                true,
            ),
            (
                blob("csv", Dimensionality::Single),
                blob("txt", Dimensionality::Single),
                false,
            ),
            (s(Struct), LiteralType::map(s(String)), false),
        ];
        for (from, to, want) in cases {
            assert_eq!(castable(&from, &to), want, "{from} -> {to}");
        }
    }

    #[test]
    fn every_union_with_a_variant_that_is_not_simple_counts_as_optional() {
        use SimpleType::{Integer, None, String};
        assert!(is_optional(&LiteralType::union([s(Integer), s(None)])));
        assert!(!is_optional(&LiteralType::union([s(Integer), s(String)])));
        let list = LiteralType::collection(s(Integer));
        assert!(is_optional(&LiteralType::union([s(Integer), list])));
        assert!(!is_optional(&s(None)));
    }
}
