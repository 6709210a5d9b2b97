//! Error kinds as HTTP statuses, and back.

use fastsync_core::ErrorKind;
use http::StatusCode;

/// The status that answers an error of this kind.
#[must_use]
pub const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::BadCursor => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::UnknownZone => StatusCode::FORBIDDEN,
        ErrorKind::UnknownType | ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Contention | ErrorKind::PendingEdits => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::ClockSkew | ErrorKind::Constraint => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Protocol => StatusCode::BAD_GATEWAY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        // `Config`, `Corrupt`, `Backend`, and kinds of a later version.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The kind of a failed answer: by the `code` of its body, by its status if that names a kind of a later version.
///
/// An answer without a `code` is not of a FastSync server but of something on the way: a network's sign-in page, a firewall, a
/// proxy whose server is away. It says nothing of this user or this request, so it is `Unavailable`: try later. What it can know is
/// that a request was too large for it, `TooLarge`, or that an answer took too long, `Timeout`.
#[must_use]
pub fn kind_of(status: StatusCode, code: Option<&str>) -> ErrorKind {
    let Some(code) = code else {
        return match status {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
            _ => ErrorKind::Unavailable,
        };
    };
    if let Some(kind) = ErrorKind::from_code(code) {
        return kind;
    }
    match status {
        StatusCode::BAD_REQUEST => ErrorKind::InvalidInput,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        StatusCode::UPGRADE_REQUIRED => ErrorKind::UpgradeRequired,
        StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::NOT_IMPLEMENTED => ErrorKind::Unsupported,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
        StatusCode::INTERNAL_SERVER_ERROR => ErrorKind::Backend,
        StatusCode::INSUFFICIENT_STORAGE => ErrorKind::StorageFull,
        other if other.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_way_to_the_client_and_back() {
        for kind in ErrorKind::ALL.iter().copied() {
            let status = status_of(kind);
            assert!(status.is_client_error() || status.is_server_error(), "{kind}");
            assert_eq!(kind_of(status, Some(kind.code())), kind);
        }
    }

    #[test]
    fn the_table() {
        let table: Vec<_> =
            ErrorKind::ALL.iter().map(|kind| (kind.code(), status_of(*kind).as_u16())).collect();
        assert_eq!(
            table,
            [
                ("invalid_input", 400),
                ("too_large", 413),
                ("unknown_type", 404),
                ("unknown_zone", 403),
                ("not_found", 404),
                ("already_exists", 409),
                ("unauthorized", 401),
                ("clock_skew", 422),
                ("bad_cursor", 400),
                ("upgrade_required", 426),
                ("unsupported", 501),
                ("config", 500),
                ("contention", 409),
                ("constraint", 422),
                ("pending_edits", 409),
                ("unavailable", 503),
                ("timeout", 504),
                ("storage_full", 507),
                ("protocol", 502),
                ("corrupt", 500),
                ("backend", 500),
            ]
        );
    }

    /// Fails if what something on the way says is taken for a word of the server: that a user is signed out, that a request is
    /// refused for good.
    #[test]
    fn what_no_server_of_ours_says_is_a_matter_of_time_or_size() {
        for status in 100..=999 {
            let kind = match status {
                413 => ErrorKind::TooLarge,
                408 | 504 => ErrorKind::Timeout,
                _ => ErrorKind::Unavailable,
            };
            assert_eq!(kind_of(StatusCode::from_u16(status).unwrap(), None), kind, "{status}");
        }
    }

    #[test]
    fn a_code_of_a_later_version_leaves_the_status_and_no_success() {
        let cases = [
            (400, ErrorKind::InvalidInput),
            (401, ErrorKind::Unauthorized),
            (403, ErrorKind::Unauthorized),
            (404, ErrorKind::Protocol),
            (408, ErrorKind::Timeout),
            (413, ErrorKind::TooLarge),
            (426, ErrorKind::UpgradeRequired),
            (429, ErrorKind::Unavailable),
            (500, ErrorKind::Backend),
            (502, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (504, ErrorKind::Timeout),
            (507, ErrorKind::StorageFull),
            (521, ErrorKind::Unavailable),
            (204, ErrorKind::Protocol),
            (302, ErrorKind::Protocol),
            (418, ErrorKind::Protocol),
        ];
        for (status, kind) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(kind_of(status, Some("a_code_of_the_future")), kind, "{status}");
        }
    }
}
