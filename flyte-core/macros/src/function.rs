use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, Ident, ItemFn, Pat, PathArguments, Result, ReturnType, Type,
};

/// A function that becomes a task, judged and taken apart.
pub(crate) struct Function {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) is_async: bool,
    /// `()` where it says nothing.
    pub(crate) returns: Type,
}

pub(crate) struct Parameter {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) kind: ParameterKind,
}

pub(crate) enum ParameterKind {
    Input,
    /// `Res<T>`, with the `T`.
    Resource(Box<Type>),
    Context,
    /// The first one of a dynamic function.
    Builder,
}

/// A name as Flyte has it.
pub(crate) fn name_of(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}

impl Function {
    pub(crate) fn read(f: &ItemFn, dynamic: bool) -> Result<Self> {
        let what = if dynamic { "a dynamic task" } else { "a task" };
        let no = |at: &dyn Spanned, text: String| Err(Error::new(at.span(), text));
        let sig = &f.sig;
        if let Some(first) = sig.generics.params.first() {
            let text =
                format!("{what} cannot be generic: its template has one type for each input");
            return no(first, text);
        }
        if let Some(w) = &sig.generics.where_clause {
            return no(w, format!("{what} has no `where` clause"));
        }
        if let Some(t) = &sig.constness {
            return no(t, format!("{what} cannot be `const`"));
        }
        if let Some(t) = &sig.abi {
            return no(t, format!("{what} cannot be `extern`"));
        }
        if let Some(t) = &sig.variadic {
            return no(t, format!("{what} has a fixed number of inputs"));
        }
        let mut parameters = Vec::new();
        let mut errors: Option<Error> = None;
        for (i, arg) in sig.inputs.iter().enumerate() {
            match parameter(arg, what, dynamic && i == 0) {
                Ok(p) => parameters.push(p),
                Err(e) => match &mut errors {
                    Some(all) => all.combine(e),
                    None => errors = Some(e),
                },
            }
        }
        if dynamic && sig.inputs.is_empty() {
            return no(&sig.ident, builder_first());
        }
        if let Some(e) = errors {
            return Err(e);
        }
        let returns = match &sig.output {
            ReturnType::Default => syn::parse_quote_spanned!(sig.ident.span()=> ()),
            ReturnType::Type(_, t) => match &**t {
                Type::ImplTrait(i) => {
                    return no(i, format!("{what} names the type that it returns"));
                }
                Type::Reference(r) => {
                    return no(r, format!("{what} gives values of its own, not references"));
                }
                t => t.clone(),
            },
        };
        Ok(Self {
            parameters,
            is_async: sig.asyncness.is_some(),
            returns,
        })
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters
            .iter()
            .filter(|p| matches!(p.kind, ParameterKind::Input))
    }
}

fn builder_first() -> String {
    "the first parameter of a dynamic task is `wf: &mut WorkflowBuilder`".into()
}

fn parameter(arg: &FnArg, what: &str, builder: bool) -> Result<Parameter> {
    let typed = match arg {
        FnArg::Receiver(r) => {
            let text = format!("{what} is a free function: it has no `self`");
            return Err(Error::new(r.span(), text));
        }
        FnArg::Typed(t) => t,
    };
    let Pat::Ident(pat) = &*typed.pat else {
        let text = format!("{what} needs a name for each input: take the pattern apart inside");
        return Err(Error::new(typed.pat.span(), text));
    };
    if pat.by_ref.is_some() || pat.subpat.is_some() {
        let text = format!("{what} needs a plain name for each input");
        return Err(Error::new(pat.span(), text));
    }
    let ty = (*typed.ty).clone();
    let kind = if builder {
        match &ty {
            Type::Reference(r) if r.mutability.is_some() => ParameterKind::Builder,
            _ => return Err(Error::new(ty.span(), builder_first())),
        }
    } else {
        kind_of(&ty, what)?
    };
    Ok(Parameter {
        name: pat.ident.clone(),
        ty,
        kind,
    })
}

fn kind_of(ty: &Type, what: &str) -> Result<ParameterKind> {
    match ty {
        Type::Path(p) => {
            let last = p.path.segments.last();
            match last.map(|s| (s.ident.to_string(), &s.arguments)) {
                Some((name, PathArguments::AngleBracketed(a))) if name == "Res" => {
                    match a.args.first() {
                        Some(GenericArgument::Type(t)) => {
                            Ok(ParameterKind::Resource(Box::new(t.clone())))
                        }
                        _ => Err(Error::new(ty.span(), "a resource is `Res<Type>`")),
                    }
                }
                Some((name, PathArguments::AngleBracketed(_))) if name == "Cx" => {
                    Ok(ParameterKind::Context)
                }
                _ => Ok(ParameterKind::Input),
            }
        }
        Type::Reference(r) => {
            let text = match &*r.elem {
                Type::Path(p) if p.path.is_ident("str") => {
                    format!("{what} owns its inputs: take a `String`")
                }
                Type::Slice(_) => format!("{what} owns its inputs: take a `Vec`"),
                _ => format!(
                    "{what} owns its inputs: take the value itself; what the host owns is `Res<..>`"
                ),
            };
            Err(Error::new(r.span(), text))
        }
        Type::ImplTrait(i) => Err(Error::new(
            i.span(),
            format!("{what} names the types of its inputs"),
        )),
        _ => Ok(ParameterKind::Input),
    }
}
