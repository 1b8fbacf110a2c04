use serde_json::{Value, json};

/// Why nothing was run: what, where, and what helps.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: &'static str,
    message: String,
    place: String,
    remedy: String,
}

pub(crate) type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            place: String::new(),
            remedy: usual(code).into(),
        }
    }

    pub(crate) fn at(mut self, place: impl ToString) -> Self {
        self.place = place.to_string();
        self
    }

    /// The same, said of a thing that the message does not name.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let place = match self.place.as_str() {
            "" => String::new(),
            place => format!("{place}: "),
        };
        match self.remedy.as_str() {
            "" => format!("{place}{}", self.message),
            remedy => format!("{place}{}; {remedy}", self.message),
        }
    }

    /// For people on stderr; for programs one object on stdout.
    pub(crate) fn print(&self, as_json: bool) {
        let place = if self.place.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.place)
        };
        tell!("error: {place}{}", self.message);
        if !self.remedy.is_empty() {
            tell!("help: {}", self.remedy);
        }
        if as_json {
            let shown = json!({
                "execution": null, "phase": null, "outputs": null, "error": self.json(),
                "nodes": [], "seconds": 0.0,
            });
            // It was told on stderr.
            let _full = out!("{shown}");
        }
    }

    /// The `error` of `--json`.
    pub(crate) fn json(&self) -> Value {
        json!({
            "code": self.code, "message": self.message,
            "place": self.place, "remedy": self.remedy,
        })
    }
}

/// What helps where the place of the mistake knows nothing better.
fn usual(code: &str) -> &'static str {
    match code {
        "BadInput" | "Inputs" => "give a value of the type that the entity has",
        "BadName" => "give letters, digits, `-`, `_` and `.`",
        "BadPackage" => "make it anew with `pyflyte package`",
        "CompileError" | "Unsupported" => "change in the workflow what the message names",
        "Demo" => "see that .flyte can be written; the options are those of: flyte-rs demo --help",
        "FileNotFound" => "check the path",
        "Install" => {
            "see that the package index can be reached, or give --python PATH of an interpreter \
             with flytekit"
        }
        "Io" => "see that the path is there, may be read and written, and that the disk has room",
        "MissingInput" => "give them as --name VALUE, or in --inputs-file",
        "NotParked" => "flyte-rs get execution NAME says how it is",
        "Python" => "flyte-rs doctor --python PATH says whether it can be used",
        _ => "flyte-rs --help",
    }
}

impl From<flyte_core::Error> for Refusal {
    fn from(e: flyte_core::Error) -> Self {
        let remedy = match e.kind() {
            flyte_core::ErrorKind::Full => "make room on the disk, then: flyte-rs resume",
            flyte_core::ErrorKind::NewerVersion => "use the newer flyte-rs that wrote it",
            _ => "flyte-rs doctor says how the store is",
        };
        Self::new("Store", e.to_string()).remedy(remedy)
    }
}

/// The one of `known` that is most like `given`, if any is like it at all.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (distance(given, k), k))
        .filter(|(d, k)| *d <= 1 + k.len() / 3)
        .min()
        .map(|(_, k)| k)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
