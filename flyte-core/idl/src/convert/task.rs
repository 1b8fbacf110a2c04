use flyte_core::template::{
    Container, ContainerPort, DataLoadingConfig, DownloadMode, ExtendedResources, GpuAccelerator,
    GpuPartition, Identity, IoStrategy, K8sObjectMetadata, K8sPod, LiteralMapFormat,
    MountRequirement, OAuth2Client, OAuth2TokenRequest, ResourceEntry, ResourceName, Resources,
    RuntimeMetadata, RuntimeType, Secret, SecurityContext, SharedMemory, Sql, SqlDialect,
    TaskMetadata, TaskTarget, TaskTemplate, UploadMode,
};

use super::literal::duration;
use super::types::{interface_from_pb, pick, struct_from_pb};
use super::{WireError, identifier_from_pb};
use crate::core as pb;

/// A task from the wire.
///
/// # Errors
/// Unknown enum values, and what is wrong with types.
pub fn task_from_pb(t: &pb::TaskTemplate) -> Result<TaskTemplate, WireError> {
    use pb::task_template::Target;
    let target = match &t.target {
        None => None,
        Some(Target::Container(c)) => Some(TaskTarget::Container(
            container(c).map_err(|e| e.at("container"))?,
        )),
        Some(Target::K8sPod(p)) => Some(TaskTarget::K8sPod(pod(p).map_err(|e| e.at("k8s_pod"))?)),
        Some(Target::Sql(s)) => {
            let dialects = [
                SqlDialect::Undefined,
                SqlDialect::Ansi,
                SqlDialect::Hive,
                SqlDialect::Other,
            ];
            let dialect = pick(&dialects, "sql.dialect", s.dialect)?;
            Some(TaskTarget::Sql(Sql {
                statement: s.statement.clone(),
                dialect,
            }))
        }
    };
    Ok(TaskTemplate {
        id: t.id.as_ref().map(identifier_from_pb).transpose()?,
        task_type: t.r#type.clone(),
        metadata: match &t.metadata {
            Some(m) => metadata(m).map_err(|e| e.at("metadata"))?,
            None => TaskMetadata::default(),
        },
        interface: t
            .interface
            .as_ref()
            .map(interface_from_pb)
            .transpose()
            .map_err(|e| e.at("interface"))?,
        custom: t
            .custom
            .as_ref()
            .map(struct_from_pb)
            .transpose()
            .map_err(|e| e.at("custom"))?,
        target,
        task_type_version: t.task_type_version,
        security_context: t
            .security_context
            .as_ref()
            .map(security_context)
            .transpose()?,
        extended_resources: t.extended_resources.as_ref().map(extended),
        config: t.config.clone(),
    })
}

