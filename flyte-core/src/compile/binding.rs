use std::collections::HashSet;

use super::error::Report;
use super::scope::Scope;
use super::{CompileError, CompileErrorCode as Code};
use crate::limits::LITERAL_DEPTH_MAX;
use crate::literal::{Literal, LiteralType, TypeKind, castable, infer, is_optional, type_at};
use crate::template::{Binding, BindingData, OutputReference, VariableMap};

/// Checks the bindings of one node against its inputs; promises that hold are collected.
pub(super) fn check_bindings<'a>(
    node: &str,
    bindings: &'a [Binding],
    inputs: &VariableMap,
    scope: &Scope<'_>,
    promises: &mut Vec<&'a OutputReference>,
    errors: &mut Vec<CompileError>,
) {
    check_inputs(node, bindings, inputs, scope, promises, errors, false);
}

/// The same for a node whose inputs are what [`discover`] found.
pub(super) fn check_discovered<'a>(
    node: &str,
    bindings: &'a [Binding],
    inputs: &VariableMap,
    scope: &Scope<'_>,
    promises: &mut Vec<&'a OutputReference>,
    errors: &mut Vec<CompileError>,
) {
    check_inputs(node, bindings, inputs, scope, promises, errors, true);
}

fn check_inputs<'a>(
    node: &str,
    bindings: &'a [Binding],
    inputs: &VariableMap,
    scope: &Scope<'_>,
    promises: &mut Vec<&'a OutputReference>,
    errors: &mut Vec<CompileError>,
    discovered: bool,
) {
    let mut seen = HashSet::new();
    for b in bindings {
        let Some(variable) = inputs.get(&b.var) else {
            if discovered {
                continue;
            }
            let known: Vec<&str> = inputs.keys().map(|k| &**k).collect();
            let text = format!(
                "there is no input `{}`; there are [{}]",
                b.var,
                known.join(", ")
            );
            errors.report(Code::VariableNameNotFound, node, text);
            continue;
        };
        let Some(data) = &b.binding else {
            errors.report(
                Code::ValueRequired,
                node,
                "a value is required for [Binding]",
            );
            continue;
        };
        if !seen.insert(&b.var) {
            let text = format!("input `{}` is bound more than once", b.var);
            errors.report(Code::ParameterBoundMoreThanOnce, node, text);
            continue;
        }
        let Some(t) = &variable.literal_type else {
            continue;
        };
        let mut place = Place {
            node,
            var: &b.var,
            scope,
            promises,
            errors,
        };
        place.check(t, data, 0);
    }
    for (name, variable) in inputs {
        let optional = variable.literal_type.as_ref().is_some_and(is_optional);
        let bound = bindings.iter().any(|b| b.var == *name);
        if !bound && !optional {
            let text = format!("input `{name}` has no value");
            errors.report(Code::ParameterNotBound, node, text);
        }
    }
}

struct Place<'p, 'a> {
    node: &'p str,
    var: &'p str,
    scope: &'p Scope<'p>,
    promises: &'p mut Vec<&'a OutputReference>,
    errors: &'p mut Vec<CompileError>,
}

