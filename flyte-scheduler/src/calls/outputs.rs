//! What the outputs of a task point at on this machine, as far as flytekit names it wrongly.
//!
//! flytekit decodes percent signs in the uri of each file that it stores, and takes `?`, `*` and
//! `[` in the name of a file for a pattern.

use std::convert::Infallible;
use std::path::Path;

use flyte_core::journal::{ErrorOrigin, ExecutionError, OutputValues};
use flyte_core::limits::CACHE_FILES_MAX;
use flyte_core::literal::{Literal, LiteralType, Names, NewUri, SimpleType, UriKind, map_uris};
use flyte_core::{Error, ErrorKind};

use super::blobs::{below, elsewhere};
use super::disk;
use crate::engine::TaskFailure;

type Judged = Result<OutputValues, TaskFailure>;

const PATTERN: [char; 3] = ['?', '*', '['];

/// Completes a verdict over a task's files: outputs name their files as they are, a name that
/// cannot be stored is an error that shows it, and a failure over such a name says so.
pub(super) async fn settle(root: &str, declared: &Names, judged: Judged) -> Judged {
    let mut values = match judged {
        Ok(values) => values,
        Err(mut failure) => {
            if let Some(hint) = hint(&failure.error.message) {
                let text = format!("{}\n{hint}", failure.error.message);
                failure.error.message = text.into();
            }
            return Err(failure);
        }
    };
    if !root.starts_with('/') || !values.iter().flatten().any(has_uri) {
        return Ok(values);
    }
    let decoded = unquoted(root);
    if decoded != root {
        for value in values.iter_mut().flatten() {
            *value = below_root(value, &decoded, root);
        }
    }
    let (root, names) = (root.to_owned(), declared.clone());
    let checked = elsewhere(move || {
        let wrong = names.iter().zip(&values).find_map(|(name, value)| {
            let text = wrong(value.as_ref()?, &root)?;
            Some(format!("the output `{name}`: {text}"))
        });
        (values, wrong)
    });
    match checked.await {
        Ok((values, None)) => Ok(values),
        Ok((_, Some(text))) => {
            let error = ExecutionError::new(ErrorOrigin::User, "BadFileName", text);
            Err(TaskFailure::permanent(error))
        }
        Err(e) => {
            let text = format!("the files of the outputs cannot be looked at: {e}");
            let error = ExecutionError::new(ErrorOrigin::System, "OutputsNotFound", text);
            Err(TaskFailure::recoverable(error))
        }
    }
}

fn has_uri(value: &Literal) -> bool {
    match value.value() {
        Literal::Blob(_)
        | Literal::Schema(_)
        | Literal::StructuredDataset(_)
        | Literal::Binary(_)
        | Literal::Generic(_) => true,
        Literal::Union(u) => has_uri(&u.value),
        Literal::Collection(items) => items.iter().any(has_uri),
        Literal::Map(entries) => entries.values().any(has_uri),
        _ => false,
    }
}

/// A value whose uris begin with the root, where they began with its decoded form.
fn below_root(value: &Literal, decoded: &str, root: &str) -> Literal {
    let moved = map_uris(value, None, &mut |at| {
        let (scheme, path) = match at.uri.strip_prefix("file://") {
            Some(path) => ("file://", path),
            None => ("", at.uri),
        };
        let rest = path.strip_prefix(decoded).filter(|r| r.starts_with('/'));
        Ok::<_, Infallible>(rest.map(|rest| NewUri {
            uri: format!("{scheme}{root}{rest}").into(),
            hash: String::new(),
        }))
    });
    match moved {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// What is wrong with the names that a value has below the root.
fn wrong(value: &Literal, root: &str) -> Option<String> {
    let checked = map_uris(value, Some(&untyped()), &mut |at| {
        let path = below(root, at.uri).and_then(|plain| disk::path_below(root, plain));
        let wrong = path.and_then(|path| match at.kind {
            UriKind::File => wrong_file(&path),
            UriKind::Folder | UriKind::Dataset => wrong_folder(&path),
        });
        wrong.map_or(Ok(None), Err)
    });
    checked.err()
}

/// A type that has no documents.
fn untyped() -> LiteralType {
    LiteralType::simple(SimpleType::None)
}

fn wrong_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let sign = name.chars().find(|c| PATTERN.contains(c))?;
            std::fs::symlink_metadata(path.join(name)).ok()?;
            Some(pattern(name, sign))
        }
        Ok(_) => None,
        Err(_) => {
            let mut beside = std::fs::read_dir(path.parent()?).ok()?;
            let written = beside.by_ref().take(CACHE_FILES_MAX).find_map(|entry| {
                let own = entry.ok()?.file_name().into_string().ok()?;
                (own != name && unquoted(&own) == name).then_some(own)
            })?;
            let sign = encoded(&written)?;
            Some(format!(
                "flytekit stored the file `{written}` and names it `{name}`, since it reads `{sign}` \
                 as an encoded character: give the file a name without a percent sign before two \
                 hexadecimal digits"
            ))
        }
    }
}

