use std::collections::BTreeMap;
use std::path::Path;

use flyte_core::compile::launch_plan_inputs;
use flyte_core::id::Str;
use flyte_core::literal::{
    Blob, Literal, LiteralType, SimpleType, StructuredDataset, TypeKind, Union, from_json,
    from_text,
};

use unicode_normalization::UnicodeNormalization;

use crate::fail::{Refusal, Result, nearest};
use crate::package::Chosen;

/// Bytes of an inputs file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What an input must be.
struct Wanted<'a> {
    /// The type that the plan knows.
    plain: &'a LiteralType,
    /// The same with JSON schemas, which tell of required attributes.
    whole: &'a LiteralType,
}

type Types<'a> = BTreeMap<&'a str, Wanted<'a>>;

impl<'a> Wanted<'a> {
    fn new(chosen: &'a Chosen, name: &str, plain: &'a LiteralType) -> Self {
        let declared = chosen.inputs.get(name);
        let whole = declared.and_then(|v| v.literal_type.as_ref());
        Self {
            plain,
            whole: whole.unwrap_or(plain),
        }
    }

    /// Reads a value: it must fit the whole type, and carries the plain one.
    fn read<E>(
        &self,
        read: impl Fn(&LiteralType) -> std::result::Result<Literal, E>,
    ) -> std::result::Result<Literal, E> {
        read(self.whole)?;
        read(self.plain)
    }
}

impl std::fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plain.fmt(f)
    }
}

/// The inputs of an execution: defaults, then the file, then the command line, then what the
/// launch plan fixes.
pub(crate) fn collect(
    chosen: &Chosen,
    words: &[String],
    file: Option<&Path>,
) -> Result<BTreeMap<Str, Literal>> {
    let graph = chosen.plan.root();
    let names = graph.input_names.iter().map(|n| &**n);
    let types: Types<'_> = names
        .zip(&graph.input_types)
        .map(|(n, t)| (n, Wanted::new(chosen, n, t)))
        .collect();
    let mut given = BTreeMap::new();
    if let Some(path) = file {
        from_file(path, &types, &mut given)?;
    }
    from_words(words, &types, &mut given)?;
    let given: BTreeMap<Str, Literal> = given.into_iter().map(|(k, v)| (k.into(), v)).collect();
    let all = match &chosen.launch_plan {
        Some(lp) => launch_plan_inputs(lp, given)
            .map_err(|e| Refusal::new("Inputs", e.to_string()).at(&chosen.entity.name))?,
        None => chosen.defaults.clone().into_iter().chain(given).collect(),
    };
    let all = all
        .into_iter()
        .map(|(k, v)| (k, absolute(v)))
        .collect::<BTreeMap<_, _>>();
    let missing: Vec<String> = types
        .iter()
        .filter(|(n, _)| !all.contains_key(**n))
        .map(|(n, t)| format!("--{n} ({t})"))
        .collect();
    if !missing.is_empty() {
        let text = format!("these inputs have no value: {}", missing.join(", "));
        return Err(Refusal::new("MissingInput", text).at(&chosen.entity.name));
    }
    Ok(all)
}

fn unknown(name: &str, types: &Types<'_>) -> Refusal {
    let all = types
        .iter()
        .map(|(n, t)| format!("--{n} ({t})"))
        .collect::<Vec<_>>()
        .join(", ");
    let near = nearest(name, types.keys().copied());
    let hint = near
        .map(|n| format!("did you mean `--{n}`? "))
        .unwrap_or_default();
    Refusal::new("UnknownInput", format!("there is no input `{name}`"))
        .at("inputs")
        .remedy(format!(
            "{hint}there are: {}",
            if all.is_empty() { "none".into() } else { all }
        ))
}

