use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flyte_core::contract::{Expansion, Task, TaskContext, TaskError};
use flyte_core::literal::Row;
use futures::FutureExt;

use super::seed::Draw;
use crate::engine::{AttemptRef, TaskFailure};
use crate::tasks::{failure, panicked};

/// What an attempt answered.
pub(super) type Answer = Result<Expansion, TaskFailure>;

type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Attempts that were begun and have not answered.
#[derive(Default)]
pub(super) struct Attempts {
    fresh: Vec<(AttemptRef, Work)>,
    pending: Vec<(AttemptRef, Work)>,
}

/// The task itself, with its panics caught.
pub(super) fn real(task: Arc<dyn Task>, cx: TaskContext, inputs: Row) -> Work {
    boxed(async move {
        match task.is_dynamic() {
            true => task.expand(&cx, inputs).await,
            false => task.run(&cx, inputs).await.map(Expansion::Values),
        }
    })
}

/// Something in its place.
pub(super) fn boxed(
    work: impl Future<Output = Result<Expansion, TaskError>> + Send + 'static,
) -> Work {
    Box::pin(async move {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(answer) => answer.map_err(|e| failure(&e)),
            Err(panic) => Err(panicked(panic.as_ref())),
        }
    })
}

impl Attempts {
    pub(super) fn push(&mut self, at: AttemptRef, work: Work) {
        self.fresh.push((at, work));
    }

    pub(super) fn cancel(&mut self, at: AttemptRef) {
        self.fresh.retain(|f| f.0 != at);
        self.pending.retain(|p| p.0 != at);
    }

    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Polls one that was not polled yet, drawn by the seed; what is not ready goes on waiting.
    pub(super) fn first_poll(
        &mut self,
        draw: &mut Draw,
        cx: &mut Context<'_>,
    ) -> Option<(AttemptRef, Answer)> {
        let (at, mut work) = self.fresh.swap_remove(draw.below(self.fresh.len()));
        match work.as_mut().poll(cx) {
            Poll::Ready(answer) => Some((at, answer)),
            Poll::Pending => {
                self.pending.push((at, work));
                None
            }
        }
    }

    /// Polls those that wait for something outside.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(AttemptRef, Answer)> {
        for i in 0..self.pending.len() {
            if let Poll::Ready(answer) = self.pending[i].1.as_mut().poll(cx) {
                let (at, _) = self.pending.remove(i);
                return Poll::Ready((at, answer));
            }
        }
        Poll::Pending
    }
}
