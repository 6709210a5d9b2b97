//! What a field's type says about its column, as far as its tokens tell.

use syn::{GenericArgument, PathArguments, PathSegment, Type};

/// The type without the invisible groups of `macro_rules!` and without parentheses.
fn plain(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            ty => return ty,
        };
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match plain(ty) {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

/// The one type argument of a path segment.
fn argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match (arguments.args.first(), arguments.args.len()) {
        (Some(GenericArgument::Type(ty)), 1) => Some(ty),
        _ => None,
    }
}

/// `T` of `Option<T>`.
pub(crate) fn option(ty: &Type) -> Option<&Type> {
    last_segment(ty).filter(|segment| segment.ident == "Option").and_then(argument)
}

/// How the name of a type maps to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `FieldValue`, stored as text.
    Text,
    /// `FieldValue`, stored as something else.
    Plain,
    /// JSON.
    Other,
    /// No column at all, and why.
    Refused(&'static str),
}

/// The shape of a type that is not an `Option`.
pub(crate) fn shape(ty: &Type) -> Shape {
    if matches!(plain(ty), Type::Reference(_)) {
        return Shape::Refused("a stored field owns its value: use an owned type such as `String`");
    }
    let Some(segment) = last_segment(ty) else { return Shape::Other };
    let name = segment.ident.to_string();
    let bare = segment.arguments.is_none();
    match name.as_str() {
        "bool" | "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" | "f32"
        | "f64" | "Decimal" | "Timestamp"
            if bare =>
        {
            Shape::Plain
        }
        "String" | "Uuid" | "ObjectId" | "NaiveDateTime" | "NaiveDate" | "NaiveTime" | "OffsetDateTime"
        | "PrimitiveDateTime" | "Date" | "Time"
            if bare =>
        {
            Shape::Text
        }
        "DateTime" => Shape::Text,
        "Vec" if argument(segment).and_then(last_segment).is_some_and(|item| item.ident == "u8") => {
            Shape::Plain
        }
        "i128" | "u128" if bare => {
            Shape::Refused("no backend stores whole numbers of 128 bits: use `i64` or `String`")
        }
        "Option" if argument(segment).is_some() => {
            Shape::Refused("an `Option` in an `Option` cannot be stored: there is only one kind of no value")
        }
        _ => Shape::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_decides() {
        for (text, expected) in [
            ("bool", Shape::Plain),
            ("core::primitive::u64", Shape::Plain),
            ("std::string::String", Shape::Text),
            ("(String)", Shape::Text),
            ("uuid::Uuid", Shape::Text),
            ("chrono::DateTime<chrono::Utc>", Shape::Text),
            ("Vec<u8>", Shape::Plain),
            ("Vec<u16>", Shape::Other),
            ("Vec<Vec<u8>>", Shape::Other),
            ("[u8; 4]", Shape::Other),
            ("(i64, String)", Shape::Other),
            ("Timestamp<u8>", Shape::Other),
            ("<u8 as Trait>::String", Shape::Other),
            ("BTreeMap<String, i64>", Shape::Other),
        ] {
            assert_eq!(shape(&syn::parse_str(text).unwrap()), expected, "{text}");
        }
        for refused in ["&'static str", "i128", "u128", "Option<i64>"] {
            let ty = syn::parse_str(refused).unwrap();
            assert!(matches!(shape(&ty), Shape::Refused(_)), "{refused}");
        }
    }

    #[test]
    fn types_from_macros_are_seen_through() {
        let tokens = quote::quote!(Option<i64>);
        let group = proc_macro2::Group::new(proc_macro2::Delimiter::None, tokens);
        let group: Type = syn::parse2(proc_macro2::TokenTree::from(group).into()).unwrap();
        assert!(option(&group).is_some());
    }
}
