use std::collections::BTreeSet;

use flyte_core::contract::Submission;
use flyte_core::id::Str;
use flyte_core::literal::castable;
use flyte_core::plan::Plan;
use flyte_core::{ErrorKind, Result};

use crate::client::Client;

/// What another submission of the same name differs in from the execution that holds the name.
#[derive(Debug)]
pub(crate) struct Held {
    /// What keeps it from being taken for the same, after a deploy too.
    misfits: Vec<String>,
    /// What may differ after a deploy.
    versions: Vec<String>,
}

impl Held {
    /// Compares the execution `there` with what was submitted, whose plan is `plan`; `None` if it
    /// was pruned meanwhile.
    ///
    /// # Errors
    /// What the store says, but not that the plan cannot be read: that is a difference.
    pub(crate) async fn new(
        client: &Client,
        there: &Submission,
        here: &Submission,
        plan: &Plan,
    ) -> Result<Option<Self>> {
        let mut held = Self {
            misfits: there.input_differences(here),
            versions: Vec::new(),
        };
        if there.parent != here.parent {
            held.misfits
                .push("the parent: the name is that of a child execution".into());
        }
        if there.options != here.options {
            held.versions.push("the options".into());
        }
        if there.plan == here.plan {
            return Ok(Some(held));
        }
        let read = client.store.get_plan(there.plan).await;
        match read.and_then(|bytes| Plan::read(there.plan, &bytes)) {
            Ok(stored) => held.compare(&stored, plan),
            Err(e) => match Plan::unreadable(there.plan, &e) {
                None => return Err(e),
                Some(why) => match client.store.locate(&there.id).await {
                    Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(e) => return Err(e),
                    Ok(_) => held.misfits.push(format!("the plan: {why}")),
                },
            },
        }
        Ok(Some(held))
    }

    fn compare(&mut self, stored: &Plan, plan: &Plan) {
        let (a, b) = (&stored.id, &plan.id);
        if a.name != b.name {
            let text = format!("the workflow (`{}` and `{}`)", a.name, b.name);
            self.misfits.push(text);
        }
        let all: BTreeSet<&Str> = [stored, plan]
            .iter()
            .flat_map(|p| p.root().output_names.iter())
            .collect();
        for name in all {
            let type_in = |p: &Plan| {
                let place = p.root().output_names.position(name)?;
                Some(p.root().output_types[place].clone())
            };
            let (there, here) = (type_in(stored), type_in(plan));
            if let (Some(there), Some(here)) = (&there, &here)
                && castable(there, here)
            {
                continue;
            }
            let shown = |t: Option<_>| match t {
                Some(t) => format!("a `{t}`"),
                None => "none".to_owned(),
            };
            let text = format!("output `{name}` ({} and {})", shown(there), shown(here));
            self.misfits.push(text);
        }
        self.versions.extend(stored.differences(plan));
    }

    /// Whether the execution may be taken for the one that was submitted.
    pub(crate) fn fits(&self) -> bool {
        self.misfits.is_empty()
    }

    /// What differs, for people; `misfits` for only what keeps it from being attached to.
    pub(crate) fn difference(&self, misfits: bool) -> String {
        let versions = self.versions.iter().filter(|_| !misfits);
        let all: Vec<&str> = self
            .misfits
            .iter()
            .chain(versions)
            .map(String::as_str)
            .collect();
        all.join(", ")
    }
}
