use super::error::Report;
use super::quantity::is_quantity;
use super::{CompileError, CompileErrorCode as Code, CompileErrors};
use crate::limits::ATTEMPTS_MAX;
use crate::literal::{Document, Struct};
use crate::template::{Container, TaskTarget, TaskTemplate};

/// Checks one task by itself.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check_task(task: &TaskTemplate) -> Result<(), CompileErrors> {
    let mut errors = Vec::new();
    check(task, &mut errors);
    CompileErrors::none_of(errors)
}

pub(super) fn check(task: &TaskTemplate, errors: &mut Vec<CompileError>) {
    if task.id.is_none() {
        errors.report(Code::ValueRequired, "root", "a value is required for [Id]");
    }
    if let Some(text) = too_many_retries(task.metadata.retries) {
        let name = task.id.as_ref().map_or("", |id| &id.name);
        let text = format!("task `{name}` {text}");
        errors.report(Code::WorkflowBuildError, "root", text);
    }
    match &task.target {
        Some(TaskTarget::Container(c)) => container(task, c, errors),
        Some(TaskTarget::K8sPod(pod)) => match &pod.pod_spec {
            Some(spec) => pod_spec(spec, errors),
            None => errors.report(Code::InvalidValue, "root", "[k8s pod spec] is missing"),
        },
        Some(TaskTarget::Sql(_)) | None => {}
    }
}

/// What to say of retries that a node could never have.
pub(super) fn too_many_retries(retries: Option<u32>) -> Option<String> {
    let most = ATTEMPTS_MAX - 1;
    let said = retries.filter(|r| *r > most)?;
    Some(format!(
        "says {said} retries, and {most} is the most: a node has {ATTEMPTS_MAX} attempts, the \
         first among them"
    ))
}

fn container(task: &TaskTemplate, c: &Container, errors: &mut Vec<CompileError>) {
    if c.image.is_empty() {
        errors.report(
            Code::ValueRequired,
            "container",
            "a value is required for [image]",
        );
    }
    let has_data = task
        .interface
        .as_ref()
        .is_some_and(|i| !i.inputs.is_empty() || !i.outputs.is_empty());
    if has_data && c.command.is_empty() && c.args.is_empty() {
        errors.report(
            Code::ValueRequired,
            "container",
            "a value is required for [command]",
        );
    }
    let Some(resources) = &c.resources else {
        return;
    };
    for entry in resources.requests.iter().chain(&resources.limits) {
        if !is_quantity(&entry.value) {
            let place = format!("resources.{}", entry.name.as_str());
            let text = format!("{:?} is no quantity; write it as 500m or 2Gi", entry.value);
            errors.report(Code::UnrecognizedValue, &place, text);
        }
    }
}

fn pod_spec(spec: &Struct, errors: &mut Vec<CompileError>) {
    let Some(Document::List(containers)) = spec.get("containers") else {
        let text = "[k8s pod spec] cannot be decoded: `containers` is no list";
        return errors.report(Code::InvalidValue, "root", text);
    };
    for c in containers {
        match c {
            Document::Struct(c) => match c.get("name") {
                Some(Document::String(name)) if is_dns_label(name) => {}
                other => {
                    let text = format!(
                        "[k8s pod spec container name] {other:?} is no DNS-1123 label: lower-case \
                         letters, digits and dashes"
                    );
                    errors.report(Code::InvalidValue, "root", text);
                }
            },
            _ => {
                let text = "[k8s pod spec] cannot be decoded: a container is no object";
                errors.report(Code::InvalidValue, "root", text);
            }
        }
    }
}

fn is_dns_label(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && plain(bytes[0])
        && plain(bytes[bytes.len() - 1])
        && bytes.iter().all(|b| plain(*b) || *b == b'-')
}
