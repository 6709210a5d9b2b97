//! Names of types and fields. They become table and column names, so their grammar is narrow.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

fn check_name(what: &'static str, name: &str) -> Result<()> {
    let mut characters = name.chars();
    let well_formed = characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !well_formed || name.len() > MAX_NAME_BYTES {
        let shown: String = name.chars().take(64).collect();
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "check",
            format!(
                "{what} {shown:?} is not a letter followed by at most {} letters, digits or `_`",
                MAX_NAME_BYTES - 1
            ),
        ));
    }
    if name.to_ascii_lowercase().starts_with("fastsync_") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "check",
            format!("{what} {name:?}: `fastsync_` is reserved"),
        ));
    }
    Ok(())
}

const MAX_NAME_BYTES: usize = 48;

macro_rules! name_newtype {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// `InvalidInput` unless it is an ASCII letter followed by at most 47 ASCII letters, digits or `_`;
            /// names that begin with `fastsync_` are reserved.
            pub fn new(name: impl AsRef<str>) -> Result<Self> {
                check_name($what, name.as_ref())?;
                Ok(Self(name.as_ref().into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(name: String) -> Result<Self> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name_newtype! {
    /// The name of a type of object: its table, tree or collection, and its name on the wire.
    ///
    /// Two names that differ only in case cannot be registered together, since some databases merge them.
    TypeName, "type name"
}

name_newtype! {
    /// The name of a field: its column or document field, and its name on the wire.
    FieldName, "field name"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_identifiers_are_names() {
        for name in ["items", "Item", "a1_b", &"x".repeat(48)] {
            assert!(TypeName::new(name).is_ok(), "{name}");
        }
        let bad = [
            "",
            "1a",
            "_a",
            "a b",
            "a;b",
            "a\"b",
            "a`b",
            "$set",
            "a.b",
            "__proto__",
            "é",
            "fastsync_x",
            "FASTSYNC_x",
        ];
        for name in bad.into_iter().chain([&*"x".repeat(49)]) {
            assert_eq!(FieldName::new(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        }
    }
}