impl<'a> Place<'_, 'a> {
    fn report(&mut self, code: Code, text: impl Into<String>) {
        self.errors.report(code, self.node, text);
    }

    fn check(&mut self, t: &LiteralType, data: &'a BindingData, depth: usize) {
        if depth > LITERAL_DEPTH_MAX {
            let text = format!(
                "`{}` is nested more than {LITERAL_DEPTH_MAX} deep",
                self.var
            );
            return self.report(Code::WorkflowBuildError, text);
        }
        let data = data.data();
        let plain = matches!(data, BindingData::Scalar(_) | BindingData::Promise(_));
        if let (TypeKind::Union(variants), false) = (&t.kind, plain) {
            return self.check_union(t, variants, data, depth);
        }
        match data {
            BindingData::Scalar(literal) => self.check_scalar(t, literal),
            BindingData::Promise(p) => self.check_promise(t, p),
            BindingData::Collection(items) => match &t.kind {
                TypeKind::Collection(item) => {
                    items.iter().for_each(|b| self.check(item, b, depth + 1));
                }
                _ => self.shape(t, "a list"),
            },
            BindingData::Map(entries) => match &t.kind {
                TypeKind::Map(value) => {
                    entries
                        .values()
                        .for_each(|b| self.check(value, b, depth + 1));
                }
                _ => self.shape(t, "a map"),
            },
            BindingData::Offloaded(_) => self.shape(t, "a value stored out of band"),
            BindingData::Unset => self.shape(t, "a binding without a value"),
            BindingData::WithUnion(..) => unreachable!("invariant: `data` has unwrapped it"),
        }
    }

    fn shape(&mut self, t: &LiteralType, what: &str) {
        let text = format!("input `{}` of type `{t}` is bound to {what}", self.var);
        self.report(Code::MismatchingBindings, text);
    }

    fn check_scalar(&mut self, t: &LiteralType, literal: &Literal) {
        if literal.depth() > LITERAL_DEPTH_MAX {
            let text = format!(
                "`{}` is nested more than {LITERAL_DEPTH_MAX} deep",
                self.var
            );
            return self.report(Code::WorkflowBuildError, text);
        }
        let given = match infer(literal) {
            Ok(given) => given,
            Err(e) => return self.report(Code::UnrecognizedValue, format!("`{}`: {e}", self.var)),
        };
        if let TypeKind::Enum(e) = &t.kind {
            let text = literal.as_str().unwrap_or("");
            if !e.values.iter().any(|v| &**v == text) {
                let all = e.values.join(", ");
                let text = format!("`{}` is {text:?}, and must be one of [{all}]", self.var);
                self.report(Code::IllegalEnumValue, text);
            }
        }
        if !castable(&given, t) {
            let text = format!("input `{}` expects `{t}`, given `{given}`", self.var);
            self.report(Code::MismatchingTypes, text);
        }
    }

    fn check_promise(&mut self, t: &LiteralType, p: &'a OutputReference) {
        let Some(target) = self.scope.find(p, self.node, self.errors) else {
            let text = format!(
                "input `{}` has no value: what it points at is not there",
                self.var
            );
            return self.report(Code::ParameterNotBound, text);
        };
        let given = match type_at(target.indexed, &p.attr_path) {
            Ok(given) => given,
            Err(e) => {
                let text = format!("input `{}`: {e} (of `{}.{}`)", self.var, p.node_id, p.var);
                return self.report(Code::FieldNotFound, text);
            }
        };
        if castable(&given, t) {
            return self.promises.push(p);
        }
        let text = format!(
            "input `{}` expects `{t}`, output `{}.{}` is `{given}`",
            self.var, p.node_id, p.var
        );
        self.report(Code::MismatchingTypes, text);
    }

    /// A list or map for a union: exactly one variant must take it.
    fn check_union(
        &mut self,
        t: &LiteralType,
        variants: &[LiteralType],
        data: &'a BindingData,
        depth: usize,
    ) {
        let mut fitting = Vec::new();
        for v in variants {
            let (mut promises, mut errors) = (Vec::new(), Vec::new());
            let mut place = Place {
                node: self.node,
                var: self.var,
                scope: self.scope,
                promises: &mut promises,
                errors: &mut errors,
            };
            place.check(v, data, depth + 1);
            if errors.is_empty() {
                fitting.push((v, promises));
            }
        }
        match &fitting[..] {
            [(_, promises)] => self.promises.extend(promises),
            [] => {
                let text = format!("no variant of `{t}` takes what `{}` is bound to", self.var);
                self.report(Code::IncompatibleBindingUnionValue, text);
            }
            several => {
                let names: Vec<_> = several.iter().map(|(v, _)| v.to_string()).collect();
                let text = format!("`{}` fits several variants: {}", self.var, names.join(", "));
                self.report(Code::AmbiguousBindingUnionValue, text);
            }
        }
    }
}

/// The inputs of a branch or approve node: whatever its bindings bring, typed by the whole
/// variable that they come from.
///
/// A binding that brings nothing is reported here, and is no input. In a `strict` graph the way
/// into the variable counts: Flyte's compiler does not follow it, so that no condition on an
/// attribute compiles there.
pub(super) fn discover(
    node: &str,
    bindings: &[Binding],
    scope: &Scope<'_>,
    strict: bool,
    errors: &mut Vec<CompileError>,
) -> VariableMap {
    let mut out = VariableMap::new();
    for b in bindings {
        let t = match b.binding.as_ref().map(BindingData::data) {
            Some(BindingData::Promise(p)) => {
                let mut ignored = Vec::new();
                let target = scope.find(p, node, &mut ignored);
                target.and_then(|target| match strict {
                    true => type_at(target.indexed, &p.attr_path).ok(),
                    false => Some(target.whole.clone()),
                })
            }
            Some(BindingData::Scalar(l)) => infer(l).ok(),
            _ => None,
        };
        match t {
            Some(t) => {
                out.insert(b.var.clone(), crate::template::Variable::new(t));
            }
            None => {
                // The binding itself says what is wrong with it.
                let mut sink = Vec::new();
                if let Some(BindingData::Promise(p)) = b.binding.as_ref().map(BindingData::data) {
                    scope.find(p, node, &mut sink);
                }
                errors.append(&mut sink);
                let text = format!("input `{}` has no type", b.var);
                errors.report(Code::ParameterNotBound, node, text);
            }
        }
    }
    out
}
