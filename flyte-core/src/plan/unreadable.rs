use super::Plan;
use crate::id::{Digest, Str};
use crate::{Error, ErrorKind, Result};

impl Plan {
    /// Reads stored bytes, if they are those of this digest.
    ///
    /// # Errors
    /// `Corrupt` if they are not, or are no plan; `NewerVersion` if a later version wrote them.
    pub fn read(digest: Digest, bytes: &[u8]) -> Result<Self> {
        if Self::digest_of(bytes) != digest {
            let text = format!("the stored bytes of plan {digest} are damaged");
            return Err(Error::new(ErrorKind::Corrupt, "Plan::read", text));
        }
        Self::from_bytes(bytes)
    }

    /// What is wrong with a plan that could not be read, and what helps; `None` if asking again
    /// may help, or the error says nothing about the plan.
    ///
    /// Who needs the plan of one execution goes on without that execution then.
    ///
    /// ```
    /// use flyte_core::id::Digest;
    /// use flyte_core::plan::Plan;
    /// use flyte_core::{Error, ErrorKind};
    ///
    /// let plan = Digest([7; 32]);
    /// let gone = Error::new(ErrorKind::NotFound, "get_plan", "no such plan");
    /// assert!(Plan::unreadable(plan, &gone).unwrap().contains("is missing"));
    /// let away = Error::new(ErrorKind::Unavailable, "get_plan", "no connection");
    /// assert_eq!(Plan::unreadable(plan, &away), None);
    /// ```
    #[must_use]
    pub fn unreadable(digest: Digest, e: &Error) -> Option<Str> {
        let (what, remedy) = match e.kind() {
            ErrorKind::NotFound => ("is missing", Self::PUT_BACK),
            ErrorKind::Corrupt => ("is damaged", Self::PUT_BACK),
            ErrorKind::NewerVersion => ("is newer than this program", "use a newer program"),
            _ => return None,
        };
        let why = e.message();
        let text = format!(
            "the plan {digest} {what} ({why}): {remedy}, then release the execution; or abort it"
        );
        Some(text.into())
    }

    const PUT_BACK: &str =
        "put it back (submit the same workflow once more, or restore a backup of the store)";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Sources, compile, single_task_workflow};
    use crate::id::{Identifier, ResourceType};
    use crate::template::{TaskTemplate, TypedInterface};

    fn bytes() -> Vec<u8> {
        let id = Identifier::new(ResourceType::Task, "echo", "1");
        let task = TaskTemplate::new(id, "echo", TypedInterface::default());
        let workflow = single_task_workflow(&task).unwrap();
        let plan = compile(&Sources::new(&workflow, &[task])).unwrap();
        plan.to_bytes()
    }

    #[test]
    fn every_flipped_byte_is_named_and_says_what_helps() {
        let good = bytes();
        let digest = Plan::digest_of(&good);
        assert!(Plan::read(digest, &good).is_ok());
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0xff;
            let e = Plan::read(digest, &bad).unwrap_err();
            let why = Plan::unreadable(digest, &e).unwrap();
            assert!(why.contains(&digest.to_string()), "{why}");
            assert!(
                why.contains("restore a backup") && why.contains("abort"),
                "{why}"
            );
        }
    }

    #[test]
    fn one_of_a_later_version_asks_for_a_newer_program() {
        let mut newer = bytes();
        newer[0] = 9;
        let digest = Plan::digest_of(&newer);
        let e = Plan::read(digest, &newer).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NewerVersion);
        let why = Plan::unreadable(digest, &e).unwrap();
        assert!(
            why.contains("version 9") && why.contains("a newer program"),
            "{why}"
        );
    }
}