fn wrong_folder(path: &Path) -> Option<String> {
    match disk::look(path, CACHE_FILES_MAX) {
        Err(e) if e.kind() == ErrorKind::Invalid => Some(text_of(&e)),
        // What is not there, or cannot be read, is the affair of those that read it.
        _ => None,
    }
}

fn text_of(e: &Error) -> String {
    e.message().to_owned()
}

fn pattern(name: &str, sign: char) -> String {
    format!(
        "flytekit cannot store the file `{name}`, since it takes `{sign}` for a pattern: give the \
         file another name"
    )
}

/// What to say about a failure of flytekit over a name that it takes for a pattern.
fn hint(message: &str) -> Option<String> {
    // How fsspec says that a pattern fits no file, and how flytekit wraps it.
    let missing = message.contains("FileNotFoundError");
    let not_found = between(message, "['", "']").filter(|_| missing);
    let not_put = between(message, "Failed to put data from ", " to ");
    let not_known = between(message, "Protocol not known: ", "\n");
    let path = not_found.or(not_put);
    let name = path.and_then(|p| p.trim_end_matches('/').rsplit('/').next());
    if let Some(name) = name
        && let Some(sign) = name.chars().find(|c| PATTERN.contains(c))
    {
        return Some(pattern(name, sign));
    }
    let name = not_known?.rsplit('/').next()?;
    Some(format!(
        "flytekit cannot store a file whose name begins with `{name}::`, since it takes `::` for a \
         chain of protocols: give the file another name"
    ))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.rsplit_once(before)?;
    let end = rest.find(after).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// The first percent sign before two hexadecimal digits, with these.
fn encoded(text: &str) -> Option<&str> {
    let at = text.match_indices('%').map(|(at, _)| at);
    let mut codes = at.filter_map(|at| text.get(at..at + 3));
    codes.find(|code| code[1..].bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A text with its percent encoding decoded, as Python's `urllib.parse.unquote` does it.
fn unquoted(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at..at + 3).filter(|_| bytes[at] == b'%');
        let byte = code.and_then(|code| u8::from_str_radix(&code[1..], 16).ok());
        let signed = code.is_some_and(|code| code.as_bytes()[1] == b'+');
        match byte.filter(|_| !signed) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_as_in_python() {
        for (text, wanted) in [
            ("a%20b", "a b"),
            ("100%", "100%"),
            ("a%b", "a%b"),
            ("%zz%41", "%zzA"),
            ("%+1", "%+1"),
            ("gr%C3%B6%C3%9Fe%", "größe%"),
            ("%ö", "%ö"),
        ] {
            assert_eq!(unquoted(text), wanted, "{text}");
        }
        assert_eq!(encoded("50%-%2f"), Some("%2f"));
        assert_eq!(encoded("100%"), None);
    }

    #[test]
    fn failures_over_patterns_name_file_and_character() {
        let text = "Traceback\nFileNotFoundError: ['/tmp/x/b[1]']\n";
        assert!(hint(text).unwrap().contains("`b[1]`, since it takes `[`"));
        let text = "FileNotFoundError: Failed to convert\n  Error Message: ['/tmp/x/b[1]'].";
        assert!(hint(text).unwrap().contains("`b[1]`, since it takes `[`"));
        let text = "UploadDataError: error=Failed to put data from /tmp/x/d[1] to /data/raw/y (r";
        assert!(hint(text).unwrap().contains("`d[1]`, since it takes `[`"));
        let text = "ValueError: Protocol not known: /data/raw/5d/a\n\nmore";
        assert!(hint(text).unwrap().contains("`a::`"));
        assert_eq!(hint("FileNotFoundError: ['/tmp/[x]/b']"), None);
        assert_eq!(hint("ValueError: no"), None);
    }
}
