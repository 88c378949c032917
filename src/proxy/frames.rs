//! Where one WebSocket frame ends and the next begins, in what goes to a client.
//!
//! Reads the lengths in the heads of frames (RFC 6455 section 5.2) and nothing else. A frame of ours may
//! stand between two frames of the app only.

/// The longest head: two bytes, eight of length, four of mask.
const HEAD_BYTES_MAX: usize = 14;
/// The end of the head of the HTTP answer.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What has been sent so far, as far as it matters.
#[derive(Debug)]
pub struct Frames {
    state: State,
}

#[derive(Debug)]
enum State {
    /// In the head of the answer; so many bytes of its end have come.
    Http(usize),
    /// In the head of a frame, with the bytes so far.
    Head(Vec<u8>),
    /// In a frame, with so many bytes to come.
    Payload(u64),
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            state: State::Http(0),
        }
    }
}

impl Frames {
    /// Takes note of what is sent.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = rest;
            match &mut self.state {
                State::Http(matched) => {
                    *matched = match END_OF_HEAD.get(*matched) {
                        Some(expected) if expected == first => *matched + 1,
                        _ => usize::from(*first == b'\r'),
                    };
                    if *matched == END_OF_HEAD.len() {
                        self.state = State::Head(Vec::with_capacity(HEAD_BYTES_MAX));
                    }
                }
                State::Head(head) => {
                    head.push(*first);
                    if let Some(length) = payload_length(head) {
                        self.state = begin(length);
                    }
                }
                State::Payload(left) => {
                    // The byte in hand and as many of the rest as belong to the frame.
                    let more = usize::try_from(*left - 1).unwrap_or(usize::MAX);
                    let more = more.min(bytes.len());
                    bytes = bytes.get(more..).unwrap_or_default();
                    let passed = u64::try_from(more).unwrap_or(u64::MAX).saturating_add(1);
                    self.state = begin(left.saturating_sub(passed));
                }
            }
        }
    }

    /// Whether a frame of ours may come next.
    pub fn is_between(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.is_empty())
    }
}

fn begin(left: u64) -> State {
    match left {
        0 => State::Head(Vec::with_capacity(HEAD_BYTES_MAX)),
        left => State::Payload(left),
    }
}

/// The length of the payload, once the head is complete.
fn payload_length(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let bytes = match second & 0x7f {
        126 => 2,
        127 => 8,
        length => return (head.len() == 2 + mask).then_some(u64::from(length)),
    };
    let length = head.get(2..2 + bytes)?;
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (head.len() == 2 + bytes + mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    /// Whether a frame may follow after each byte, checked byte by byte and in one piece.
    fn check(frames: &[&[u8]]) {
        let mut by_byte = Frames::default();
        for byte in HEAD {
            assert!(!by_byte.is_between());
            by_byte.pass(&[*byte]);
        }
        assert!(by_byte.is_between());
        let mut all = HEAD.to_vec();
        for frame in frames {
            for (at, byte) in frame.iter().enumerate() {
                by_byte.pass(&[*byte]);
                assert_eq!(by_byte.is_between(), at + 1 == frame.len(), "{at}");
            }
            all.extend_from_slice(frame);
        }
        for cut in [1, HEAD.len() - 1, HEAD.len(), HEAD.len() + 1, all.len() - 1] {
            let mut in_pieces = Frames::default();
            let (first, second) = all.split_at(cut);
            in_pieces.pass(first);
            in_pieces.pass(second);
            assert!(in_pieces.is_between(), "{cut}");
        }
        let mut unfinished = Frames::default();
        unfinished.pass(&all[..all.len() - 1]);
        assert!(!unfinished.is_between());
    }

    #[test]
    fn rfc6455_5_2_every_length_of_length() {
        let long = |head: &[u8], count: usize| [head, &vec![0x88; count]].concat();
        check(&[b"\x81\x02hi", b"\x89\x00", b"\x01\x01a", b"\x80\x01b"]);
        check(&[&long(b"\x82\x7d", 125), &long(b"\x82\x7e\x00\x7e", 126)]);
        check(&[&long(b"\x82\x7e\x01\x00", 256), b"\x81\x00"]);
        check(&[&long(b"\x82\x7f\0\0\0\0\0\x01\0\0", 65536), b"\x8a\x00"]);
        // No server masks, but the frame would have this length all the same.
        check(&[b"\x81\x82\x01\x02\x03\x04ik"]);
    }

    #[test]
    fn the_end_of_the_head_is_found_behind_its_own_beginning() {
        let mut frames = Frames::default();
        frames.pass(b"HTTP/1.1 101 X\r\nA: b\r\r\n\r\n");
        assert!(frames.is_between());
    }
}
