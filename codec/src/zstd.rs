//! Zstd of whole bodies. One frame per body: more than one, or anything after it, is refused.

use std::io::Read;

use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::stream::raw::CParameter;
use zstd::stream::read::Decoder;

use crate::coding::UnpackError;

/// The largest window in bytes, as a power of two: what RFC 9659 lets a sender use.
const WINDOW_LOG: u32 = 23;

/// Text is about as small as at higher levels, in less time.
const LEVEL: i32 = 1;

/// Decompresses, and stops at `limit` bytes of output.
pub(crate) fn decompress(input: &[u8], limit: usize) -> Result<Bytes, UnpackError> {
    // What the frame claims is not believed.
    let mut output = Vec::with_capacity(input.len().saturating_mul(3).min(limit));
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoder = Decoder::with_buffer(input).map_err(|_| UnpackError::Malformed)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(|_| UnpackError::Malformed)?;
    decoder.by_ref().take(bound).read_to_end(&mut output).map_err(|_| UnpackError::Malformed)?;
    if output.len() > limit {
        return Err(UnpackError::TooLarge);
    }
    if !decoder.finish().is_empty() {
        return Err(UnpackError::Malformed);
    }
    Ok(output.into())
}

/// Compresses; `None` if that fails or does not make it smaller.
pub(crate) fn compress(input: &[u8]) -> Option<Bytes> {
    let mut compressor = Compressor::new(LEVEL).ok()?;
    compressor.set_parameter(CParameter::ChecksumFlag(true)).ok()?;
    let output = compressor.compress(input).ok()?;
    (output.len() < input.len()).then(|| output.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_up_to_the_limit_exactly() {
        let input = b"abcdefgh".repeat(100_000);
        let packed = compress(&input).unwrap();
        assert_eq!(decompress(&packed, input.len()).unwrap(), input);
        assert_eq!(decompress(&packed, input.len() - 1), Err(UnpackError::TooLarge));
        assert_eq!(compress(b"x"), None);
    }

    #[test]
    fn only_one_whole_frame_is_accepted() {
        let good = compress(&b"{\"a\":1}".repeat(100)).unwrap().to_vec();
        let mut bad_checksum = good.clone();
        let at = bad_checksum.len() - 2;
        bad_checksum[at] ^= 1;
        let cases = [
            b"".to_vec(),
            b"{}".to_vec(),
            good[..good.len() - 1].to_vec(),
            good[..good.len() / 2].to_vec(),
            good[..4].to_vec(),
            [&*good, b"x"].concat(),
            [&*good, &*good].concat(),
            zstd::encode_all(&b""[..], 1).unwrap().repeat(10_000),
            bad_checksum,
        ];
        for case in cases {
            assert_eq!(decompress(&case, 1 << 20), Err(UnpackError::Malformed), "{} bytes", case.len());
        }
    }

    #[test]
    fn a_window_that_takes_much_memory_is_refused() {
        let frame = |log: u32| {
            let mut encoder = zstd::stream::read::Encoder::with_buffer(&b"abcd"[..], 1).unwrap();
            encoder.window_log(log).unwrap();
            let mut output = Vec::new();
            encoder.read_to_end(&mut output).unwrap();
            output
        };
        assert_eq!(decompress(&frame(WINDOW_LOG), 100).unwrap(), b"abcd"[..]);
        assert_eq!(decompress(&frame(WINDOW_LOG + 1), 100), Err(UnpackError::Malformed));
    }
}
