//! Random messages from the descriptors of our own .proto files, the same for the same seed.

use std::path::Path;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, Value,
};

/// Messages inside of messages.
const DEPTH_MAX: usize = 12;
/// Messages of one message, about.
const MESSAGES_MAX: usize = 300;
const WORDS: [&str; 7] = [
    "",
    "a",
    "ü☃",
    "n0",
    "{{.input}}",
    "\n\t\"'\\",
    "a longer one",
];

/// The messages of the .proto files.
pub(crate) fn pool() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let names = ["core", "plugins", "kubeflow", "event", "admin", "service"];
    let files = names.map(|n| root.join(format!("flyteidl/{n}.proto")));
    DescriptorPool::from_file_descriptor_set(protox::compile(files, [root]).unwrap()).unwrap()
}

/// Makes messages.
pub(crate) struct Maker {
    state: u64,
    /// Only what the model takes: known enum values, oneofs set in literals and types, times in
    /// their range.
    valid: bool,
    /// How many of eight fields are left out: some messages are sparse, some are full.
    sparse: usize,
    left: usize,
}

impl Maker {
    pub(crate) fn new(seed: u64, valid: bool) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            state,
            valid,
            sparse: 2,
            left: 0,
        }
    }

    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn message(&mut self, of: &MessageDescriptor) -> DynamicMessage {
        self.left = MESSAGES_MAX;
        self.sparse = 1 + self.below(5);
        // As decoded: a field that was set to its default is not set.
        let bytes = self.fill(of, 0).encode_to_vec();
        DynamicMessage::decode(of.clone(), &*bytes).unwrap()
    }

    fn fill(&mut self, of: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        self.left = self.left.saturating_sub(1);
        let depth = if self.left == 0 { DEPTH_MAX } else { depth };
        if self.valid && matches!(of.name(), "Timestamp" | "Duration") {
            let seconds = self.below(2_000_000_000) as i64;
            message.set_field_by_name("seconds", Value::I64(seconds));
            message.set_field_by_name("nanos", Value::I32(self.below(1_000_000_000) as i32));
            return message;
        }
        for oneof in of.oneofs() {
            let fields: Vec<_> = oneof.fields().collect();
            let needed = self.valid && needs_its_oneof(of.name(), oneof.name());
            let leaf = depth >= DEPTH_MAX && fields[0].kind().as_message().is_some() && !needed;
            if leaf || (!needed && self.below(5) == 0) {
                continue;
            }
            // The first of a oneof ends soonest.
            let deep = depth + 3 >= DEPTH_MAX;
            let field = &fields[if deep { 0 } else { self.below(fields.len()) }];
            message.set_field(field, self.one(field, depth));
        }
        for field in of.fields().filter(|f| f.containing_oneof().is_none()) {
            let needed = self.valid && needed(of.name(), field.name());
            if !needed && self.below(8) < self.sparse {
                continue;
            }
            let is_message = field.kind().as_message().is_some();
            if is_message && !needed && depth >= DEPTH_MAX {
                continue;
            }
            let value = if field.is_map() {
                let entry = field.kind();
                let value = entry.as_message().unwrap().map_entry_value_field();
                let entries = (0..self.below(3)).map(|_| {
                    (
                        MapKey::String(self.pick(&WORDS).into()),
                        self.one(&value, depth),
                    )
                });
                Value::Map(entries.collect())
            } else if field.is_list() {
                Value::List(
                    (0..self.below(3))
                        .map(|_| self.one(&field, depth))
                        .collect(),
                )
            } else {
                self.one(&field, depth)
            };
            message.set_field(&field, value);
        }
        message
    }

    fn one(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        match field.kind() {
            Kind::Message(m) => Value::Message(self.fill(&m, depth + 1)),
            Kind::Enum(e) => {
                let numbers: Vec<i32> = e.values().map(|v| v.number()).collect();
                match !self.valid && self.below(6) == 0 {
                    true => Value::EnumNumber(987),
                    false => Value::EnumNumber(self.pick(&numbers)),
                }
            }
            Kind::String => Value::String(self.pick(&WORDS).into()),
            Kind::Bytes => {
                let bytes: Vec<u8> = (0..self.below(9)).map(|_| self.next() as u8).collect();
                Value::Bytes(bytes.into())
            }
            Kind::Bool => Value::Bool(self.below(2) == 0),
            Kind::Double => Value::F64(self.pick(&[0.0, -0.0, 1.5, -1e308, 5e-324, f64::INFINITY])),
            Kind::Float => Value::F32(self.pick(&[0.0, 0.5, -2.25, 1e30])),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                Value::I32(self.pick(&[0, -1, 7, i32::MAX, i32::MIN]))
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                Value::I64(self.pick(&[0, -1, 7, i64::MAX, i64::MIN]))
            }
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.pick(&[0, 1, 7, u32::MAX])),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.pick(&[0, 1, 7, u64::MAX])),
        }
    }
}

/// Oneofs without which the model refuses a value or a type.
fn needs_its_oneof(message: &str, oneof: &str) -> bool {
    matches!(
        (message, oneof),
        ("Literal" | "Scalar" | "Primitive", "value") | ("LiteralType", "type")
    )
}

/// Fields without which the model refuses a message.
fn needed(message: &str, field: &str) -> bool {
    matches!(
        (message, field),
        ("Union", "value" | "type")
            | ("WorkflowTemplate" | "LaunchPlan", "id")
            | ("LaunchPlan", "spec")
    )
}

/// Calls `each` on every message inside of one, outermost first; where it says no, what is inside
/// is left alone.
pub(crate) fn walk(
    message: &mut DynamicMessage,
    each: &mut dyn FnMut(&mut DynamicMessage) -> bool,
) {
    if !each(message) {
        return;
    }
    let fields: Vec<_> = message.descriptor().fields().collect();
    for field in fields {
        if !message.has_field(&field) {
            continue;
        }
        match message.get_field_mut(&field) {
            Value::Message(m) => walk(m, each),
            Value::List(items) => items
                .iter_mut()
                .filter_map(as_message)
                .for_each(|m| walk(m, each)),
            Value::Map(m) => m
                .values_mut()
                .filter_map(as_message)
                .for_each(|m| walk(m, each)),
            _ => {}
        }
    }
}

fn as_message(v: &mut Value) -> Option<&mut DynamicMessage> {
    match v {
        Value::Message(m) => Some(m),
        _ => None,
    }
}
