//! Where an answer's head and body end (RFC 9112, section 6), read from bytes as they come.

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method};

use crate::load::client::{Body, Reading};

/// Most headers of an answer.
const MOST_HEADERS: usize = 128;
/// Most bytes of a head, of a chunk's size line, or of trailers.
const LONGEST_HEAD: usize = 256 * 1024;

/// What came is no HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is to come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Head,
    /// So many bytes of the body.
    Length(u64),
    ChunkSize,
    /// So many bytes of a chunk.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClosed,
    Nothing,
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The request was a HEAD: no body follows whatever the head says.
    bodiless: bool,
    next: Next,
    /// Status of the head; 0 before it came.
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Whether the connection can be used again after it.
    pub(super) reusable: bool,
    reading: Reading,
}

impl Answer {
    /// The answer to a request of this method, of whose body the first `keep` bytes are kept.
    pub(super) fn to(method: &Method, keep: usize) -> Self {
        Self {
            bodiless: method == Method::HEAD,
            next: Next::Head,
            status: 0,
            headers: HeaderMap::new(),
            reusable: true,
            reading: Reading::new(keep),
        }
    }

    /// Takes from `bytes` what belongs to it. True once it is complete.
    pub(super) fn take(&mut self, bytes: &mut BytesMut) -> Result<bool, Malformed> {
        loop {
            match self.next {
                Next::Nothing => return Ok(true),
                Next::Head => {
                    if !self.head(bytes)? {
                        return short(bytes);
                    }
                }
                Next::Length(0) => self.next = Next::Nothing,
                Next::Chunk(0) => self.next = Next::ChunkEnd,
                Next::Length(_) | Next::Chunk(_) | Next::UntilClosed if bytes.is_empty() => {
                    return Ok(false);
                }
                Next::Length(left) => self.next = Next::Length(left - self.body(bytes, left)),
                Next::Chunk(left) => self.next = Next::Chunk(left - self.body(bytes, left)),
                Next::UntilClosed => {
                    self.body(bytes, u64::MAX);
                }
                Next::ChunkSize => match httparse::parse_chunk_size(bytes) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        bytes.advance(line);
                        self.next = if size == 0 {
                            Next::Trailers
                        } else {
                            Next::Chunk(size)
                        };
                    }
                    Ok(httparse::Status::Partial) => return short(bytes),
                    Err(httparse::InvalidChunkSize) => return Err(Malformed),
                },
                Next::ChunkEnd => {
                    if bytes.len() < 2 {
                        return Ok(false);
                    }
                    if !bytes.starts_with(b"\r\n") {
                        return Err(Malformed);
                    }
                    bytes.advance(2);
                    self.next = Next::ChunkSize;
                }
                Next::Trailers => {
                    let mut room = [httparse::EMPTY_HEADER; MOST_HEADERS];
                    match httparse::parse_headers(bytes, &mut room) {
                        Ok(httparse::Status::Complete((end, _))) => {
                            bytes.advance(end);
                            self.next = Next::Nothing;
                        }
                        Ok(httparse::Status::Partial) => return short(bytes),
                        Err(_) => return Err(Malformed),
                    }
                }
            }
        }
    }

    /// The peer has closed the connection: whether that is how this answer ends.
    pub(super) fn ends_by_close(&self) -> bool {
        self.next == Next::UntilClosed
    }

    /// The body, as far as it came.
    pub(super) fn into_body(self) -> Body {
        self.reading.done()
    }

    /// Takes up to `most` bytes of the body; how many it took.
    fn body(&mut self, bytes: &mut BytesMut, most: u64) -> u64 {
        let n = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
        self.reading.take(&bytes[..n]);
        bytes.advance(n);
        n as u64
    }

    /// Takes the head, once all of it is there.
    fn head(&mut self, bytes: &mut BytesMut) -> Result<bool, Malformed> {
        let mut room = [MaybeUninit::uninit(); MOST_HEADERS];
        let mut head = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let end = match parser.parse_response_with_uninit_headers(&mut head, bytes, &mut room) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(_) => return Err(Malformed),
        };
        let (Some(status), Some(minor)) = (head.code, head.version) else {
            return Err(Malformed);
        };
        if (100..200).contains(&status) && status != 101 {
            // An interim answer; the real one follows.
            bytes.advance(end);
            return Ok(true);
        }
        self.headers.reserve(head.headers.len());
        for header in head.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Malformed)?;
            let value = HeaderValue::from_bytes(header.value).map_err(|_| Malformed)?;
            self.headers.append(name, value);
        }
        bytes.advance(end);
        self.status = status;
        self.reusable = self.says(CONNECTION, "keep-alive") || minor > 0;
        self.reusable &= !self.says(CONNECTION, "close");
        self.next = self.framing()?;
        self.reusable &= self.next != Next::UntilClosed && status != 101;
        Ok(true)
    }

    /// How the body is delimited.
    fn framing(&self) -> Result<Next, Malformed> {
        if self.bodiless || matches!(self.status, 101 | 204 | 304) {
            return Ok(Next::Nothing);
        }
        if self.headers.contains_key(TRANSFER_ENCODING) {
            return Ok(if self.says(TRANSFER_ENCODING, "chunked") {
                Next::ChunkSize
            } else {
                Next::UntilClosed
            });
        }
        let mut lengths = self.headers.get_all(CONTENT_LENGTH).iter();
        let Some(first) = lengths.next() else {
            return Ok(Next::UntilClosed);
        };
        // Digits alone: Rust's own reading would take a sign.
        let digits = first.as_bytes().iter().all(u8::is_ascii_digit);
        let length = first.to_str().ok().filter(|_| digits);
        let length = length.and_then(|l| l.parse().ok()).ok_or(Malformed)?;
        if lengths.any(|other| other != first) {
            return Err(Malformed);
        }
        Ok(Next::Length(length))
    }

    /// Whether a header's list holds this word.
    fn says(&self, name: HeaderName, word: &str) -> bool {
        let values = self.headers.get_all(name).into_iter();
        values
            .filter_map(|v| v.to_str().ok())
            .flat_map(|list| list.split(','))
            .any(|each| each.trim().eq_ignore_ascii_case(word))
    }
}

