//! `{{ .Name }}` in commands and arguments.

use std::path::Path;

use flyte_core::contract::LaunchRequest;
use flyte_core::literal::render_text;

/// Whether an element of a command asks for the file of the task's template.
pub(crate) fn asks_for_template(text: &str) -> bool {
    let mut names = text.split("{{").skip(1).filter_map(|t| t.split_once("}}"));
    names.any(|(name, _)| {
        let name = name.trim().strip_prefix(['.', '$']);
        name.is_some_and(|n| n.eq_ignore_ascii_case("taskTemplatePath"))
    })
}

/// Renders one element of a command; unknown names stay as they are, inputs are rendered last and
/// never again. The file of the task's template is at `template`.
pub(crate) fn render(
    text: &str,
    request: &LaunchRequest,
    template: &Path,
) -> Result<String, String> {
    let l = &request.locations;
    let input_prefix = l.inputs.rsplit_once('/').map_or("", |(dir, _)| dir);
    let unique = unique_key(&request.identity.generated_name);
    let previous = l.previous_checkpoint.as_deref().unwrap_or("\"\"");
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(end) = rest[start..].find("}}") else {
            break;
        };
        let whole = &rest[start..start + end + 2];
        out.push_str(&rest[..start]);
        rest = &rest[start + end + 2..];
        let name = whole[2..whole.len() - 2].trim();
        let Some(name) = name.strip_prefix(['.', '$']) else {
            out.push_str(whole);
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "input" => out.push_str(&l.inputs),
            "inputprefix" => out.push_str(input_prefix),
            "outputprefix" => out.push_str(&l.output_prefix),
            "rawoutputdataprefix" => out.push_str(&l.raw_output_prefix),
            "checkpointoutputprefix" => out.push_str(&l.checkpoint_prefix),
            "prevcheckpointprefix" => out.push_str(previous),
            "perretryuniquekey" => out.push_str(&unique),
            "tasktemplatepath" => out.push_str(&template.to_string_lossy()),
            lower => match (lower.strip_prefix("inputs."), request.parameters.get(name)) {
                (Some(_), _) => match request.inputs.get(&name["inputs.".len()..]) {
                    Some(value) => {
                        out.push_str(&render_text(value).map_err(|e| format!("`{whole}`: {e}"))?)
                    }
                    None if request.inputs.is_empty() => out.push_str(whole),
                    None => return Err(format!("`{whole}`: the task has no such input")),
                },
                (None, Some(value)) => out.push_str(value),
                (None, None) => out.push_str(whole),
            },
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// A name for things that allow letters, digits and `_` only.
fn unique_key(name: &str) -> String {
    let body = name.trim_start_matches(|c: char| !c.is_ascii_alphabetic() && c != '_');
    let mut out = String::from(if body.len() < name.len() { "a" } else { "" });
    let mut run = false;
    for c in body.chars() {
        match c.is_ascii_alphanumeric() || c == '_' {
            true => out.push(c),
            false if !run => out.push('_'),
            false => {}
        }
        run = !(c.is_ascii_alphanumeric() || c == '_');
    }
    out
}
