//! What Rust authors write: tasks as functions, workflows by a builder with typed handles.
//!
//! `#[task]` (feature `macros`) makes a function a task. Calling it gives a [`Call`], and
//! [`WorkflowBuilder::call`] makes that a node and gives typed handles ([`Output`]) of its outputs.
//! What does not fit does not compile; what only the whole can show is reported by
//! [`Workflow::build`], all at once, each with its file and line.
//!
//! Invariant: everything here ends as templates and their compiled [`Plan`](crate::plan::Plan);
//! nothing in a plan knows that Rust wrote it.

mod arguments;
mod branch;
mod build_error;
mod builder;
mod call;
mod cond;
mod containers;
mod emit;
mod expand;
mod foreign;
mod function;
mod gate;
mod input;
mod map;
mod object;
mod output;
mod packed;
mod pass;
mod place;
mod resource;
mod scalars;
mod schema;
mod tagged;
mod task;
mod value;
mod values;
mod wiring;
mod workflow;

pub use branch::Branch;
pub use build_error::{BuildError, BuildErrors};
pub use builder::WorkflowBuilder;
pub use call::{Call, Callable, IntoBackoff, IntoTimeout};
pub use cond::{Comparable, Cond, IntoCond};
pub use foreign::ForeignTask;
pub use input::{Argument, Input, IntoInput};
pub use map::{IntoLists, MapCall, map};
pub use output::{Output, Ref, Shape};
pub use packed::{Packed, PackedFields};
pub use place::Place;
pub use resource::{Cx, Needs, Res, ResourceNeed};
pub use scalars::{File, Folder};
pub use task::{DynamicReturn, TaskRef};
pub use value::{LiteralValue, ValueError};
pub use values::{Handles, IntoInputs, TaskReturn, Values};
pub use workflow::Workflow;

pub(crate) use tagged::shared_tag;

#[cfg(feature = "macros")]
pub use flyte_macros::{Inputs, LiteralEnum, LiteralStruct, Outputs, dynamic, task};

/// For generated code; no part of the interface.
#[doc(hidden)]
pub mod generated {
    pub use super::arguments::{Arg, Arguments, ManyArguments, arg};
    pub use super::function::{
        Waited, expand_async, expand_plain, run_async, run_plain, values_of,
    };
    pub use super::object::{
        read_document, read_object, read_text, struct_literal, unpack_text, write_object,
    };
    pub use super::output::field;
    pub use super::schema::{Field, default_document, enum_schema, schema_of, struct_type};
    pub use super::tagged::Tagged;
    pub use super::task::{
        DynamicRet, DynamicValues, Ret, TaskOptions, argument, dynamic_ret, ret,
    };
    pub use super::values::{Outlets, Refs, take};
    pub use crate::contract::{Expansion, Task, TaskContext, TaskError};
    pub use crate::literal::{Document, Literal, LiteralType, Names, Row};
    pub use crate::template::TaskTemplate;
    pub use inventory;
    pub use serde;
    pub use typetag;
}
