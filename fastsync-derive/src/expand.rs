//! The code.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit};

use crate::kind;
use crate::object::{Column, Object, Serde, Storage};

/// The implementation of `SyncableObject`.
pub(crate) fn expand(object: &Object) -> TokenStream {
    let Object { ident, where_clause, name, .. } = object;
    let (id, id_type) = (&object.id.ident, &object.id.ty);
    let schema = schema(object);
    let writes = object.columns.iter().map(|column| {
        let ident = &column.ident;
        let write = write(column, &quote!(self.#ident));
        named(&write, object, &column.name)
    });
    let locals: Vec<_> = (0..object.columns.len()).map(|at| format_ident!("__fastsync_value_{at}")).collect();
    let reads = object.columns.iter().zip(&locals).map(|(column, local)| {
        let ident = &column.ident;
        let read = named(&read(column, local), object, &column.name);
        quote!(#ident: #read?)
    });
    let defaults = object.skipped.iter().map(|(ident, ty)| {
        let default = quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default());
        quote!(#ident: #default)
    });
    let write_id = quote_spanned! {id_type.span()=>
        <#id_type as ::fastsync_core::IdValue>::to_object_id(&self.#id)
    };
    let read_id = quote_spanned! {id_type.span()=>
        <#id_type as ::fastsync_core::IdValue>::from_object_id(__fastsync_id)
    };
    let write_id = named(&write_id, object, &object.id.name);
    let read_id = named(&read_id, object, &object.id.name);
    let constants = object.columns.iter().map(constant);
    let zones = if object.restricted { quote!(Restricted) } else { quote!(Global) };
    quote! {
        #[automatically_derived]
        #[allow(deprecated, dead_code, unreachable_pub, non_upper_case_globals)]
        impl #ident #where_clause {
            #(#constants)*
        }

        #[automatically_derived]
        #[allow(deprecated)]
        impl ::fastsync_core::SyncableObject for #ident #where_clause {
            const ZONES: ::core::option::Option<::fastsync_core::ZoneRestriction> =
                ::core::option::Option::Some(::fastsync_core::ZoneRestriction::#zones);

            fn schema() -> ::fastsync_core::Result<::fastsync_core::TypeSchema> {
                #schema
            }

            fn id(&self) -> ::fastsync_core::Result<::fastsync_core::ObjectId> {
                #write_id
            }

            fn to_body(&self) -> ::fastsync_core::Result<::std::vec::Vec<::fastsync_core::Value>> {
                ::core::result::Result::Ok(::std::vec![#(#writes?),*])
            }

            fn from_body(
                __fastsync_id: &::fastsync_core::ObjectId,
                __fastsync_body: ::std::vec::Vec<::fastsync_core::Value>,
            ) -> ::fastsync_core::Result<Self> {
                let [#(#locals),*] = ::fastsync_core::object::__private::values(#name, __fastsync_body)?;
                ::core::result::Result::Ok(Self {
                    #id: #read_id?,
                    #(#reads,)*
                    #(#defaults,)*
                })
            }
        }
    }
}

/// The constant of a field, for filters and orders.
fn constant(Column { constant, vis, ident, ty, name, storage, .. }: &Column) -> TokenStream {
    let (of, to_value) = match storage {
        Storage::Value => {
            let of = kind::option(ty).unwrap_or(ty);
            (of, quote_spanned!(of.span()=> <#of as ::fastsync_core::FieldValue>::to_value))
        }
        Storage::Text(Serde::Required(of) | Serde::Optional(of)) => {
            (of, quote_spanned!(of.span()=> ::fastsync_core::object::__private::to_text::<#of>))
        }
        Storage::Json(Serde::Required(of) | Serde::Optional(of)) => {
            (of, quote_spanned!(of.span()=> ::fastsync_core::object::__private::to_json::<#of>))
        }
    };
    let about = format!("The field `{}`, for filters and orders.", ident.unraw());
    quote! {
        #[doc = #about]
        #vis const #constant: ::fastsync_core::Field<#of> = ::fastsync_core::Field::new(#name, #to_value);
    }
}

fn schema(object: &Object) -> TokenStream {
    let (name, id) = (&object.name, &object.id.name);
    let id_type = &object.id.ty;
    let id_kind = quote_spanned!(id_type.span()=> <#id_type as ::fastsync_core::IdValue>::ID_KIND);
    let [version, min_version] = [object.version, object.min_version].map(Literal::u32_suffixed);
    let priority = object.priority;
    let restricted = object.restricted.then(|| quote!(.restricted()));
    let columns = object.columns.iter().map(|column| {
        let (field, default) = (field(column), default(column, object));
        let (name, was) = (&column.name, &column.was);
        quote! {
            #field
            #default
            #(let __fastsync_schema = __fastsync_schema.was(#name, #was);)*
        }
    });
    quote! {
        let __fastsync_schema = ::fastsync_core::TypeSchema::builder(#name, #id)
            .id_kind(#id_kind)
            .version(#version)
            .min_version(#min_version)
            .priority(#priority)
            #restricted;
        #(#columns)*
        __fastsync_schema.build()
    }
}

/// Adds the field to the schema.
fn field(Column { ty, name, storage, .. }: &Column) -> TokenStream {
    let kind = match storage {
        Storage::Value => {
            // Only the call is where the type is: a name would be another one there, if the type comes from a macro.
            let column = quote_spanned!(ty.span()=> ::fastsync_core::object::__private::column::<#ty>);
            return quote! {
                let __fastsync_schema = #column(__fastsync_schema, #name);
            };
        }
        Storage::Text(_) => quote!(Text),
        Storage::Json(_) => quote!(Json),
    };
    let method = match storage {
        Storage::Text(Serde::Optional(_)) | Storage::Json(Serde::Optional(_)) => quote!(nullable_field),
        _ => quote!(field),
    };
    // Empty text is none of an enum's names.
    let zeroless = matches!(storage, Storage::Text(Serde::Required(_))).then(|| quote!(.zeroless(#name)));
    quote! {
        let __fastsync_schema =
            __fastsync_schema.#method(#name, ::fastsync_core::FieldKind::#kind) #zeroless;
    }
}

/// Gives the field its default, if it has one, as its values are given.
fn default(column: &Column, object: &Object) -> Option<TokenStream> {
    let Column { ty, name, default, .. } = column;
    let default = default.as_ref()?;
    let write = named(&write(column, &quote!(__fastsync_default)), object, name);
    let value = match (default, kind::option(ty)) {
        (Expr::Lit(ExprLit { lit: lit @ Lit::Str(_), .. }), inner) => {
            let ty = inner.unwrap_or(ty);
            let text = quote_spanned!(lit.span()=> <#ty as ::core::convert::From<&str>>::from(#lit));
            if inner.is_some() { quote!(::core::option::Option::Some(#text)) } else { text }
        }
        (Expr::Lit(literal), Some(_)) => quote!(::core::option::Option::Some(#literal)),
        (default, _) => quote!(#default),
    };
    Some(quote! {
        let __fastsync_default: #ty = #value;
        let __fastsync_schema = __fastsync_schema.default_value(#name, #write?);
    })
}

/// The value of a field that is at this place, as a `Result`.
fn write(Column { ty, storage, .. }: &Column, place: &TokenStream) -> TokenStream {
    let (serde, function) = match storage {
        Storage::Value => {
            return quote_spanned!(ty.span()=> <#ty as ::fastsync_core::FieldValue>::to_value(&#place));
        }
        Storage::Text(serde) => (serde, quote!(to_text)),
        Storage::Json(serde) => (serde, quote!(to_json)),
    };
    match serde {
        Serde::Required(ty) => {
            quote_spanned!(ty.span()=> ::fastsync_core::object::__private::#function::<#ty>(&#place))
        }
        Serde::Optional(ty) => quote_spanned! {ty.span()=>
            ::fastsync_core::object::__private::to_option(
                &#place,
                ::fastsync_core::object::__private::#function::<#ty>,
            )
        },
    }
}

/// The field of a value, as a `Result`.
fn read(Column { ty, storage, .. }: &Column, local: &Ident) -> TokenStream {
    let (serde, function) = match storage {
        Storage::Value => {
            return quote_spanned!(ty.span()=> <#ty as ::fastsync_core::FieldValue>::from_value(#local));
        }
        Storage::Text(serde) => (serde, quote!(from_text)),
        Storage::Json(serde) => (serde, quote!(from_json)),
    };
    match serde {
        Serde::Required(ty) => {
            quote_spanned!(ty.span()=> ::fastsync_core::object::__private::#function::<#ty>(#local))
        }
        Serde::Optional(ty) => quote_spanned! {ty.span()=>
            ::fastsync_core::object::__private::from_option(
                #local,
                ::fastsync_core::object::__private::#function::<#ty>,
            )
        },
    }
}

/// The result, with the name of the field in the error.
fn named(result: &TokenStream, object: &Object, field: &str) -> TokenStream {
    let context = format!("{}.{field}", object.name);
    quote!(::fastsync_core::object::__private::named(#context, #result))
}
