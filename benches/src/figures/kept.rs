//! What the last runs have kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

/// The figures of each benchmark's last run, by name.
#[derive(Debug)]
pub(crate) struct Kept(pub(crate) BTreeMap<String, Value>);

/// One workload of somebody.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) who: String,
    pub(crate) workload: String,
    pub(crate) n: u64,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) client_mb: Option<f64>,
    pub(crate) server_mb: Option<f64>,
    pub(crate) client_cpu: Option<f64>,
    pub(crate) server_cpu: Option<f64>,
    /// Bytes per record on the wire.
    pub(crate) wire: Option<f64>,
    pub(crate) is_peer: bool,
    /// Whether records travel, not pages of a database.
    pub(crate) row_wise: bool,
}

impl Kept {
    /// Reads a folder; nothing is there before the first run.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut kept = BTreeMap::new();
        let Ok(entries) = fs::read_dir(folder) else { return Ok(Self(kept)) };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                kept.insert(name, serde_json::from_str(&fs::read_to_string(&path)?)?);
            }
        }
        Ok(Self(kept))
    }

    /// A figure of a benchmark that is a list.
    pub(crate) fn list(&self, name: &str, pointer: &str) -> impl Iterator<Item = &Value> {
        let list = self.0.get(name).and_then(|run| run.pointer(pointer)?.as_array());
        list.into_iter().flatten()
    }

    /// Ours and the floor, then the peers.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let ours = self.list("workloads", "/figures/lines").map(|line| Line {
            workload: text(line, "workload"),
            value: number(line, "value").unwrap_or_default(),
            unit: text(line, "unit"),
            ..Line::of(line, text(line, "pair"))
        });
        let peers = self.list("peers", "/figures").filter_map(|line| {
            let rate = number(line, "records_per_second");
            let (value, unit) = match rate {
                Some(rate) => (rate, "records/s"),
                None => (number(line, "seconds")? * 1e3, "ms"),
            };
            Some(Line {
                workload: of_peers(&text(line, "workload"))?.to_owned(),
                value,
                unit: unit.to_owned(),
                is_peer: true,
                row_wise: line.get("row_wise").and_then(Value::as_bool).unwrap_or_default(),
                ..Line::of(line, format!("{} {}", text(line, "peer"), text(line, "version")))
            })
        });
        ours.chain(peers).collect()
    }
}

impl Line {
    /// With what the lines of everybody have in common.
    fn of(line: &Value, who: String) -> Self {
        Self {
            who,
            workload: String::new(),
            n: line.get("n").and_then(Value::as_u64).unwrap_or_default(),
            value: 0.0,
            unit: String::new(),
            client_mb: number(line, "client_rss_mb"),
            server_mb: number(line, "server_rss_mb"),
            client_cpu: number(line, "client_cpu_s"),
            server_cpu: number(line, "server_cpu_s"),
            wire: number(line, "wire_bytes_per_record"),
            is_peer: false,
            row_wise: true,
        }
    }
}

/// A text of a line; empty if it has none of that name.
pub(crate) fn text(line: &Value, key: &str) -> String {
    line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A number of a line.
pub(crate) fn number(line: &Value, key: &str) -> Option<f64> {
    line.get(key).and_then(Value::as_f64)
}

/// What the peers' programs call a workload.
fn of_peers(name: &str) -> Option<&'static str> {
    Some(match name {
        "w1" => "W1",
        "w2" => "W2",
        "w3a" => "W3 A",
        "w3b" => "W3 B",
        "w4a" => "W4",
        "w5_push" => "W5 push",
        "w5_pull" => "W5 pull",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ours_and_peers_become_lines() {
        let ours = json!({ "figures": { "lines": [
            { "pair": "a - b", "workload": "W1", "n": 7, "value": 2.0, "unit": "records/s", "client_cpu_s": null },
        ] } });
        let peers = json!({ "figures": [
            { "peer": "p", "version": "1", "workload": "w4a", "n": 7, "seconds": 0.5, "row_wise": true },
            { "peer": "p", "version": "1", "workload": "w4b", "n": 7, "seconds": 0.5 },
            { "peer": "p", "version": "1", "workload": "w1", "n": 7, "seconds": 0.5, "records_per_second": 14 },
        ] });
        let kept = Kept([("workloads".to_owned(), ours), ("peers".to_owned(), peers)].into());
        let lines = kept.lines();
        let all: Vec<_> =
            lines.iter().map(|line| (&*line.who, &*line.workload, line.value, &*line.unit)).collect();
        assert_eq!(
            all,
            [("a - b", "W1", 2.0, "records/s"), ("p 1", "W4", 500.0, "ms"), ("p 1", "W1", 14.0, "records/s")]
        );
        assert!(!lines[0].is_peer && lines[1].is_peer && lines[1].row_wise && !lines[2].row_wise);
    }
}
