//! What a builder of a dynamic task comes to.

use super::builder::WorkflowBuilder;
use super::input::Wire;
use super::output::Origin;
use super::values::Outlets;
use super::{Handles, Place, Values};
use crate::contract::{Expansion, TaskError};
use crate::literal::Row;

impl WorkflowBuilder {
    /// What a dynamic task answers with: values if there is nothing to run.
    ///
    /// # Errors
    /// The build errors, under [`Expansion::BUILD_FAILED`].
    pub fn expand<H: Handles>(self, handles: &H) -> Result<Expansion, TaskError> {
        let failed = |e: String| TaskError::new(e).with_code(Expansion::BUILD_FAILED).fatal();
        if let Some(row) = self.constant_row(handles) {
            return Ok(Expansion::Values(row));
        }
        let built = self
            .finish(handles, Place::here())
            .map_err(|e| failed(e.to_string()))?;
        Ok(Expansion::Plan(built.plan.clone()))
    }

    /// The outputs, if all are constants and there is no node and no mistake.
    fn constant_row<H: Handles>(&self, handles: &H) -> Option<Row> {
        if !self.nodes.is_empty() || !self.errors.is_empty() {
            return None;
        }
        let mut outlets = Outlets::default();
        handles.outlets(&mut outlets);
        let mut pairs = Vec::new();
        for (name, wire) in H::Values::NAMES.iter().zip(&outlets.0) {
            let Wire::Value(r) = wire else { return None };
            let Origin::Constant(i) = r.origin else {
                return None;
            };
            if r.builder != self.number || !r.is_whole() {
                return None;
            }
            pairs.push((*name, self.constants.get(i as usize)?.clone()));
        }
        pairs.sort_by_key(|(name, _)| *name);
        Some(Row::from_pairs(pairs))
    }
}
