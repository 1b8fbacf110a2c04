/// Seeds that failed once, with how many steps, and what they found; the tests run them for ever.
pub const FAILED_ONCE: &[(u64, u64, &str)] = &[
    (
        0,
        200,
        "a job was launched although an abort had become durable with its start",
    ),
    (
        1,
        3_000,
        "a clock ahead of the cache's made the engine ask for a held key without a pause",
    ),
    (
        6,
        3_000,
        "recovery panicked: it published a result of a frame whose tables were gone",
    ),
    (
        8,
        400,
        "tasks waited behind a local job that had no slot, and took none themselves",
    ),
    (
        17,
        3_000,
        "nodes waited for room behind one that was no longer to begin; a host without a plugin \
         forgot its jobs",
    ),
    (
        19,
        700,
        "an attempt that the next owner launched had lost its deadline",
    ),
    (
        60,
        6_000,
        "an execution without room held a key that its child, which had the room, waited for",
    ),
    (
        465,
        2_500,
        "items of an array that were told to begin while it was parked did not begin later",
    ),
    (
        955,
        3_000,
        "a node of a frame that handled its failure was given a key late, prolonged it for ever, \
         and the failure node waited for that key",
    ),
    (
        127,
        4_140,
        "a launch whose last reply was lost left its job running beside that of the next attempt",
    ),
    (
        196,
        2_304,
        "files were deleted that a child had which stayed with its parent, whose files were cached",
    ),
    (
        897,
        600,
        "jobs of an execution that was aborted with a plan that could not be read were counted on \
         once the plan was read again",
    ),
    (
        947,
        400,
        "an execution that was being aborted ended when its plan could not be read, and did not say \
         why its nodes had not",
    ),
    (
        1808,
        2_800,
        "a job that was looked for after a take-over was launched after an abort, once its inputs \
         were read",
    ),
];
