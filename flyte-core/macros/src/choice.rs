use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result};

use crate::function::name_of;
use crate::record::Attributes;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        let text = "`LiteralEnum` is for enums; a struct is a `LiteralStruct`";
        return Err(Error::new(input.ident.span(), text));
    };
    if let Some(first) = input.generics.params.first() {
        return Err(Error::new(
            first.span(),
            "`LiteralEnum` is for types without generics",
        ));
    }
    let attrs = Attributes::read(&input.attrs, &["rename_all", "crate"])?;
    let core = attrs.core();
    let generated = quote!(#core::author::generated);
    let name = &input.ident;
    let (mut idents, mut texts) = (Vec::new(), Vec::<String>::new());
    for v in &data.variants {
        if !matches!(v.fields, Fields::Unit) {
            let text = "a variant of a `LiteralEnum` has no fields: its value is a text";
            return Err(Error::new(v.fields.span(), text));
        }
        let own = Attributes::read(&v.attrs, &["rename"])?;
        let text = match own.rename {
            Some(text) => text.value(),
            None => renamed(&name_of(&v.ident), attrs.rename_all.as_ref())?,
        };
        if texts.contains(&text) {
            let text = format!("two variants have the text `{text}`");
            return Err(Error::new(v.ident.span(), text));
        }
        idents.push(&v.ident);
        texts.push(text);
    }
    if idents.is_empty() {
        return Err(Error::new(name.span(), "a `LiteralEnum` needs a variant"));
    }
    let wanted = format!("one of {}", texts.join(", "));
    Ok(quote! {
        #[automatically_derived]
        impl #core::author::Shape for #name {
            type Fields = #core::author::Ref;
        }

        #[automatically_derived]
        impl #core::author::LiteralValue for #name {
            const TAG: &'static str = "DefaultEnumTransformer";

            fn literal_type() -> #generated::LiteralType {
                #generated::LiteralType::enumeration([#(#texts),*])
            }

            fn schema() -> #generated::Document {
                #generated::enum_schema(&[#(#texts),*])
            }

            fn into_literal(self) -> #generated::Literal {
                #generated::Literal::string(match self { #(Self::#idents => #texts),* })
            }

            fn from_literal(
                literal: &#generated::Literal,
            ) -> ::core::result::Result<Self, #core::author::ValueError> {
                #generated::read_text(literal, #wanted, |text| match text {
                    #(#texts => ::core::option::Option::Some(Self::#idents),)*
                    _ => ::core::option::Option::None,
                })
            }

            fn pack(self) -> #core::author::Packed {
                #core::author::Packed::text(match self { #(Self::#idents => #texts),* })
            }

            fn unpack(
                packed: #core::author::Packed,
            ) -> ::core::result::Result<Self, #core::author::ValueError> {
                #generated::unpack_text(&packed, #wanted, |text| match text {
                    #(#texts => ::core::option::Option::Some(Self::#idents),)*
                    _ => ::core::option::Option::None,
                })
            }
        }
    })
}

/// A variant's name in another case.
fn renamed(name: &str, all: Option<&LitStr>) -> Result<String> {
    let Some(all) = all else {
        return Ok(name.to_owned());
    };
    let words = |joint: char| {
        let mut out = String::new();
        for (i, c) in name.chars().enumerate() {
            if c.is_uppercase() && i > 0 {
                out.push(joint);
            }
            out.extend(c.to_lowercase());
        }
        out
    };
    Ok(match all.value().as_str() {
        "lowercase" => name.to_lowercase(),
        "UPPERCASE" => name.to_uppercase(),
        "snake_case" => words('_'),
        "SCREAMING_SNAKE_CASE" => words('_').to_uppercase(),
        "kebab-case" => words('-'),
        _ => {
            let text = "there are `lowercase`, `UPPERCASE`, `snake_case`, `SCREAMING_SNAKE_CASE` \
                        and `kebab-case`";
            return Err(Error::new(all.span(), text));
        }
    })
}
