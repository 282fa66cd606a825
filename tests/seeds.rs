//! Seeds of every form that foreign bytes take, and random changes of them, through every target: F18 in small numbers.

use std::fs;
use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::targets::{TARGETS, Target};

/// Changes of each seed; a seed of the templates takes a hundred times as long as others.
const CHANGES: usize = 200;
const CHANGES_OF_TEMPLATES: usize = 2;

#[test]
fn every_seed_and_random_changes_of_it_pass_their_target() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "the target `{name}` has no seeds");
        let changes = if name == "templates" { CHANGES_OF_TEMPLATES } else { CHANGES };
        seeds.iter().for_each(|seed| pass(target, seed, changes));
    }
}

fn pass(target: Target, seed: &[u8], changes: usize) {
    let mut dice = ChaCha8Rng::from_seed([18; 32]);
    target(seed);
    for _ in 0..changes {
        target(&changed(seed, &mut dice));
    }
}

// A few bytes changed, taken out, doubled or cut off.
fn changed(seed: &[u8], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..dice.random_range(1..6) {
        let at = dice.random_range(0..=bytes.len());
        match dice.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = dice.random(),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at, dice.random()),
            3 => bytes.truncate(at),
            _ => {
                let end = (at + dice.random_range(0..64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = dice.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).expect("a folder of seeds").flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a seed")).collect()
}
