use std::fmt;

use serde::{Deserialize, Serialize};

use super::{TypedInterface, VariableMap};
use crate::id::Str;
use crate::literal::{Document, LiteralType, SimpleType, TypeKind};

/// One difference between the interface of a task in a stored plan and the one of this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceChange {
    /// The task's name.
    pub task: Str,
    /// The name of the input or output.
    pub variable: Str,
    /// Whether it is an output.
    pub output: bool,
    /// Its type in the plan, for people; `None` if the plan does not have it.
    pub stored: Option<Str>,
    /// Its type in this program, for people; `None` if the program does not have it.
    pub program: Option<Str>,
}

impl TypedInterface {
    /// What keeps a program whose task has the interface `program` from running a plan that was
    /// made with this one. An input that the plan lacks is no difference if it is optional: the
    /// task gets None.
    ///
    /// ```
    /// use flyte_core::literal::{LiteralType, SimpleType};
    /// use flyte_core::template::{TypedInterface, Variable};
    ///
    /// let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    /// let text = || Variable::new(LiteralType::simple(SimpleType::String));
    /// let stored = TypedInterface {
    ///     inputs: [("amount".into(), int())].into(),
    ///     outputs: [("o0".into(), int())].into(),
    /// };
    /// let mut program = stored.clone();
    /// assert!(stored.changes("pay", &program).is_empty());
    /// program.outputs.insert("o0".into(), text());
    /// let all = stored.changes("pay", &program);
    /// assert_eq!(all[0].to_string(), "output `o0` of task `pay` was `int` and is `str`");
    /// ```
    #[must_use]
    pub fn changes(&self, task: &str, program: &Self) -> Vec<InterfaceChange> {
        let mut out = Vec::new();
        compare(task, false, &self.inputs, &program.inputs, &mut out);
        compare(task, true, &self.outputs, &program.outputs, &mut out);
        out
    }
}

fn compare(
    task: &str,
    output: bool,
    stored: &VariableMap,
    program: &VariableMap,
    out: &mut Vec<InterfaceChange>,
) {
    let change = |name: &Str, stored: Option<String>, program: Option<String>| InterfaceChange {
        task: task.into(),
        variable: name.clone(),
        output,
        stored: stored.map(Into::into),
        program: program.map(Into::into),
    };
    for (name, old) in stored {
        let old = old.literal_type.as_ref();
        match program.get(name) {
            None => out.push(change(name, Some(shown(old)), None)),
            Some(new) if new.literal_type.as_ref() == old => {}
            Some(new) => {
                let (old, mut new) = (shown(old), shown(new.literal_type.as_ref()));
                if old == new {
                    new.push_str(" with other details");
                }
                out.push(change(name, Some(old), Some(new)));
            }
        }
    }
    for (name, new) in program {
        let new = new.literal_type.as_ref();
        let left_out = !output && new.is_some_and(takes_none);
        if !left_out && !stored.contains_key(name) {
            out.push(change(name, None, Some(shown(new))));
        }
    }
}

/// Whether None is a value of a type.
fn takes_none(t: &LiteralType) -> bool {
    match &t.kind {
        TypeKind::Simple(SimpleType::None) => true,
        TypeKind::Union(variants) => variants.iter().any(takes_none),
        _ => false,
    }
}

/// Bytes of a type in words.
const SHOWN_BYTES_MAX: usize = 300;

/// A type for people; that of a struct with its name and fields.
fn shown(t: Option<&LiteralType>) -> String {
    let Some(t) = t else { return "nothing".into() };
    let mut out = String::new();
    write_type(t, &mut out);
    if out.len() > SHOWN_BYTES_MAX {
        out.truncate(out.floor_char_boundary(SHOWN_BYTES_MAX));
        out.push('…');
    }
    out
}