fn metadata(m: &pb::TaskMetadata) -> Result<TaskMetadata, WireError> {
    let runtime = m.runtime.as_ref().map(|r| {
        let types = [RuntimeType::Other, RuntimeType::FlyteSdk];
        Ok(RuntimeMetadata {
            runtime_type: pick(&types, "runtime.type", r.r#type)?,
            version: r.version.clone(),
            flavor: r.flavor.clone(),
        })
    });
    let pb::task_metadata::InterruptibleValue::Interruptible(spot) = m
        .interruptible_value
        .unwrap_or(pb::task_metadata::InterruptibleValue::Interruptible(false));
    Ok(TaskMetadata {
        discoverable: m.discoverable,
        runtime: runtime.transpose()?,
        timeout: m.timeout.as_ref().map(duration).transpose()?,
        retries: m.retries.as_ref().map(|r| r.retries),
        discovery_version: m.discovery_version.clone(),
        deprecated_error_message: m.deprecated_error_message.clone(),
        interruptible: m.interruptible_value.map(|_| spot),
        cache_serializable: m.cache_serializable,
        tags: m.tags.clone(),
        pod_template_name: m.pod_template_name.clone(),
        cache_ignore_input_vars: m.cache_ignore_input_vars.clone(),
        is_eager: m.is_eager,
        generates_deck: m.generates_deck,
        metadata: m.metadata.as_ref().map(object_metadata),
    })
}

fn object_metadata(m: &pb::K8sObjectMetadata) -> K8sObjectMetadata {
    K8sObjectMetadata {
        labels: m.labels.clone(),
        annotations: m.annotations.clone(),
    }
}

fn container(c: &pb::Container) -> Result<Container, WireError> {
    let pairs = |p: &[pb::KeyValuePair]| {
        p.iter()
            .map(|kv| (kv.key.clone(), kv.value.clone()))
            .collect()
    };
    Ok(Container {
        image: c.image.clone(),
        command: c.command.clone(),
        args: c.args.clone(),
        resources: c.resources.as_ref().map(resources).transpose()?,
        env: pairs(&c.env),
        config: pairs(&c.config),
        ports: c
            .ports
            .iter()
            .map(|p| ContainerPort {
                container_port: p.container_port,
                name: p.name.clone(),
            })
            .collect(),
        data_config: c.data_config.as_ref().map(data_config).transpose()?,
        architecture: c.architecture,
    })
}

pub(crate) fn resources(r: &pb::Resources) -> Result<Resources, WireError> {
    let names = [
        ResourceName::Unknown,
        ResourceName::Cpu,
        ResourceName::Gpu,
        ResourceName::Memory,
        ResourceName::Storage,
        ResourceName::EphemeralStorage,
    ];
    let entries = |l: &[pb::resources::ResourceEntry]| {
        l.iter()
            .map(|e| {
                let name = pick(&names, "resources.name", e.name)?;
                Ok(ResourceEntry {
                    name,
                    value: e.value.clone(),
                })
            })
            .collect::<Result<Vec<_>, WireError>>()
    };
    Ok(Resources {
        requests: entries(&r.requests)?,
        limits: entries(&r.limits)?,
    })
}

fn data_config(d: &pb::DataLoadingConfig) -> Result<DataLoadingConfig, WireError> {
    let formats = [
        LiteralMapFormat::Json,
        LiteralMapFormat::Yaml,
        LiteralMapFormat::Proto,
    ];
    let down = [
        DownloadMode::Eager,
        DownloadMode::Stream,
        DownloadMode::DoNotDownload,
    ];
    let up = [
        UploadMode::OnExit,
        UploadMode::Eager,
        UploadMode::DoNotUpload,
    ];
    let strategy = d.io_strategy.as_ref().map(|s| {
        Ok(IoStrategy {
            download_mode: pick(&down, "download_mode", s.download_mode)?,
            upload_mode: pick(&up, "upload_mode", s.upload_mode)?,
        })
    });
    Ok(DataLoadingConfig {
        enabled: d.enabled,
        input_path: d.input_path.clone(),
        output_path: d.output_path.clone(),
        format: pick(&formats, "format", d.format)?,
        io_strategy: strategy.transpose()?,
    })
}

pub(crate) fn pod(p: &pb::K8sPod) -> Result<K8sPod, WireError> {
    Ok(K8sPod {
        metadata: p.metadata.as_ref().map(object_metadata),
        pod_spec: p.pod_spec.as_ref().map(struct_from_pb).transpose()?,
        data_config: p.data_config.as_ref().map(data_config).transpose()?,
        primary_container_name: p.primary_container_name.clone(),
    })
}

pub(crate) fn extended(e: &pb::ExtendedResources) -> ExtendedResources {
    use pb::gpu_accelerator::PartitionSizeValue as P;
    ExtendedResources {
        gpu_accelerator: e.gpu_accelerator.as_ref().map(|g| GpuAccelerator {
            device: g.device.clone(),
            partition: g.partition_size_value.as_ref().map(|p| match p {
                P::Unpartitioned(b) => GpuPartition::Unpartitioned(*b),
                P::PartitionSize(s) => GpuPartition::Size(s.clone()),
            }),
        }),
        shared_memory: e.shared_memory.as_ref().map(|s| SharedMemory {
            mount_path: s.mount_path.clone(),
            mount_name: s.mount_name.clone(),
            size_limit: s.size_limit.clone(),
        }),
    }
}

pub(crate) fn security_context(s: &pb::SecurityContext) -> Result<SecurityContext, WireError> {
    let client = |c: &pb::OAuth2Client| {
        let client_secret = c.client_secret.as_ref().map(secret).transpose()?;
        Ok::<_, WireError>(OAuth2Client {
            client_id: c.client_id.clone(),
            client_secret,
        })
    };
    let identity = s.run_as.as_ref().map(|i| {
        Ok::<_, WireError>(Identity {
            iam_role: i.iam_role.clone(),
            k8s_service_account: i.k8s_service_account.clone(),
            oauth2_client: i.oauth2_client.as_ref().map(client).transpose()?,
            execution_identity: i.execution_identity.clone(),
        })
    });
    let token = |t: &pb::OAuth2TokenRequest| {
        Ok::<_, WireError>(OAuth2TokenRequest {
            name: t.name.clone(),
            request_type: t.r#type,
            client: t.client.as_ref().map(client).transpose()?,
            idp_discovery_endpoint: t.idp_discovery_endpoint.clone(),
            token_endpoint: t.token_endpoint.clone(),
        })
    };
    Ok(SecurityContext {
        run_as: identity.transpose()?,
        secrets: s.secrets.iter().map(secret).collect::<Result<_, _>>()?,
        tokens: s.tokens.iter().map(token).collect::<Result<_, _>>()?,
    })
}

fn secret(s: &pb::Secret) -> Result<Secret, WireError> {
    let mounts = [
        MountRequirement::Any,
        MountRequirement::EnvVar,
        MountRequirement::File,
    ];
    Ok(Secret {
        group: s.group.clone(),
        group_version: s.group_version.clone(),
        key: s.key.clone(),
        mount_requirement: pick(&mounts, "mount_requirement", s.mount_requirement)?,
        env_var: s.env_var.clone(),
    })
}
