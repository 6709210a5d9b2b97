//! An object as an original server has stored it.

use std::collections::BTreeMap;

use fastsync_core::{Error, ErrorKind, Result, Value};
use serde_json::{Map, Value as Json};

use crate::wire::{Number, RESERVED};

/// An object of an original server's store.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OriginalObject {
    /// Its identity.
    pub id: String,
    /// The zone, `Global` for what everyone shares.
    pub zone: String,
    /// The version that the server's counter gave it.
    pub version: u64,
    /// Whether it is deleted.
    pub deleted: bool,
    /// When it was made, in whatever unit.
    pub timestamp: Number,
    /// The user's fields.
    pub fields: BTreeMap<String, Value>,
}

impl OriginalObject {
    /// Reads a document of a Mongoose collection, as `mongoexport` writes it: one line of JSON.
    ///
    /// # Errors
    /// `InvalidInput` if it is not such a document.
    pub fn from_document(json: &str) -> Result<Self> {
        read(parse(json)?)
    }

    /// Reads a row of an Entity Framework table, joined with its row of `SyncMetadatas`, as SQL Server's `FOR JSON PATH` writes
    /// it: the columns in their names, and those of the metadata as `Metadata.SyncZone`, `Metadata.Version` and
    /// `Metadata.Timestamp`. Names begin with a small letter then, as in what the original server sends.
    ///
    /// # Errors
    /// `InvalidInput` if it is not such a row.
    pub fn from_row(json: &str) -> Result<Self> {
        let mut row = camel_case(parse(json)?);
        if let Some(Json::Object(metadata)) = row.remove("metadata") {
            row.insert("metadata".to_owned(), Json::Object(camel_case(metadata)));
        }
        read(row)
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "import", message)
}

fn parse(json: &str) -> Result<Map<String, Json>> {
    match serde_json::from_str(json) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(invalid("this is not an object")),
        Err(error) => Err(invalid("this is not JSON").with_source(error)),
    }
}

fn camel_case(members: Map<String, Json>) -> Map<String, Json> {
    let small = |name: String| {
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
    };
    members.into_iter().map(|(name, value)| (small(name), value)).collect()
}

fn read(mut members: Map<String, Json>) -> Result<OriginalObject> {
    let id = match members.remove("id").map(plain) {
        Some(Json::String(id)) => id,
        _ => return Err(invalid("the object has no id that is a text")),
    };
    let Some(Json::Object(mut metadata)) = members.remove("metadata") else {
        return Err(invalid("the object has no metadata"));
    };
    let mut number = |name: &str| {
        let value = metadata.remove(name).map(plain);
        value.and_then(|value| serde_json::from_value::<Number>(value).ok()).unwrap_or_default()
    };
    let (version, timestamp) = (number("version").whole(), number("timestamp"));
    let zone = match metadata.remove("syncZone").map(plain) {
        Some(Json::String(zone)) => zone,
        _ => return Err(invalid("the object's metadata has no zone")),
    };
    let deleted = match members.remove("deleted").map(plain) {
        Some(Json::Bool(deleted)) => deleted,
        Some(Json::Number(number)) => number.as_f64() != Some(0.0),
        _ => false,
    };
    let fields = members
        .into_iter()
        .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
        .map(|(name, value)| {
            let value = serde_json::from_value(plain(value))
                .map_err(|error| invalid(&format!("field {name} cannot be stored")).with_source(error))?;
            Ok((name, value))
        })
        .collect::<Result<_>>()?;
    Ok(OriginalObject { id, zone, version, deleted, timestamp, fields })
}

/// MongoDB's extended JSON as plain JSON: what the original server would have sent.
fn plain(json: Json) -> Json {
    match json {
        Json::Array(elements) => elements.into_iter().map(plain).collect(),
        Json::Object(members) => {
            let mut only = members.iter();
            if let (Some((name, value)), None) = (only.next(), only.next())
                && let Some(plain) = special(name, value)
            {
                return plain;
            }
            members.into_iter().map(|(name, value)| (name, plain(value))).collect::<Map<_, _>>().into()
        }
        json => json,
    }
}

fn special(name: &str, value: &Json) -> Option<Json> {
    let text = || value.as_str();
    match name {
        "$oid" | "$numberDecimal" | "$symbol" => text().map(Into::into),
        "$numberInt" | "$numberLong" => text()?.parse::<i64>().ok().map(Into::into),
        "$numberDouble" => text()?.parse::<f64>().ok().map(Into::into),
        "$date" => match value {
            Json::String(date) => Some(date.clone().into()),
            Json::Object(millis) => {
                let millis = millis.get("$numberLong")?.as_str()?.parse().ok()?;
                Some(moment(millis).into())
            }
            _ => None,
        },
        _ => None,
    }
}

/// A moment as JavaScript writes it.
fn moment(millis: i64) -> String {
    const DAY: i64 = 86_400_000;
    let (days, of_day) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    // Days in eras of 400 years that begin on the first of March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, fraction) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_json_is_what_the_server_would_have_sent() {
        let document = r#"{"_id":{"$oid":"65"},"id":"1","__v":0,"deleted":false,
            "metadata":{"id":"m","type":"Item","syncZone":"ada","version":{"$numberLong":"57"},"timestamp":1795294580.37},
            "name":"a","count":{"$numberInt":"3"},"price":{"$numberDouble":"1.5"},"exact":{"$numberDecimal":"0.10"},
            "due":{"$date":{"$numberLong":"1795294580370"}},"made":{"$date":"2026-11-21T20:56:20.370Z"},
            "tags":["x",{"$oid":"7"}],"more":{"a":{"$numberInt":"1"},"b":2}}"#;
        let object = OriginalObject::from_document(document).unwrap();
        assert_eq!((object.id.as_str(), object.zone.as_str(), object.version), ("1", "ada", 57));
        let field = |name: &str| object.fields[name].clone();
        assert_eq!(field("count"), Value::Integer(3));
        assert_eq!(field("price"), Value::Real(1.5));
        assert_eq!(field("exact"), Value::Text("0.10".into()));
        assert_eq!(field("due"), field("made"));
        assert_eq!(field("tags"), Value::Json("[\"x\",\"7\"]".into()));
        assert_eq!(field("more"), Value::Json("{\"a\":1,\"b\":2}".into()));
        assert_eq!(object.fields.len(), 8);
    }

    #[test]
    fn a_row_has_the_names_that_the_server_sends() {
        let row = r#"{"Id":"1","Name":"a","DueOn":"2026-01-01T00:00:00","MetadataId":"m","Deleted":true,
            "Metadata":{"SyncZone":"Global","Version":7,"Timestamp":1795294580}}"#;
        let object = OriginalObject::from_row(row).unwrap();
        assert_eq!((object.zone.as_str(), object.version, object.deleted), ("Global", 7, true));
        assert_eq!(object.fields.keys().collect::<Vec<_>>(), ["dueOn", "name"]);
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in
            ["", "7", "{}", r#"{"id":7,"metadata":{}}"#, r#"{"id":"1"}"#, r#"{"id":"1","metadata":{}}"#]
        {
            assert_eq!(
                OriginalObject::from_document(bad).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bad}"
            );
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(moment(millis), text);
        }
    }
}
