use std::collections::BTreeMap;
use std::path::Path;

/// What attempts said of themselves, whatever the store says of them.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// By attempt: a prefix of outputs, or `rust:EXECUTION:ADDRESS:ATTEMPT`.
    attempts: BTreeMap<String, Said>,
}

/// How often an attempt said what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) fail: u32,
}

/// An attempt, apart: the node, whose attempts follow each other, and the attempt's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name<'n> {
    pub(super) node: &'n str,
    pub(super) attempt: u32,
    /// Whether it is a Rust function: it dies with its host.
    pub(super) rust: bool,
}

impl<'n> Name<'n> {
    fn of(text: &'n str) -> Option<Self> {
        let rust = text.starts_with("rust:");
        let (node, attempt) = text.rsplit_once(if rust { ':' } else { '/' })?;
        let attempt = attempt.parse().ok()?;
        Some(Self {
            node,
            attempt,
            rust,
        })
    }
}

impl Witness {
    /// Reads a file of lines `start|end|fail ATTEMPT`; a file that nobody began is empty.
    ///
    /// # Errors
    /// A line that no attempt writes.
    pub(super) fn read(&mut self, file: &Path) -> Result<(), String> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(format!("{}: {e}", file.display())),
        };
        for line in text.lines() {
            let known = line.split_once(' ').filter(|l| Name::of(l.1).is_some());
            let Some((word, attempt)) = known else {
                return Err(format!("{}: what is {line:?}?", file.display()));
            };
            let said = self.attempts.entry(attempt.to_owned()).or_default();
            match word {
                "start" => said.start += 1,
                "end" => said.end += 1,
                "fail" => said.fail += 1,
                _ => return Err(format!("{}: what is {line:?}?", file.display())),
            }
        }
        Ok(())
    }

    pub(super) fn attempts(&self) -> impl Iterator<Item = (&str, Name<'_>, Said)> {
        let all = self.attempts.iter();
        all.filter_map(|(text, said)| Some((text.as_str(), Name::of(text)?, *said)))
    }

    /// Attempts that should not have been: each with what is wrong.
    ///
    /// No attempt begins twice. After one that said that it ended well, or whose `recorded` success
    /// the journal has, no later one of its node begins.
    pub(super) fn again(&self, recorded: impl Fn(&Name<'_>) -> Option<u32>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut ended: BTreeMap<&str, u32> = BTreeMap::new();
        for (text, name, said) in self.attempts() {
            if said.start > 1 {
                wrong.push(format!("{text} began {} times", said.start));
            }
            // A process that outlives its scheduler cannot be asked twice; what a host ran is lost
            // with it, unless it was recorded.
            let done = match name.rust {
                true => recorded(&name),
                false => (said.end > 0).then_some(name.attempt),
            };
            if let Some(done) = done {
                let first = ended.entry(name.node).or_insert(done);
                *first = (*first).min(done);
            }
        }
        for (text, name, said) in self.attempts() {
            if let Some(done) = ended.get(name.node)
                && name.attempt > *done
                && said.start > 0
            {
                wrong.push(format!("{text} began, although attempt {done} succeeded"));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<Witness, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        let mut witness = Witness::default();
        witness.read(file.path()).map(|()| witness)
    }

    #[test]
    fn what_runs_again_is_seen() {
        let good = "start /d/n0/0\nfail /d/n0/0\nstart /d/n0/1\nend /d/n0/1\n\
                    start rust:e:0.1:0\nstart rust:e:0.1:1\nend rust:e:0.1:1\n";
        let recorded = |n: &Name<'_>| (n.node == "rust:e:0.1").then_some(1);
        assert_eq!(
            read(good).unwrap().again(recorded),
            Vec::<String>::default()
        );
        let twice = format!("{good}start /d/n0/1\n");
        assert_eq!(read(&twice).unwrap().again(recorded).len(), 1);
        let after = format!("{good}start /d/n0/2\nstart rust:e:0.1:2\n");
        assert_eq!(read(&after).unwrap().again(recorded).len(), 2);
        assert!(read("begin /d/n0/1\n").is_err());
    }
}
