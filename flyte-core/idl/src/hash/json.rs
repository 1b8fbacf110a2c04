//! The hash of a JSON value, part by part; no JSON is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub(super) type Hash = [u8; 32];

fn tagged(tag: u8, body: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([tag])
        .chain_update(body)
        .finalize()
        .into()
}

pub(super) fn null() -> Hash {
    tagged(b'n', b"")
}

pub(super) fn boolean(b: bool) -> Hash {
    tagged(b'b', if b { b"1" } else { b"0" })
}

pub(super) fn text(s: &str) -> Hash {
    tagged(b'u', s.as_bytes())
}

/// What JSON has no number for is a text.
pub(super) fn number(x: f64) -> Hash {
    match x {
        x if x.is_nan() => text("NaN"),
        x if x.is_infinite() => text(if x > 0.0 { "Infinity" } else { "-Infinity" }),
        x => tagged(b'f', normal_form(x).as_bytes()),
    }
}

pub(super) fn bytes(b: &[u8]) -> Hash {
    text(&STANDARD.encode(b))
}

pub(super) fn list(items: impl IntoIterator<Item = Hash>) -> Hash {
    let mut state = Sha256::new().chain_update(b"l");
    for item in items {
        state.update(item);
    }
    state.finalize().into()
}

/// Sign, power of two, and the binary digits of what is left between 0.5 and 1, from the unit on.
/// Every step is exact, subnormal numbers included.
fn normal_form(x: f64) -> String {
    if x == 0.0 {
        return "+0:".into();
    }
    let (mut scaled, mut exponent) = (x.abs(), 0);
    while scaled > 1.0 {
        scaled /= 2.0;
        exponent += 1;
    }
    while scaled <= 0.5 {
        scaled *= 2.0;
        exponent -= 1;
    }
    let mut out = format!("{}{exponent}:", if x < 0.0 { '-' } else { '+' });
    while scaled != 0.0 {
        let unit = scaled >= 1.0;
        out.push(if unit { '1' } else { '0' });
        scaled = (scaled - f64::from(u8::from(unit))) * 2.0;
    }
    out
}

/// A JSON object that grows field by field; of a message, fields at their zero value are left out.
#[derive(Default)]
pub(super) struct Object {
    fields: Vec<(Hash, Hash)>,
}

impl Object {
    /// An object of one field: what a set oneof is.
    pub(super) fn of(name: &str, value: Hash) -> Self {
        let mut object = Self::default();
        object.set(name, value);
        object
    }

    /// A field that is written whatever its value.
    pub(super) fn set(&mut self, name: &str, value: Hash) {
        self.fields.push((text(name), value));
    }

    /// A message that may be absent.
    pub(super) fn message(&mut self, name: &str, value: Option<Hash>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.set(name, text(value));
        }
    }

    pub(super) fn bytes(&mut self, name: &str, value: &[u8]) {
        if !value.is_empty() {
            self.set(name, bytes(value));
        }
    }

    pub(super) fn list(&mut self, name: &str, items: impl ExactSizeIterator<Item = Hash>) {
        if items.len() > 0 {
            self.set(name, list(items));
        }
    }

    /// A map.
    pub(super) fn entries(&mut self, name: &str, entries: Object) {
        if !entries.fields.is_empty() {
            self.set(name, entries.hash());
        }
    }

    /// An enum, by name; a number that has none is written as a number.
    pub(super) fn enumeration(&mut self, name: &str, number: i32, value: Option<&str>) {
        match value {
            _ if number == 0 => {}
            Some(value) => self.set(name, text(value)),
            None => self.set(name, self::number(f64::from(number))),
        }
    }

    pub(super) fn hash(mut self) -> Hash {
        self.fields.sort_unstable();
        let mut state = Sha256::new().chain_update(b"d");
        for (key, value) in &self.fields {
            state.update(key);
            state.update(value);
        }
        state.finalize().into()
    }
}

impl<'a> FromIterator<(&'a str, Hash)> for Object {
    fn from_iter<I: IntoIterator<Item = (&'a str, Hash)>>(fields: I) -> Self {
        let fields = fields.into_iter().map(|(k, v)| (text(k), v)).collect();
        Self { fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_normal_form() {
        for (x, form) in [
            (0.0, "+0:"),
            (-0.0, "+0:"),
            (1.0, "+0:1"),
            (-1.0, "-0:1"),
            (1.5, "+1:011"),
            (0.5, "+-1:1"),
            (0.75, "+0:011"),
            (-2.0, "-1:1"),
            (3.0, "+2:011"),
            (0.375, "+-1:011"),
            (5e-324, "+-1074:1"),
            (2f64.powi(1023), "+1023:1"),
        ] {
            assert_eq!(normal_form(x), form, "{x:e}");
        }
        // All 53 bits of the mantissa, none rounded away.
        assert_eq!(normal_form(f64::MAX), format!("+1024:0{}", "1".repeat(53)));
    }

    #[test]
    fn what_is_no_number_is_a_text() {
        assert_eq!(number(f64::NAN), text("NaN"));
        assert_eq!(number(f64::INFINITY), text("Infinity"));
        assert_eq!(number(f64::NEG_INFINITY), text("-Infinity"));
        assert_ne!(number(1.0), text("1"));
    }

    #[test]
    fn the_order_of_fields_does_not_count_and_that_of_items_does() {
        let (one, two) = (number(1.0), number(2.0));
        let of = |fields: [(&str, Hash); 2]| fields.into_iter().collect::<Object>().hash();
        assert_eq!(of([("a", one), ("b", two)]), of([("b", two), ("a", one)]));
        assert_ne!(of([("a", one), ("b", two)]), of([("a", two), ("b", one)]));
        assert_ne!(list([one, two]), list([two, one]));
    }

    #[test]
    fn zero_values_are_left_out() {
        let mut o = Object::default();
        o.text("a", "");
        o.bytes("b", b"");
        o.list("c", [].into_iter());
        o.entries("d", Object::default());
        o.enumeration("e", 0, Some("FIRST"));
        o.message("f", None);
        assert!(o.fields.is_empty());
        o.enumeration("e", 9, None);
        assert_eq!(o.fields, [(text("e"), number(9.0))]);
    }
}
