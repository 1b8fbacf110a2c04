use std::fmt;

use super::{Dimensionality, LiteralType, SignedDuration, SimpleType, Timestamp, TypeKind};

/// A type as a Python author writes it, for messages.
impl fmt::Display for LiteralType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TypeKind::Simple(s) => f.write_str(match s {
                SimpleType::None => "None",
                SimpleType::Integer => "int",
                SimpleType::Float => "float",
                SimpleType::String => "str",
                SimpleType::Boolean => "bool",
                SimpleType::Datetime => "datetime",
                SimpleType::Duration => "timedelta",
                SimpleType::Binary => "binary",
                SimpleType::Error => "FlyteError",
                SimpleType::Struct => "struct",
            }),
            TypeKind::Collection(t) => write!(f, "list[{t}]"),
            TypeKind::Map(t) => write!(f, "dict[str, {t}]"),
            TypeKind::Blob(b) => {
                let multipart = b
                    .as_ref()
                    .is_some_and(|b| b.dimensionality == Dimensionality::Multipart);
                f.write_str(if multipart {
                    "FlyteDirectory"
                } else {
                    "FlyteFile"
                })?;
                match b {
                    Some(b) if !b.format.is_empty() => write!(f, "[{}]", b.format),
                    _ => Ok(()),
                }
            }
            TypeKind::Schema(_) => f.write_str("FlyteSchema"),
            TypeKind::StructuredDataset(d) => {
                f.write_str("StructuredDataset")?;
                match d {
                    Some(d) if !d.format.is_empty() => write!(f, "[{}]", d.format),
                    _ => Ok(()),
                }
            }
            TypeKind::Enum(e) => write!(f, "enum({})", e.values.join(", ")),
            TypeKind::Union(variants) => {
                for (i, v) in variants.iter().enumerate() {
                    write!(f, "{}{v}", if i == 0 { "" } else { " | " })?;
                }
                Ok(())
            }
        }
    }
}

/// RFC 3339 in UTC, with 0, 3, 6 or 9 digits of a second, as protobuf writes it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By the calendar: jiff's own instants end a day before ours.
        let t = jiff::civil::date(1970, 1, 1)
            .at(0, 0, 0, 0)
            .checked_add(jiff::SignedDuration::from_secs(self.seconds()))
            .expect("invariant: the years 1 to 9999");
        write!(f, "{:04}-{:02}-{:02}", t.year(), t.month(), t.day())?;
        write!(f, "T{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second())?;
        fraction(f, self.nanos() as u32)?;
        f.write_str("Z")
    }
}

/// Seconds, as protobuf writes a duration: `90s`, `-1.500s`.
impl fmt::Display for SignedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds() < 0 || self.nanos() < 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", self.seconds().unsigned_abs())?;
        fraction(f, self.nanos().unsigned_abs())?;
        f.write_str("s")
    }
}

fn fraction(f: &mut fmt::Formatter<'_>, nanos: u32) -> fmt::Result {
    match nanos {
        0 => Ok(()),
        n if n % 1_000_000 == 0 => write!(f, ".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => write!(f, ".{:06}", n / 1_000),
        n => write!(f, ".{n:09}"),
    }
}
