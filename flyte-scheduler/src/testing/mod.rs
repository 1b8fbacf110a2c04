//! Runs a workflow in memory on virtual time, for tests of whoever writes it.
//!
//! The engine is the real one; store, clock and host are not. Time passes only when nothing else
//! can happen, so that a gate of thirty days takes no time. Tasks can be replaced by closures,
//! made to fail by node and attempt, or run as jobs that outlive the process, and the process can
//! be made to die at every commit and every effect, and again while it recovers.
//!
//! ```
//! use flyte_core::compile::{Sources, compile, single_task_workflow};
//! use flyte_core::contract::{RawTask, Task, TaskContext, TaskError};
//! use flyte_core::id::{Identifier, ResourceType};
//! use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
//! use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
//! use flyte_scheduler::testing::Harness;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Double;
//!
//! #[typetag::serde(name = "docs::Double")]
//! #[async_trait::async_trait]
//! impl Task for Double {
//!     fn template(&self) -> TaskTemplate {
//!         let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
//!         let interface = TypedInterface {
//!             inputs: [("x".into(), int())].into(),
//!             outputs: [("o0".into(), int())].into(),
//!         };
//!         TaskTemplate::new(Identifier::new(ResourceType::Task, "double", "1"), "", interface)
//!     }
//!     async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
//!         let x = inputs.get("x").and_then(Literal::as_integer).ok_or("no x")?;
//!         Ok(Row::from_pairs([("o0", Literal::Integer(2 * x))]))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let task = RawTask::template_of(&Double).unwrap();
//! let workflow = single_task_workflow(&task).unwrap();
//! let plan = compile(&Sources::new(&workflow, &[task])).unwrap();
//! let inputs = Row::from_pairs([("x", Literal::Integer(21))]);
//! let run = Harness::new().crash_at_every_commit().run(&plan, &inputs).await.unwrap();
//! assert_eq!(run.output("o0"), Some(&Literal::Integer(42)));
//! assert_eq!(run.phase("n0").unwrap().as_str(), "SUCCEEDED");
//! assert!(run.crash_points() > 0);
//! # }
//! ```

mod attempts;
mod backend;
mod caching;
mod crash;
mod failures;
mod harness;
mod life;
mod run;
mod seed;
mod typed;

pub use crash::CrashKind;
pub use harness::{Call, Harness, TestError};
pub use run::Run;
