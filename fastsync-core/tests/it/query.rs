//! What a query may ask, and how much of it.

use crate::support::by_hand::type_name;
use crate::support::*;
use fastsync_core::*;

/// A filter of this many levels.
fn nested(levels: usize, within: impl Fn(Filter) -> Filter) -> Filter {
    (1..levels).fold(Filter::All, |filter, _| within(filter))
}

async fn kind_of_answer(filter: Filter) -> Option<ErrorKind> {
    let server = server().await;
    let query = Query::all(type_name("tasks"), Zone::Global).with_filter(filter);
    let (found, counted) =
        (server.store.source().find(&query).await, server.store.source().count(&query).await);
    let kinds = (found.err().map(|error| error.kind()), counted.err().map(|error| error.kind()));
    assert_eq!(kinds.0, kinds.1);
    kinds.0
}

/// Fails if the depth of a filter is not limited in one of its forms, or if the limit itself is refused.
#[tokio::test]
async fn a_filter_is_as_deep_as_the_limit() {
    let forms: [fn(Filter) -> Filter; 3] = [
        |inner| Filter::Not(Box::new(inner)),
        |inner| Filter::And(vec![inner]),
        |inner| Filter::Or(vec![inner]),
    ];
    for form in forms {
        assert_eq!(kind_of_answer(nested(32, form)).await, None);
        assert_eq!(kind_of_answer(nested(33, form)).await, Some(ErrorKind::TooLarge));
    }
}

/// Fails if the conditions of a filter are not limited, however they are written.
#[tokio::test]
async fn a_filter_has_as_many_conditions_as_the_limit() {
    let text = || FieldName::new("text").unwrap();
    let list = |length| Filter::In(text(), vec![Value::Text("x".into()); length]);
    assert_eq!(kind_of_answer(list(1_000)).await, None);
    assert_eq!(kind_of_answer(list(1_001)).await, Some(ErrorKind::TooLarge));
    for one in [
        Filter::All,
        Filter::IsNull(text()),
        Filter::equal("text", "x").unwrap(),
        Filter::StartsWith(text(), "x".into()),
        list(1),
        // Of no value, it is a condition all the same.
        list(0),
    ] {
        // The group itself is one, too.
        assert_eq!(kind_of_answer(Filter::Or(vec![one.clone(); 999])).await, None, "{one:?}");
        let more = Filter::Or(vec![one.clone(); 1_000]);
        assert_eq!(kind_of_answer(more).await, Some(ErrorKind::TooLarge), "{one:?}");
    }
    // They count together, whatever is between them.
    let halves = |each| Filter::And(vec![list(each), Filter::Not(Box::new(list(each)))]);
    assert_eq!(kind_of_answer(halves(499)).await, None);
    assert_eq!(kind_of_answer(halves(500)).await, Some(ErrorKind::TooLarge));
}

/// Fails if NUL, which not every backend takes, reaches one in a search text.
#[tokio::test]
async fn a_search_text_holds_no_nul() {
    let text = || FieldName::new("text").unwrap();
    for filter in [
        Filter::StartsWith(text(), "a\0b".into()),
        Filter::Contains(text(), "\0".into()),
        Filter::Not(Box::new(Filter::Contains(text(), "\0".into()))),
    ] {
        assert_eq!(kind_of_answer(filter.clone()).await, Some(ErrorKind::InvalidInput), "{filter:?}");
    }
    assert_eq!(kind_of_answer(Filter::Contains(text(), "ab".into())).await, None);
}

/// Fails if a name that is no field of the type, or a comparison that its kind does not have, reaches a
/// backend.
#[tokio::test]
async fn only_fields_of_the_type_are_asked_for_and_only_what_they_have() {
    let field = |name| FieldName::new(name).unwrap();
    for filter in [
        Filter::equal("nothing", 1_i64).unwrap(),
        Filter::IsNull(field("nothing")),
        Filter::In(field("nothing"), Vec::new()),
        Filter::Contains(field("nothing"), String::new()),
        Filter::equal("TEXT", "x").unwrap(),
        Filter::equal("text", 1_i64).unwrap(),
        Filter::In(field("text"), vec!["x".into(), true.into()]),
        Filter::compare("done", Comparison::Less, true).unwrap(),
        Filter::StartsWith(field("done"), "t".into()),
    ] {
        assert_eq!(kind_of_answer(filter.clone()).await, Some(ErrorKind::InvalidInput), "{filter:?}");
    }
    assert_eq!(kind_of_answer(Filter::equal("id", "1").unwrap()).await, None, "the id is a field");
}
