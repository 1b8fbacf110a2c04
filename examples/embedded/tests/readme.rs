//! The example of the README runs, is what the README shows, and fits on a screen.

include!("../src/main.rs");

#[test]
fn the_example_of_the_readme() {
    let example = include_str!("../src/main.rs");
    let readme = include_str!("../../../README.md");
    assert!(
        readme.contains(&format!("```rust\n{example}```")),
        "the README shows another example"
    );
    assert!(example.lines().count() <= 25);
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    main().unwrap();
    assert!(folder.path().join("app.db").exists());
}
