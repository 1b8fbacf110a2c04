use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Field, Fields, Ident, LitStr, Path, Result, Token,
};

use crate::dependency::at;
use crate::function::name_of;

/// What `#[literal(..)]` says of a type, a field or a variant.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) rename_all: Option<LitStr>,
    /// `Some(None)` is the type's own default.
    pub(crate) default: Option<Option<Expr>>,
    core: Option<Path>,
}

impl Attributes {
    /// Reads them; `valid` names what may stand here.
    pub(crate) fn read(attrs: &[Attribute], valid: &[&str]) -> Result<Self> {
        let mut out = Self::default();
        for attr in attrs.iter().filter(|a| a.path().is_ident("literal")) {
            attr.parse_nested_meta(|meta| {
                let known = valid.iter().find(|v| meta.path.is_ident(v));
                match known.copied() {
                    Some("name") => out.name = Some(meta.value()?.parse()?),
                    Some("rename") => out.rename = Some(meta.value()?.parse()?),
                    Some("rename_all") => out.rename_all = Some(meta.value()?.parse()?),
                    Some("crate") => out.core = Some(meta.value()?.parse::<LitStr>()?.parse()?),
                    Some("default") => {
                        let given = meta.input.peek(Token![=]);
                        out.default = Some(given.then(|| meta.value()?.parse()).transpose()?);
                    }
                    _ => {
                        let list: Vec<String> = valid.iter().map(|v| format!("`{v}`")).collect();
                        let list = list.join(", ");
                        return Err(meta.error(format!("unknown option; there are {list}")));
                    }
                }
                Ok(())
            })?;
        }
        Ok(out)
    }

    pub(crate) fn core(&self) -> TokenStream {
        match &self.core {
            Some(path) => quote!(#path),
            None => crate::dependency::core(),
        }
    }
}

/// The named fields of a struct without generics.
pub(crate) fn fields<'i>(input: &'i DeriveInput, derive: &str) -> Result<Vec<&'i Field>> {
    if let Some(first) = input.generics.params.first() {
        let text = format!("`{derive}` is for types without generics: a literal has one type");
        return Err(Error::new(first.span(), text));
    }
    match &input.data {
        Data::Struct(s) => match &s.fields {
            Fields::Named(named) => Ok(named.named.iter().collect()),
            other => {
                let text = format!("`{derive}` needs named fields");
                let span = if other.is_empty() {
                    input.ident.span()
                } else {
                    other.span()
                };
                Err(Error::new(span, text))
            }
        },
        Data::Enum(e) => {
            let text = format!("`{derive}` is for structs; an enum of texts is a `LiteralEnum`");
            Err(Error::new(e.enum_token.span(), text))
        }
        Data::Union(u) => {
            let text = format!("`{derive}` is for structs");
            Err(Error::new(u.union_token.span(), text))
        }
    }
}

/// The name of a field.
pub(crate) fn ident(field: &Field) -> &Ident {
    field.ident.as_ref().expect("invariant: the field is named")
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let all = fields(input, "LiteralStruct")?;
    let attrs = Attributes::read(&input.attrs, &["name", "crate"])?;
    let core = attrs.core();
    let generated = quote!(#core::author::generated);
    let value = quote!(#core::author::LiteralValue);
    let (name, vis) = (&input.ident, &input.vis);
    let title = attrs.name.map_or_else(|| name_of(name), |n| n.value());
    let handle = format_ident!("{name}Fields", span = name.span());
    let (mut described, mut methods) = (Vec::new(), Vec::new());
    let (mut packed, mut taken) = (Vec::new(), Vec::new());
    for field in all {
        let own = Attributes::read(&field.attrs, &["rename", "default"])?;
        let (ident, ty, field_vis) = (ident(field), &field.ty, &field.vis);
        let key = own.rename.map_or_else(|| name_of(ident), |r| r.value());
        // Each use of the type stands where it was written, and so does what is wrong with it.
        let span = ty.span();
        let own_core = at(&core, span);
        let of = quote_spanned!(span=> #own_core::author::generated::Field::of::<#ty>(#key));
        let default = own.default.map(|d| match d {
            Some(expr) => quote!(#expr),
            None => quote!(::core::default::Default::default()),
        });
        match &default {
            Some(default) => {
                let document = quote!(|| #generated::default_document::<#ty>(#default));
                described.push(quote!(#of.with_default(#document)));
                taken.push(quote_spanned!(span=> #ident: fields.take_or(#key, || #default)?));
            }
            None => {
                described.push(of);
                taken.push(quote_spanned!(span=> #ident: fields.take::<#ty>(#key)?));
            }
        }
        let pack = quote_spanned!(span=> <#ty as #own_core::author::LiteralValue>::pack);
        packed.push(quote!((#key, #pack(self.#ident))));
        let output = quote_spanned!(span=> #own_core::author::Output<#ty>);
        let get = quote_spanned!(span=> #own_core::author::generated::field::<#ty>(self.0, #key));
        let docs: Vec<_> = field
            .attrs
            .iter()
            .filter(|a| a.path().is_ident("doc"))
            .collect();
        let about = format!("The handle of `{key}`.");
        let about = docs.is_empty().then(|| quote!(#[doc = #about]));
        methods.push(quote! {
            #about
            #(#docs)*
            #[allow(dead_code)]
            #[must_use]
            #field_vis fn #ident(&self) -> #output {
                #get
            }
        });
    }
    let about = format!("The fields of a handle of [`{name}`].");
    Ok(quote! {
        #[doc = #about]
        #[derive(Clone, Copy, Debug)]
        #vis struct #handle(#core::author::Ref);

        impl #handle {
            #(#methods)*
        }

        #[automatically_derived]
        impl ::core::convert::From<#core::author::Ref> for #handle {
            fn from(r: #core::author::Ref) -> Self {
                Self(r)
            }
        }

        #[automatically_derived]
        impl ::core::convert::AsRef<#core::author::Ref> for #handle {
            fn as_ref(&self) -> &#core::author::Ref {
                &self.0
            }
        }

        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #core::author::Shape for #name {
            type Fields = #handle;
        }

        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #value for #name {
            const TAG: &'static str = "Object-Dataclass-Transformer";

            fn literal_type() -> #generated::LiteralType {
                #generated::struct_type(#title, &[#(#described),*])
            }

            fn schema() -> #generated::Document {
                #generated::schema_of(&<Self as #value>::literal_type())
            }

            fn into_literal(self) -> #generated::Literal {
                #generated::struct_literal(#value::pack(self))
            }

            fn from_literal(
                literal: &#generated::Literal,
            ) -> ::core::result::Result<Self, #core::author::ValueError> {
                #generated::read_document(literal, #title)
            }

            fn pack(self) -> #core::author::Packed {
                #core::author::Packed::object([#(#packed),*])
            }

            fn unpack(
                packed: #core::author::Packed,
            ) -> ::core::result::Result<Self, #core::author::ValueError> {
                #[allow(unused_mut)]
                let mut fields = packed.into_fields(#title)?;
                let _ = &fields;
                ::core::result::Result::Ok(Self { #(#taken),* })
            }
        }
    })
}
