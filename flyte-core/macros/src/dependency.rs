//! Under which path the crate that a macro is used in sees flyte-core.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

/// The path of flyte-core: its own name or another, or inside flyte-host.
pub(crate) fn core() -> TokenStream {
    // One process of an editor expands macros of many crates.
    static KNOWN: Mutex<Option<HashMap<PathBuf, Found>>> = Mutex::new(None);
    let Some(dir) = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) else {
        return Found::Core("flyte_core".into()).path();
    };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    let found = known.entry(dir.clone()).or_insert_with(|| {
        let text = std::fs::read_to_string(dir.join("Cargo.toml"));
        find(&text.unwrap_or_default())
    });
    found.path()
}

/// The same tokens at another place: the compiler shows an error where all of a path's tokens are.
pub(crate) fn at(tokens: &TokenStream, span: Span) -> TokenStream {
    let respanned = tokens.clone().into_iter().map(|mut t| {
        t.set_span(span);
        t
    });
    respanned.collect()
}

#[derive(Debug, PartialEq)]
enum Found {
    Core(String),
    Host(String),
}

impl Found {
    fn path(&self) -> TokenStream {
        let ident = |name: &str| Ident::new(name, Span::call_site());
        match self {
            Self::Core(name) => {
                let name = ident(name);
                quote!(::#name)
            }
            Self::Host(name) => {
                let name = ident(name);
                quote!(::#name::core)
            }
        }
    }
}

/// Reads the dependencies of a manifest: as much of TOML as Cargo's own forms of a dependency.
fn find(manifest: &str) -> Found {
    let (mut core, mut host) = (None, None);
    let mut section = String::new();
    // The table that a dependency of its own has (`[dependencies.x]`).
    let mut own: Option<String> = None;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').trim().to_owned();
            own = section
                .rsplit_once("dependencies.")
                .map(|(_, name)| unquoted(name));
            if let Some(name) = &own {
                note(name, name, &mut core, &mut host);
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let key = unquoted(key.trim());
        if section == "package" && key == "name" && unquoted(value.trim()) == "flyte-core" {
            core = Some("flyte_core".to_owned());
        } else if section == "package" && key == "name" && unquoted(value.trim()) == "flyte-host" {
            host = Some("flyte_host".to_owned());
        } else if let Some(own) = &own {
            if key == "package" {
                note(own, &unquoted(value.trim()), &mut core, &mut host);
            }
        } else if section.ends_with("dependencies") {
            let name = key.split('.').next().unwrap_or(&key).to_owned();
            let package = value.split_once("package").and_then(|(_, rest)| {
                let rest = rest.trim_start().strip_prefix('=')?.trim_start();
                rest.strip_prefix('"')?.split('"').next().map(str::to_owned)
            });
            note(
                &name,
                package.as_deref().unwrap_or(&name),
                &mut core,
                &mut host,
            );
        }
    }
    match (core, host) {
        (Some(core), _) => Found::Core(core),
        (None, Some(host)) => Found::Host(host),
        // The message of the compiler then says what is missing.
        (None, None) => Found::Core("flyte_core".into()),
    }
}

fn note(name: &str, package: &str, core: &mut Option<String>, host: &mut Option<String>) {
    let ident = || Some(name.replace('-', "_"));
    match package {
        "flyte-core" => *core = ident(),
        "flyte-host" => *host = ident(),
        _ => {}
    }
}

fn unquoted(text: &str) -> String {
    text.trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_dependency() {
        let core = |name: &str| Found::Core(name.into());
        let host = |name: &str| Found::Host(name.into());
        let cases = [
            ("[dependencies]\nflyte-core = \"1\"\n", core("flyte_core")),
            (
                "[dependencies]\nflyte-core.workspace = true\n",
                core("flyte_core"),
            ),
            (
                "[dependencies]\nflyte-host = { path = \"..\" }\n",
                host("flyte_host"),
            ),
            (
                "[dependencies.flyte-host]\npath = \"..\"\n",
                host("flyte_host"),
            ),
            (
                "[target.'cfg(unix)'.dev-dependencies]\nflyte-core = \"1\"\n",
                core("flyte_core"),
            ),
            (
                "[dependencies]\nflow = { package = \"flyte-host\", version = \"1\" }\n",
                host("flow"),
            ),
            (
                "[dependencies.model]\npackage = \"flyte-core\"\n",
                core("model"),
            ),
            (
                "[dependencies]\nflyte-host = \"1\"\nflyte-core = \"1\"\n",
                core("flyte_core"),
            ),
            (
                "[package]\nname = \"flyte-host\"\n[dependencies]\nserde = \"1\"\n",
                host("flyte_host"),
            ),
            ("[dependencies]\nserde = \"1\"\n", core("flyte_core")),
        ];
        for (manifest, want) in cases {
            assert_eq!(find(manifest), want, "{manifest}");
        }
    }
}
