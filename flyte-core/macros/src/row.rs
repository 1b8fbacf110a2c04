use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Result};

use crate::dependency::at;
use crate::function::name_of;
use crate::record::{Attributes, fields, ident};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let all = fields(input, "Outputs")?;
    if all.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            "it needs a field; nothing at all is `()`",
        ));
    }
    let attrs = Attributes::read(&input.attrs, &["crate"])?;
    let core = attrs.core();
    let generated = quote!(#core::author::generated);
    let value = quote!(#core::author::LiteralValue);
    let (name, vis) = (&input.ident, &input.vis);
    let handles = format_ident!("{name}Handles", span = name.span());
    let idents: Vec<_> = all.iter().map(|f| ident(f)).collect();
    let types: Vec<_> = all.iter().map(|f| &f.ty).collect();
    let mut keys = Vec::new();
    for field in &all {
        let own = Attributes::read(&field.attrs, &["rename"])?;
        keys.push(
            own.rename
                .map_or_else(|| name_of(ident(field)), |r| r.value()),
        );
    }
    let members = all.iter().map(|f| {
        let (ident, ty, vis) = (ident(f), &f.ty, &f.vis);
        let core = at(&core, ty.span());
        let output = quote_spanned!(ty.span()=> #core::author::Output<#ty>);
        let docs: Vec<_> = f
            .attrs
            .iter()
            .filter(|a| a.path().is_ident("doc"))
            .collect();
        let about = format!("The handle of `{ident}`.");
        let about = docs.is_empty().then(|| quote!(#[doc = #about]));
        quote!(#about #(#docs)* #vis #ident: #output)
    });
    let literal_types = types.iter().map(|ty| {
        let core = at(&core, ty.span());
        quote_spanned!(ty.span()=> <#ty as #core::author::LiteralValue>::literal_type())
    });
    let about = format!("The handles of [`{name}`].");
    Ok(quote! {
        #[doc = #about]
        #[derive(Clone, Copy, Debug)]
        #vis struct #handles { #(#members),* }

        #[automatically_derived]
        impl #core::author::Values for #name {
            type Handles = #handles;

            const NAMES: &'static [&'static str] = &[#(#keys),*];

            fn types() -> ::std::vec::Vec<#generated::LiteralType> {
                ::std::vec![#(#literal_types),*]
            }

            fn give(self, put: &mut dyn ::core::ops::FnMut(#generated::Literal)) {
                #(put(#value::into_literal(self.#idents));)*
            }

            fn from_row(
                row: &#generated::Row,
            ) -> ::core::result::Result<Self, #core::author::ValueError> {
                ::core::result::Result::Ok(Self { #(#idents: #generated::take(row, #keys)?),* })
            }

            fn handles(refs: &mut #generated::Refs) -> #handles {
                #handles { #(#idents: refs.give()),* }
            }
        }

        #[automatically_derived]
        impl #core::author::Handles for #handles {
            type Values = #name;

            fn outlets(&self, out: &mut #generated::Outlets) {
                #(out.add(&self.#idents);)*
            }
        }

        #[automatically_derived]
        impl #core::author::IntoInputs<#name> for #handles {
            fn into_inputs(self) -> ::std::vec::Vec<#core::author::Argument> {
                ::std::vec![#(#generated::argument::<#types>(self.#idents)),*]
            }
        }

        #[automatically_derived]
        impl #core::author::IntoInputs<#name> for #name {
            fn into_inputs(self) -> ::std::vec::Vec<#core::author::Argument> {
                ::std::vec![#(#generated::argument::<#types>(self.#idents)),*]
            }
        }
    })
}
