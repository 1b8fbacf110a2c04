use super::attr::decode_msgpack;
use super::{Literal, MSGPACK_TAG, SignedDuration, to_json};

/// Why a value has no form as an argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {0} cannot be written into a command; pass it through the input file")]
pub struct RenderError(&'static str);

/// A value as `{{.inputs.x}}` shows it in a command.
///
/// # Errors
/// [`RenderError`] for maps, None, datasets, documents, unions and binary data.
pub fn render_text(literal: &Literal) -> Result<String, RenderError> {
    Ok(match literal.value() {
        Literal::Integer(i) => i.to_string(),
        Literal::Float(f) => f.to_string(),
        Literal::String(s) => s.to_string(),
        Literal::Boolean(b) => b.to_string(),
        Literal::Datetime(t) => {
            let text = t.to_string();
            match text.split_once('.') {
                Some((whole, fraction)) => {
                    let digits = fraction.trim_end_matches('Z').trim_end_matches('0');
                    format!("{whole}.{digits}Z")
                }
                None => text,
            }
        }
        Literal::Duration(d) => proto_text(*d),
        Literal::Blob(b) => b.uri.to_string(),
        Literal::Schema(s) => s.uri.to_string(),
        Literal::Binary(b) if *b.tag == *MSGPACK_TAG => match decode_msgpack(&b.value) {
            Ok(_) => match to_json(literal, None) {
                serde_json::Value::String(s) => s,
                other => other.to_string(),
            },
            Err(_) => return Err(RenderError("damaged document")),
        },
        Literal::Collection(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(render_text).collect();
            format!("[{}]", items?.join(","))
        }
        Literal::Map(_) => return Err(RenderError("map")),
        Literal::None => return Err(RenderError("None")),
        Literal::StructuredDataset(_) => return Err(RenderError("dataset")),
        Literal::Generic(_) => return Err(RenderError("struct")),
        Literal::Union(_) => return Err(RenderError("union")),
        Literal::Binary(_) => return Err(RenderError("binary value")),
        Literal::Error(_) => return Err(RenderError("FlyteError")),
        Literal::Offloaded(_) => return Err(RenderError("value stored out of band")),
        Literal::Annotated(_) => unreachable!("invariant: annotations do not nest"),
    })
}

/// The protobuf text form: `seconds:90 nanos:5`.
fn proto_text(d: SignedDuration) -> String {
    let mut parts = Vec::new();
    if d.seconds() != 0 {
        parts.push(format!("seconds:{}", d.seconds()));
    }
    if d.nanos() != 0 {
        parts.push(format!("nanos:{}", d.nanos()));
    }
    parts.join(" ")
}
