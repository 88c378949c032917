//! Replays the fuzz corpus, and mutations of it with a fixed seed.
//!
//! libFuzzer needs a nightly compiler; this runs the same bodies with the stable one, so that an input
//! which once broke something is tried with every change. A failing input is printed as a literal.

#[path = "../fuzz/bodies/cookie_header.rs"]
mod cookie_header;
#[path = "../fuzz/bodies/request_view.rs"]
mod request_view;
#[path = "../fuzz/bodies/return_to.rs"]
mod return_to;
#[path = "../fuzz/bodies/yaml.rs"]
mod yaml;

use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;

/// Longer inputs find nothing here that shorter ones do not, but cost time.
const INPUT_BYTES_MAX: usize = 8 * 1024;

/// Replays the corpus of `target`, then `count` mutations.
fn check(target: &str, run: fn(&[u8]), count: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut files: Vec<_> = fs::read_dir(folder.join("corpus").join(target))
        .expect("the target has a corpus")
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|file| fs::read(file).expect("an input can be read"))
        .collect();
    assert!(!corpus.is_empty(), "the corpus of {target} is empty");
    for input in &corpus {
        try_one(target, run, input);
    }
    let words = dictionary(&folder.join("dictionaries").join(format!("{target}.dict")));
    let mut random = Random(0x0A55_E551_0B11_7E57);
    for _ in 0..count {
        let mut input = random.pick(&corpus).clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &corpus, &words, &mut random);
        }
        input.truncate(INPUT_BYTES_MAX);
        try_one(target, run, &input);
    }
}

fn try_one(target: &str, run: fn(&[u8]), input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
        panic!("{target}: b\"{}\"", input.escape_ascii());
    }
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(6) {
        0 => drop(input.splice(at..at, random.pick(words).iter().copied())),
        1 => input.insert(at, random.byte()),
        2 if at < input.len() => drop(input.remove(at)),
        3 if at < input.len() => input[at] ^= 1 << random.below(8),
        4 => {
            let other = random.pick(corpus);
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => {
            // Twice what was there once.
            let end = at + random.below(input.len() - at + 1);
            let part = input[at..end].to_vec();
            drop(input.splice(end..end, part));
        }
    }
}

/// Reads a dictionary of libFuzzer: a quoted word per line, with `\\`, `\"` and `\xAB`.
fn dictionary(file: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(file).expect("the target has a dictionary");
    let words = text
        .lines()
        .filter(|line| line.starts_with('"'))
        .map(|line| {
            let quoted = line
                .strip_prefix('"')
                .and_then(|line| line.strip_suffix('"'));
            let mut chars = quoted.expect("a word ends with a quote").chars();
            let mut word = Vec::new();
            while let Some(c) = chars.next() {
                let mut bytes = [0; 4];
                match (c, c == '\\') {
                    (_, false) => word.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes()),
                    (_, true) => match chars.next() {
                        Some('x') => {
                            let digits: String = chars.by_ref().take(2).collect();
                            word.push(
                                u8::from_str_radix(&digits, 16).expect("two digits follow `\\x`"),
                            );
                        }
                        Some(c @ ('\\' | '"')) => word.push(u8::try_from(c).expect("it is ASCII")),
                        other => panic!("unknown escape {other:?}"),
                    },
                }
            }
            word
        });
    let words: Vec<_> = words.collect();
    assert!(!words.is_empty());
    words
}

/// SplitMix64: enough for mutations, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a length fits");
        usize::try_from(self.next() % end).expect("it is below a length")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

#[test]
fn cookies_of_ours_never_reach_the_app() {
    check("cookie_header", cookie_header::run, 20_000);
}

#[test]
fn no_spelling_of_a_path_leads_past_its_rule() {
    check("request_view", request_view::run, 100_000);
}

#[test]
fn nobody_is_sent_to_a_stranger() {
    check("return_to", return_to::run, 50_000);
}

#[test]
fn any_bytes_are_settings_or_problems() {
    check("yaml", yaml::run, 4000);
}
