//! The constants of fields: each compares as its field is stored.

use fastsync_core::{Comparison, Field, Filter, Order, SyncableObject, Value};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    InStock,
}

#[derive(SyncableObject)]
struct Item {
    #[syncable(id)]
    id: String,
    name: String,
    size: Option<u32>,
    #[syncable(text)]
    state: Option<State>,
    tags: Vec<String>,
    #[syncable(rename = "kind")]
    r#type: i64,
}

fn value(filter: Filter) -> (String, Value) {
    match filter {
        Filter::Compare(field, Comparison::Equal, value) => (field.as_str().to_owned(), value),
        other => panic!("{other:?}"),
    }
}

/// Fails if a constant has another name than its field, or compares with another value than is stored.
#[test]
fn a_value_is_compared_as_it_is_stored() {
    let item = Item {
        id: "1".into(),
        name: "bolt".into(),
        size: Some(8),
        state: Some(State::InStock),
        tags: vec!["m8".into()],
        r#type: 3,
    };
    let compared = [
        value(Item::NAME.equal("bolt").unwrap()),
        value(Item::SIZE.equal(8_u32).unwrap()),
        value(Item::STATE.equal(State::InStock).unwrap()),
        value(Item::TAGS.equal(vec!["m8".to_owned()]).unwrap()),
        value(Item::TYPE.equal(3).unwrap()),
    ];
    let schema = Item::schema().unwrap();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name.as_str().to_owned()).collect();
    let stored: Vec<_> = names.into_iter().zip(item.to_body().unwrap()).collect();
    assert!(compared.into_iter().eq(stored));
    assert_eq!((Item::TYPE.name(), format!("{:?}", Item::TYPE)), ("kind", "Field(\"kind\")".to_owned()));
}

#[test]
fn every_comparison_is_the_one_that_it_says() {
    let name = || Item::SIZE.ascending().unwrap().field;
    let filters = [
        (Item::SIZE.not_equal(1_u32), Comparison::NotEqual),
        (Item::SIZE.less(1_u32), Comparison::Less),
        (Item::SIZE.less_or_equal(1_u32), Comparison::LessOrEqual),
        (Item::SIZE.greater(1_u32), Comparison::Greater),
        (Item::SIZE.greater_or_equal(1_u32), Comparison::GreaterOrEqual),
    ];
    for (filter, comparison) in filters {
        assert_eq!(filter.unwrap(), Filter::Compare(name(), comparison, Value::Integer(1)));
    }
    let one_of = Item::SIZE.one_of([1_u32, 2]).unwrap();
    assert_eq!(one_of, Filter::In(name(), vec![Value::Integer(1), Value::Integer(2)]));
    assert_eq!(Item::SIZE.is_null().unwrap(), Filter::IsNull(name()));
    let text = Item::NAME.ascending().unwrap().field;
    assert_eq!(Item::NAME.starts_with("b").unwrap(), Filter::StartsWith(text.clone(), "b".into()));
    assert_eq!(Item::NAME.contains("o").unwrap(), Filter::Contains(text.clone(), "o".into()));
    assert_eq!(Item::NAME.ascending().unwrap(), Order::new(text.clone(), false));
    assert_eq!(Item::NAME.descending().unwrap(), Order::new(text, true));
}

/// Fails if what cannot be stored is compared with, or if the error does not say which field.
#[test]
fn what_cannot_be_stored_is_refused_by_name() {
    let unsound = Field::<f64>::new("weight", fastsync_core::FieldValue::to_value);
    let error = unsound.equal(f64::NAN).unwrap_err();
    assert!(error.to_string().contains("weight"), "{error}");
    assert!(Field::<f64>::new("no field", fastsync_core::FieldValue::to_value).is_null().is_err());
}
