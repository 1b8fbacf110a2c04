use super::{Literal, LiteralType, SimpleType, TypeKind, castable, infer};

impl LiteralType {
    /// Whether a value is one of this type, judged by the value itself: the way from [`infer`] to
    /// [`castable`] without a type for each item of a list. Inside a document nothing is judged.
    ///
    /// ```
    /// use flyte_core::literal::{Literal, LiteralType, SimpleType};
    /// let ints = LiteralType::collection(LiteralType::simple(SimpleType::Integer));
    /// assert!(ints.accepts(&Literal::collection([Literal::Integer(1)])));
    /// assert!(!ints.accepts(&Literal::collection([Literal::string("1")])));
    /// ```
    #[must_use]
    pub fn accepts(&self, value: &Literal) -> bool {
        let value = value.value();
        match (value, &self.kind) {
            (Literal::Union(u), _) => self.accepts(&u.value),
            // The offloaded value says what it is, or its file does.
            (Literal::Offloaded(o), _) => {
                let inferred = o.inferred_type.as_ref();
                inferred.is_none_or(|t| castable(t, self))
            }
            (_, TypeKind::Union(variants)) => variants.iter().any(|v| v.accepts(value)),
            (Literal::Collection(items), TypeKind::Collection(item)) => {
                items.iter().all(|i| item.accepts(i))
            }
            (Literal::Map(entries), TypeKind::Map(entry)) => {
                entries.values().all(|v| entry.accepts(v))
            }
            (Literal::String(text), TypeKind::Enum(e)) => e.values.contains(text),
            (_, TypeKind::Simple(simple)) => is_simple(value, *simple),
            // Files and dataframes carry their types.
            (Literal::Blob(_) | Literal::Schema(_) | Literal::StructuredDataset(_), _)
            | (Literal::None, TypeKind::StructuredDataset(_)) => {
                infer(value).is_ok_and(|t| castable(&t, self))
            }
            _ => false,
        }
    }
}

fn is_simple(value: &Literal, simple: SimpleType) -> bool {
    matches!(
        (value, simple),
        (Literal::None, SimpleType::None)
            | (Literal::Integer(_), SimpleType::Integer)
            | (Literal::Float(_), SimpleType::Float)
            | (Literal::String(_), SimpleType::String)
            | (Literal::Boolean(_), SimpleType::Boolean)
            | (Literal::Datetime(_), SimpleType::Datetime)
            | (Literal::Duration(_), SimpleType::Duration)
            | (Literal::Binary(_), SimpleType::Binary | SimpleType::Struct)
            | (Literal::Generic(_), SimpleType::Struct)
            | (Literal::Error(_), SimpleType::Error)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_value() {
        use SimpleType::{Float, Integer, None, String};
        let s = LiteralType::simple;
        let (one, a) = (Literal::Integer(1), Literal::string("a"));
        let list = |items: &[&Literal]| Literal::collection(items.iter().copied().cloned());
        let optional = LiteralType::union([s(Integer), s(None)]);
        let choice = LiteralType::enumeration(["a", "b"]);
        for (t, value, accepted) in [
            (s(Integer), one.clone(), true),
            (
                s(Integer),
                one.clone().annotated("hash", Default::default()),
                true,
            ),
            (s(Float), one.clone(), false),
            (s(String), Literal::None, false),
            (optional.clone(), Literal::None, true),
            (optional.clone(), one.clone(), true),
            (optional, a.clone(), false),
            (choice.clone(), a.clone(), true),
            (choice, Literal::string("c"), false),
            (LiteralType::collection(s(Integer)), list(&[]), true),
            (
                LiteralType::collection(s(Integer)),
                list(&[&one, &one]),
                true,
            ),
            (
                LiteralType::collection(s(Integer)),
                list(&[&one, &a]),
                false,
            ),
            (LiteralType::collection(s(Integer)), one.clone(), false),
            (LiteralType::map(s(String)), Literal::map([("k", a)]), true),
            (
                LiteralType::map(s(String)),
                Literal::map([("k", one)]),
                false,
            ),
        ] {
            assert_eq!(t.accepts(&value), accepted, "{t}: {value:?}");
        }
    }
}
