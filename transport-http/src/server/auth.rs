//! Who sends a request.

use async_trait::async_trait;
use fastsync_core::{Result, SyncContext};
use http::header::AUTHORIZATION;
use http::request::Parts;

/// Tells who sends a request. Asked before anything of its body is read.
///
/// Any `Fn(&Parts) -> Result<SyncContext>` is one; implement the trait where authentication has to wait for
/// something.
///
/// # Contract
///
/// - An error of the kinds `Unavailable`, `Timeout` and `Contention` says that it could not be decided (503 or
///   504), one of `Config`, `Corrupt`, `Backend`, `StorageFull` and `Protocol` that the server failed; every
///   other kind refuses the request, with one and the same 401 whatever the reason.
/// - Nothing but the request's head is known. A token belongs in a header: query strings end up in logs.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// The sender of the request with this head.
    ///
    /// # Errors
    /// As the contract says.
    async fn authenticate(&self, parts: &Parts) -> Result<SyncContext>;
}

#[async_trait]
impl<F> Authenticate for F
where
    F: Fn(&Parts) -> Result<SyncContext> + Send + Sync + 'static,
{
    async fn authenticate(&self, parts: &Parts) -> Result<SyncContext> {
        self(parts)
    }
}

/// The token of `Authorization: Bearer TOKEN`. Only of exactly one such header, and never of the URI.
#[must_use]
pub fn bearer_token(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let mut request = http::Request::builder().uri("/push?access_token=query");
        for value in values {
            request = request.header(AUTHORIZATION, *value);
        }
        bearer_token(&request.body(()).unwrap().into_parts().0).map(str::to_owned)
    }

    #[test]
    fn only_one_well_formed_bearer_header_is_a_token() {
        assert_eq!(token(&["Bearer abc.def"]).as_deref(), Some("abc.def"));
        assert_eq!(token(&["bearer abc"]).as_deref(), Some("abc"));
        for bad in [
            &[] as &[_],
            &["abc"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &["Basic abc"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(token(bad), None, "{bad:?}");
        }
    }
}
