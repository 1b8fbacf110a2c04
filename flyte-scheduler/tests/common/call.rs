use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use flyte_core::contract::RawTask;
use flyte_core::contract::{Task, TaskContext, TaskError};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::plan::Bound;
use flyte_core::plan::{GraphBuilder, GraphKind, NodeSettings, Plan, Source, Target};
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_scheduler::Submit;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// Runs what the test put under its name in [`Calls`], and gives `o0 = 1`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) blocking: bool,
}

type Body = dyn Fn(TaskContext) -> BoxFuture<'static, Result<(), TaskError>> + Send + Sync;

/// The code of [`Call`]s: a resource.
#[derive(Clone, Default)]
pub(crate) struct Calls(HashMap<String, Arc<Body>>);

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Calls {
    pub(crate) fn with<F>(
        mut self,
        name: &str,
        body: impl Fn(TaskContext) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        self.0
            .insert(name.into(), Arc::new(move |cx| Box::pin(body(cx))));
        self
    }
}

impl Call {
    pub(crate) fn new(name: &str) -> Self {
        let name = name.into();
        Self {
            name,
            blocking: false,
        }
    }

    pub(crate) fn blocking(name: &str) -> Self {
        let name = name.into();
        Self {
            name,
            blocking: true,
        }
    }

    /// A plan of `nodes`: name, and the nodes before it.
    pub(crate) fn plan(&self, settings: NodeSettings, nodes: &[(&str, &[u32])]) -> Arc<Plan> {
        let id = Identifier::new(ResourceType::Workflow, "calls", "1");
        let mut graph = GraphBuilder::new(id.clone(), GraphKind::Workflow);
        let int = Variable::new(LiteralType::simple(SimpleType::Integer));
        graph.interface(&[].into(), &[("o0".into(), int)].into());
        for (name, before) in nodes {
            let outputs = std::iter::once("o0".into());
            let node = graph.node(name, Target::Task(0), vec![], outputs, settings.clone());
            before.iter().for_each(|b| graph.edge(*b, node));
        }
        graph.output(Bound::Source(Source::output(nodes.len() as u32 - 1, 0)));
        let plan = Plan {
            id,
            graphs: vec![graph.build()],
            tasks: vec![Arc::new(RawTask::template_of(self).unwrap())],
            launch_plans: Vec::new(),
            children: Vec::new(),
            branches: Vec::new(),
            gates: Vec::new(),
            arrays: Vec::new(),
        };
        plan.validate().unwrap();
        Arc::new(plan)
    }

    /// A plan of one node.
    pub(crate) fn alone(&self) -> Arc<Plan> {
        self.plan(NodeSettings::default(), &[("n0", &[])])
    }
}

#[typetag::serde(name = "tests::Call")]
#[async_trait::async_trait]
impl Task for Call {
    fn template(&self) -> TaskTemplate {
        let int = Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: [].into(),
            outputs: [("o0".into(), int)].into(),
        };
        let id = Identifier::new(ResourceType::Task, self.name.as_str(), "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, cx: &TaskContext, _: Row) -> Result<Row, TaskError> {
        let calls = cx.resource::<Calls>()?;
        let body = calls.0.get(&self.name).ok_or("no such call")?;
        body(cx.clone()).await?;
        Ok(Row::from_pairs([("o0", Literal::Integer(1))]))
    }

    fn blocking(&self) -> bool {
        self.blocking
    }
}

pub(crate) fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

pub(crate) fn submit(name: &str) -> Submit {
    Submit::new(id(name))
}
