//! Characters that were cut in half.
//!
//! The texts of JavaScript and Dart are made of 16-bit units. One that is cut to a length may end inside a character, and
//! both platforms write such a half as an escape (`"Party \ud83c"`), which no text can hold.

use std::borrow::Cow;

/// What stands for half a character.
const REPLACEMENT: &str = "\\ufffd";

/// JSON in which each half of a character is U+FFFD; borrowed if there was none.
pub(super) fn characters(json: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        let start = at.saturating_add(found);
        let (is_half, length) = escape(json.get(start..).unwrap_or_default());
        if is_half {
            mended.push_str(json.get(kept..start).unwrap_or_default());
            mended.push_str(REPLACEMENT);
            kept = start.saturating_add(length);
        }
        at = start.saturating_add(length);
    }
    if kept == 0 {
        return json.into();
    }
    mended.push_str(json.get(kept..).unwrap_or_default());
    mended.into()
}

/// Whether an escape at the beginning is half a character, and how long it is; both halves of one are one.
fn escape(json: &str) -> (bool, usize) {
    const ONE: usize = "\\u0000".len();
    match unit(json) {
        None => (false, "\\n".len()),
        Some(0xd800..=0xdbff) => match unit(json.get(ONE..).unwrap_or_default()) {
            Some(0xdc00..=0xdfff) => (false, ONE + ONE),
            _ => (true, ONE),
        },
        Some(0xdc00..=0xdfff) => (true, ONE),
        Some(_) => (false, ONE),
    }
}

/// The 16-bit unit that an escape at the beginning stands for.
fn unit(json: &str) -> Option<u16> {
    let digits = json.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_are_replaced() {
        for (json, mended) in [
            (r#""Party \ud83c""#, r#""Party \ufffd""#),
            (r#""\uDF89 cut""#, r#""\ufffd cut""#),
            (r#""\ud83c\ud83c\udf89""#, r#""\ufffd\ud83c\udf89""#),
            (r#""\ud83c\n\udf89""#, r#""\ufffd\n\ufffd""#),
            (r#"{"\ud83c":["\ud83c"]}"#, r#"{"\ufffd":["\ufffd"]}"#),
        ] {
            assert_eq!(characters(json), mended);
            assert!(serde_json::from_str::<serde_json::Value>(&characters(json)).is_ok());
        }
        for whole in
            [r#""\ud83c\udf89""#, r#""\\ud83c""#, r#""\u00e9é\"""#, "7", "", r#""\\\\ud83c""#, "\"\\u00\""]
        {
            assert!(matches!(characters(whole), Cow::Borrowed(same) if same == whole), "{whole}");
        }
    }
}
