//! Every compile code, provoked from a template. `docs/coverage.md` says which test provokes which.

mod bindings;
mod branches;
mod closure;
mod coverage;
mod executions;
mod nodes;
mod shapes;
mod support;
mod tasks;
