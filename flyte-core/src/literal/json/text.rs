use serde_json::Value as Json;

use super::JsonError;
use super::read::{from_json, given};
use crate::literal::{
    Literal, LiteralType, SignedDuration, SimpleType, Timestamp, TypeKind, Union,
};

/// What a word on a command line means for a type: a bare text for texts, enums, times and paths,
/// JSON for everything else. For an optional text each word is a text, also an empty one and `null`.
///
/// # Errors
/// [`JsonError`] names what was expected and what was given.
///
/// ```
/// use flyte_core::literal::{Literal, LiteralType, SimpleType, from_text};
/// let text = LiteralType::simple(SimpleType::String);
/// assert_eq!(from_text("17", &text).unwrap(), Literal::string("17"));
/// let int = LiteralType::simple(SimpleType::Integer);
/// assert_eq!(from_text("17", &int).unwrap(), Literal::Integer(17));
/// let e = from_text("x", &int).unwrap_err();
/// assert_eq!(e.to_string(), "expected int, given \"x\"");
/// ```
pub fn from_text(text: &str, t: &LiteralType) -> Result<Literal, JsonError> {
    let wrong = || JsonError::new(t, format!("{text:?}"));
    match &t.kind {
        TypeKind::Simple(SimpleType::String) => Ok(Literal::string(text)),
        TypeKind::Simple(SimpleType::Datetime) => timestamp(text)
            .map(Literal::Datetime)
            .map_err(|e| wrong().remedy(&e)),
        TypeKind::Simple(SimpleType::Duration) => duration(text)
            .map(Literal::Duration)
            .map_err(|e| wrong().remedy(&e)),
        TypeKind::Simple(SimpleType::Boolean) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Literal::Boolean(true)),
            "false" | "no" | "off" | "0" => Ok(Literal::Boolean(false)),
            _ => Err(wrong()),
        },
        TypeKind::Simple(SimpleType::Integer) => {
            text.parse().map(Literal::Integer).map_err(|_| wrong())
        }
        TypeKind::Simple(SimpleType::Float) => {
            text.parse().map(Literal::Float).map_err(|_| wrong())
        }
        TypeKind::Simple(SimpleType::None) => match text {
            "null" | "None" | "none" | "" => Ok(Literal::None),
            _ => Err(wrong()),
        },
        TypeKind::Enum(_) => from_json(&Json::String(text.into()), t),
        TypeKind::Blob(_) | TypeKind::Schema(_) | TypeKind::StructuredDataset(_)
            if !text.starts_with('{') =>
        {
            from_json(&Json::String(text.into()), t)
        }
        TypeKind::Union(variants) => {
            let texts = |v: &&LiteralType| v.kind == TypeKind::Simple(SimpleType::String);
            let takes_texts = variants.iter().any(|v| texts(&v));
            // A text fits everything, so it is tried last; each is one, also an empty one and `null`.
            let none = |v: &&LiteralType| v.kind == TypeKind::Simple(SimpleType::None);
            let order = variants
                .iter()
                .filter(|v| !(texts(v) || takes_texts && none(v)))
                .chain(variants.iter().filter(texts));
            if let Ok(json) = serde_json::from_str::<Json>(text)
                && (json.is_object() || json.is_array())
            {
                match from_json(&json, t) {
                    Ok(l) => return Ok(l),
                    // It names the place.
                    Err(e) if !takes_texts => return Err(e),
                    Err(_) => {}
                }
            }
            order
                .clone()
                .find_map(|v| Some((v, from_text(text, v).ok()?)))
                .map(|(v, value)| {
                    Literal::Union(std::sync::Arc::new(Union {
                        value,
                        variant: v.clone(),
                    }))
                })
                .ok_or_else(wrong)
        }
        _ => {
            let json = serde_json::from_str(text)
                .map_err(|e| wrong().remedy(&format!("it is read as JSON, and is none: {e}")))?;
            from_json(&json, t).map_err(|mut e| {
                if e.place.is_empty() {
                    e.given = given(&json);
                }
                e
            })
        }
    }
}

/// An instant: RFC 3339, or a date and time (UTC), or a date (midnight UTC).
pub(crate) fn timestamp(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let since_1970 = match text.parse::<jiff::Timestamp>() {
        Ok(t) => t.as_duration(),
        // No offset; or the last day of 9999, which jiff's own instants do not reach.
        Err(_) => text
            .strip_suffix('Z')
            .unwrap_or(text)
            .parse::<jiff::civil::DateTime>()
            .map_err(|_| "write it as 2024-01-31T12:00:00Z or 2024-01-31".to_string())?
            .duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)),
    };
    let (mut seconds, mut nanos) = (since_1970.as_secs(), since_1970.subsec_nanos());
    if nanos < 0 {
        (seconds, nanos) = (seconds - 1, nanos + 1_000_000_000);
    }
    Timestamp::new(seconds, nanos).map_err(|e| e.to_string())
}

/// A length of time: seconds, `90s`, `1h30m`, `PT1H30M`, `2 days 3 hours`, `1 day, 2:00:00`.
pub(crate) fn duration(text: &str) -> Result<SignedDuration, String> {
    let text = text.trim();
    let number = text.strip_suffix('s').unwrap_or(text);
    if let Some(d) = seconds(number) {
        return Ok(d);
    }
    let hint = || "write it as 90s, 1h30m, PT1H30M or in seconds".to_string();
    if let Some((days, clock)) = text.split_once(", ") {
        let days: i64 = days
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .ok_or_else(hint)?;
        let rest = clock_time(clock).ok_or_else(hint)?;
        let days = i128::from(days) * 86_400_000_000_000;
        return Ok(SignedDuration::from_nanos(days + rest.as_nanos()));
    }
    if let Some(d) = clock_time(text) {
        return Ok(d);
    }
    let span: jiff::Span = text.parse().map_err(|_| hint())?;
    let whole = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "months and years have no fixed length".to_string())?;
    Ok(SignedDuration::from_nanos(whole.as_nanos()))
}

/// A decimal number of seconds, exactly.
fn seconds(text: &str) -> Option<SignedDuration> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    let whole: i128 = whole.parse().ok()?;
    let bound = i128::from(SignedDuration::SECONDS_MAX);
    (whole <= bound).then(|| SignedDuration::from_nanos(sign * (whole * 1_000_000_000 + nanos)))
}

/// `H:MM:SS` with a fraction, as Python prints it.
fn clock_time(text: &str) -> Option<SignedDuration> {
    let mut parts = text.splitn(3, ':');
    let hours: i128 = parts.next()?.parse().ok()?;
    let minutes: i128 = parts.next()?.parse().ok()?;
    let rest = seconds(parts.next()?)?;
    Some(SignedDuration::from_nanos(
        (hours * 3600 + minutes * 60) * 1_000_000_000 + rest.as_nanos(),
    ))
}
