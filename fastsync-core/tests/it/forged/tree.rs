//! A message as any self-describing format has it: with its members in order, however often each is named.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Changed trees, with what was changed.
pub(super) type Named = Vec<(&'static str, Tree)>;

impl Tree {
    /// This tree with one member of one map twice, for every such member.
    pub(super) fn with_each_member_twice(&self) -> Vec<Self> {
        self.changed(&|tree| match tree {
            Self::Map(members) => members
                .iter()
                .map(|member| Self::Map(members.iter().chain([member]).cloned().collect()))
                .collect(),
            _ => Vec::new(),
        })
    }

    /// This tree with the values of one map in a list, and null after them; for every map.
    pub(super) fn with_maps_as_longer_lists(&self) -> Vec<Self> {
        self.changed(&|tree| match tree {
            Self::Map(members) => {
                let values = members.iter().map(|(_, value)| value.clone());
                vec![Self::List(values.chain([Self::Null]).collect())]
            }
            _ => Vec::new(),
        })
    }

    /// This tree with members that no release knows, first and last in one map of a message; for every such map.
    pub(super) fn with_unknown_members(&self) -> Vec<Self> {
        let names =
            ["metadata", "protocol", "version", "devices", "rows", "zone", "result", "session", "code"];
        self.changed(&|tree| match tree {
            Self::Map(members)
                if members.iter().any(|(name, _)| names.iter().any(|known| name.is(known))) =>
            {
                let more = [
                    (Self::Text("later".into()), Self::unknown()),
                    (Self::Text("latest".into()), Self::Null),
                ];
                vec![
                    Self::Map(more.iter().chain(members).cloned().collect()),
                    Self::Map(members.iter().chain(&more).cloned().collect()),
                ]
            }
            _ => Vec::new(),
        })
    }

    /// Everything that content of a later release may be made of.
    fn unknown() -> Self {
        let inner =
            Self::Map(vec![(Self::Text("rows".into()), Self::List(vec![Self::Null, Self::Bool(true)]))]);
        Self::List(vec![inner, Self::Unsigned(u64::MAX), Self::Signed(-1), Self::Text("\u{1f4a1}\"".into())])
    }

    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }

    /// This tree with another text in place of one, a member's name too; for every place.
    pub(super) fn with_text_changed(&self, from: &str, to: &str) -> Vec<Self> {
        let to = Self::Text(to.to_owned());
        self.changed(&|tree| match tree {
            Self::Text(text) if text == from => vec![to.clone()],
            Self::Map(members) if members.iter().any(|(name, _)| name.is(from)) => {
                let renamed = members.iter().map(|(name, value)| {
                    (if name.is(from) { to.clone() } else { name.clone() }, value.clone())
                });
                vec![Self::Map(renamed.collect())]
            }
            _ => Vec::new(),
        })
    }

    /// This tree with one row longer; for every row.
    pub(super) fn with_longer_rows(&self) -> Named {
        let change = self.rows_changed();
        [
            change("null more", |row| Self::List([row, &[Self::Null]].concat())),
            change("the last again", |row| Self::List([row, &row[5..]].concat())),
            change("much more", |row| Self::List([row, &[Self::unknown(), Self::unknown()]].concat())),
        ]
        .concat()
    }

    /// This tree with one row shorter, and with one row as a map; for every row.
    pub(super) fn with_rows_spoiled(&self) -> Named {
        let change = self.rows_changed();
        [
            change("the last less", |row| Self::List(row[..5].to_vec())),
            change("nothing", |_| Self::List(Vec::new())),
            change("a map", |row| Self::Map((0..).map(Self::Unsigned).zip(row.iter().cloned()).collect())),
        ]
        .concat()
    }

    fn rows_changed(&self) -> impl Fn(&'static str, fn(&[Self]) -> Self) -> Named {
        |what, change| {
            let rows = self.changed(&|tree| match tree {
                Self::List(row) if Self::is_row(row) => vec![change(row)],
                _ => Vec::new(),
            });
            rows.into_iter().map(|changed| (what, changed)).collect()
        }
    }

    /// A list of six, of which the last is a list or null: nothing else in these messages is.
    fn is_row(list: &[Self]) -> bool {
        matches!(list, [.., Self::List(_) | Self::Null] if list.len() == 6)
    }

    /// Every tree that differs from this one in one place, in one way that `change` gives for that place.
    fn changed(&self, change: &dyn Fn(&Self) -> Vec<Self>) -> Vec<Self> {
        let mut all = change(self);
        match self {
            Self::List(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    all.extend(element.changed(change).into_iter().map(|changed| {
                        let mut elements = elements.clone();
                        elements[at] = changed;
                        Self::List(elements)
                    }));
                }
            }
            Self::Map(members) => {
                for (at, (_, value)) in members.iter().enumerate() {
                    all.extend(value.changed(change).into_iter().map(|changed| {
                        let mut members = members.clone();
                        members[at].1 = changed;
                        Self::Map(members)
                    }));
                }
            }
            _ => {}
        }
        all
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(elements) => serializer.collect_seq(elements),
            Self::Map(members) => serializer.collect_map(members.iter().map(|(name, value)| (name, value))),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> de::Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything but a fraction")
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Unsigned(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Signed(value))
    }
    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Tree, E> {
        Ok(Tree::Bytes(bytes.to_owned()))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Map(members))
    }
}

/// Bytes as bytes, not as a list of numbers.
pub(super) mod bytes {
    pub(in super::super) fn serialize<S: serde::Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }
}
