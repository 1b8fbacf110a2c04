//! The committed code is what the `.proto` files say. To bring it up to date:
//! `FLYTE_IDL_REGENERATE=1 cargo test -p flyte-idl --test generated`.

use std::path::{Path, PathBuf};

#[test]
fn the_committed_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["core", "plugins", "kubeflow", "event", "admin", "service"];
    let files: Vec<PathBuf> = names
        .iter()
        .map(|n| root.join(format!("proto/flyteidl/{n}.proto")))
        .collect();
    let set = protox::compile(&files, [root.join("proto")]).expect("the .proto files compile");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("generated");
    std::fs::create_dir_all(&out).unwrap();
    prost_build::Config::new()
        .btree_map(["."])
        .out_dir(&out)
        .compile_fds(set)
        .unwrap();
    let committed = root.join("src/generated");
    let regenerate = std::env::var_os("FLYTE_IDL_REGENERATE").is_some();
    let mut seen = 0;
    for entry in std::fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let fresh = std::fs::read_to_string(&path).unwrap();
        let target = committed.join(path.file_name().unwrap());
        if regenerate {
            std::fs::create_dir_all(&committed).unwrap();
            std::fs::write(&target, &fresh).unwrap();
        }
        let have = std::fs::read_to_string(&target).unwrap_or_default();
        assert!(
            have == fresh,
            "{} is out of date; see the head of this test",
            target.display()
        );
        seen += 1;
    }
    // `service` has calls but no messages of its own.
    assert_eq!(seen, names.len() - 1);
}
