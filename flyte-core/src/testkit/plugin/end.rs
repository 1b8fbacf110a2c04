use super::*;

pub(super) async fn finalize_releases(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    for (work, aborts) in [(Work::Succeed, false), (Work::Run, true)] {
        let r = request(h, work)?;
        let handle = launch(&p, &r).await?.handle;
        if aborts {
            h.pass(Duration::from_millis(200)).await;
            clean(h, &p, &handle).await?;
        } else {
            until_over(h, &p, &handle).await?;
            p.finalize(&handle).await?;
        }
        let holds = h.holds(&r).await;
        ensure!(!holds, "after the finalize of {work:?} something is held");
    }
    Ok(())
}

pub(super) async fn abort_idempotent(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let (runs, ends) = (request(h, Work::Run)?, request(h, Work::Succeed)?);
    let runs = launch(&p, &runs).await?.handle;
    for _ in 0..3 {
        p.abort(&runs, "again").await?;
    }
    h.plugin().abort(&runs, "from another process").await?;
    clean(h, &p, &runs).await?;
    p.abort(&runs, "after its end").await?;
    let ends = launch(&p, &ends).await?.handle;
    let over = until_over(h, &p, &ends).await?.pop();
    p.abort(&ends, "too late").await?;
    let after = observe(&p, &ends).await?;
    ensure!(
        Some(&after) == over.as_ref(),
        "an abort after the end changed it to {after:?}"
    );
    p.abort(&h.unknown(), "nobody").await?;
    p.finalize(&ends).await?;
    Ok(())
}

pub(super) async fn abort_ends(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let p = h.plugin();
    let handle = launch(&p, &r).await?.handle;
    // It shall have begun.
    h.pass(Duration::from_millis(200)).await;
    clean(h, &p, &handle).await?;
    let status = observe(&p, &handle).await?;
    let ended = matches!(status.phase, JobPhase::Aborted | JobPhase::Missing);
    ensure!(ended, "an aborted job is {:?}", status.phase);
    Ok(())
}

pub(super) async fn finalize_idempotent(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let p = h.plugin();
    let handle = launch(&p, &r).await?.handle;
    until_over(h, &p, &handle).await?;
    for p in [p.clone(), p, h.plugin()] {
        p.finalize(&handle).await?;
    }
    Ok(())
}
