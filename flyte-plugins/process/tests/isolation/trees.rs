use std::fs;

use flyte_core::ErrorKind;
use flyte_core::contract::{JobPhase, LaunchRequest, Plugin};
use flyte_core::literal::Row;

use crate::job::{Lab, stdout};

fn request(lab: &Lab, attempt: u32, line: &str) -> LaunchRequest {
    let mut request = lab.request(0, attempt, line, Row::default());
    let code = lab.code().to_string_lossy().into_owned();
    request.parameters.insert("source_dir".into(), code);
    request
}

#[test]
fn each_attempt_works_in_a_copy_of_the_code_which_goes_with_it() {
    let lab = Lab::new();
    let line = "ls; cat package/data.txt; echo changed > package/data.txt; touch left; \
                test \"$PYTHONPATH\" = \"$PWD\" && cat package/data.txt";
    for attempt in 0..2 {
        let phase = lab.run(&request(&lab, attempt, line));
        assert!(matches!(phase, JobPhase::Succeeded(_)), "{phase:?}");
        let folder = lab.attempt(0, attempt);
        assert_eq!(stdout(&folder), "package\nas written\nchanged\n");
        assert!(!folder.join("tree").exists() && !folder.join("tree.made").exists());
        assert!(folder.join("exit").exists());
    }
    let text = fs::read_to_string(lab.path("code/package/data.txt")).unwrap();
    assert_eq!(text, "as written\n");
}

#[test]
fn without_code_an_attempt_works_in_an_empty_folder() {
    let lab = Lab::new();
    for attempt in 0..2 {
        lab.run(&lab.request(0, attempt, "ls -A; pwd; touch left", Row::default()));
        let folder = lab.attempt(0, attempt);
        let own = fs::canonicalize(&folder).unwrap().join("tree");
        assert_eq!(stdout(&folder), format!("{}\n", own.display()));
    }
}

/// A host may share one folder among all tasks.
#[test]
fn a_working_directory_of_the_host_is_shared_and_the_code_is_still_a_copy() {
    let mut lab = Lab::new();
    let shared = lab.path("shared");
    fs::create_dir(&shared).unwrap();
    lab.options.working_dir = Some(shared);
    let line = "ls; touch left; echo changed > $PYTHONPATH/package/data.txt";
    for attempt in 0..2 {
        lab.run(&request(&lab, attempt, line));
    }
    assert_eq!(stdout(&lab.attempt(0, 0)), "");
    assert_eq!(stdout(&lab.attempt(0, 1)), "left\n");
    let text = fs::read_to_string(lab.path("code/package/data.txt")).unwrap();
    assert_eq!(text, "as written\n");
}

#[test]
fn a_disk_that_cannot_hold_the_tree_is_an_error_with_both_sizes() {
    const BYTES: u64 = 1 << 42;
    let lab = Lab::new();
    let request = request(&lab, 0, "true");
    let file = fs::File::create(lab.path("code/huge")).unwrap();
    if file.set_len(BYTES).is_err() {
        println!("skipped: this file system has no file of {BYTES} bytes");
        return;
    }
    match lab.launch(&request) {
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Full, "{e}");
            let text = e.to_string();
            let needed = format!("needs about {} bytes", BYTES + 3 * 4096);
            assert!(
                text.contains(&needed) && text.contains("bytes free"),
                "{text}"
            );
            assert!(!lab.attempt(0, 0).join("tree.half").exists());
            assert!(!lab.attempt(0, 0).join("tree").exists());
        }
        // The file system shares the blocks of copies.
        Ok(handle) => {
            assert!(matches!(lab.end(&handle), JobPhase::Succeeded(_)));
            lab.finalize(&handle);
        }
    }
}

/// A scheduler that dies while it copies leaves a half; the next one that launches makes it whole, one that
/// gives the attempt up deletes it.
#[test]
fn a_half_tree_is_made_whole_or_deleted() {
    let lab = Lab::new();
    let request = request(&lab, 0, "ls");
    let half = lab.attempt(0, 0).join("tree.half");
    let crash = || {
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join("garbage"), "").unwrap();
    };
    crash();
    let found = lab.block_on(lab.plugin().lookup(&[request.lookup()]));
    assert_eq!(found[0].as_ref().unwrap(), &None);
    assert!(!half.exists());
    crash();
    lab.run(&request);
    assert_eq!(stdout(&lab.attempt(0, 0)), "package\n");
    assert!(!half.exists());
}

#[test]
fn an_aborted_attempt_leaves_no_tree_even_if_failed_ones_are_kept() {
    let mut lab = Lab::new();
    lab.options.keep_attempts = true;
    let end = |attempt: u32, reason: &str| {
        let handle = lab.launch(&request(&lab, attempt, "sleep 600")).unwrap();
        lab.block_on(lab.plugin().abort(&handle, reason)).unwrap();
        assert!(matches!(lab.end(&handle), JobPhase::Aborted));
        // As after a crash between: once more.
        lab.finalize(&handle);
        lab.finalize(&handle);
        lab.attempt(0, attempt).join("tree").exists()
    };
    assert!(!end(0, "Workflow aborted."));
    assert!(end(1, "task execution timeout expired"), "it failed");
}

#[test]
fn a_failed_attempt_is_kept_on_request_only() {
    let mut lab = Lab::new();
    for (attempt, keep, line, kept) in [
        (0, true, "touch left; exit 3", true),
        (1, true, "touch left", false),
        (2, false, "touch left; exit 3", false),
        (
            3,
            true,
            "echo > {{.outputPrefix}}/error.pb; touch left",
            true,
        ),
    ] {
        lab.options.keep_attempts = keep;
        lab.run(&request(&lab, attempt, line));
        let left = lab.attempt(0, attempt).join("tree/left");
        assert_eq!(left.exists(), kept, "{attempt}");
    }
}
