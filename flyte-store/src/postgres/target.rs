use flyte_core::{Error, ErrorKind, Result};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::options::PostgresOptions;

/// Where the database is, and how connections to it are encrypted.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    #[cfg(feature = "postgres-tls")]
    pub(super) tls: Option<tokio_postgres_rustls::MakeRustlsConnect>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.config.fmt(f)
    }
}

/// What the url says of encryption. `verify-full` and `sslrootcert` are not known to the client's
/// own parser, so that they are taken out before it reads the url.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    mode: Option<String>,
    roots: Option<String>,
}

impl Wish {
    /// The wish, and the url without it.
    pub(super) fn take(url: &str) -> (Self, String) {
        let mut wish = Self::default();
        let mut keep = |part: &&str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim_matches('\'').to_owned();
            match name {
                "sslmode" => wish.mode = Some(value),
                "sslrootcert" => wish.roots = Some(value),
                _ => return true,
            }
            false
        };
        let rest = match (url.contains("://"), url.split_once('?')) {
            (true, None) => url.to_owned(),
            (true, Some((url, query))) => {
                let kept: Vec<&str> = query.split('&').filter(&mut keep).collect();
                let mark = if kept.is_empty() { "" } else { "?" };
                format!("{url}{mark}{}", kept.join("&"))
            }
            (false, _) => {
                let kept: Vec<&str> = url.split_whitespace().filter(&mut keep).collect();
                // Values may have spaces of their own, which splitting would change.
                if wish == Self::default() {
                    return (wish, url.to_owned());
                }
                kept.join(" ")
            }
        };
        (wish, rest)
    }
}

impl Target {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self> {
        let (wish, url) = Wish::take(&options.url);
        let mut config = super::connection::config(options, &url)?;
        let mode = wish.mode.as_deref().unwrap_or("disable");
        let encrypted = match mode {
            "disable" => false,
            "require" | "verify-full" => true,
            _ => {
                let text = format!(
                    "sslmode={mode} promises nothing; give `disable`, `require` (encrypted, but \
                     whoever answers is believed) or `verify-full`"
                );
                return Err(Error::new(ErrorKind::Invalid, "open", text));
            }
        };
        if wish.roots.is_some() && mode != "verify-full" {
            let text = "sslrootcert has a meaning with sslmode=verify-full only";
            return Err(Error::new(ErrorKind::Invalid, "open", text));
        }
        config.ssl_mode(if encrypted {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        #[cfg(not(feature = "postgres-tls"))]
        if encrypted {
            let text = format!(
                "sslmode={mode} needs TLS, which this program was built without; build it with \
                 the feature `postgres-tls`"
            );
            return Err(Error::new(ErrorKind::Unsupported, "open", text));
        }
        Ok(Self {
            #[cfg(feature = "postgres-tls")]
            tls: match encrypted {
                true => Some(super::tls::connector(mode, wish.roots.as_deref())?),
                false => None,
            },
            config,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes() {
        for (url, mode, roots, rest) in [
            ("postgres://h/d", None, None, "postgres://h/d"),
            (
                "postgres://h/d?sslmode=require",
                Some("require"),
                None,
                "postgres://h/d",
            ),
            (
                "postgres://h/d?a=b&sslmode=verify-full&sslrootcert=/ca.pem&c=d",
                Some("verify-full"),
                Some("/ca.pem"),
                "postgres://h/d?a=b&c=d",
            ),
            (
                "host=h sslmode=require dbname=d",
                Some("require"),
                None,
                "host=h dbname=d",
            ),
            (
                "host=h password='a  b'",
                None,
                None,
                "host=h password='a  b'",
            ),
        ] {
            let (wish, kept) = Wish::take(url);
            assert_eq!(wish.mode.as_deref(), mode, "{url}");
            assert_eq!(wish.roots.as_deref(), roots, "{url}");
            assert_eq!(kept, rest);
        }
    }

    #[test]
    fn what_is_not_kept_is_refused() {
        for (query, said) in [
            ("sslmode=prefer", "verify-full"),
            ("sslmode=verify-ca", "verify-full"),
            ("sslmode=require&sslrootcert=/ca.pem", "verify-full"),
            #[cfg(not(feature = "postgres-tls"))]
            ("sslmode=require", "postgres-tls"),
            #[cfg(feature = "postgres-tls")]
            (
                "sslmode=verify-full&sslrootcert=/no/such.pem",
                "/no/such.pem",
            ),
        ] {
            let options = PostgresOptions::new(format!("postgres://u:hidden@h/d?{query}"));
            let refused = Target::new(&options).unwrap_err().to_string();
            assert!(refused.contains(said), "{query}: {refused}");
            assert!(!refused.contains("hidden"), "{refused}");
        }
    }
}
