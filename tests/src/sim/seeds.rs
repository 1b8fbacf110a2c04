/// Seeds that failed once, and what they found; the tests run them for ever.
pub const FAILED_ONCE: &[(u64, &str)] = &[];
