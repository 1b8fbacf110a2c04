use super::*;

pub(super) async fn observe_order(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let (good, bad) = (request(h, Work::Succeed)?, request(h, Work::Fail)?);
    let (good, bad) = (launch(&p, &good).await?, launch(&p, &bad).await?);
    until_over(h, &p, &good.handle).await?;
    until_over(h, &p, &bad.handle).await?;
    for (i, handles) in [
        [good.handle.clone(), bad.handle.clone(), h.unknown()],
        [h.unknown(), bad.handle.clone(), good.handle.clone()],
    ]
    .iter()
    .enumerate()
    {
        let answers = p.observe(handles).await;
        ensure!(
            answers.len() == 3,
            "{} answers for 3 handles",
            answers.len()
        );
        let succeeded = |a: &Result<JobStatus>| {
            a.as_ref()
                .is_ok_and(|s| matches!(s.phase, JobPhase::Succeeded(_)))
        };
        let failed = |a: &Result<JobStatus>| {
            a.as_ref()
                .is_ok_and(|s| matches!(s.phase, JobPhase::Failed { .. }))
        };
        let wanted = if i == 0 { 0 } else { 2 };
        ensure!(
            succeeded(&answers[wanted]),
            "order {i}: the good one is {:?}",
            answers[wanted]
        );
        ensure!(
            failed(&answers[1]),
            "order {i}: the bad one is {:?}",
            answers[1]
        );
    }
    p.finalize(&good.handle).await?;
    p.finalize(&bad.handle).await?;
    Ok(())
}

pub(super) async fn observe_version(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let p = h.plugin();
    let launched = launch(&p, &r).await?;
    let mut all: Vec<JobStatus> = launched.status.clone().into_iter().collect();
    all.extend(until_over(h, &p, &launched.handle).await?);
    for pair in all.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        ensure!(a.version <= b.version, "it fell from {a:?} to {b:?}");
        let told = a.phase == b.phase || a.version < b.version;
        ensure!(told, "another phase under the same version: {a:?}, {b:?}");
    }
    let last = all.pop();
    for p in [p.clone(), h.plugin()] {
        let again = observe(&p, &launched.handle).await?;
        ensure!(
            Some(&again) == last.as_ref(),
            "it was {last:?}, and is {again:?}"
        );
    }
    p.finalize(&launched.handle).await?;
    Ok(())
}

pub(super) async fn observe_missing(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let status = observe(&p, &h.unknown()).await?;
    ensure!(
        status.phase == JobPhase::Missing,
        "an unknown job is {:?}",
        status.phase
    );
    let r = request(h, Work::Run)?;
    let handle = launch(&p, &r).await?.handle;
    let status = observe(&p, &handle).await?;
    clean(h, &p, &handle).await?;
    ensure!(
        status.phase != JobPhase::Missing,
        "a job that runs is missing"
    );
    Ok(())
}

pub(super) async fn observe_outputs(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let p = h.plugin();
    let handle = launch(&p, &r).await?.handle;
    let last = until_over(h, &p, &handle).await?.pop();
    p.finalize(&handle).await?;
    match last.map(|s| s.phase) {
        Some(JobPhase::Succeeded(JobOutputs::Inline(row))) => {
            let interface = r.template.interface.clone().unwrap_or_default();
            let have: Vec<&str> = row.names().iter().map(|n| &**n).collect();
            let want: Vec<&str> = interface.outputs.keys().map(|n| &**n).collect();
            ensure!(
                have == want,
                "the task declares {want:?}, it gives {have:?}"
            );
        }
        Some(JobPhase::Succeeded(JobOutputs::Prefix(prefix))) => {
            let given = &r.locations.output_prefix;
            ensure!(
                prefix == *given,
                "launched with {given:?}, it says {prefix:?}"
            );
        }
        other => ensure!(false, "a job that succeeds is {other:?}"),
    }
    Ok(())
}

pub(super) async fn observe_unknown(h: &dyn PluginHarness) -> Outcome {
    let Some(p) = h.unreachable() else {
        return Err(not_applicable("it cannot be out of reach"));
    };
    match one(p.observe(&[h.unknown()]).await)? {
        Ok(status) => ensure!(false, "nobody could be asked, and it says {status:?}"),
        Err(e) => ensure!(
            e.retry() != Retry::Never,
            "asking again is said to be of no use: {e}"
        ),
    }
    Ok(())
}
