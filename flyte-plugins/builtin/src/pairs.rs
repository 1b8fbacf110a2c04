use flyte_core::id::Str;
use flyte_core::literal::LiteralType;
use flyte_core::template::{TypedInterface, VariableMap};
use flyte_core::{Error, ErrorKind, Result};

/// Which input each output repeats, as (output, input).
///
/// flytekit numbers the outputs `o0`, `o1`, … in the order in which the author wrote the inputs, and
/// sends the inputs without that order. So an output is paired with the input of its type; Flyte's own
/// engine takes one input at most.
pub(crate) fn pairs(interface: Option<&TypedInterface>) -> Result<Vec<(Str, Str)>> {
    let Some(interface) = interface else {
        return Ok(Vec::new());
    };
    let (inputs, outputs) = (&interface.inputs, &interface.outputs);
    if inputs.len() != outputs.len() {
        return Err(invalid(format!(
            "an echo task has as many outputs as inputs, and this one has {} inputs and {} outputs",
            inputs.len(),
            outputs.len()
        )));
    }
    if let (Some(input), Some(output), 1) =
        (inputs.keys().next(), outputs.keys().next(), inputs.len())
    {
        return Ok(vec![(output.clone(), input.clone())]);
    }
    let mut out = Vec::with_capacity(outputs.len());
    for (output, variable) in outputs {
        let t = variable.literal_type.as_ref();
        let own = named(inputs, t);
        match own.as_slice() {
            [input] => out.push((output.clone(), (*input).clone())),
            [] => {
                return Err(invalid(format!(
                    "no input of the echo task has the type of its output `{output}`"
                )));
            }
            several => {
                let several: Vec<&str> = several.iter().map(|n| &***n).collect();
                return Err(invalid(format!(
                    "the inputs {} of the echo task have one type, and their order is not sent, so \
                     that no output can be paired with one of them: use an echo task for each",
                    several.join(", ")
                )));
            }
        }
    }
    Ok(out)
}

fn named<'a>(inputs: &'a VariableMap, t: Option<&LiteralType>) -> Vec<&'a Str> {
    let same = inputs.iter().filter(|(_, v)| v.literal_type.as_ref() == t);
    same.map(|(name, _)| name).collect()
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::Invalid, "prepare", text)
}

#[cfg(test)]
mod tests {
    use flyte_core::literal::SimpleType;
    use flyte_core::template::Variable;

    use super::*;

    fn interface(inputs: &[(&str, SimpleType)], outputs: &[(&str, SimpleType)]) -> TypedInterface {
        let all = |some: &[(&str, SimpleType)]| {
            let one = |(n, t): &(&str, SimpleType)| {
                let variable = Variable::new(LiteralType::simple(*t));
                (Str::from(*n), variable)
            };
            some.iter().map(one).collect()
        };
        TypedInterface {
            inputs: all(inputs),
            outputs: all(outputs),
        }
    }

    #[test]
    fn outputs_repeat_the_inputs_of_their_types() {
        use SimpleType::{Float, Integer, String};
        assert_eq!(pairs(Some(&interface(&[], &[]))).unwrap(), []);
        let one = interface(&[("price", Float)], &[("o0", Float)]);
        assert_eq!(pairs(Some(&one)).unwrap(), [("o0".into(), "price".into())]);
        // Written as (b: int, a: str).
        let two = interface(
            &[("a", String), ("b", Integer)],
            &[("o0", Integer), ("o1", String)],
        );
        let wanted = [("o0".into(), "b".into()), ("o1".into(), "a".into())];
        assert_eq!(pairs(Some(&two)).unwrap(), wanted);
    }

    #[test]
    fn what_cannot_be_paired_is_refused_by_name() {
        use SimpleType::{Float, Integer};
        for (wrong, told) in [
            (interface(&[("a", Float)], &[]), "1 inputs and 0 outputs"),
            (
                interface(
                    &[("a", Float), ("b", Float)],
                    &[("o0", Float), ("o1", Float)],
                ),
                "the inputs a, b",
            ),
            (
                interface(
                    &[("a", Float), ("b", Integer)],
                    &[("o0", Float), ("o1", SimpleType::String)],
                ),
                "`o1`",
            ),
        ] {
            let e = pairs(Some(&wrong)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid);
            assert!(e.message().contains(told), "{e}");
        }
    }
}
