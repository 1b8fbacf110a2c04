#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flyte_tests::fuzz::body("packages").expect("it is in the list")(bytes));
