//! A private Galera cluster: three MariaDB servers that take one another's writes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::mysql::{self, MariaDb};
use super::{Running, free_port, is_on_path, is_root};
use crate::workspace::succeeds;

/// The library that makes a MariaDB server a node of a cluster, where Debian puts it.
pub(super) const LIBRARY: &str = "/usr/lib/galera/libgalera_smm.so";

const NODES: usize = 3;

/// The node that a proof may kill. Not the first one, which began the cluster.
const MORTAL: usize = 1;

/// Starts the nodes one after the other: each but the first copies what another one has.
pub(super) fn start(folder: &Path) -> Result<Running> {
    let path = path(folder)?;
    // The copy goes through a program that, as root, would give up its rights to the folder.
    let user = is_root().then_some("nobody");
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let folder = folder.join(format!("node{number}"));
        std::fs::create_dir(&folder)?;
        if let Some(user) = user
            && !succeeds(Command::new("chown").arg(user).arg(&folder))
        {
            bail!("{} cannot be given to {user}", folder.display());
        }
        nodes.push(Node {
            server: MariaDb::install(&folder, user)?,
            ports: [free_port()?, free_port()?, free_port()?],
        });
    }
    let members = nodes.iter().map(|node| format!("127.0.0.1:{}", node.ports[0]));
    let cluster = members.collect::<Vec<_>>().join(",");
    let mut running = Running::default();
    for (number, node) in nodes.iter().enumerate() {
        let mut keeper = node.server.start(|command| {
            node.options(command, &path, &cluster);
            if number == 0 {
                command.arg("--wsrep-new-cluster");
            }
        })?;
        if number == MORTAL {
            keeper.watch();
        }
        running.kept.push(keeper);
    }
    let urls = nodes.iter().map(|node| node.server.url()).collect::<Vec<_>>();
    running.env.push((mysql::VARIABLE.to_owned(), urls.first().cloned().unwrap_or_default()));
    running.env.push(("FASTSYNC_MYSQL_NODES".to_owned(), urls.join(",")));
    if let Some(mortal) = nodes.get(MORTAL) {
        let file = mortal.server.pid_file().display().to_string();
        running.env.push(("FASTSYNC_MYSQL_NODE_PID_FILE".to_owned(), file));
    }
    Ok(running)
}

struct Node {
    server: MariaDb,
    /// For the cluster, for what a node missed, and for a whole copy.
    ports: [u16; 3],
}

impl Node {
    fn options(&self, command: &mut Command, path: &OsString, cluster: &str) {
        let [own, missed, copy] = self.ports;
        command
            .env("PATH", path)
            .args(["--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON"])
            .args(["--wsrep-cluster-name=fastsync", "--wsrep-sst-method=rsync", "--wsrep-sync-wait=1"])
            .arg(format!("--wsrep-provider={LIBRARY}"))
            .arg(format!("--wsrep-cluster-address=gcomm://{cluster}"))
            .arg(format!("--wsrep-node-name=node{}", self.server.port()))
            .arg(format!("--wsrep-node-address=127.0.0.1:{own}"))
            .arg(format!("--wsrep-node-incoming-address=127.0.0.1:{}", self.server.port()))
            .arg(format!("--wsrep-sst-receive-address=127.0.0.1:{copy}"))
            .arg(format!(
                "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{own};ist.recv_addr=127.0.0.1:{missed}"
            ));
    }
}

/// The search path of the nodes: the programs that copy a node to another must be on it. Debian has them in the package of
/// the whole server, which would be started as a service if it were installed; so they are taken out of it.
fn path(folder: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if is_on_path("wsrep_sst_rsync") {
        return Ok(path);
    }
    let package = folder.join("package");
    std::fs::create_dir(&package)?;
    let downloaded = Command::new("apt-get")
        .args(["download", "-qq", "-o", "APT::Sandbox::User=root", "mariadb-server"])
        .current_dir(&package)
        .status();
    if !downloaded.context("apt-get cannot be run")?.success() {
        bail!(
            "wsrep_sst_rsync is not installed, and Debian's package mariadb-server cannot be fetched for it"
        );
    }
    let file = std::fs::read_dir(&package)?.next().context("apt-get has fetched nothing")??;
    if !succeeds(Command::new("dpkg").arg("-x").arg(file.path()).arg(&package)) {
        bail!("dpkg cannot unpack {}", file.path().display());
    }
    let folders = std::iter::once::<PathBuf>(package.join("usr/bin")).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(folders)?)
}
