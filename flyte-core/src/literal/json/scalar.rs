use rmpv::Value;
use serde_json::Value as Json;

/// A simple kind of a field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Integer,
    Float,
    Text,
    Boolean,
}

impl Scalar {
    /// The value as this kind, where flytekit takes it for one: a text that reads as a number, a
    /// number that is whole, a number as a text, `true`, `false`, 0 and 1.
    pub(super) fn read(self, json: &Json) -> Option<Value> {
        match self {
            Self::Integer => integer(json),
            Self::Float => float(json).map(Value::F64),
            Self::Text => match json {
                Json::String(s) => Some(s.as_str().into()),
                Json::Number(n) => Some(n.to_string().into()),
                Json::Bool(true) => Some("True".into()),
                Json::Bool(false) => Some("False".into()),
                _ => None,
            },
            Self::Boolean => match json {
                Json::Bool(b) => Some(Value::Boolean(*b)),
                Json::Number(n) if n.as_f64() == Some(0.0) => Some(Value::Boolean(false)),
                Json::Number(n) if n.as_f64() == Some(1.0) => Some(Value::Boolean(true)),
                Json::String(s) if s.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
                Json::String(s) if s.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
                _ => None,
            },
        }
    }
}

fn integer(json: &Json) -> Option<Value> {
    // Beyond it floats are no exact numbers.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    match json {
        Json::Bool(b) => Some(i64::from(*b).into()),
        Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => Some(i.into()),
            (_, Some(u), _) => Some(u.into()),
            (_, _, Some(f)) if f.fract() == 0.0 && f.abs() <= WHOLE_MAX => Some((f as i64).into()),
            _ => None,
        },
        Json::String(s) => {
            let s = s.trim();
            let number = s.parse::<i64>().map(Value::from);
            number.or_else(|_| s.parse::<u64>().map(Value::from)).ok()
        }
        _ => None,
    }
}

fn float(json: &Json) -> Option<f64> {
    match json {
        Json::Bool(b) => Some(f64::from(u8::from(*b))),
        Json::Number(n) => n.as_f64(),
        // Rust reads `inf` and `nan` as Python does.
        Json::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}
