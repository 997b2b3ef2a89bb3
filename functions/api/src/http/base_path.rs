//! Where the API is below its host.

/// The path of the API's public URL; empty where the API has a host of its own.
///
/// API Gateway matches routes without the key of an API mapping, and passes it on as part of the path all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BasePath(String);

impl BasePath {
    /// The path of a URL without a query.
    pub(crate) fn of(public_url: &str) -> Self {
        let after_host = public_url.splitn(4, '/').nth(3).unwrap_or_default().trim_matches('/');
        Self(if after_host.is_empty() { String::new() } else { format!("/{after_host}") })
    }

    /// A request's path without the base; `None`: it came by the API's own address, which has none.
    pub(crate) fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.0).filter(|_| !self.0.is_empty())?;
        match rest {
            "" => Some("/"),
            _ => rest.starts_with('/').then_some(rest),
        }
    }

    /// The same path below the base.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_the_base_is_known_without_it() {
        let base = BasePath::of("https://mail.example.com/mailroom/v1");
        for (path, rest) in [
            ("/mailroom/v1/profiles", Some("/profiles")),
            ("/mailroom/v1/", Some("/")),
            ("/mailroom/v1", Some("/")),
            ("/mailroom/v10/profiles", None),
            ("/profiles", None),
            ("/", None),
        ] {
            assert_eq!(base.strip(path), rest, "{path}");
        }
        assert_eq!(base.join("/profiles/1"), "/mailroom/v1/profiles/1");
        for whole_host in ["https://mail.example.com", "https://mail.example.com/"] {
            let base = BasePath::of(whole_host);
            assert_eq!((base.strip("/profiles"), base.join("/profiles")), (None, "/profiles".to_owned()));
        }
    }
}