fn from_words(
    words: &[String],
    types: &Types<'_>,
    out: &mut BTreeMap<String, Literal>,
) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    let mut at = words.iter();
    while let Some(word) = at.next() {
        let Some(option) = word.strip_prefix("--") else {
            return Err(Refusal::new("Usage", format!("`{word}` is no input"))
                .at("inputs")
                .remedy("inputs are written as --name VALUE"));
        };
        let (name, inline) = match option.split_once('=') {
            Some((n, v)) => (n, Some(v.to_owned())),
            None => (option, None),
        };
        let name = identifier(&name.replace('-', "_"));
        let boolean = |n: &str| {
            types
                .get(n)
                .is_some_and(|t| t.plain.kind == TypeKind::Simple(SimpleType::Boolean))
        };
        let off = name
            .strip_prefix("no_")
            .filter(|n| boolean(n) && !types.contains_key(&*name));
        let (name, value) = match (off, inline) {
            (Some(n), None) => (n.to_owned(), "false".to_owned()),
            (_, Some(v)) => (name, v),
            (None, None) if boolean(&name) => {
                let next = at.clone().next().map(|w| w.to_ascii_lowercase());
                match next.as_deref() {
                    Some(v @ ("true" | "false")) => {
                        at.next();
                        (name, v.to_owned())
                    }
                    _ => (name, "true".to_owned()),
                }
            }
            (_, None) => {
                if !types.contains_key(&*name) {
                    return Err(unknown(&name, types));
                }
                match at.next() {
                    Some(v) => (name, v.clone()),
                    None => {
                        let text = format!("`--{name}` has no value");
                        return Err(Refusal::new("Usage", text).at("inputs"));
                    }
                }
            }
        };
        let Some(t) = types.get(&*name) else {
            return Err(unknown(&name, types));
        };
        if !seen.insert(name.clone()) {
            return Err(Refusal::new("Usage", format!("`--{name}` is given twice")).at("inputs"));
        }
        let literal = t
            .read(|t| from_text(&value, t))
            .map_err(|e| Refusal::new("BadInput", e.to_string()).at(format!("--{name}")))?;
        out.insert(name, literal);
    }
    Ok(())
}

fn from_file(path: &Path, types: &Types<'_>, out: &mut BTreeMap<String, Literal>) -> Result<()> {
    let bad = |m: String| Refusal::new("BadInput", m).at(path.display());
    let size = std::fs::metadata(path)
        .map_err(|e| bad(e.to_string()))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(bad(format!("{size} bytes, the limit is {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let json: serde_json::Value = match yaml {
        true => serde_saphyr::from_str(&text).map_err(|e| bad(format!("not YAML: {e}")))?,
        false => serde_json::from_str(&text).map_err(|e| bad(format!("not JSON: {e}")))?,
    };
    let entries = json
        .as_object()
        .ok_or_else(|| bad("not an object of inputs".into()))?;
    for (name, value) in entries {
        let name = identifier(name);
        let Some(t) = types.get(&*name) else {
            return Err(unknown(&name, types));
        };
        let literal = t.read(|t| from_json(value, t)).map_err(|e| {
            Refusal::new("BadInput", e.to_string()).at(format!("{}: {name}", path.display()))
        })?;
        if out.insert(name.clone(), literal).is_some() {
            return Err(bad(format!("`{name}` is there twice")));
        }
    }
    Ok(())
}

/// A name as Python reads it: different code points may spell one identifier.
fn identifier(name: &str) -> String {
    name.nfkc().collect()
}

/// Paths that people type are relative to where they type them.
fn absolute(literal: Literal) -> Literal {
    let path = |uri: &str| match uri.contains("://") {
        true => Str::from(uri),
        false => std::path::absolute(uri)
            .map_or_else(|_| uri.into(), |p| p.to_string_lossy().into_owned().into()),
    };
    match &literal {
        Literal::Blob(b) => Literal::Blob(std::sync::Arc::new(Blob {
            uri: path(&b.uri),
            ..(**b).clone()
        })),
        Literal::StructuredDataset(d) => {
            Literal::StructuredDataset(std::sync::Arc::new(StructuredDataset {
                uri: path(&d.uri),
                ..(**d).clone()
            }))
        }
        Literal::Collection(items) => Literal::collection(items.iter().cloned().map(absolute)),
        Literal::Map(m) => Literal::map(m.iter().map(|(k, v)| (k.clone(), absolute(v.clone())))),
        Literal::Union(u) => Literal::Union(std::sync::Arc::new(Union {
            value: absolute(u.value.clone()),
            variant: u.variant.clone(),
        })),
        _ => literal,
    }
}
