use super::*;

pub(super) async fn launch_idempotent(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let p = h.plugin();
    let first = launch(&p, &r).await?;
    for (what, p) in [("again", p.clone()), ("from another process", h.plugin())] {
        let again = launch(&p, &r).await?;
        ensure!(again.handle == first.handle, "{what}: another job");
    }
    let n = h.starts(&r).await;
    clean(h, &p, &first.handle).await?;
    ensure!(n == 1, "three launches under one key started {n} jobs");
    Ok(())
}

pub(super) async fn launch_order(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let mut requests = Vec::new();
    for work in [Work::Run, Work::Refused, Work::Run] {
        requests.extend(h.request(work));
    }
    let refused = requests.len() == 3;
    for r in &mut requests {
        r.prepared = p.prepare(&r.template, &r.inputs)?;
    }
    let answers = p.launch(&cx(), requests.clone()).await;
    ensure!(answers.len() == requests.len(), "{} answers", answers.len());
    let mut wrong = None;
    for (i, (answer, request)) in answers.into_iter().zip(&requests).enumerate() {
        let bad = refused && i == 1;
        match answer {
            Ok(launched) => {
                let alone = launch(&p, request).await?;
                if bad {
                    wrong = Some(format!("the one that cannot be launched was: {launched:?}"));
                } else if alone.handle != launched.handle {
                    wrong = Some(format!("answer {i} is of another request"));
                }
                clean(h, &p, &launched.handle).await?;
            }
            Err(e) if !bad => wrong = Some(format!("a good request beside a bad one: {e}")),
            Err(_) => {}
        }
    }
    ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    Ok(())
}

pub(super) async fn launch_handle(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let handle = launch(&h.plugin(), &r).await?.handle;
    let n = handle.bytes().len();
    ensure!(n <= HANDLE_BYTES_MAX, "{n} bytes");
    // The bytes alone, in another process.
    let copy = JobHandle::new(handle.version(), handle.bytes().to_vec())?;
    let other = h.plugin();
    let status = observe(&other, &copy).await?;
    ensure!(
        !status.phase.is_terminal(),
        "another process sees {:?}",
        status.phase
    );
    clean(h, &other, &copy).await
}

pub(super) async fn launch_status(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::AtOnce)?;
    let p = h.plugin();
    let launched = launch(&p, &r).await?;
    let Some(first) = launched.status else {
        return Err(Failure::Broken(
            "it says nothing of a job that is over".into(),
        ));
    };
    for p in [p.clone(), h.plugin()] {
        let later = observe(&p, &launched.handle).await?;
        ensure!(
            later.version >= first.version,
            "version {} after {}",
            later.version,
            first.version
        );
        ensure!(
            !first.phase.is_terminal() || later.phase == first.phase,
            "launched as {:?}, it is {:?}",
            first.phase,
            later.phase
        );
    }
    clean(h, &p, &launched.handle).await
}

pub(super) async fn launch_ambiguous(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Lost)?;
    let p = h.plugin();
    match launch_alone(&*p, &r).await {
        Ok(launched) => ensure!(false, "its answer was lost, and it is {launched:?}"),
        Err(e) => ensure!(
            e.retry() == Retry::Ambiguous,
            "its advice is {:?}",
            e.retry()
        ),
    }
    if p.info().capabilities.lookup {
        let found = one(p.lookup(&[r.lookup()]).await)??;
        ensure!(found.is_some(), "the job was started and is not found");
    }
    let handle = launch(&p, &r).await?.handle;
    let n = h.starts(&r).await;
    clean(h, &p, &handle).await?;
    ensure!(n == 1, "a lost answer and a second launch started {n} jobs");
    Ok(())
}

pub(super) async fn lookup_finds(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let p = h.plugin();
    if !p.info().capabilities.lookup {
        return Err(not_applicable("the capability `lookup` is not set"));
    }
    let handle = launch(&p, &r).await?.handle;
    let found = one(h.plugin().lookup(&[r.lookup()]).await)??;
    let same = found.as_ref() == Some(&handle);
    clean(h, &p, &handle).await?;
    ensure!(same, "looked up {found:?}");
    Ok(())
}

pub(super) async fn lookup_none(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    if !p.info().capabilities.lookup {
        return Err(not_applicable("the capability `lookup` is not set"));
    }
    let (never, runs) = (request(h, Work::Run)?, request(h, Work::Run)?);
    let handle = launch(&p, &runs).await?.handle;
    let answers = p.lookup(&[never.lookup(), runs.lookup()]).await;
    clean(h, &p, &handle).await?;
    ensure!(answers.len() == 2, "{} answers", answers.len());
    let mut answers = answers.into_iter();
    let none = answers.next().transpose()?.flatten();
    ensure!(none.is_none(), "a job that nobody launched: {none:?}");
    let some = answers.next().transpose()?.flatten();
    ensure!(some.as_ref() == Some(&handle), "the second is {some:?}");
    Ok(())
}
