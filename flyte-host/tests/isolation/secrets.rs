//! A secret reaches the task that asks for it, in the form that the task asks for, and no other place.

use std::path::Path;

use serde_json::json;

use crate::input::{Input, Ran};

/// Whether a file below `folder` holds `text`.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => holds(&entry.path(), text),
            kind if kind.is_file() => {
                let bytes = std::fs::read(entry.path()).unwrap();
                bytes.windows(text.len()).any(|w| w == text.as_bytes())
            }
            _ => false,
        }
    })
}

#[test]
fn a_version_of_a_group_is_the_one_that_is_given() {
    Input::each("secrets", |input| {
        let folder = input.path("").display().to_string();
        let run = |version: &str| {
            let mut run = input.run_command(&["vault.py", "versions", "--folder", &folder]);
            run.env("FLYTE_SECRET_DB_PASSWORD", "another");
            if !version.is_empty() {
                run.env("FLYTE_SECRET_DB_V2_PASSWORD", version);
            }
            Ran::of(run)
        };
        let refused = run("");
        assert_eq!(refused.status(), Some(2), "{}", refused.stderr());
        let error = refused.json()["error"].clone();
        assert_eq!(error["code"], "SecretNotFound", "{error}");
        assert!(
            error["message"].to_string().contains("db/v2/password"),
            "{error}"
        );
        assert!(
            error["remedy"]
                .to_string()
                .contains("FLYTE_SECRET_DB_V2_PASSWORD"),
            "{error}"
        );
        assert!(!input.path("ran").exists(), "a task ran");
        assert_eq!(run("hunter2").outputs(), json!({ "o0": 7 }));
        std::fs::remove_file(input.path("ran")).unwrap();
    });
}

#[test]
fn files_and_secrets_without_a_key_reach_the_task_and_nobody_else() {
    Input::each("secrets", |input| {
        let vault = input.path("vault");
        std::fs::create_dir_all(vault.join("my-db")).unwrap();
        let note = input.path("note");
        let set = format!("NOTE={}", note.display());
        let run = |with_file: bool| {
            let _none = std::fs::remove_file(vault.join("my-db/password"));
            if with_file {
                std::fs::write(vault.join("my-db/password"), "from-a-file").unwrap();
            }
            let mut run = input.run_command(&["--env", &set, "vault.py", "all_kinds"]);
            run.env("_FSEC_TOKEN", "secret-token")
                .env("FLYTE_SECRET_DB_PASSWORD", "hunter2-hunter2")
                .env("FLYTE_SECRETS_DEFAULT_DIR", &vault);
            Ran::of(run)
        };
        let refused = run(false);
        assert_eq!(refused.status(), Some(2), "{}", refused.stderr());
        let remedy = refused.json()["error"]["remedy"].to_string();
        // No shell can set a variable with a hyphen.
        assert!(!remedy.contains("FLYTE_SECRET_MY-DB"), "{remedy}");
        assert!(remedy.contains("vault/my-db/password"), "{remedy}");
        let outputs = run(true).outputs();
        let wanted = json!({
            "o0": "secret-token hunter2-hunter2",
            "o1": "hunter2-hunter2 from-a-file",
        });
        assert_eq!(outputs, wanted);
        let folder = std::fs::read_to_string(&note).unwrap();
        assert!(!Path::new(&folder).exists(), "{folder} is left");
    });
}

#[test]
fn no_value_is_kept() {
    Input::each("secrets", |input| {
        let folder = input.path("").display().to_string();
        let mut run = input.run_command(&["vault.py", "versions", "--folder", &folder]);
        run.env("FLYTE_SECRET_DB_V2_PASSWORD", "marker-of-a-secret");
        let ran = Ran::of(run);
        assert_eq!(ran.outputs(), json!({ "o0": 18 }));
        assert!(!ran.stderr().contains("marker-of-a-secret"));
        assert!(!holds(&input.path(".flyte"), "marker-of-a-secret"));
    });
}