/// More is to come, unless there is too much of it already.
fn short(bytes: &BytesMut) -> Result<bool, Malformed> {
    if bytes.len() > LONGEST_HEAD {
        return Err(Malformed);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    /// How it ends when it comes in pieces of this size: status, kept body, whether complete, what is left.
    fn read(
        text: &[u8],
        piece: usize,
        method: &Method,
    ) -> Result<(u16, Bytes, bool, usize), Malformed> {
        let mut answer = Answer::to(method, 100);
        let mut bytes = BytesMut::new();
        let mut complete = false;
        for piece in text.chunks(piece) {
            bytes.extend_from_slice(piece);
            complete = answer.take(&mut bytes)?;
        }
        let status = answer.status;
        Ok((status, answer.into_body().kept, complete, bytes.len()))
    }

    const LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n";
    const INTERIM: &[u8] =
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";

    proptest! {
        #[test]
        fn an_answer_is_the_same_in_whatever_pieces_it_comes(piece in 1usize..80) {
            let hello = Bytes::from_static(b"hello");
            prop_assert_eq!(read(LENGTH, piece, &Method::GET), Ok((200, hello.clone(), true, 0)));
            prop_assert_eq!(read(CHUNKED, piece, &Method::GET), Ok((200, hello, true, 0)));
            prop_assert_eq!(read(INTERIM, piece, &Method::GET), Ok((204, Bytes::new(), true, 0)));
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), piece in 1usize..50) {
            let _ = read(&bytes, piece, &Method::GET);
            let mut text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            text.extend(bytes);
            let _ = read(&text, piece, &Method::GET);
        }
    }

    #[test]
    fn a_head_alone_has_no_body() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(
            read(head, 9, &Method::HEAD),
            Ok((200, Bytes::new(), true, 0))
        );
        assert_eq!(
            read(head, 9, &Method::GET),
            Ok((200, Bytes::new(), false, 0))
        );
        let unchanged = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(
            read(unchanged, 9, &Method::GET),
            Ok((304, Bytes::new(), true, 0))
        );
    }

    #[test]
    fn what_is_not_delimited_ends_with_the_connection() {
        let mut answer = Answer::to(&Method::GET, 2);
        let mut bytes = BytesMut::from(&b"HTTP/1.1 200 OK\r\n\r\nabc"[..]);
        assert_eq!(answer.take(&mut bytes), Ok(false));
        assert!(answer.ends_by_close() && !answer.reusable);
        let body = answer.into_body();
        assert_eq!((&body.kept[..], body.whole), (&b"ab"[..], false));
    }

    #[test]
    fn whether_a_connection_can_be_used_again() {
        for (head, reusable) in [
            ("HTTP/1.1 204 x\r\n\r\n", true),
            ("HTTP/1.1 204 x\r\nConnection: Close\r\n\r\n", false),
            ("HTTP/1.0 204 x\r\n\r\n", false),
            ("HTTP/1.0 204 x\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            let mut answer = Answer::to(&Method::GET, 0);
            assert_eq!(answer.take(&mut BytesMut::from(head)), Ok(true), "{head}");
            assert_eq!(answer.reusable, reusable, "{head}");
        }
    }

    #[test]
    fn bad_framing_is_malformed() {
        for text in [
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert_eq!(
                read(text.as_bytes(), 500, &Method::GET),
                Err(Malformed),
                "{text}"
            );
        }
    }
}
