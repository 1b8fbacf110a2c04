//! The bounds that hold everywhere, each with its unit in its name.

/// Levels of nesting of a literal or type: each collection, map and union counts one.
///
/// A protobuf decoder stops at 100 nested messages and a level costs up to four of them, so a
/// deeper value could be written and never read again.
pub const LITERAL_DEPTH_MAX: usize = 24;
/// Levels of nesting inside one MessagePack document or one `Struct`.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// Nodes of one plan, all of its graphs together.
pub const PLAN_NODES_MAX: u32 = 4_000_000;
/// Seconds that a back-off lets pass between two attempts, at most: a week.
pub const BACKOFF_SECONDS_MAX: u64 = 7 * 86_400;
/// Levels of sub-workflows, and of branches, that may be nested.
pub const FRAME_DEPTH_MAX: usize = 64;
/// Bytes of a file that a task hands over as its outputs (`outputs.pb`).
pub const OUTPUT_FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Bytes of the values of one record: the inputs of an execution or of a graph inside it, the
/// outputs of a node, a signal. Longer ones belong into files.
pub const VALUES_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The least bound above which values may be stored out of band: below it a file costs more than
/// the record that it saves. A value without a `hash` that is larger than this counts in cache keys
/// by a digest of its own, so that it counts alike wherever it is.
pub const OFFLOAD_BYTES_MIN: u64 = 256 * 1024;
/// Bytes of one value that is stored out of band.
pub const OFFLOAD_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of all values stored out of band that one attempt is given.
pub const OFFLOAD_SUM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of an execution's name.
pub const EXECUTION_NAME_BYTES_MAX: usize = 100;
/// Bytes of the name of an organisation, a project, or a domain.
pub const TENANT_NAME_BYTES_MAX: usize = 63;
/// Bytes of a job handle.
pub const HANDLE_BYTES_MAX: usize = 4096;
/// Bytes of a message inside an error or an event; longer ones are cut.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a name (project, domain, execution, entity, node, variable).
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one journal frame.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a file of a cached result whose digest is taken and compared; of a longer one the
/// length is.
pub const CACHE_DIGEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of all files of a cached result together whose digests are taken; of the files beyond
/// the length is compared.
pub const CACHE_DIGEST_SUM_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Files of a cached result, those of its folders together, that are compared; a folder that has
/// more must be there.
pub const CACHE_FILES_MAX: usize = 1_000;
/// Attempts of one node, all kinds of failure together.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// Bytes of one snapshot of a shard; with more open than that the journal stays as it is.
pub const SNAPSHOT_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Bytes of frames after which a shard's state is kept as a snapshot and the frames are dropped,
/// unless the last snapshot was longer. Each frame counts [`FRAME_COST_BYTES`] more.
pub const SNAPSHOT_AFTER_BYTES: u64 = 32 * 1024 * 1024;
/// What a frame counts beside its own bytes.
pub const FRAME_COST_BYTES: u64 = 256;
