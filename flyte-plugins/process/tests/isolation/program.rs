//! Random programs of file-writing tasks, and a plain model of what they do: each attempt has a fresh folder with
//! copies of the code and of its inputs.

use std::collections::BTreeMap;

/// The file of the code that every attempt starts with.
pub(crate) const CODE: (&str, &str) = ("package/data.txt", "as written");
const NAMES: [&str; 4] = ["a", "b", "d/a", CODE.0];

/// Files of one place by their names; one that is a file by itself has the name "".
pub(crate) type Files = BTreeMap<String, String>;

/// Steps in order; each may read what earlier ones put out.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) inputs: Vec<Input>,
    /// What each attempt does; all but the last fail at the end.
    pub(crate) attempts: Vec<Vec<Op>>,
}

/// What an earlier step put out.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) step: usize,
    /// One file of it, or all.
    pub(crate) file: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Work,
    Output,
    Input(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create(Place, &'static str, u32),
    Append(Place, &'static str, u32),
    /// Also from one place to another.
    Rename(Place, &'static str, Place, &'static str),
    Delete(Place, &'static str),
    List(Place),
}

/// What an attempt is expected to print and to put out.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) listed: String,
    pub(crate) output: Files,
}

/// A small generator (SplitMix64): a seed gives one program everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn op(&mut self, inputs: usize) -> Op {
        let place = |r: &mut Self| match r.below(2 + inputs) {
            0 => Place::Work,
            1 => Place::Output,
            n => Place::Input(n - 2),
        };
        let name = |r: &mut Self| NAMES[r.below(NAMES.len())];
        let text = |r: &mut Self| r.below(1000) as u32;
        match self.below(6) {
            0 | 1 => Op::Create(place(self), name(self), text(self)),
            2 => Op::Append(place(self), name(self), text(self)),
            3 => Op::Rename(place(self), name(self), place(self), name(self)),
            4 => Op::Delete(place(self), name(self)),
            _ => Op::List(place(self)),
        }
    }
}

impl Program {
    /// The program of a seed, and what it is expected to do: an entry for each attempt of each step.
    pub(crate) fn random(seed: u64) -> (Self, Vec<Vec<Expected>>) {
        let mut r = Random(seed);
        let (mut steps, mut expected): (Vec<Step>, Vec<Vec<Expected>>) = (Vec::new(), Vec::new());
        for step in 0..2 + r.below(3) {
            let mut inputs = Vec::new();
            for _ in 0..if step == 0 { 0 } else { 1 + r.below(2) } {
                let of = r.below(step);
                let files = &expected[of].last().expect("a step has an attempt").output;
                let file = match r.below(files.len() + 1) {
                    0 => None,
                    n => files.keys().nth(n - 1).cloned(),
                };
                inputs.push(Input { step: of, file });
            }
            let attempts: Vec<Vec<Op>> = (0..1 + r.below(2))
                .map(|_| (0..2 + r.below(6)).map(|_| r.op(inputs.len())).collect())
                .collect();
            let given: Vec<Files> = inputs.iter().map(|i| given(i, &expected)).collect();
            let run = attempts.iter().map(|ops| model(ops, &given));
            expected.push(run.collect());
            steps.push(Step { inputs, attempts });
        }
        (Self { steps }, expected)
    }
}

fn given(input: &Input, expected: &[Vec<Expected>]) -> Files {
    let output = &expected[input.step]
        .last()
        .expect("a step has an attempt")
        .output;
    match &input.file {
        None => output.clone(),
        Some(file) => [(String::new(), output[file].clone())].into(),
    }
}

/// What an attempt does in a fresh folder with copies.
fn model(ops: &[Op], inputs: &[Files]) -> Expected {
    let mut places = vec![
        [(CODE.0.to_owned(), CODE.1.to_owned())].into(),
        Files::new(),
    ];
    places.extend(inputs.iter().cloned());
    let index = |place: Place| match place {
        Place::Work => 0,
        Place::Output => 1,
        Place::Input(n) => 2 + n,
    };
    // A file by itself stays one, whatever it is called and even if it is deleted.
    let alone: Vec<bool> = places.iter().map(|f| f.contains_key("")).collect();
    let key = |place: Place, name: &str| match alone[index(place)] {
        true => String::new(),
        false => name.to_owned(),
    };
    let mut listed = String::new();
    for op in ops {
        match *op {
            Op::Create(p, name, text) => {
                places[index(p)].insert(key(p, name), text.to_string());
            }
            Op::Append(p, name, text) => {
                let file = places[index(p)].entry(key(p, name)).or_default();
                file.push_str(&text.to_string());
            }
            Op::Rename(p, name, q, to) => {
                if let Some(text) = places[index(p)].remove(&key(p, name)) {
                    places[index(q)].insert(key(q, to), text);
                }
            }
            Op::Delete(p, name) => {
                places[index(p)].remove(&key(p, name));
            }
            Op::List(p) => {
                for (name, text) in &places[index(p)] {
                    listed.push_str(&format!("{name}:{text}\n"));
                }
            }
        }
    }
    Expected {
        listed,
        output: places.swap_remove(1),
    }
}
