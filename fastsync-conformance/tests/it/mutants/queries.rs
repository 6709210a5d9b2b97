//! Reading by id and by query.

use fastsync_conformance::birch;
use fastsync_core::source::Found;
use fastsync_core::{
    Comparison, ErrorKind, FieldName, Filter, ObjectId, Order, Query, Record, Result, SyncableDataSource,
    TypeName, Value, Zone,
};

use super::broken::Broken;
use super::bugs::Bug;

impl Broken {
    pub(super) async fn get_with_bug(
        &self,
        type_name: &TypeName,
        zone: &Zone,
        ids: &[ObjectId],
    ) -> Result<Vec<Record>> {
        let mut ids: Vec<_> = ids.iter().map(|id| self.id(id)).collect();
        if self.is(Bug::GetTakesAThousandIds) {
            ids.truncate(1_000);
        }
        let mut found = match self.inner.get(type_name, &self.zone(zone), &ids).await {
            Err(error) if self.is(Bug::UnknownTypesAreEmpty) && error.kind() == ErrorKind::UnknownType => {
                Vec::new()
            }
            result => result?,
        };
        match self.bug {
            Bug::GetSortsById => found.sort_by(|a, b| a.key.cmp(&b.key)),
            Bug::AbsentIdsEndTheList => {
                let there = found.iter().zip(&ids).take_while(|(record, id)| record.key.id == **id).count();
                found.truncate(there);
            }
            Bug::OtherZonesAreFound if found.is_empty() => {
                found = self.inner.get(type_name, &fastsync_conformance::acme(), &ids).await?;
            }
            Bug::TombstonesAreForgotten => found.retain(|record| !record.is_deleted()),
            _ => {}
        }
        found.iter_mut().for_each(|record| self.read(record));
        Ok(found)
    }

    pub(super) async fn find_with_bug(&self, query: Query) -> Result<Found> {
        let query = self.query(query);
        let Found { records: mut found, mut total } = match self.inner.find(&query).await {
            Err(error) if self.is(Bug::BadQueriesFindNothing) && error.kind() == ErrorKind::InvalidInput => {
                Found { records: Vec::new(), total: query.total.then_some(0) }
            }
            result => result?,
        };
        match self.bug {
            Bug::TotalsAreOfThePage if query.total && query.limit != Some(0) => {
                total = Some(found.len() as u64)
            }
            Bug::TextIsOrderedWithoutCase if !query.order.is_empty() => {
                found.sort_by_key(|record| format!("{:?}", record.body).to_lowercase());
            }
            Bug::IdsAreNumbers if query.order.is_empty() => {
                found.sort_by_key(|record| record.key.id.as_str().parse::<i64>().unwrap_or_default());
            }
            Bug::TextBecomesANumber if !query.order.is_empty() => {
                let number = |record: &Record| match record.body.as_deref() {
                    Some([Value::Text(text), ..]) => text.trim().parse::<f64>().unwrap_or_default(),
                    _ => 0.0,
                };
                found.sort_by(|a, b| number(a).total_cmp(&number(b)));
            }
            Bug::QueriesReachOtherZones if query.zone != birch() => {
                let mut elsewhere = query;
                elsewhere.zone = birch();
                found.extend(self.inner.find(&elsewhere).await?.records);
            }
            _ => {}
        }
        found.iter_mut().for_each(|record| self.read(record));
        Ok(Found { records: found, total })
    }

    /// A query as this data source understands it.
    fn query(&self, mut query: Query) -> Query {
        query.zone = self.zone(&query.zone);
        query.filter = self.filter(query.filter);
        match self.bug {
            Bug::TiesComeInAnyOrder => {
                query.order.push(Order::new(FieldName::new("id").unwrap(), true));
            }
            Bug::OffsetsAreIgnored => query.offset = 0,
            _ => {}
        }
        query
    }

    fn filter(&self, filter: Filter) -> Filter {
        let all = |filters: Vec<Filter>| filters.into_iter().map(|filter| self.filter(filter)).collect();
        let is_id = |field: &FieldName| field.as_str() == "id";
        let before_wildcard =
            |text: &str| text.split(['%', '_', '*', '[']).next().unwrap_or_default().to_owned();
        match (self.bug, filter) {
            (Bug::LessIncludesEqual, Filter::Compare(field, Comparison::Less, value)) => {
                Filter::Compare(field, Comparison::LessOrEqual, value)
            }
            (
                Bug::RealsAreTheirOwnOrder,
                Filter::Compare(field, Comparison::Less, value @ Value::Real(_)),
            ) => Filter::Compare(field, Comparison::Greater, value),
            (Bug::NegationsNeedAValue, Filter::Not(inner)) => match &*inner {
                Filter::Compare(field, ..) | Filter::In(field, _) | Filter::StartsWith(field, _) => {
                    let is_null = Filter::IsNull(field.clone());
                    Filter::Not(Box::new(Filter::Or(vec![*inner, is_null])))
                }
                _ => Filter::Not(inner),
            },
            (Bug::EmptyTextIsNullInQueries, Filter::IsNull(field)) if field.as_str() == "note" => {
                let empty = Filter::Compare(field.clone(), Comparison::Equal, "".into());
                Filter::Or(vec![Filter::IsNull(field), empty])
            }
            (Bug::InTakesOneValue, Filter::In(field, mut values)) => {
                values.truncate(1);
                Filter::In(field, values)
            }
            (Bug::SearchesArePatterns, Filter::StartsWith(field, text)) => {
                Filter::StartsWith(field, before_wildcard(&text))
            }
            (Bug::SearchesArePatterns, Filter::Contains(field, text)) => {
                Filter::Contains(field, before_wildcard(&text))
            }
            (Bug::IdSearchesFoldCase, Filter::StartsWith(field, text)) if is_id(&field) => {
                Filter::StartsWith(field, text.to_lowercase())
            }
            (Bug::OrMeansAnd, Filter::Or(filters)) => Filter::And(all(filters)),
            (_, Filter::And(filters)) => Filter::And(all(filters)),
            (_, Filter::Or(filters)) => Filter::Or(all(filters)),
            (_, Filter::Not(inner)) => Filter::Not(Box::new(self.filter(*inner))),
            (_, filter) => filter,
        }
    }
}
