use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, ItemFn, Result};

use crate::dependency::at;
use crate::function::{Function, ParameterKind, name_of};
use crate::options::Options;

pub(crate) fn expand(args: TokenStream, item: ItemFn, dynamic: bool) -> Result<TokenStream> {
    let options: Options = syn::parse2(args)?;
    let function = Function::read(&item, dynamic)?;
    for ignored in &options.cache_ignore {
        if !function.inputs().any(|p| p.name == *ignored) {
            let text = format!("the task has no input `{ignored}`");
            return Err(Error::new(ignored.span(), text));
        }
    }
    let core = options.core();
    let call = call(&core, &item, &function, dynamic);
    let own = own(&core, &item, &function, &options, dynamic);
    let object = object(&core, &item, &function, &options, dynamic);
    Ok(quote!(#call #own #object))
}

/// Attributes that decide whether an item is there: every generated one needs them.
fn cfgs(item: &ItemFn) -> Vec<&Attribute> {
    item.attrs
        .iter()
        .filter(|a| a.path().is_ident("cfg"))
        .collect()
}

/// The function that takes handles and gives a call.
fn call(core: &TokenStream, item: &ItemFn, f: &Function, dynamic: bool) -> TokenStream {
    let (vis, name, cfgs) = (&item.vis, &item.sig.ident, cfgs(item));
    let docs = item.attrs.iter().filter(|a| a.path().is_ident("doc"));
    let generated = quote!(#core::author::generated);
    let parameters = f.inputs().map(|p| {
        let (name, ty) = (&p.name, &p.ty);
        // The bound carries the place of the name: the compiler underlines it when a caller's
        // argument does not fit.
        let core = at(core, name.span());
        let bound = quote_spanned!(name.span()=> impl #core::author::IntoInput<#ty>);
        quote!(#name: #bound)
    });
    let names = f.inputs().map(|p| name_of(&p.name));
    let arguments = f.inputs().map(|p| {
        let (name, ty) = (&p.name, &p.ty);
        quote!(#generated::argument::<#ty>(#name))
    });
    let returns = &f.returns;
    let returns = match dynamic {
        true => quote!(#generated::DynamicValues<#returns>),
        false => quote!(#returns),
    };
    quote! {
        #(#cfgs)*
        #(#docs)*
        #[track_caller]
        #[allow(clippy::too_many_arguments)]
        #vis fn #name(#(#parameters),*) -> #core::author::Call<#returns> {
            #core::author::Call::task(&#name {}, &[#(#names),*], ::std::vec![#(#arguments),*])
        }
    }
}

/// The type of the task: the function as `run`, and what names it.
fn own(
    core: &TokenStream,
    item: &ItemFn,
    f: &Function,
    options: &Options,
    dynamic: bool,
) -> TokenStream {
    let (vis, name, cfgs) = (&item.vis, &item.sig.ident, cfgs(item));
    let generated = quote!(#core::author::generated);
    let short = name_of(name);
    let path = quote!(::core::concat!(::core::module_path!(), "::", #short));
    let tag = match &options.tag {
        Some(tag) => quote!(#tag),
        None => quote!(Self::NAME),
    };
    let mut run = item.clone();
    run.vis = item.vis.clone();
    run.attrs.retain(|a| !a.path().is_ident("cfg"));
    run.sig.ident = format_ident!("run", span = name.span());
    let arguments = arguments(core, f);
    let returns = &f.returns;
    let (kind, new) = match dynamic {
        true => (quote!(DynamicRet), quote!(dynamic_ret)),
        false => (quote!(Ret), quote!(ret)),
    };
    let new = at(&quote!(#core::author::generated::#new), returns.span());
    let ret = quote_spanned!(returns.span()=> #new::<#returns>());
    let types = types(f);
    let result = match dynamic {
        true => quote!(#generated::DynamicValues<#returns>),
        false => quote!(#returns),
    };
    let about = format!("The task `{short}`.");
    let named = options.name();
    quote! {
        #(#cfgs)*
        #[doc = #about]
        #[derive(Debug)]
        #[allow(non_camel_case_types)]
        #vis struct #name {}

        #(#cfgs)*
        #[allow(dead_code)]
        impl #name {
            const NAME: &'static str = #path;
            /// What its persisted objects are called.
            #vis const TAG: &'static str = #tag;
            /// The task without its arguments.
            #vis const TASK: #core::author::TaskRef<#types, #result> =
                #core::author::TaskRef::new(Self::TAG, #named, Self::ARGUMENTS);
            const ARGUMENTS: &'static dyn #generated::Arguments<#types> = &#arguments;
            const RETURNS: #generated::#kind<#returns> = #ret;
        }

        #(#cfgs)*
        impl #name {
            #run
        }
    }
}

/// The task object: its template, how it runs, and its registration.
fn object(
    core: &TokenStream,
    item: &ItemFn,
    f: &Function,
    options: &Options,
    dynamic: bool,
) -> TokenStream {
    let (name, cfgs) = (&item.sig.ident, cfgs(item));
    let generated = quote!(#core::author::generated);
    let template = options.tokens(core);
    let methods = methods(core, item, f, dynamic);
    let mut needs: Vec<_> = options.resources.iter().collect();
    for p in &f.parameters {
        if let ParameterKind::Resource(t) = &p.kind
            && !needs
                .iter()
                .any(|n| quote!(#n).to_string() == quote!(#t).to_string())
        {
            needs.push(t);
        }
    }
    let declared = needs.iter().map(|t| {
        let core = at(core, t.span());
        quote_spanned!(t.span()=> impl #core::author::Needs<#t> for #name {})
    });
    let needed = needs.iter().map(|t| {
        let core = at(core, t.span());
        quote_spanned!(t.span()=> #core::author::ResourceNeed::of::<#t>())
    });
    let needs = (!needs.is_empty()).then(|| {
        quote! {
            fn needs(&self) -> &'static [#core::author::ResourceNeed] {
                const NEEDS: &[#core::author::ResourceNeed] = &[#(#needed),*];
                NEEDS
            }
        }
    });
    let tagged = options.tag.as_ref().map(|tag| {
        quote! {
            #generated::inventory::submit! {
                #generated::Tagged { tag: #tag, task: #name::NAME }
            }
        }
    });
    // A plain function may block its thread.
    let blocking = (!f.is_async).then(|| {
        quote! {
            fn blocking(&self) -> bool {
                true
            }
        }
    });
    quote! {
        #(#cfgs)*
        const _: () = {
            // The attribute below names its crate by this.
            use #generated::typetag;

            #(#declared)*
            #tagged

            impl #generated::serde::Serialize for #name {
                fn serialize<S: #generated::serde::Serializer>(
                    &self,
                    s: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    #generated::write_object(s)
                }
            }

            impl<'de> #generated::serde::Deserialize<'de> for #name {
                fn deserialize<D: #generated::serde::Deserializer<'de>>(
                    d: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    match #generated::read_object(d) {
                        ::core::result::Result::Ok(()) => ::core::result::Result::Ok(Self {}),
                        ::core::result::Result::Err(e) => ::core::result::Result::Err(e),
                    }
                }
            }

            #[typetag::serde(name = <#name>::TAG)]
            impl #generated::Task for #name {
                fn template(&self) -> #generated::TaskTemplate {
                    #template.template(Self::ARGUMENTS.variables(), Self::RETURNS.outputs())
                }

                #methods
                #needs
                #blocking
            }
        };
    }
}

/// The tuple of the inputs' types.
fn types(f: &Function) -> TokenStream {
    let types = f.inputs().map(|p| &p.ty);
    quote!((#(#types,)*))
}

/// The inputs as data; what is wrong with a type is shown at it.
fn arguments(core: &TokenStream, f: &Function) -> TokenStream {
    let generated = quote!(#core::author::generated);
    let all = f.inputs().map(|p| {
        let (ty, name) = (&p.ty, name_of(&p.name));
        let core = at(core, ty.span());
        quote_spanned!(ty.span()=> #core::author::generated::arg::<#ty>(#name))
    });
    let all: Vec<_> = all.collect();
    if all.len() <= ARGUMENTS_MAX {
        return quote!((#(#all,)*));
    }
    quote! {
        #generated::ManyArguments {
            variables: || ::std::vec![#(#all.variable()),*],
            take: |inputs| ::core::result::Result::Ok((#(#all.take(inputs)?,)*)),
        }
    }
}

/// What runs the function.
fn methods(core: &TokenStream, item: &ItemFn, f: &Function, dynamic: bool) -> TokenStream {
    let (name, returns, types) = (&item.sig.ident, &f.returns, types(f));
    let generated = quote!(#core::author::generated);
    let mut next = 0;
    let values = f.parameters.iter().map(|p| {
        let ty = &p.ty;
        match &p.kind {
            ParameterKind::Builder => quote!(wf),
            ParameterKind::Context => {
                quote_spanned!(ty.span()=> <#ty>::new(::core::clone::Clone::clone(cx)))
            }
            ParameterKind::Resource(_) => quote_spanned!(ty.span()=> <#ty>::of(cx)?),
            ParameterKind::Input => {
                next += 1;
                let ident = arg(next - 1);
                quote!(#ident)
            }
        }
    });
    let called = quote!(<#name>::run(#(#values),*));
    let names = (0..f.inputs().count()).map(arg);
    let life = if dynamic { quote!('w) } else { quote!('static) };
    let (called, gives) = match f.is_async {
        true => (
            quote!(::std::boxed::Box::pin(#called)),
            quote!(#generated::Waited<#life, #returns>),
        ),
        false => (called, quote!(#returns)),
    };
    let (generics, builder) = match dynamic {
        true => (
            quote!(<'w>),
            quote!(wf: &'w mut #core::author::WorkflowBuilder,),
        ),
        false => (quote!(), quote!()),
    };
    let call = quote! {
        #[allow(unused_variables)]
        fn call #generics(
            cx: &#generated::TaskContext,
            #builder
            (#(#names,)*): #types,
        ) -> ::core::result::Result<#gives, #generated::TaskError> {
            ::core::result::Result::Ok(#called)
        }
    };
    // The form that `async_trait` gives a method; one macro less runs for each task.
    let method = |method: &str, gives: TokenStream, body: TokenStream| {
        let method = format_ident!("{method}");
        quote! {
            fn #method<'life0, 'life1, 'async_trait>(
                &'life0 self,
                cx: &'life1 #generated::TaskContext,
                inputs: #generated::Row,
            ) -> #generated::Waited<
                'async_trait,
                ::core::result::Result<#gives, #generated::TaskError>,
            >
            where
                'life0: 'async_trait,
                'life1: 'async_trait,
                Self: 'async_trait,
            {
                #body
            }
        }
    };
    let how = |what: &str| match f.is_async {
        true => format_ident!("{what}_async"),
        false => format_ident!("{what}_plain"),
    };
    if dynamic {
        let (how, text) = (how("expand"), name_of(name));
        let values = quote! {
            #generated::values_of(#generated::Task::expand(self, cx, inputs))
        };
        let run = method("run", quote!(#generated::Row), values);
        let asked = quote! {
            #call
            #generated::#how(cx, inputs, Self::ARGUMENTS, call, Self::RETURNS, #text)
        };
        let expand = method("expand", quote!(#generated::Expansion), asked);
        return quote!(#run #expand fn is_dynamic(&self) -> bool { true });
    }
    let how = how("run");
    let body = quote! {
        static NAMES: ::std::sync::OnceLock<#generated::Names> = ::std::sync::OnceLock::new();
        #call
        #generated::#how(cx, inputs, Self::ARGUMENTS, call, Self::RETURNS, &NAMES)
    };
    method("run", quote!(#generated::Row), body)
}

/// Inputs of the largest tuple that flyte-core knows as a whole.
const ARGUMENTS_MAX: usize = 8;

fn arg(i: usize) -> syn::Ident {
    format_ident!("arg_{i}")
}
