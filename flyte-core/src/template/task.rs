use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TypedInterface;
use super::interface::Custom;
use crate::id::Identifier;
use crate::literal::{LiteralType, SignedDuration, Struct};

/// `flyteidl.core.TaskTemplate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskTemplate {
    /// Its identifier; `None` is a compile error.
    pub id: Option<Identifier>,
    /// Which plugin understands it (`type`).
    pub task_type: String,
    /// Caching, retries and the like.
    pub metadata: TaskMetadata,
    /// What goes in and comes out; `None` counts as nothing.
    pub interface: Option<TypedInterface>,
    /// What only the plugin understands.
    pub custom: Option<Custom>,
    /// What runs.
    pub target: Option<TaskTarget>,
    /// The version of `task_type`'s meaning.
    pub task_type_version: i32,
    /// Whose rights it has, and its secrets.
    pub security_context: Option<SecurityContext>,
    /// Accelerators and shared memory.
    pub extended_resources: Option<ExtendedResources>,
    /// Free settings.
    pub config: BTreeMap<String, String>,
}

impl TaskTemplate {
    /// A task of a type, with nothing else set.
    pub fn new(id: Identifier, task_type: impl Into<String>, interface: TypedInterface) -> Self {
        Self {
            id: Some(id),
            task_type: task_type.into(),
            metadata: TaskMetadata::default(),
            interface: Some(interface),
            custom: None,
            target: None,
            task_type_version: 0,
            security_context: None,
            extended_resources: None,
            config: BTreeMap::new(),
        }
    }

    /// The declared type of an output.
    #[must_use]
    pub fn output_type(&self, name: &str) -> Option<&LiteralType> {
        let interface = self.interface.as_ref()?;
        interface.outputs.get(name)?.literal_type.as_ref()
    }
}

/// `flyteidl.core.TaskMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskMetadata {
    /// Whether results are cached.
    pub discoverable: bool,
    /// Which SDK made it.
    pub runtime: Option<RuntimeMetadata>,
    /// Carried; the node's timeout counts.
    pub timeout: Option<SignedDuration>,
    /// User retries (`retries.retries`); `None` where the message is absent.
    pub retries: Option<u32>,
    /// The version in the cache key.
    pub discovery_version: String,
    /// For clients.
    pub deprecated_error_message: String,
    /// Carried; the node's counts.
    pub interruptible: Option<bool>,
    /// At most one computes a missing result at a time.
    pub cache_serializable: bool,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// A PodTemplate object of the cluster.
    pub pod_template_name: String,
    /// Inputs that are no part of the cache key.
    pub cache_ignore_input_vars: Vec<String>,
    /// Whether it orchestrates others.
    pub is_eager: bool,
    /// Whether it writes a deck.
    pub generates_deck: Option<bool>,
    /// Labels and annotations of its pods.
    pub metadata: Option<K8sObjectMetadata>,
}

/// `flyteidl.core.RuntimeMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeMetadata {
    /// Which kind.
    pub runtime_type: RuntimeType,
    /// Its version.
    pub version: String,
    /// Its language.
    pub flavor: String,
}

/// `flyteidl.core.RuntimeMetadata.RuntimeType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuntimeType {
    /// Anything else.
    #[default]
    Other,
    /// flytekit.
    FlyteSdk,
}

/// The oneof of [`TaskTemplate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // One for each task, never many.
pub enum TaskTarget {
    /// A container.
    Container(Container),
    /// A pod.
    K8sPod(K8sPod),
    /// A query.
    Sql(Sql),
}

/// `flyteidl.core.Container`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// The image.
    pub image: String,
    /// The program; templated.
    pub command: Vec<String>,
    /// Its arguments; templated.
    pub args: Vec<String>,
    /// Requests and limits.
    pub resources: Option<Resources>,
    /// Environment, in order; a later one wins.
    pub env: Vec<(String, String)>,
    /// Free settings (deprecated on the wire), in order.
    pub config: Vec<(String, String)>,
    /// Ports.
    pub ports: Vec<ContainerPort>,
    /// How a container without SDK gets its data.
    pub data_config: Option<DataLoadingConfig>,
    /// The machine, by its number (`Container.Architecture`).
    pub architecture: i32,
}

/// `flyteidl.core.ContainerPort`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerPort {
    /// The port.
    pub container_port: u32,
    /// Its name.
    pub name: String,
}

/// `flyteidl.core.Resources`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// What it needs.
    pub requests: Vec<ResourceEntry>,
    /// What it may not pass.
    pub limits: Vec<ResourceEntry>,
}

/// `flyteidl.core.Resources.ResourceEntry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceEntry {
    /// Which resource.
    pub name: ResourceName,
    /// A Kubernetes quantity, for instance `500m` or `2Gi`.
    pub value: String,
}

