//! What the compiler says to authors, reviewed as text: each message names the argument.
//!
//! `TRYBUILD=overwrite cargo test -p flyte-macros --test messages` writes them anew; read them
//! before you keep them.

#[test]
fn of_the_compiler() {
    let t = trybuild::TestCases::new();
    t.compile_fail("tests/messages/wrong_*.rs");
}
