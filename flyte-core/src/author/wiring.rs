//! Wires to bindings: where a value is, seen from the workflow that takes it.

use super::Ref;
use super::cond::Test;
use super::emit::{Emit, Spot};
use super::input::Wire;
use super::output::Origin;
use crate::compile::CompileErrorCode as Code;
use crate::id::Str;
use crate::literal::{Literal, LiteralType, Resolved, resolve_path};
use crate::template::{
    Binding, BindingData, BooleanExpression, ComparisonExpression, Operand, OutputReference,
    PathStep,
};

impl Emit {
    pub(super) fn bind(&mut self, wire: &Wire, at: Spot<'_>) -> BindingData {
        match wire {
            Wire::Constant(literal) => constant(literal),
            Wire::List(items) => {
                BindingData::Collection(items.iter().map(|w| self.bind(w, at)).collect())
            }
            Wire::Map(entries) => BindingData::Map(
                entries
                    .iter()
                    .map(|(k, w)| (k.as_str().into(), self.bind(w, at)))
                    .collect(),
            ),
            Wire::Value(r) => match self.value(r, at) {
                Some(Ok(reference)) => BindingData::Promise(reference),
                Some(Err(literal)) => constant(&literal),
                None => BindingData::Unset,
            },
        }
    }

    /// A handle as a reference, or as the constant that it stands for; `None` was reported.
    fn value(&mut self, r: &Ref, at: Spot<'_>) -> Option<Result<OutputReference, Literal>> {
        let Some(path) = r.path() else {
            let text = format!("a way into a value has at most {} steps", Ref::STEPS_MAX);
            self.wrong(Code::InvalidValue, at, text);
            return None;
        };
        if r.builder != self.wf.number {
            let text = match r.origin {
                Origin::Item => "the item of a map is used outside of its closure",
                _ => {
                    "a handle of another workflow is used here; make it an input, and give it \
                      to `wf.sub(..)`"
                }
            };
            self.wrong(Code::NodeReferenceNotFound, at, text);
            return None;
        }
        if let Origin::Constant(i) = r.origin {
            return match resolve_path(&self.wf.constants[i as usize], &path) {
                Ok(Resolved::Value(literal)) => Some(Err(literal)),
                Ok(Resolved::NeedsFetch { .. }) => None,
                Err(e) => {
                    self.wrong(Code::FieldNotFound, at, e.to_string());
                    None
                }
            };
        }
        let level = self.levels.len() - 1;
        let (node_id, var) = self.locate(r.origin, r.var, level, at)?;
        Some(Ok(OutputReference {
            node_id,
            var,
            attr_path: path,
        }))
    }

    /// The node and the output, seen from a level; what lies further out is captured.
    fn locate(
        &mut self,
        origin: Origin,
        var: u16,
        level: usize,
        at: Spot<'_>,
    ) -> Option<(Str, Str)> {
        let found = match origin {
            Origin::Inputs if level == 0 => {
                Some((Str::from(""), self.wf.inputs[var as usize].name.clone()))
            }
            Origin::Node(n) => {
                let node = &self.wf.nodes[n as usize];
                let here = node.scope == self.levels[level].scope;
                here.then(|| (node.id.clone(), node.outputs[var as usize].0.clone()))
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        if level == 0 {
            let text = "a value from inside an arm of a branch is used outside of it; let the \
                        arm give it";
            self.wrong(Code::NodeReferenceNotFound, at, text);
            return None;
        }
        // Whatever cannot be had further out is reported there.
        let captures = &mut self.levels[level].captures;
        let place = captures.iter().position(|c| *c == (origin, var));
        let place = place.unwrap_or_else(|| {
            captures.push((origin, var));
            captures.len() - 1
        });
        Some(("".into(), format!("c{place}").into()))
    }

    /// The type of a whole value.
    pub(super) fn type_of(&self, origin: Origin, var: u16) -> Option<LiteralType> {
        match origin {
            Origin::Inputs => Some(self.wf.inputs.get(var as usize)?.literal_type.clone()),
            Origin::Node(n) => Some(
                self.wf.nodes[n as usize]
                    .outputs
                    .get(var as usize)?
                    .1
                    .clone(),
            ),
            Origin::Constant(_) | Origin::Item => None,
        }
    }

    /// A condition; what it reads becomes inputs of the branch node.
    pub(super) fn expression(
        &mut self,
        test: &Test,
        inputs: &mut Vec<Binding>,
        at: Spot<'_>,
    ) -> BooleanExpression {
        match test {
            Test::Join(operator, left, right) => BooleanExpression::Conjunction {
                operator: *operator,
                left: Some(Box::new(self.expression(left, inputs, at))),
                right: Some(Box::new(self.expression(right, inputs, at))),
            },
            Test::Compare(operator, sides) => BooleanExpression::Comparison(ComparisonExpression {
                operator: *operator,
                left: Some(self.operand(&sides.0, inputs, at)),
                right: Some(self.operand(&sides.1, inputs, at)),
            }),
        }
    }

    fn operand(&mut self, wire: &Wire, inputs: &mut Vec<Binding>, at: Spot<'_>) -> Operand {
        let value = match wire {
            Wire::Constant(literal) => Some(Err(literal.clone())),
            Wire::Value(r) => self.value(r, at),
            Wire::List(_) | Wire::Map(_) => None,
        };
        match value {
            Some(Err(literal)) => Operand::Primitive(literal),
            Some(Ok(reference)) => {
                let name = Str::from(shown(&reference));
                if !inputs.iter().any(|b| b.var == name) {
                    let data = BindingData::Promise(reference);
                    inputs.push(Binding::new(name.clone(), data));
                }
                Operand::Var(name)
            }
            None => Operand::Unset,
        }
    }
}

/// A reference as flytekit names the inputs of a branch: `n0.o0`, `.p`.
fn shown(r: &OutputReference) -> String {
    let mut out = format!("{}.{}", r.node_id, r.var);
    for step in &r.attr_path {
        match step {
            PathStep::Key(k) => {
                out.push('.');
                out.push_str(k);
            }
            PathStep::Index(i) => out.push_str(&format!("[{i}]")),
            PathStep::Unset => out.push('.'),
        }
    }
    out
}

/// A constant as the wire has it: scalars alone are one value.
fn constant(literal: &Literal) -> BindingData {
    match literal {
        Literal::Collection(items) => BindingData::Collection(items.iter().map(constant).collect()),
        Literal::Map(entries) => BindingData::Map(
            entries
                .iter()
                .map(|(k, v)| (k.clone(), constant(v)))
                .collect(),
        ),
        scalar => BindingData::Scalar(scalar.clone()),
    }
}
