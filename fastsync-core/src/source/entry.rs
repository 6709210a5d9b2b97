//! The form of what is stored: every entry begins with the version of its form.
//!
//! ```
//! use fastsync_core::source::entry;
//!
//! let stored = entry::encode(&("ada", 7_u64))?;
//! assert_eq!(stored[0], entry::FORM);
//! assert_eq!(entry::decode::<(String, u64)>(&stored)?, ("ada".to_owned(), 7));
//!
//! // What a later release wrote is not guessed at.
//! let error = entry::decode::<(String, u64)>(&[entry::FORM + 1, 0]).unwrap_err();
//! assert_eq!(error.kind(), fastsync_core::ErrorKind::Unsupported);
//! # Ok::<(), fastsync_core::Error>(())
//! ```
//!
//! The content is positional: a field more, less or elsewhere is another form, with a number of its own. Golden files pin
//! what form 1 writes.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{Error, ErrorKind, Result};

/// The version that every entry of this release begins with.
pub const FORM: u8 = 1;

/// Writes an entry: [`FORM`], then the value in postcard.
///
/// # Errors
/// `Backend` if the value cannot be written.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    postcard::to_extend(value, vec![FORM]).map_err(|error| unwritable().with_source(error))
}

/// Writes an entry whose content has a later form than [`FORM`].
pub(crate) fn encode_form<T: Serialize + ?Sized>(form: u8, value: &T) -> Result<Vec<u8>> {
    postcard::to_extend(value, vec![form]).map_err(|error| unwritable().with_source(error))
}

/// The form of an entry, and its content, if the form is at most `newest`.
pub(crate) fn parts(stored: &[u8], newest: u8) -> Result<(u8, &[u8])> {
    match stored.split_first() {
        Some((&form, content)) if (FORM..=newest).contains(&form) => Ok((form, content)),
        Some((&found, _)) if found > newest => Err(newer(found, newest)),
        _ => Err(unreadable()),
    }
}

/// Reads an entry that [`encode`] wrote.
///
/// # Errors
/// `Unsupported` if a later release wrote it, `Corrupt` if it cannot be read.
pub fn decode<T: DeserializeOwned>(stored: &[u8]) -> Result<T> {
    read(content(stored)?)
}

/// Reads the content of an entry.
pub(crate) fn read<T: DeserializeOwned>(content: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(content) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(unreadable()),
        Err(error) => Err(unreadable().with_source(error)),
    }
}

/// What follows the version, of entries that are not read as one value.
///
/// # Errors
/// As for [`decode`].
pub fn content(stored: &[u8]) -> Result<&[u8]> {
    parts(stored, FORM).map(|(_, content)| content)
}

/// Writes an entry as JSON that begins with its version, for what people read too.
///
/// # Errors
/// `Backend` if the value cannot be written.
pub fn encode_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    #[derive(Serialize)]
    struct Entry<'a, T: ?Sized> {
        form: u8,
        content: &'a T,
    }
    serde_json::to_string(&Entry { form: FORM, content: value })
        .map_err(|error| unwritable().with_source(error))
}

/// Reads an entry that [`encode_json`] wrote.
///
/// # Errors
/// As for [`decode`].
pub fn decode_json<T: DeserializeOwned>(stored: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        form: u8,
    }
    #[derive(Deserialize)]
    struct Entry<T> {
        content: T,
    }
    let corrupt = |error| unreadable().with_source(error);
    match serde_json::from_slice(stored).map_err(corrupt)? {
        Version { form: FORM } => {
            serde_json::from_slice(stored).map(|entry: Entry<T>| entry.content).map_err(corrupt)
        }
        Version { form } if form > FORM => Err(newer(form, FORM)),
        Version { .. } => Err(unreadable()),
    }
}

fn newer(found: u8, newest: u8) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "decode",
        format!(
            "a stored entry was written by a newer release (form {found}, this one reads up to {newest}): upgrade \
             the program that reads it"
        ),
    )
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "decode", "a stored entry cannot be read")
}

fn unwritable() -> Error {
    Error::new(ErrorKind::Backend, "encode", "an entry cannot be written")
}

/// Holds stored entries against the file of this name, a line for each; with `FASTSYNC_ACCEPT_GOLDEN` set, writes it.
#[cfg(test)]
pub(crate) fn assert_golden(name: &str, entries: &[&[u8]]) {
    let hex = |entry: &&[u8]| {
        entry.iter().map(|byte| format!("{byte:02x}")).chain(["\n".into()]).collect::<String>()
    };
    let written: String = entries.iter().map(hex).collect();
    let path = format!("{}/tests/golden/stored/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    assert_eq!(written, std::fs::read_to_string(&path).unwrap(), "{name}: a stored form has changed");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a later form is read, or is called damage.
    #[test]
    fn a_later_form_is_named_and_damage_is_damage() {
        let (good, text) = (encode("ada").unwrap(), encode_json("ada").unwrap());
        assert_eq!(good, b"\x01\x03ada");
        assert_eq!(text, r#"{"form":1,"content":"ada"}"#);
        assert_eq!(decode::<String>(&good).unwrap(), "ada");
        assert_eq!(decode_json::<String>(text.as_bytes()).unwrap(), "ada");
        for later in [FORM + 1, u8::MAX] {
            let stored = [&[later], &good[1..]].concat();
            let in_json = format!(r#"{{"form":{later},"content":[],"more":1}}"#);
            for error in [
                decode::<String>(&stored).unwrap_err(),
                content(&stored).unwrap_err(),
                decode_json::<String>(in_json.as_bytes()).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert!(error.message().contains("newer release") && error.message().contains("upgrade"));
            }
        }
        for damaged in [&b""[..], b"\0\x03ada", b"\x01\x04ada", b"\x01\x03adas", b"\x01"] {
            assert_eq!(decode::<String>(damaged).unwrap_err().kind(), ErrorKind::Corrupt, "{damaged:?}");
        }
        for damaged in ["", "{}", "\"ada\"", r#"{"form":0,"content":"ada"}"#, r#"{"form":1,"content":7}"#] {
            let error = decode_json::<String>(damaged.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{damaged}");
        }
    }
}