/// `flyteidl.core.Resources.ResourceName`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum ResourceName {
    Unknown,
    Cpu,
    Gpu,
    Memory,
    Storage,
    EphemeralStorage,
}

impl ResourceName {
    /// Flyte's name, for instance `EPHEMERAL_STORAGE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Cpu => "CPU",
            Self::Gpu => "GPU",
            Self::Memory => "MEMORY",
            Self::Storage => "STORAGE",
            Self::EphemeralStorage => "EPHEMERAL_STORAGE",
        }
    }
}

/// `flyteidl.core.DataLoadingConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataLoadingConfig {
    /// Whether it is on.
    pub enabled: bool,
    /// Where inputs are put.
    pub input_path: String,
    /// Where outputs are looked for.
    pub output_path: String,
    /// The form of the input file.
    pub format: LiteralMapFormat,
    /// When data moves.
    pub io_strategy: Option<IoStrategy>,
}

/// `flyteidl.core.DataLoadingConfig.LiteralMapFormat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum LiteralMapFormat {
    #[default]
    Json,
    Yaml,
    Proto,
}

/// `flyteidl.core.IOStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoStrategy {
    /// Inputs.
    pub download_mode: DownloadMode,
    /// Outputs.
    pub upload_mode: UploadMode,
}

/// `flyteidl.core.IOStrategy.DownloadMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum DownloadMode {
    #[default]
    Eager,
    Stream,
    DoNotDownload,
}

/// `flyteidl.core.IOStrategy.UploadMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum UploadMode {
    #[default]
    OnExit,
    Eager,
    DoNotUpload,
}

/// `flyteidl.core.K8sPod`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct K8sPod {
    /// Labels and annotations.
    pub metadata: Option<K8sObjectMetadata>,
    /// A Kubernetes PodSpec.
    pub pod_spec: Option<Struct>,
    /// How containers without SDK get their data.
    pub data_config: Option<DataLoadingConfig>,
    /// The container that decides.
    pub primary_container_name: String,
}

/// `flyteidl.core.K8sObjectMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct K8sObjectMetadata {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// `flyteidl.core.Sql`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sql {
    /// The query; templated.
    pub statement: String,
    /// Its language.
    pub dialect: SqlDialect,
}

/// `flyteidl.core.Sql.Dialect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum SqlDialect {
    #[default]
    Undefined,
    Ansi,
    Hive,
    Other,
}

/// `flyteidl.core.ExtendedResources`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedResources {
    /// Which accelerator.
    pub gpu_accelerator: Option<GpuAccelerator>,
    /// Memory shared between processes.
    pub shared_memory: Option<SharedMemory>,
}

/// `flyteidl.core.GPUAccelerator`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuAccelerator {
    /// Its model.
    pub device: String,
    /// How it is split.
    pub partition: Option<GpuPartition>,
}

/// The oneof of [`GpuAccelerator`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpuPartition {
    /// Whole.
    Unpartitioned(bool),
    /// A part, by its name.
    Size(String),
}

/// `flyteidl.core.SharedMemory`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMemory {
    /// Where.
    pub mount_path: String,
    /// The volume.
    pub mount_name: String,
    /// A Kubernetes quantity.
    pub size_limit: String,
}

/// `flyteidl.core.SecurityContext`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityContext {
    /// As whom.
    pub run_as: Option<Identity>,
    /// What it may read.
    pub secrets: Vec<Secret>,
    /// Tokens to be had.
    pub tokens: Vec<OAuth2TokenRequest>,
}

/// `flyteidl.core.Identity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// A cloud role.
    pub iam_role: String,
    /// A Kubernetes account.
    pub k8s_service_account: String,
    /// A client.
    pub oauth2_client: Option<OAuth2Client>,
    /// Who started the execution.
    pub execution_identity: String,
}

/// `flyteidl.core.Secret`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Where it is kept.
    pub group: String,
    /// Which version of the group.
    pub group_version: String,
    /// Which entry.
    pub key: String,
    /// How it is handed over.
    pub mount_requirement: MountRequirement,
    /// A further environment variable for it.
    pub env_var: String,
}

/// `flyteidl.core.Secret.MountType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountRequirement {
    /// As the manager likes.
    #[default]
    Any,
    /// In the environment.
    EnvVar,
    /// In a file.
    File,
}

/// `flyteidl.core.OAuth2Client`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuth2Client {
    /// Its id.
    pub client_id: String,
    /// Where its secret is.
    pub client_secret: Option<Secret>,
}

/// `flyteidl.core.OAuth2TokenRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuth2TokenRequest {
    /// Its name.
    pub name: String,
    /// Which flow, by its number (`Type`).
    pub request_type: i32,
    /// For whom.
    pub client: Option<OAuth2Client>,
    /// Where the issuer describes itself.
    pub idp_discovery_endpoint: String,
    /// Where tokens are.
    pub token_endpoint: String,
}
