use flyte_core::template::{
    Container, DataLoadingConfig, ExtendedResources, GpuAccelerator, GpuPartition, Identity,
    K8sObjectMetadata, K8sPod, OAuth2Client, OAuth2TokenRequest, ResourceEntry, Resources, Secret,
    SecurityContext, TaskMetadata, TaskTarget, TaskTemplate,
};

use super::super::WireError;
use super::super::types::struct_to_pb;
use super::interface::interface_to_pb;
use super::{duration, identifier_to_pb, pairs};
use crate::core as pb;

/// A task for the wire.
///
/// # Errors
/// Bytes of an artifact reference that are no such message.
pub fn task_to_pb(t: &TaskTemplate) -> Result<pb::TaskTemplate, WireError> {
    use pb::task_template::Target;
    let interface = t.interface.as_ref().map(interface_to_pb).transpose();
    Ok(pb::TaskTemplate {
        id: t.id.as_ref().map(identifier_to_pb),
        r#type: t.task_type.clone(),
        metadata: Some(metadata(&t.metadata)),
        interface: interface.map_err(|e| e.at("interface"))?,
        custom: t.custom.as_ref().map(struct_to_pb),
        task_type_version: t.task_type_version,
        security_context: t.security_context.as_ref().map(security_context),
        extended_resources: t.extended_resources.as_ref().map(extended),
        config: t.config.clone(),
        target: t.target.as_ref().map(|t| match t {
            TaskTarget::Container(c) => Target::Container(container(c)),
            TaskTarget::K8sPod(p) => Target::K8sPod(pod(p)),
            TaskTarget::Sql(s) => Target::Sql(pb::Sql {
                statement: s.statement.clone(),
                dialect: s.dialect as i32,
            }),
        }),
    })
}

fn metadata(m: &TaskMetadata) -> pb::TaskMetadata {
    pb::TaskMetadata {
        discoverable: m.discoverable,
        runtime: m.runtime.as_ref().map(|r| pb::RuntimeMetadata {
            r#type: r.runtime_type as i32,
            version: r.version.clone(),
            flavor: r.flavor.clone(),
        }),
        timeout: m.timeout.map(duration),
        retries: m.retries.map(|retries| pb::RetryStrategy { retries }),
        discovery_version: m.discovery_version.clone(),
        deprecated_error_message: m.deprecated_error_message.clone(),
        interruptible_value: m
            .interruptible
            .map(pb::task_metadata::InterruptibleValue::Interruptible),
        cache_serializable: m.cache_serializable,
        tags: m.tags.clone(),
        pod_template_name: m.pod_template_name.clone(),
        cache_ignore_input_vars: m.cache_ignore_input_vars.clone(),
        is_eager: m.is_eager,
        generates_deck: m.generates_deck,
        metadata: m.metadata.as_ref().map(object_metadata),
    }
}

fn object_metadata(m: &K8sObjectMetadata) -> pb::K8sObjectMetadata {
    pb::K8sObjectMetadata {
        labels: m.labels.clone(),
        annotations: m.annotations.clone(),
    }
}

fn container(c: &Container) -> pb::Container {
    let ports = c.ports.iter().map(|p| pb::ContainerPort {
        container_port: p.container_port,
        name: p.name.clone(),
    });
    // The wire calls `config` deprecated; what an author wrote there is carried all the same.
    #[allow(deprecated)]
    pb::Container {
        image: c.image.clone(),
        command: c.command.clone(),
        args: c.args.clone(),
        resources: c.resources.as_ref().map(resources),
        env: pairs(&c.env),
        config: pairs(&c.config),
        ports: ports.collect(),
        data_config: c.data_config.as_ref().map(data_config),
        architecture: c.architecture,
    }
}

pub(super) fn resources(r: &Resources) -> pb::Resources {
    let entries = |l: &[ResourceEntry]| {
        let entry = |e: &ResourceEntry| pb::resources::ResourceEntry {
            name: e.name as i32,
            value: e.value.clone(),
        };
        l.iter().map(entry).collect()
    };
    pb::Resources {
        requests: entries(&r.requests),
        limits: entries(&r.limits),
    }
}

fn data_config(d: &DataLoadingConfig) -> pb::DataLoadingConfig {
    pb::DataLoadingConfig {
        enabled: d.enabled,
        input_path: d.input_path.clone(),
        output_path: d.output_path.clone(),
        format: d.format as i32,
        io_strategy: d.io_strategy.map(|s| pb::IoStrategy {
            download_mode: s.download_mode as i32,
            upload_mode: s.upload_mode as i32,
        }),
    }
}

pub(super) fn pod(p: &K8sPod) -> pb::K8sPod {
    pb::K8sPod {
        metadata: p.metadata.as_ref().map(object_metadata),
        pod_spec: p.pod_spec.as_ref().map(struct_to_pb),
        data_config: p.data_config.as_ref().map(data_config),
        primary_container_name: p.primary_container_name.clone(),
    }
}

pub(super) fn extended(e: &ExtendedResources) -> pb::ExtendedResources {
    use pb::gpu_accelerator::PartitionSizeValue as P;
    let accelerator = |g: &GpuAccelerator| pb::GpuAccelerator {
        device: g.device.clone(),
        partition_size_value: g.partition.as_ref().map(|p| match p {
            GpuPartition::Unpartitioned(b) => P::Unpartitioned(*b),
            GpuPartition::Size(s) => P::PartitionSize(s.clone()),
        }),
    };
    pb::ExtendedResources {
        gpu_accelerator: e.gpu_accelerator.as_ref().map(accelerator),
        shared_memory: e.shared_memory.as_ref().map(|s| pb::SharedMemory {
            mount_path: s.mount_path.clone(),
            mount_name: s.mount_name.clone(),
            size_limit: s.size_limit.clone(),
        }),
    }
}

pub(super) fn security_context(s: &SecurityContext) -> pb::SecurityContext {
    let identity = |i: &Identity| pb::Identity {
        iam_role: i.iam_role.clone(),
        k8s_service_account: i.k8s_service_account.clone(),
        oauth2_client: i.oauth2_client.as_ref().map(client),
        execution_identity: i.execution_identity.clone(),
    };
    let token = |t: &OAuth2TokenRequest| pb::OAuth2TokenRequest {
        name: t.name.clone(),
        r#type: t.request_type,
        client: t.client.as_ref().map(client),
        idp_discovery_endpoint: t.idp_discovery_endpoint.clone(),
        token_endpoint: t.token_endpoint.clone(),
    };
    pb::SecurityContext {
        run_as: s.run_as.as_ref().map(identity),
        secrets: s.secrets.iter().map(secret).collect(),
        tokens: s.tokens.iter().map(token).collect(),
    }
}

fn client(c: &OAuth2Client) -> pb::OAuth2Client {
    pb::OAuth2Client {
        client_id: c.client_id.clone(),
        client_secret: c.client_secret.as_ref().map(secret),
    }
}

fn secret(s: &Secret) -> pb::Secret {
    pb::Secret {
        group: s.group.clone(),
        group_version: s.group_version.clone(),
        key: s.key.clone(),
        mount_requirement: s.mount_requirement as i32,
        env_var: s.env_var.clone(),
    }
}
