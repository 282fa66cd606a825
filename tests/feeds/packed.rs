//! Bytes packed as gzip (RFC 1952), by hand: as they are, and so that few become many.

/// Bytes packed without making them smaller.
pub(super) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a short block");
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(checksum(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).expect("a short text").to_le_bytes());
    out
}

/// Some bytes that unpack to `times` * 258 spaces.
pub(super) fn bomb(times: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // The last block, with the codes that are fixed (RFC 1951, 3.2.6).
    bits.put(1, 1);
    bits.put(1, 2);
    bits.code(0x30 + u32::from(b' '), 8);
    for _ in 0..times {
        // 258 bytes, as those one byte before.
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    bits.code(0, 7);
    // Nobody comes as far as the checksum.
    [HEAD, &bits.bytes, &[0; 8]].concat()
}

const HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    /// A number, lowest bit first.
    fn put(&mut self, value: u32, width: usize) {
        for place in 0..width {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("a byte");
            *last |= u8::from(value >> place & 1 == 1) << (self.used % 8);
            self.used += 1;
        }
    }

    /// A code, highest bit first.
    fn code(&mut self, value: u32, width: usize) {
        (0..width).rev().for_each(|place| self.put(value >> place & 1, 1));
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}
