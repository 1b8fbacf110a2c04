use std::cmp::Ordering;

use flyte_core::id::{FrameIx, NodeAddr};
use flyte_core::journal::{Change, ErrorOrigin, ExecutionError, OutputValues};
use flyte_core::literal::{Literal, Row};
use flyte_core::template::{
    BooleanExpression, BranchNode, ComparisonOperator as Op, ConjunctionOperator, Operand,
    Otherwise,
};

use super::{Engine, Execution, NodeState};

/// Which arm of a branch node runs, from 0; the else-node comes last.
///
/// # Errors
/// Why none does: the author's error, no case that holds, or a condition that cannot be judged.
pub fn choose(branch: &BranchNode, inputs: &Row) -> Result<u32, ExecutionError> {
    let Some(if_else) = &branch.if_else else {
        return Err(malformed("the branch has no case"));
    };
    let cases = if_else.case.iter().chain(&if_else.other);
    let mut arm = 0;
    for case in cases {
        let Some(condition) = &case.condition else {
            return Err(malformed("a case has no condition"));
        };
        if holds(condition, inputs)? {
            return Ok(arm);
        }
        arm += 1;
    }
    match &if_else.otherwise {
        Some(Otherwise::ElseNode(_)) => Ok(arm),
        Some(Otherwise::Error(e)) => {
            let code = "UserProvidedError";
            let message = format!("[{code}] {}", e.message);
            Err(ExecutionError::new(ErrorOrigin::User, code, message))
        }
        None => Err(malformed("No branch satisfied")),
    }
}

/// Both sides of a conjunction are always judged: an error in the right one shows even if the
/// left one decides.
fn holds(e: &BooleanExpression, inputs: &Row) -> Result<bool, ExecutionError> {
    match e {
        BooleanExpression::Unset => Err(malformed("a condition is empty")),
        BooleanExpression::Conjunction {
            operator,
            left,
            right,
        } => {
            let side = |e: &Option<Box<BooleanExpression>>| match e {
                Some(e) => holds(e, inputs),
                None => Err(malformed("a side of a condition is empty")),
            };
            let (left, right) = (side(left)?, side(right)?);
            Ok(match operator {
                ConjunctionOperator::And => left && right,
                ConjunctionOperator::Or => left || right,
            })
        }
        BooleanExpression::Comparison(c) => {
            let left = operand(c.left.as_ref(), inputs)?;
            let right = operand(c.right.as_ref(), inputs)?;
            compare(c.operator, left, right)
        }
    }
}

fn operand<'a>(o: Option<&'a Operand>, inputs: &'a Row) -> Result<&'a Literal, ExecutionError> {
    match o {
        Some(Operand::Primitive(l)) => Ok(l),
        Some(Operand::Var(name)) => inputs
            .get(name)
            .ok_or_else(|| malformed(&format!("Failed to find Value for Variable [{name}]"))),
        Some(Operand::Scalar(_) | Operand::Unset) | None => {
            Err(malformed("a side of a comparison is no primitive"))
        }
    }
}

fn compare(op: Op, left: &Literal, right: &Literal) -> Result<bool, ExecutionError> {
    use Literal as L;
    let ordering = match (left.value(), right.value()) {
        (L::Integer(a), L::Integer(b)) => Some(a.cmp(b)),
        (L::Float(a), L::Float(b)) => a.partial_cmp(b),
        (L::String(a), L::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (L::Boolean(a), L::Boolean(b)) => {
            if !matches!(op, Op::Eq | Op::Neq) {
                return Err(malformed("booleans have no order"));
            }
            Some(a.cmp(b))
        }
        // Flyte compares whole seconds.
        (L::Datetime(a), L::Datetime(b)) => Some(a.seconds().cmp(&b.seconds())),
        (L::Duration(a), L::Duration(b)) => Some(a.seconds().cmp(&b.seconds())),
        (a, b) => {
            return Err(malformed(&format!(
                "{} and {} cannot be compared",
                kind(a),
                kind(b)
            )));
        }
    };
    Ok(match op {
        Op::Eq => ordering == Some(Ordering::Equal),
        Op::Neq => ordering != Some(Ordering::Equal),
        Op::Gt => ordering == Some(Ordering::Greater),
        Op::Gte => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        Op::Lt => ordering == Some(Ordering::Less),
        Op::Lte => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
    })
}

fn kind(l: &Literal) -> &'static str {
    match l {
        Literal::Integer(_) => "an integer",
        Literal::Float(_) => "a float",
        Literal::String(_) => "a string",
        Literal::Boolean(_) => "a boolean",
        Literal::Datetime(_) => "a datetime",
        Literal::Duration(_) => "a duration",
        Literal::None => "None",
        Literal::Union(_) => "a value of a union",
        _ => "a value that is no primitive",
    }
}

fn malformed(text: &str) -> ExecutionError {
    let code = "MalformedBranchUserError";
    ExecutionError::new(ErrorOrigin::User, code, format!("[{code}] {text}"))
}

impl Execution {
    /// The outputs of a branch node: those of the arm that ran, by name.
    pub(super) fn arm_outputs(&self, ix: FrameIx) -> OutputValues {
        let frame = self.frame(ix);
        let parent = frame.parent.expect("invariant: arms have a branch node");
        let wanted = self.frame(parent.frame).output_names(parent.node.0);
        let ran = |n: &u32| frame.nodes[*n as usize] == NodeState::Succeeded;
        let arm = (0..frame.nodes.len() as u32).find(ran);
        let arm = arm.expect("invariant: one arm of a branch that succeeds has run");
        let (names, values) = (frame.output_names(arm), frame.outputs_of(arm));
        let value = |wanted| {
            let place = names.iter().position(|n| n == wanted)?;
            values[place].clone()
        };
        wanted.iter().map(value).collect()
    }
}

impl Engine {
    /// Judges a branch node's conditions; the arms that are not taken are skipped at once.
    pub(super) fn branch(&mut self, number: u64, addr: NodeAddr, branch: u32) {
        let ex = self.open_execution(number);
        let plan = ex.frame(addr.frame).loaded.plan.clone();
        let branch = &plan.branches[branch as usize];
        let Some(inputs) = self.inputs(number, addr) else {
            return;
        };
        let Some(inputs) = self.seen_inputs(number, addr, &inputs, |_, _| true) else {
            return;
        };
        let arm = match choose(&branch.template, &inputs) {
            Ok(arm) => arm,
            Err(error) => return self.node_ends(number, addr, error),
        };
        self.open_frame_of(number, addr, branch.arms, None, OutputValues::new());
        let opened = self.open_execution(number).children[&addr];
        let arms = plan.graphs[branch.arms as usize].len() as u32;
        for other in (0..arms).filter(|a| *a != arm) {
            let addr = NodeAddr::new(opened.0, other);
            self.emit(number, Change::Skipped { addr });
        }
    }

    /// A node that has no attempts fails for good.
    pub(super) fn node_ends(&mut self, number: u64, addr: NodeAddr, error: ExecutionError) {
        let error = Box::new(error);
        self.emit(
            number,
            Change::Failed {
                addr,
                error,
                timed_out: false,
            },
        );
    }
}
