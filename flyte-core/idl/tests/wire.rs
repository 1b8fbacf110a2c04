//! Our `.proto` files against the installed `flyteidl` package, field by field, both ways.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto};

/// What we leave out: what it begins with, and why.
const ABSENT: &[(&str, &str)] = &[
    (
        "datacatalog.",
        "our cache has a contract of its own; the catalog's server comes with admin",
    ),
    (
        "flyteidl.cacheservice.",
        "a newer form of the catalog that no flytekit client calls",
    ),
    (
        "flyteidl.service.AdminService.",
        "comes with the admin service",
    ),
    (
        "flyteidl.service.AuthMetadataService.",
        "comes with the admin service",
    ),
    (
        "flyteidl.service.DataProxyService.",
        "comes with the admin service",
    ),
    (
        "flyteidl.service.IdentityService.",
        "comes with the admin service",
    ),
    (
        "flyteidl.service.SignalService.",
        "comes with the admin service",
    ),
    (
        "flyteidl.service.ExternalPluginService.",
        "replaced by the connector services",
    ),
    (
        "flyteidl.service.CreateDownload",
        "messages of DataProxyService",
    ),
    (
        "flyteidl.service.CreateUpload",
        "messages of DataProxyService",
    ),
    ("flyteidl.service.GetData", "messages of DataProxyService"),
    (
        "flyteidl.service.PreSignedURLs",
        "messages of DataProxyService",
    ),
    (
        "flyteidl.service.ArtifactType",
        "messages of DataProxyService",
    ),
    (
        "flyteidl.service.OAuth2Metadata",
        "messages of AuthMetadataService",
    ),
    (
        "flyteidl.service.PublicClientAuthConfig",
        "messages of AuthMetadataService",
    ),
    ("flyteidl.service.UserInfo", "messages of IdentityService"),
    (
        "flyteidl.service.State",
        "messages of ExternalPluginService",
    ),
    ("flyteidl.service.Task", "messages of ExternalPluginService"),
];

#[test]
fn messages_enums_and_calls_agree_both_ways() {
    let (ours, theirs) = (ours(), theirs());
    assert!(theirs.len() > 2000, "only {} facts were read", theirs.len());
    let invented: Vec<_> = ours.difference(&theirs).collect();
    assert!(invented.is_empty(), "ours only: {invented:#?}");
    let name = |fact: &str| fact.split(' ').nth(1).unwrap_or("").to_owned();
    let missing: Vec<_> = theirs
        .difference(&ours)
        .filter(|f| !ABSENT.iter().any(|(prefix, _)| name(f).starts_with(prefix)))
        .collect();
    assert!(missing.is_empty(), "theirs only: {missing:#?}");
    for (prefix, why) in ABSENT {
        let stands = theirs.iter().any(|f| name(f).starts_with(prefix));
        assert!(
            stands && !why.is_empty(),
            "`{prefix}` names nothing that they have"
        );
        let ours = ours.iter().any(|f| name(f).starts_with(prefix));
        assert!(!ours, "`{prefix}` is said to be absent and is there");
    }
    println!("facts that agree: {}", ours.intersection(&theirs).count());
}

fn theirs() -> BTreeSet<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("FLYTE_TEST_PYTHON")
        .map_or_else(|| here.join("../../.venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run scripts/test-env",
        python.display()
    );
    let output = Command::new(python)
        .arg(here.join("tests/dump.py"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn ours() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let names = ["core", "plugins", "kubeflow", "event", "admin", "service"];
    let files = names.map(|n| root.join(format!("flyteidl/{n}.proto")));
    let set = protox::compile(files, [root]).unwrap();
    let mut facts = BTreeSet::new();
    for file in set
        .file
        .iter()
        .filter(|f| f.package().starts_with("flyteidl"))
    {
        for m in &file.message_type {
            message(m, format!("{}.{}", file.package(), m.name()), &mut facts);
        }
        for e in &file.enum_type {
            enumeration(e, format!("{}.{}", file.package(), e.name()), &mut facts);
        }
        for s in &file.service {
            for r in &s.method {
                let from = if r.client_streaming() {
                    "stream ->"
                } else {
                    "->"
                };
                let to = if r.server_streaming() { " stream" } else { "" };
                facts.insert(format!(
                    "call {}.{}.{} {} {from}{to} {}",
                    file.package(),
                    s.name(),
                    r.name(),
                    r.input_type().trim_start_matches('.'),
                    r.output_type().trim_start_matches('.')
                ));
            }
        }
    }
    facts
}

fn message(m: &DescriptorProto, name: String, facts: &mut BTreeSet<String>) {
    facts.insert(format!("message {name}"));
    for f in &m.field {
        let kind = match f.type_name() {
            "" => kind(f.r#type()).to_owned(),
            named => named.trim_start_matches('.').to_owned(),
        };
        let label = if f.label() == Label::Repeated {
            "repeated"
        } else {
            "single"
        };
        let oneof = f
            .oneof_index
            .map_or("-", |i| m.oneof_decl[i as usize].name());
        facts.insert(format!(
            "field {name} {} {} {label} {kind} {oneof}",
            f.number(),
            f.name()
        ));
    }
    for n in &m.nested_type {
        message(n, format!("{name}.{}", n.name()), facts);
    }
    for e in &m.enum_type {
        enumeration(e, format!("{name}.{}", e.name()), facts);
    }
}

fn enumeration(e: &EnumDescriptorProto, name: String, facts: &mut BTreeSet<String>) {
    for v in &e.value {
        facts.insert(format!("enum {name} {} {}", v.number(), v.name()));
    }
}

fn kind(t: Type) -> &'static str {
    match t {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Group => "group",
        Type::Message => "message",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Enum => "enum",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
    }
}
