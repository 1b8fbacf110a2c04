/// Seeds that failed once, with how many steps, and what they found; the tests run them for ever.
pub const FAILED_ONCE: &[(u64, u64, &str)] = &[];
