use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitBool, LitInt, LitStr, Path, Result, Token, Type, parenthesized};

/// What stands in the parentheses of `#[task(..)]`.
#[derive(Default)]
pub(crate) struct Options {
    retries: Option<LitInt>,
    timeout: Option<(i64, i32)>,
    backoff: Option<String>,
    node_timeout: Option<String>,
    cache: Option<LitStr>,
    cache_serialize: bool,
    pub(crate) cache_ignore: Vec<Ident>,
    interruptible: Option<bool>,
    pub(crate) resources: Vec<Type>,
    version: Option<LitStr>,
    name: Option<LitStr>,
    pub(crate) tag: Option<LitStr>,
    pub(crate) core: Option<Path>,
}

/// `ATTEMPTS_MAX` of flyte-core without the first attempt.
const RETRIES_MAX: u32 = 999;

const VALID: &str = "`retries = 3`, `backoff = \"1s..5m\"`, `timeout = \"10m\"`, \
                     `node_timeout = \"1h\"`, `cache = \"1\"`, `cache_serialize`, \
                     `cache_ignore(input)`, `interruptible`, `resources(Type)`, `version = \"..\"`, \
                     `name = \"..\"`, `tag = \"..\"`, `crate = \"path\"`";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut out = Self::default();
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            let key = match input.peek(Token![crate]) {
                true => Ident::new("crate_", input.parse::<Token![crate]>()?.span),
                false => input.parse::<Ident>()?,
            };
            let name = key.to_string();
            if seen.contains(&name) {
                return Err(Error::new(key.span(), format!("`{name}` is said twice")));
            }
            out.option(&key, &name, input)?;
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if out.cache.is_none() && (out.cache_serialize || !out.cache_ignore.is_empty()) {
            let text = "`cache_serialize` and `cache_ignore` need `cache = \"version\"`";
            return Err(input.error(text));
        }
        Ok(out)
    }
}

impl Options {
    fn option(&mut self, key: &Ident, name: &str, input: ParseStream<'_>) -> Result<()> {
        match name {
            "retries" => {
                let n: LitInt = value(input)?;
                if !n.base10_parse::<u32>().is_ok_and(|n| n <= RETRIES_MAX) {
                    let text = format!("`retries` is a number from 0 to {RETRIES_MAX}");
                    return Err(Error::new(n.span(), text));
                }
                self.retries = Some(n);
            }
            "timeout" => {
                let text: LitStr = value(input)?;
                let parsed = crate::duration::parse(&text.value());
                self.timeout = Some(parsed.map_err(|e| Error::new(text.span(), e))?);
            }
            "backoff" => {
                let text: LitStr = value(input)?;
                let checked = crate::duration::range(&text.value());
                checked.map_err(|e| Error::new(text.span(), e))?;
                self.backoff = Some(text.value());
            }
            "node_timeout" => {
                let text: LitStr = value(input)?;
                let parsed = crate::duration::parse(&text.value());
                parsed.map_err(|e| Error::new(text.span(), e))?;
                self.node_timeout = Some(text.value());
            }
            "cache" => self.cache = Some(not_empty(value(input)?, "a cache version")?),
            "cache_serialize" => self.cache_serialize = flag(input)?,
            "cache_ignore" => self.cache_ignore = list(input)?,
            "interruptible" => self.interruptible = Some(flag(input)?),
            "resources" => self.resources = list(input)?,
            "version" => self.version = Some(not_empty(value(input)?, "a version")?),
            "name" => self.name = Some(not_empty(value(input)?, "a name")?),
            "tag" => self.tag = Some(not_empty(value(input)?, "a tag")?),
            "crate_" => self.core = Some(value::<LitStr>(input)?.parse()?),
            _ => {
                let text = format!("there is no option `{name}`; there are {VALID}");
                return Err(Error::new(key.span(), text));
            }
        }
        Ok(())
    }

    /// The path of flyte-core.
    pub(crate) fn core(&self) -> TokenStream {
        match &self.core {
            Some(path) => quote!(#path),
            None => crate::dependency::core(),
        }
    }

    /// The name in the template.
    pub(crate) fn name(&self) -> TokenStream {
        match &self.name {
            Some(name) => quote!(#name),
            None => quote!(Self::NAME),
        }
    }

    /// A `TaskOptions` value.
    pub(crate) fn tokens(&self, core: &TokenStream) -> TokenStream {
        let name = self.name();
        let mut fields = TokenStream::new();
        if let Some(n) = &self.retries {
            let n = n.base10_digits().parse::<u32>().unwrap_or_default();
            fields.extend(quote!(retries: #n,));
        }
        if let Some((seconds, nanos)) = self.timeout {
            fields.extend(quote!(timeout: ::core::option::Option::Some((#seconds, #nanos)),));
        }
        if let Some(text) = &self.backoff {
            fields.extend(quote!(backoff: ::core::option::Option::Some(#text),));
        }
        if let Some(text) = &self.node_timeout {
            fields.extend(quote!(node_timeout: ::core::option::Option::Some(#text),));
        }
        if let Some(version) = &self.cache {
            fields.extend(quote!(cache: ::core::option::Option::Some(#version),));
        }
        if self.cache_serialize {
            fields.extend(quote!(cache_serialize: true,));
        }
        if !self.cache_ignore.is_empty() {
            let names = self.cache_ignore.iter().map(crate::function::name_of);
            fields.extend(quote!(cache_ignore: &[#(#names),*],));
        }
        if let Some(b) = self.interruptible {
            fields.extend(quote!(interruptible: ::core::option::Option::Some(#b),));
        }
        if let Some(version) = &self.version {
            fields.extend(quote!(version: ::core::option::Option::Some(#version),));
        }
        let options = quote!(#core::author::generated::TaskOptions);
        quote!(#options { #fields ..#options::new(#name) })
    }
}

fn value<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn not_empty(text: LitStr, what: &str) -> Result<LitStr> {
    match text.value().is_empty() {
        true => Err(Error::new(text.span(), format!("{what} is not empty"))),
        false => Ok(text),
    }
}

fn flag(input: ParseStream<'_>) -> Result<bool> {
    match input.peek(Token![=]) {
        true => Ok(value::<LitBool>(input)?.value),
        false => Ok(true),
    }
}

fn list<T: Parse>(input: ParseStream<'_>) -> Result<Vec<T>> {
    let inner;
    parenthesized!(inner in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&inner)?
        .into_iter()
        .collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn retries_have_the_bound_of_the_engine() {
        assert_eq!(super::RETRIES_MAX, flyte_core::limits::ATTEMPTS_MAX - 1);
    }

    #[test]
    fn a_backoff_that_is_taken_here_is_taken_by_the_engine() {
        use flyte_core::plan::Backoff;
        let most = format!("1s..{}s", flyte_core::limits::BACKOFF_SECONDS_MAX);
        let more = format!("1s..{}s", flyte_core::limits::BACKOFF_SECONDS_MAX + 1);
        for (text, good) in [
            ("1s..5m", true),
            ("250ms .. 1h30m", true),
            ("2s..2s", true),
            (&most, true),
            (&more, false),
            ("5m..1s", false),
            ("0s..1s", false),
            ("1s", false),
            ("1s..", false),
        ] {
            assert_eq!(crate::duration::range(text).is_ok(), good, "{text}");
            assert_eq!(Backoff::parse(text).is_ok(), good, "{text}");
        }
    }
}
