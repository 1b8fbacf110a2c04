use std::borrow::Cow;
use std::collections::HashMap;

use super::error::Report;
use super::{CompileError, CompileErrorCode as Code};
use crate::literal::{LiteralType, TypeKind, parse_var};
use crate::template::{Alias, OutputReference, START_NODE_ID, VariableMap};

/// What bindings of one workflow can point at.
#[derive(Default)]
pub(super) struct Scope<'a> {
    pub(super) nodes: HashMap<&'a str, Producer<'a>>,
    /// The workflow's inputs.
    pub(super) inputs: Cow<'a, VariableMap>,
}

/// A node as its consumers see it.
#[derive(Clone)]
pub(super) struct Producer<'a> {
    pub(super) outputs: Cow<'a, VariableMap>,
    pub(super) aliases: &'a [Alias],
    /// Its place among the workflow's nodes.
    pub(super) index: u32,
}

/// An output that a promise points at.
pub(super) struct Target<'s> {
    /// The type of the whole variable.
    pub(super) whole: &'s LiteralType,
    /// The type after the index of a `[3].name`.
    pub(super) indexed: &'s LiteralType,
    /// The variable's true name.
    pub(super) var: &'s str,
    /// The index of a `[3].name`.
    pub(super) index: Option<u32>,
    /// The producing node; `None` for the workflow's inputs.
    pub(super) node: Option<u32>,
}

impl<'a> Scope<'a> {
    pub(super) fn add(&mut self, id: &'a str, producer: Producer<'a>) {
        self.nodes.insert(id, producer);
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.nodes.contains_key(id)
    }

    /// The place of a true output name of a node.
    pub(super) fn position(&self, id: &str, var: &str) -> Option<usize> {
        self.nodes.get(id)?.outputs.keys().position(|k| &**k == var)
    }

    pub(super) fn index(&self, id: &str) -> Option<u32> {
        self.nodes.get(id).map(|p| p.index)
    }

    /// Finds what a promise points at, or reports why not.
    pub(super) fn find<'s>(
        &'s self,
        promise: &'s OutputReference,
        consumer: &str,
        errors: &mut Vec<CompileError>,
    ) -> Option<Target<'s>> {
        let start = promise.node_id.is_empty() || &*promise.node_id == START_NODE_ID;
        let id = if start {
            START_NODE_ID
        } else {
            &promise.node_id
        };
        let producer = match start {
            true => None,
            false => match self.nodes.get(id) {
                Some(p) => Some(p),
                None => {
                    let text = format!("`{consumer}` refers to a node `{id}` that is not there");
                    errors.report(Code::NodeReferenceNotFound, id, text);
                    return None;
                }
            },
        };
        let (index, name) = match parse_var(&promise.var) {
            Ok(parts) => parts,
            Err(e) => {
                errors.report(Code::SyntaxError, consumer, e.to_string());
                return None;
            }
        };
        let outputs = producer.map_or(&*self.inputs, |p| &*p.outputs);
        let aliases = producer.map_or(&[][..], |p| p.aliases);
        let alias = aliases.iter().find(|a| &*a.alias == name);
        let hidden = alias.is_none() && aliases.iter().any(|a| &*a.var == name);
        let true_name = alias.map_or(name, |a| &a.var);
        let variable = outputs.get_key_value(true_name).filter(|_| !hidden);
        let Some((var, variable)) = variable else {
            let known: Vec<&str> = outputs.keys().map(|k| &**k).collect();
            let text = format!(
                "there is no output `{name}` (wanted by `{consumer}`); there are [{}]",
                known.join(", ")
            );
            errors.report(Code::VariableNameNotFound, id, text);
            return None;
        };
        let whole = variable.literal_type.as_ref()?;
        let indexed = match (index, &whole.kind) {
            (None, _) => whole,
            (Some(_), TypeKind::Collection(item)) => item,
            (Some(_), _) => {
                let text = format!(
                    "`{}` takes an item of `{whole}`, which is no list",
                    promise.var
                );
                errors.report(Code::MismatchingTypes, consumer, text);
                return None;
            }
        };
        Some(Target {
            whole,
            indexed,
            var,
            index,
            node: producer.map(|p| p.index),
        })
    }
}
