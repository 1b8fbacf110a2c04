//! What a variable may say of artifacts, straight from the messages: the model only carries them.

use super::json::{Hash, Object, boolean, text};
use crate::convert::WireError;
use crate::core as pb;

pub(super) fn artifact_id(a: &pb::ArtifactId) -> Result<Hash, WireError> {
    let mut o = Object::default();
    o.message("artifactKey", a.artifact_key.as_ref().map(key));
    o.text("version", &a.version);
    if let Some(p) = &a.partitions {
        let mut entries = Object::default();
        for (name, v) in &p.value {
            let v = label(v).map_err(|e| e.at(name).at("partitions"))?;
            entries.set(name, v);
        }
        let mut partitions = Object::default();
        partitions.entries("value", entries);
        o.set("partitions", partitions.hash());
    }
    if let Some(p) = &a.time_partition {
        let mut partition = Object::default();
        let value = p.value.as_ref().map(label).transpose();
        partition.message("value", value.map_err(|e| e.at("time_partition"))?);
        let granularity = pb::Granularity::try_from(p.granularity).ok();
        let name = granularity.map(|g| g.as_str_name());
        partition.enumeration("granularity", p.granularity, name);
        o.set("timePartition", partition.hash());
    }
    Ok(o.hash())
}

pub(super) fn artifact_tag(t: &pb::ArtifactTag) -> Result<Hash, WireError> {
    let mut o = Object::default();
    o.message("artifactKey", t.artifact_key.as_ref().map(key));
    o.message("value", t.value.as_ref().map(label).transpose()?);
    Ok(o.hash())
}

fn key(k: &pb::ArtifactKey) -> Hash {
    let mut o = Object::default();
    o.text("project", &k.project);
    o.text("domain", &k.domain);
    o.text("name", &k.name);
    o.text("org", &k.org);
    o.hash()
}

fn label(l: &pb::LabelValue) -> Result<Hash, WireError> {
    use pb::label_value::Value;
    let Some(value) = &l.value else {
        return Ok(Object::default().hash());
    };
    let (name, value) = match value {
        Value::StaticValue(s) => ("staticValue", text(s)),
        Value::TimeValue(t) => {
            let t = crate::convert::timestamp(t).map_err(|e| e.at("time_value"))?;
            ("timeValue", text(&t.to_string()))
        }
        Value::TriggeredBinding(b) => ("triggeredBinding", triggered(b)),
        Value::InputBinding(b) => {
            let mut o = Object::default();
            o.text("var", &b.var);
            ("inputBinding", o.hash())
        }
        Value::RuntimeBinding(pb::RuntimeBinding {}) => {
            ("runtimeBinding", Object::default().hash())
        }
    };
    Ok(Object::of(name, value).hash())
}

fn triggered(b: &pb::ArtifactBindingData) -> Hash {
    use pb::artifact_binding_data::PartitionData;
    let mut o = Object::default();
    match &b.partition_data {
        Some(PartitionData::PartitionKey(k)) => o.set("partitionKey", text(k)),
        Some(PartitionData::BindToTimePartition(b)) => {
            o.set("bindToTimePartition", boolean(*b));
        }
        None => {}
    }
    if let Some(t) = &b.time_transform {
        let mut transform = Object::default();
        transform.text("transform", &t.transform);
        let name = pb::Operator::try_from(t.op).ok().map(|o| o.as_str_name());
        transform.enumeration("op", t.op, name);
        o.set("timeTransform", transform.hash());
    }
    o.hash()
}
