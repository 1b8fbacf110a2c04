use inventory::{collect, iter};

/// That a task type was given a tag by `#[task(tag = "..")]`, for generated code. A tag that was
/// not given is the type's path, and needs no note.
#[doc(hidden)]
#[derive(Debug)]
pub struct Tagged {
    pub tag: &'static str,
    /// The path of the task.
    pub task: &'static str,
}

collect!(Tagged);

/// What to do about several task types of this program that share a tag.
pub(crate) fn shared_tag(tag: &str) -> String {
    let given = iter::<Tagged>.into_iter().filter(|t| t.tag == tag);
    let mut tasks: Vec<String> = given.map(|t| format!("`{}`", t.task)).collect();
    tasks.sort_unstable();
    let who = match tasks.as_slice() {
        [] => String::new(),
        // The other one is called so, or was written by hand.
        [one] => format!(": {one} and another"),
        all => format!(": {}", all.join(", ")),
    };
    format!(
        "several task types share the tag `{tag}`{who}; give each its own by \
         `#[task(tag = \"..\")]` or `#[typetag::serde(name = \"..\")]`"
    )
}
