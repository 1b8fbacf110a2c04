use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::fail::{Refusal, Result};

/// The rules of `.dockerignore` and `.flyteignore` in the root: each pattern counts from the root, and
/// the last one that fits a path, or a folder above it, decides within its file.
#[derive(Debug)]
pub(crate) struct Ignored(Vec<Vec<Rule>>);

#[derive(Debug)]
struct Rule {
    glob: GlobMatcher,
    is_exception: bool,
}

impl Ignored {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut all = Vec::new();
        for name in [".dockerignore", ".flyteignore"] {
            let path = root.join(name);
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Refusal::new("Io", e.to_string()).at(path.display())),
            };
            all.push(rules(&text).map_err(|(line, e)| {
                Refusal::new("BadPattern", e).at(format!("{}, line {line}", path.display()))
            })?);
        }
        Ok(Self(all))
    }

    /// Whether a path below the root is ignored. A folder is kept if an exception may lie in it.
    pub(crate) fn ignores(&self, inner: &Path, is_folder: bool) -> bool {
        self.0.iter().any(|rules| {
            let fits = |rule: &&Rule| inner.ancestors().any(|a| rule.glob.is_match(a));
            let last = rules.iter().rev().find(fits);
            let may_hold = is_folder && rules.iter().any(|r| r.is_exception);
            last.is_some_and(|rule| !rule.is_exception) && !may_hold
        })
    }
}

/// The rules of a file; an error names its line.
fn rules(text: &str) -> std::result::Result<Vec<Rule>, (usize, String)> {
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (is_exception, pattern) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let mut parts = Vec::new();
        for part in pattern.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part.replace('{', "\\{").replace('}', "\\}")),
            }
        }
        if parts.is_empty() {
            continue;
        }
        let glob = GlobBuilder::new(&parts.join("/"))
            .literal_separator(true)
            .build()
            .map_err(|e| (n + 1, e.to_string()))?;
        all.push(Rule {
            glob: glob.compile_matcher(),
            is_exception,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(text: &str, path: &str) -> bool {
        Ignored(vec![rules(text).unwrap()]).ignores(Path::new(path), false)
    }

    #[test]
    fn patterns_count_from_the_root_and_the_last_one_decides() {
        for (text, path, is) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "data/a.csv", false),
            ("**/*.csv", "data/a.csv", true),
            ("data", "data/deep/a.csv", true),
            ("/data/", "data/a.csv", true),
            ("./data", "data/a.csv", true),
            ("data\n!data/keep.csv", "data/keep.csv", false),
            ("!data/keep.csv\ndata", "data/keep.csv", true),
            ("# data\n\n", "data", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
        ] {
            assert_eq!(ignored(text, path), is, "{text:?} {path}");
        }
        assert_eq!(rules("ok\n[").unwrap_err().0, 2);
    }
}
