//! A client of the original, in the dialects of its two platforms, with their faults.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{World, zone};

/// A field of the user's, and whether the client's class can read this value of it.
type Field = (&'static str, fn(&Json) -> bool);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Objects start at version 999, times are seconds with a fraction.
    TypeScript,
    /// Objects start at version 0, versions come out of a REAL column, times are microseconds. Deletions are never
    /// pushed.
    Dart,
}

pub const DIALECTS: [Dialect; 2] = [Dialect::TypeScript, Dialect::Dart];

/// What happens to the next push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    LoseReply,
    LoseRequest,
}

pub struct OldClient {
    pub world: World,
    pub user: String,
    pub dialect: Dialect,
    /// What the client was configured with: its idea of the zone.
    pub sync_zone: String,
    pub types: Vec<&'static str>,
    pub rows: BTreeMap<(String, String), Json>,
    pub cursors: BTreeMap<String, Json>,
    pub fault: Option<Fault>,
    pub last_answer: Json,
    /// The client's class has no `description`, or takes null for it.
    pub may_lack_description: bool,
    made: u64,
}

impl OldClient {
    pub fn new(world: &World, user: &str, dialect: Dialect) -> Self {
        Self {
            world: world.clone(),
            user: user.to_owned(),
            dialect,
            sync_zone: zone(user).key().unwrap().to_owned(),
            types: vec!["Item"],
            rows: BTreeMap::new(),
            cursors: BTreeMap::new(),
            fault: None,
            last_answer: Json::Null,
            may_lack_description: false,
            made: 0,
        }
    }

