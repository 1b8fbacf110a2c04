use super::*;

/// Keeps what is pushed; closed after a terminal status.
#[derive(Debug, Default)]
pub(super) struct Heard {
    statuses: Mutex<Vec<(JobHandle, JobStatus)>>,
    waiting: Mutex<Vec<Waker>>,
}

impl Heard {
    fn statuses(&self) -> Vec<(JobHandle, JobStatus)> {
        let statuses = self.statuses.lock();
        statuses.expect("invariant: no panic while held").clone()
    }
}

#[async_trait]
impl StatusSink for Heard {
    fn push(&self, handle: &JobHandle, status: JobStatus) {
        {
            let statuses = self.statuses.lock();
            let mut statuses = statuses.expect("invariant: no panic while held");
            statuses.push((handle.clone(), status));
        }
        let waiting = self.waiting.lock();
        let mut waiting = waiting.expect("invariant: no panic while held");
        waiting.drain(..).for_each(Waker::wake);
    }

    async fn closed(&self) {
        poll_fn(|cx| {
            let waiting = self.waiting.lock();
            let mut waiting = waiting.expect("invariant: no panic while held");
            if self.statuses().iter().any(|(_, s)| s.phase.is_terminal()) {
                return Poll::Ready(());
            }
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

pub(super) async fn watch_pushes(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    if !p.info().capabilities.push {
        return Err(not_applicable("the capability `push` is not set"));
    }
    let r = request(h, Work::Succeed)?;
    let sink = Arc::new(Heard::default());
    let watch = p.watch(sink.clone());
    let work = async {
        let launched = launch(&h.plugin(), &r).await?;
        for _ in 0..100 {
            h.pass(Duration::from_millis(50)).await;
        }
        Ok::<Launched, Failure>(launched)
    };
    // It returns when the end was pushed: nobody listens after that.
    let handle = match select(watch, work.boxed()).await {
        Either::Left((ended, work)) => {
            ended?;
            work.await?.handle
        }
        Either::Right((launched, watch)) => {
            // Where passing time takes none, it had no turn yet.
            let Some(ended) = watch.now_or_never() else {
                return Err(Failure::Broken("the end of a job was not pushed".into()));
            };
            ended?;
            launched?.handle
        }
    };
    let heard = sink.statuses();
    p.finalize(&handle).await?;
    let wrong = heard.iter().find(|(of, _)| *of != handle);
    ensure!(wrong.is_none(), "under another handle: {wrong:?}");
    let versions: Vec<u64> = heard.iter().map(|(_, s)| s.version).collect();
    ensure!(versions.is_sorted(), "versions are pushed as {versions:?}");
    Ok(())
}

#[derive(Debug)]
pub(super) struct Closed;

#[async_trait]
impl StatusSink for Closed {
    fn push(&self, _: &JobHandle, _: JobStatus) {}

    async fn closed(&self) {}
}

pub(super) async fn watch_end(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    if !p.info().capabilities.push {
        return Err(not_applicable("the capability `push` is not set"));
    }
    let watch = p.watch(Arc::new(Closed));
    let waited = select(watch, h.pass(Duration::from_secs(10))).await;
    let ended = matches!(waited, Either::Left(_));
    ensure!(ended, "nobody listens, and it does not return");
    Ok(())
}
