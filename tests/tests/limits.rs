//! `docs/limits.md` says what the code says.

use flyte_core::limits;

#[test]
fn the_document_has_every_limit_and_its_value() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let (document, source) = (read("docs/limits.md"), read("flyte-core/src/limits.rs"));
    macro_rules! known {
        ($($name:ident),+) => { [$((stringify!($name), limits::$name as u64)),+] };
    }
    let known = known![
        LITERAL_DEPTH_MAX,
        DOCUMENT_DEPTH_MAX,
        PLAN_NODES_MAX,
        FRAME_DEPTH_MAX,
        OUTPUT_FILE_BYTES_MAX,
        VALUES_BYTES_MAX,
        OFFLOAD_BYTES_MIN,
        OFFLOAD_BYTES_MAX,
        OFFLOAD_SUM_BYTES_MAX,
        EXECUTION_NAME_BYTES_MAX,
        TENANT_NAME_BYTES_MAX,
        HANDLE_BYTES_MAX,
        MESSAGE_BYTES_MAX,
        NAME_BYTES_MAX,
        FRAME_BYTES_MAX,
        CACHE_DIGEST_BYTES_MAX,
        CACHE_DIGEST_SUM_BYTES_MAX,
        CACHE_FILES_MAX,
        ATTEMPTS_MAX,
        SNAPSHOT_BYTES_MAX,
        SNAPSHOT_AFTER_BYTES,
        FRAME_COST_BYTES,
        BACKOFF_SECONDS_MAX,
        SECRET_BYTES_MAX
    ];
    for (name, value) in known {
        let row = document.lines().find(|l| l.contains(&format!("`{name}`")));
        let bound = row.and_then(|l| l.split('|').nth(2));
        let bound = bound.unwrap_or_else(|| panic!("docs/limits.md has no row for {name}"));
        let bound: String = bound.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(bound.parse(), Ok(value), "{name} in docs/limits.md");
    }
    assert_eq!(
        source.matches("pub const").count(),
        known.len(),
        "a limit is not in this test"
    );
}