    pub fn with_types(mut self, types: &[&'static str]) -> Self {
        self.types = types.to_vec();
        self
    }

    fn time(&self) -> Json {
        let millis = self.world.clock.millis();
        match self.dialect {
            Dialect::TypeScript => json!(millis as f64 / 1_000.0 + 0.0004),
            Dialect::Dart => json!(millis * 1_000),
        }
    }

    fn number(&self, version: u64) -> Json {
        match self.dialect {
            Dialect::TypeScript => json!(version),
            Dialect::Dart => json!(version as f64),
        }
    }

    fn zone_of(&self, type_name: &str) -> String {
        if type_name == "Notice" { "Global".to_owned() } else { self.sync_zone.clone() }
    }

    /// Adds an object; gives its id.
    pub fn add(&mut self, type_name: &str, id: &str, fields: Json) {
        self.made += 1;
        let metadata_id = format!("m-{}-{}-{}", self.user, self.made, id);
        let start = if self.dialect == Dialect::TypeScript { 999 } else { 0 };
        let mut row = json!({
            "id": id, "deleted": false, "dirty": false, "metadataId": metadata_id,
            "metadata": {"id": metadata_id, "type": type_name, "syncZone": self.zone_of(type_name),
                "version": self.number(start), "timestamp": self.time(), "syncOperation": 0},
        });
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.rows.insert((type_name.to_owned(), id.to_owned()), row);
        self.touch(type_name, id, 0);
    }

    pub fn add_item(&mut self, id: &str, name: &str) {
        self.add("Item", id, json!({"name": name, "description": "d"}));
    }

    pub fn update(&mut self, type_name: &str, id: &str, fields: Json) {
        let row = self.rows.get_mut(&(type_name.to_owned(), id.to_owned())).unwrap();
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.touch(type_name, id, 1);
    }

    pub fn rename(&mut self, id: &str, name: &str) {
        self.update("Item", id, json!({ "name": name }));
    }

    pub fn remove(&mut self, id: &str) {
        self.rows.get_mut(&("Item".to_owned(), id.to_owned())).unwrap()["deleted"] = json!(true);
        self.touch("Item", id, 2);
    }

    /// One count per dirty cycle, however many edits; the time stays that of the making.
    fn touch(&mut self, type_name: &str, id: &str, operation: u64) {
        let key = (type_name.to_owned(), id.to_owned());
        let next = self.number(whole(&self.rows[&key]["metadata"]["version"]) + 1);
        let row = self.rows.get_mut(&key).unwrap();
        if row["dirty"] != json!(true) {
            row["metadata"]["version"] = next;
            row["dirty"] = json!(true);
        }
        row["metadata"]["syncOperation"] = json!(operation);
    }

    /// The request of a push; `None` if nothing is dirty.
    pub fn push_request(&self) -> Option<Json> {
        let mut data = serde_json::Map::new();
        let mut metadata = serde_json::Map::new();
        for type_name in &self.types {
            let dirty: Vec<_> = self
                .rows
                .iter()
                .filter(|((name, _), row)| name == type_name && row["dirty"] == json!(true))
                .filter(|(_, row)| self.dialect == Dialect::TypeScript || row["deleted"] == json!(false))
                .map(|(_, row)| row.clone())
                .collect();
            if !dirty.is_empty() {
                data.insert((*type_name).to_owned(), dirty.into());
                let zone = self.zone_of(type_name);
                metadata.insert(
                    (*type_name).to_owned(),
                    match self.dialect {
                        Dialect::TypeScript => json!({"type": type_name, "version": 999, "syncZone": zone,
                        "id": "44a9", "timestamp": self.time()}),
                        Dialect::Dart => {
                            json!({"id": "id", "syncZone": zone, "type": type_name, "version": 999,
                        "timestamp": 999, "syncOperation": 999})
                        }
                    },
                );
            }
        }
        if data.is_empty() {
            return None;
        }
        let mut request = json!({"data": data, "operationMetadata": {"metadata": metadata}});
        if self.dialect == Dialect::TypeScript {
            request["hasData"] = json!(true);
        }
        Some(request)
    }

    /// Gives whether the push succeeded; a lost one did not.
    pub async fn push(&mut self) -> bool {
        let Some(request) = self.push_request() else { return true };
        let fault = self.fault.take();
        if fault == Some(Fault::LoseRequest) {
            return false;
        }
        self.last_answer = self.world.push(&self.user, &request).await;
        if fault == Some(Fault::LoseReply) {
            return false;
        }
        let done = self.last_answer["success"] == json!(true);
        if done {
            for (type_name, objects) in request["data"].as_object().unwrap() {
                self.store(type_name, objects.as_array().unwrap());
            }
        }
        done
    }

    /// Overwrites what is there, and takes it for clean.
    fn store(&mut self, type_name: &str, objects: &[Json]) {
        for object in objects {
            let mut row = object.clone();
            row["dirty"] = json!(false);
            // What the typed clients cannot do without.
            assert!(row["metadataId"].is_string() && row["metadata"]["id"].is_string(), "{row}");
            assert!(row["metadata"]["version"].is_number() && row["metadata"]["timestamp"].is_number());
            assert!(row["deleted"].is_boolean());
            self.read(type_name, &row);
            let id = object["id"].as_str().unwrap().to_owned();
            self.rows.insert((type_name.to_owned(), id), row);
        }
    }

    /// Reads the user's fields as the classes do, those of deleted objects too: `json['name'] as String` in Dart,
    /// `card.tags.map(..)` in TypeScript. Where that throws, the client throws at this pull and at every later one.
    fn read(&self, type_name: &str, row: &Json) {
        let fields: &[Field] = match type_name {
            "Item" if self.may_lack_description => &[("name", Json::is_string)],
            "Item" => &[("name", Json::is_string), ("description", Json::is_string)],
            "Line" => &[
                ("item", Json::is_string),
                ("count", Json::is_number),
                ("price", Json::is_number),
                ("done", |done| done.is_boolean() || done.is_number()),
            ],
            "Notice" | "t" => &[("text", Json::is_string)],
            "Card" => &[("title", Json::is_string), ("tags", Json::is_array)],
            _ => &[],
        };
        for (field, is_readable) in fields {
            assert!(is_readable(&row[field]), "the client throws at {type_name}.{field}: {row}");
        }
    }

    pub fn pull_request(&mut self) -> Json {
        let seconds = self.world.clock.millis() / 1_000;
        let time = if self.dialect == Dialect::TypeScript { json!(seconds) } else { self.time() };
        for type_name in self.types.clone() {
            let (zone, start) = (self.zone_of(type_name), self.number(0));
            self.cursors.entry(type_name.to_owned()).or_insert_with(|| {
                json!({"syncZone": zone, "type": type_name, "id": type_name, "version": start,
                    "timestamp": time, "syncOperation": 999})
            });
        }
        json!({ "metadata": self.cursors })
    }

    /// One pull; gives how many objects came.
    pub async fn pull(&mut self) -> usize {
        let request = self.pull_request();
        self.last_answer = self.world.post("/pull", &self.user, &request).await;
        assert_eq!(self.last_answer["success"], json!(true), "{}", self.last_answer);
        let data = self.last_answer["data"]["data"].as_object().unwrap().clone();
        let metadata = self.last_answer["data"]["operationMetadata"]["metadata"].clone();
        let mut received = 0;
        for (type_name, objects) in &data {
            let objects = objects.as_array().unwrap();
            assert!(!objects.is_empty(), "a type without objects is left out");
            received += objects.len();
            self.store(type_name, objects);
        }
        for type_name in data.keys() {
            let mut cursor = metadata[type_name].clone();
            assert!(cursor.is_object(), "metadata for every type in data");
            cursor["id"] = cursor["type"].clone();
            if self.dialect == Dialect::Dart {
                cursor["version"] = json!(cursor["version"].as_f64().unwrap());
            }
            self.cursors.insert(type_name.clone(), cursor);
        }
        received
    }

    pub async fn sync(&mut self) -> bool {
        let pushed = self.push().await;
        self.pull().await;
        pushed
    }

    /// Drops all rows and cursors.
    pub async fn hard_reset(&mut self) {
        self.rows.clear();
        self.cursors.clear();
        self.pull().await;
    }

    /// The live items and their names.
    pub fn names(&self) -> BTreeMap<String, String> {
        self.rows
            .iter()
            .filter(|((type_name, _), row)| type_name == "Item" && row["deleted"] == json!(false))
            .map(|((_, id), row)| (id.clone(), row["name"].as_str().unwrap().to_owned()))
            .collect()
    }

    pub fn name(&self, id: &str) -> Option<String> {
        self.names().remove(id)
    }

    pub fn is_dirty(&self, id: &str) -> bool {
        self.rows[&("Item".to_owned(), id.to_owned())]["dirty"] == json!(true)
    }
}

/// A whole number that may be written as a real one.
fn whole(number: &Json) -> u64 {
    number.as_u64().unwrap_or_else(|| number.as_f64().unwrap().to_string().parse().unwrap())
}
