//! What the files under an attempt's output prefix mean: judged here, for every plugin.

use flyte_core::journal::{ErrorOrigin, ExecutionError, OutputValues};
use flyte_core::limits::OUTPUT_FILE_BYTES_MAX;
use flyte_core::literal::Names;
use flyte_idl::convert::{decode_literal_map, error_document};

use crate::engine::TaskFailure;

/// What was found under a prefix.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// `error.pb`.
    pub error: Option<Vec<u8>>,
    /// `outputs.pb`, unless it is too large.
    pub outputs: Option<Vec<u8>>,
    /// How large `outputs.pb` is.
    pub outputs_bytes: u64,
    /// How large it may be; `None` is [`OUTPUT_FILE_BYTES_MAX`].
    pub outputs_bytes_max: Option<u64>,
    /// Whether `futures.pb` is there.
    pub futures: bool,
}

/// The verdict. `failure` is the backend's own account of a job that failed.
///
/// # Errors
/// The failure of the attempt: `error.pb` decides first, then the backend's account, then whether
/// the declared outputs are there.
pub fn judge(
    files: &Files,
    declared: &Names,
    failure: Option<(ExecutionError, bool)>,
) -> Result<OutputValues, TaskFailure> {
    if let Some(bytes) = &files.error {
        let bad = |m: String| {
            let error = ExecutionError::new(ErrorOrigin::System, "ErrorFileBadFormat", m);
            TaskFailure::recoverable(error)
        };
        return Err(match error_document(bytes) {
            Ok(Some((error, recoverable))) => TaskFailure::new(error, recoverable),
            Ok(None) => bad("error.pb holds no error".into()),
            Err(e) => bad(format!("error.pb: {e}")),
        });
    }
    if let Some((error, recoverable)) = failure {
        return Err(TaskFailure::new(error, recoverable));
    }
    if files.futures {
        return Err(TaskFailure::permanent(ExecutionError::new(
            ErrorOrigin::System,
            "DynamicWorkflowBuildFailed",
            "the task expands into other nodes (futures.pb), which this version does not run yet",
        )));
    }
    if declared.is_empty() {
        return Ok(OutputValues::new());
    }
    let most = files.outputs_bytes_max.unwrap_or(OUTPUT_FILE_BYTES_MAX);
    if files.outputs_bytes > most {
        return Err(TaskFailure::permanent(ExecutionError::new(
            ErrorOrigin::Unknown,
            "OutputSizeExceeded",
            format!(
                "outputs.pb has {} bytes, the limit is {most}; hand large values over as files",
                files.outputs_bytes
            ),
        )));
    }
    let missing = |m: String| {
        let error = ExecutionError::new(ErrorOrigin::Unknown, "OutputsNotFound", m);
        TaskFailure::recoverable(error)
    };
    let Some(bytes) = &files.outputs else {
        return Err(missing("the task ended well and left no outputs.pb".into()));
    };
    let row = decode_literal_map(bytes).map_err(|e| missing(format!("outputs.pb: {e}")))?;
    Ok(declared.iter().map(|name| row.get(name).cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::literal::{Literal, Row};

    fn outputs(row: &Row) -> Files {
        let bytes = flyte_idl::convert::encode_literal_map(row);
        Files {
            outputs_bytes: bytes.len() as u64,
            outputs: Some(bytes),
            ..Files::default()
        }
    }

    #[test]
    fn outputs_and_what_can_be_wrong_with_them() {
        let names = Names::new(["o0", "o1"]);
        let code = |f: &Files, n: &Names| judge(f, n, None).unwrap_err().error.code.to_string();
        let row = Row::from_pairs([("o0", Literal::Integer(1))]);
        let values = judge(&outputs(&row), &names, None).unwrap();
        assert_eq!(&values[..], &[Some(Literal::Integer(1)), None]);
        assert_eq!(code(&Files::default(), &names), "OutputsNotFound");
        assert!(judge(&Files::default(), &Names::default(), None).is_ok());
        let garbage = Files {
            outputs: Some(b"garbage".into()),
            ..Files::default()
        };
        assert_eq!(code(&garbage, &names), "OutputsNotFound");
        let large = Files {
            outputs_bytes: OUTPUT_FILE_BYTES_MAX + 1,
            ..outputs(&row)
        };
        assert_eq!(code(&large, &names), "OutputSizeExceeded");
        let empty = Files {
            error: Some(Vec::new()),
            ..outputs(&row)
        };
        assert_eq!(code(&empty, &names), "ErrorFileBadFormat");
    }
}