fn write_type(t: &LiteralType, out: &mut String) {
    if out.len() > SHOWN_BYTES_MAX {
        return;
    }
    let wrapped = |before: &str, t: &LiteralType, out: &mut String| {
        out.push_str(before);
        write_type(t, out);
        out.push(']');
    };
    match &t.kind {
        TypeKind::Collection(item) => wrapped("list[", item, out),
        TypeKind::Map(value) => wrapped("dict[str, ", value, out),
        TypeKind::Union(variants) => {
            for (i, variant) in variants.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { " | " });
                write_type(variant, out);
            }
        }
        TypeKind::Simple(SimpleType::Struct) => {
            let title = t.metadata.as_ref().and_then(|m| m.get("title"));
            match title {
                Some(Document::String(title)) => out.push_str(title),
                _ => out.push_str("struct"),
            }
            let fields = t.structure.as_ref().map(|s| &s.dataclass_type);
            let Some(fields) = fields.filter(|f| !f.is_empty()) else {
                return;
            };
            for (i, (name, t)) in fields.iter().enumerate() {
                out.push_str(if i == 0 { " {" } else { ", " });
                out.push_str(name);
                out.push_str(": ");
                write_type(t, out);
            }
            out.push('}');
        }
        _ => out.push_str(&t.to_string()),
    }
}

impl fmt::Display for InterfaceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.output { "output" } else { "input" };
        write!(f, "{kind} `{}` of task `{}` ", self.variable, self.task)?;
        match (&self.stored, &self.program) {
            (Some(old), Some(new)) => write!(f, "was `{old}` and is `{new}`"),
            (Some(old), None) => write!(f, "was `{old}` and is gone"),
            (None, Some(new)) => write!(f, "is new and has the type `{new}`"),
            (None, None) => f.write_str("differs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Variable;

    fn simple(t: SimpleType) -> LiteralType {
        LiteralType::simple(t)
    }

    fn interface(inputs: &[(&str, LiteralType)]) -> TypedInterface {
        let variable = |(n, t): &(&str, LiteralType)| ((*n).into(), Variable::new(t.clone()));
        TypedInterface {
            inputs: inputs.iter().map(variable).collect(),
            outputs: [].into(),
        }
    }

    fn said(stored: &TypedInterface, program: &TypedInterface) -> Vec<String> {
        let all = stored.changes("t", program);
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_renamed_input_is_one_that_is_gone_and_one_that_is_new() {
        let int = simple(SimpleType::Integer);
        let (old, new) = (interface(&[("a", int.clone())]), interface(&[("b", int)]));
        assert_eq!(
            said(&old, &new),
            [
                "input `a` of task `t` was `int` and is gone",
                "input `b` of task `t` is new and has the type `int`"
            ]
        );
    }

    #[test]
    fn an_added_input_may_be_left_out_if_it_is_optional() {
        let optional = LiteralType::union([simple(SimpleType::String), simple(SimpleType::None)]);
        let old = interface(&[]);
        assert!(said(&old, &interface(&[("note", optional.clone())])).is_empty());
        // One of a list is not.
        let list = LiteralType::collection(optional.clone());
        let text = said(&old, &interface(&[("notes", list)]));
        assert_eq!(
            text,
            ["input `notes` of task `t` is new and has the type `list[str | None]`"]
        );
        // An output is always there.
        let mut new = old.clone();
        new.outputs.insert("note".into(), Variable::new(optional));
        assert_eq!(said(&old, &new).len(), 1);
        assert_eq!(said(&new, &old).len(), 1);
    }

    #[test]
    fn descriptions_do_not_count_and_details_of_types_do() {
        let int = simple(SimpleType::Integer);
        let old = interface(&[("a", int.clone())]);
        let mut new = old.clone();
        if let Some(a) = new.inputs.get_mut("a") {
            a.description = "how many".into();
        }
        assert!(said(&old, &new).is_empty());
        let text = said(&old, &interface(&[("a", int.tagged("long"))]));
        assert_eq!(
            text,
            ["input `a` of task `t` was `int` and is `int with other details`"]
        );
    }

    #[test]
    fn what_is_shown_of_a_type_has_a_bound() {
        let variants = (0..200).map(|i| LiteralType::enumeration([format!("variant {i}")]));
        let old = interface(&[("a", LiteralType::union(variants))]);
        let all = old.changes("t", &interface(&[]));
        let stored = all[0].stored.as_ref().unwrap();
        assert!(stored.len() < SHOWN_BYTES_MAX + 10, "{stored}");
    }
}
