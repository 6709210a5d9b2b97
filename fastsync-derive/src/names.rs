//! The grammar of names, as `fastsync_core::TypeName` and `FieldName` check it at run time.

const MAX_NAME_BYTES: usize = 48;

/// What is wrong with a name, if anything.
pub(crate) fn problem(name: &str) -> Option<String> {
    let first = name.chars().next();
    if !first.is_some_and(|first| first.is_ascii_alphabetic()) {
        return Some(format!("`{name}` does not begin with an ASCII letter"));
    }
    if let Some(wrong) = name.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
        return Some(format!("`{name}` holds {wrong:?}; only ASCII letters, digits and `_` are allowed"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Some(format!("`{name}` is {} bytes long; at most {MAX_NAME_BYTES} are allowed", name.len()));
    }
    if name.to_ascii_lowercase().starts_with("fastsync_") {
        return Some(format!("`{name}` begins with `fastsync_`, which is reserved"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn the_grammar_is_that_of_core() {
        let pieces = ["", "a", "Z", "1", "_", "é", " ", "$", ".", "\0", "fastsync_", "FastSync_", "fastsync"];
        let long = [46, 47, 48, 49].map(|length| "x".repeat(length));
        let pieces: Vec<&str> = pieces.into_iter().chain(long.iter().map(String::as_str)).collect();
        for first in &pieces {
            for second in &pieces {
                let name = format!("{first}{second}");
                let accepted = problem(&name).is_none();
                assert_eq!(accepted, fastsync_core::FieldName::new(&name).is_ok(), "{name:?}");
                assert_eq!(accepted, fastsync_core::TypeName::new(&name).is_ok(), "{name:?}");
            }
        }
    }
}
